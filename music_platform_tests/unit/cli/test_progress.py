"""At a terminal something is drawn whatever the work does: here the terminal is a pseudo-terminal, and each frame an event."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from music_platform.cli import progress as progress_module
from music_platform.cli.beside import Beside

# As Dagster does it during steps, the script points file descriptor 1 elsewhere while the run is shown.
_RUN = """
import os, sys
from music_platform.cli import runs

class Steps:
    planned, done, running = 3, set(), []
    def __init__(self, *_): ...
    def read(self): ...

class Instance:
    def get_run_by_id(self, run_id): return run_id

runs.RunSteps = Steps
with runs.progress_shown(Instance(), "hourly tables", "run"):
    log = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
    terminal = os.dup(1)
    os.dup2(log, 1)
    print("a step prints", flush=True)
    for line in sys.stdin:
        Steps.running = [line.strip()]
        Steps.done = Steps.done | {line.strip()}
    os.dup2(terminal, 1)
print("the last word")
"""
_WORK = """
import sys
from music_platform.cli.progress import working

with working("Druid starts") as show:
    for line in sys.stdin:
        show(line.strip())
print("the last word")
"""


class Terminal:
    """A script at a pseudo-terminal, and what it wrote there so far."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._screen, terminal = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            stdin=subprocess.PIPE,
            stdout=terminal,
            env=os.environ | {"COLUMNS": "100"},
        )
        os.close(terminal)
        self.text = ""

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def read_until(self, text: str) -> None:
        """Read on until the text has come; fails when the script ends without it."""
        while text not in self.text:
            piece = self._read()
            assert piece, f"{text!r} is not in {self.text!r}"
            self.text += piece

    def end(self) -> str:
        self._process.communicate(timeout=60)
        while piece := self._read():
            self.text += piece
        os.close(self._screen)
        assert self._process.returncode == 0
        return self.text

    def _read(self) -> str:
        try:
            return os.read(self._screen, 4096).decode(errors="replace")
        except OSError:  # the script has ended
            return ""


def test_a_run_is_drawn_while_dagster_holds_the_output(tmp_path: Path) -> None:
    terminal = Terminal(_RUN, str(tmp_path / "log"))
    terminal.read_until("Dagster")
    for number, step in enumerate(("bronze/listen_events", "silver/listen_events", "gold/fact_streams"), 1):
        terminal.say(step)
        terminal.read_until(f"{number} of 3 steps")
        terminal.read_until(step)
    shown = terminal.end()
    assert shown.endswith("the last word\r\n")
    assert "a step prints" not in shown
    assert (tmp_path / "log").read_text() == "a step prints\n"


def test_seconds_and_stages_are_drawn_while_a_server_starts() -> None:
    terminal = Terminal(_WORK)
    terminal.read_until("Druid starts")
    for second in (1, 2, 3):  # without any news
        terminal.read_until(f"0:00:0{second}")
    terminal.say("waiting for the broker")
    terminal.read_until("waiting for the broker")
    assert terminal.end().endswith("the last word\r\n")


def test_a_log_gets_a_line_in_ten_seconds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    with progress_module.working("Druid starts") as show:
        for second in range(25):
            now[0] = float(second)
            show(f"stage {second}")
    assert capsys.readouterr().out.split("\n")[:-1] == ["stage 0", "stage 10", "stage 20"]


@contextmanager
def started(beside: Beside[str]) -> Generator[Beside[str]]:
    beside.begin()
    try:
        yield beside
    finally:
        beside.give_up()


def test_what_starts_beside_is_waited_for() -> None:
    go = threading.Event()

    def start(show: progress_module.Show) -> str:
        show("it starts")
        go.wait(30)
        return "up"

    with started(Beside("it", start)) as beside:
        assert not beside.is_done()
        go.set()
        assert beside.wait() == "up"
        assert beside.is_done()


def test_what_fails_beside_is_raised_where_it_is_waited_for() -> None:
    def start(_: progress_module.Show) -> str:
        raise OSError("no port")

    with started(Beside("it", start)) as beside, pytest.raises(OSError, match="no port"):
        beside.wait()


def test_a_start_that_is_given_up_ends_at_its_next_stage() -> None:
    stages: list[int] = []
    begun = threading.Event()

    def start(show: progress_module.Show) -> str:
        while True:
            show(f"stage {len(stages)}")
            stages.append(1)
            begun.set()

    with started(Beside("what is given up", start)):
        assert begun.wait(30)
    assert "what is given up" not in {thread.name for thread in threading.enumerate()}
