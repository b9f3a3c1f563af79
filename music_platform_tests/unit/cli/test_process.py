"""How the platform's processes end: with their exit code, once all that was registered has run, whatever threads still do."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

# At its end Python takes this object apart, if it takes itself apart at all.
_REGISTERED = """
import atexit, sys, threading, time
class Marker:
    def __del__(self):
        print("dismantled", flush=True)
marker = Marker()
def command():
    atexit.register(lambda: print("registered for the end"))
    threading.Thread(target=lambda: (time.sleep(0.2), print("the thread has ended"))).start()
    {ending}
"""
# A thread of Arrow is within a read of a Python object when Python ends: the deterministic form of the abort.
_READING = """
import io, sys, threading, time
reading = threading.Event()
class Slow(io.RawIOBase):
    def readable(self): return True
    def seekable(self): return True
    def tell(self): return 0
    def seek(self, offset, whence=0): return 1_000_000
    def readinto(self, buffer):
        reading.set()
        while True:
            time.sleep(0.01)
def command():
    from pyarrow import csv
    threading.Thread(target=lambda: csv.read_csv(Slow()), daemon=True).start()
    assert reading.wait(20)
    sys.exit(3)
"""
_RUN = "from music_platform.cli.process import run_to_the_end\nrun_to_the_end(command)"


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own, whose output waits for a flush."""
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("ending", "code", "error"),
    [
        ("pass", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(2)", 2, ""),
        ("sys.exit('it failed')", 1, "it failed"),
        ("raise ValueError('unexpected')", 1, "ValueError: unexpected"),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt"),
    ],
)
def test_a_process_ends_with_its_code_after_all_that_is_to_run(ending: str, code: int, error: str) -> None:
    ended = run(_REGISTERED.format(ending=ending) + _RUN)
    assert (ended.returncode, ended.stdout.splitlines()) == (code, ["the thread has ended", "registered for the end"])
    assert error in ended.stderr
    without = run(_REGISTERED.format(ending=ending) + "command()")
    assert "dismantled" in without.stdout  # so it would be shown


def test_a_thread_that_needs_python_does_not_abort_the_process() -> None:
    assert run(_READING + _RUN).returncode == 3
    assert run(_READING + "command()").returncode == -6  # SIGABRT: what this test is about


def test_a_reader_that_is_gone_is_no_success() -> None:
    program = f"import os, sys\ndef command():\n    print('x' * 10)\n    os.close(1)\n{_RUN}"
    assert run(program).returncode == 120


def test_the_command_is_entered_there() -> None:
    [script] = entry_points(group="console_scripts", name="music-platform")
    assert script.value == "music_platform.cli.process:music_platform"


def test_another_command_is_run_as_its_own_script(tmp_path: Path) -> None:
    script = tmp_path / "other"
    script.write_text("import sys\nprint(__name__, sys.argv[0].endswith('other'), sys.argv[1:])\nsys.exit(4)\n")
    command = [sys.executable, "-m", "music_platform.cli.process", str(script), "--help", "-x"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (4, "__main__ True ['--help', '-x']\n")


def test_what_dagster_logs_of_an_interrupt_is_a_line(tmp_path: Path) -> None:
    script = tmp_path / "command"
    script.write_text(
        "import logging\n"
        "log = logging.getLogger('dagster')\n"
        "log.error('the run was interrupted\\n\\nDagsterExecutionInterruptedError\\n\\nStack Trace:\\n  File x')\n"
        "log.error('a step failed\\n\\nStack Trace:\\n  File y')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "music_platform.cli.process", script], capture_output=True, text=True, timeout=60
    )
    assert ended.stderr.splitlines() == ["the run was interrupted", "a step failed", "", "Stack Trace:", "  File y"]
