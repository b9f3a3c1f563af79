"""The supervisor of processes: services in the background, and the processes of a command in the foreground."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from music_platform.local import service as supervisor
from music_platform.local.service import Service, ServiceError
from music_platform_tests.waiting import wait_until

_PATIENCE_SECONDS = 30.0
_SLEEPS = "import time; print('begun', flush=True); time.sleep(600)"
_HAS_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_SLEEPS!r}])"
_IGNORES_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {_SLEEPS}"
# As Dagster's processes do it.
_TREATS_SIGTERM_AS_SIGINT = f"import signal; signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT)); {_SLEEPS}"
_ENDS = "import sys; sys.exit(3)"

# A command with two processes in the foreground: one from the command line, and one that sleeps. It prints who ended first.
_COMMAND = """
import sys
from pathlib import Path
from music_platform.local import service

service._OWN_ACCORD_SECONDS = service._PATIENCE_SECONDS = 0.5
with open(sys.argv[2], "a") as held, service.foreground([held.fileno()]) as processes:
    processes.start("the sleeper", [sys.executable, "-c", "import time; time.sleep(600)"])
    processes.start("the other", [sys.executable, "-c", sys.argv[1]])
    print("begun", flush=True)
    print(*processes.first_to_end(), flush=True)
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service("sleeper", tmp_path / "state")
    yield service
    service.stop(5.0)


def start(service: Service, program: str) -> psutil.Process:
    return service.start([sys.executable, "-u", "-c", program], os.environ)


def test_a_service_is_found_by_another_command_and_stopped(service: Service) -> None:
    assert service.process() is None
    process = start(service, _SLEEPS)
    service.wait_until(lambda: "begun" in service.log.read_text(), _PATIENCE_SECONDS, print)
    assert Service(service.name, service.folder).process() == process
    assert os.getpgid(process.pid) == process.pid
    assert service.stop()
    assert service.process() is None
    assert not service.stop()


def test_stopping_ends_what_the_service_started(service: Service) -> None:
    process = start(service, _HAS_A_CHILD)
    wait_until(lambda: "begun" in service.log.read_text())
    [child] = process.children()
    assert service.stop()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_service_that_does_not_heed_is_ended_by_force(service: Service) -> None:
    start(service, _IGNORES_SIGTERM)
    wait_until(lambda: "begun" in service.log.read_text())
    assert service.stop(0.5)
    assert service.process() is None


def test_the_pid_of_another_process_is_not_the_service(service: Service) -> None:
    process = start(service, _SLEEPS)
    pid_file = service.folder / "sleeper.pid"
    recorded = json.loads(pid_file.read_text())
    pid_file.write_text(json.dumps(recorded | {"created": recorded["created"] - 60}))
    assert service.process() is None
    pid_file.write_text(json.dumps(recorded))
    assert service.process() == process


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_pid_file_names_no_process(service: Service, content: str) -> None:
    service.folder.mkdir()
    (service.folder / "sleeper.pid").write_text(content)
    assert service.process() is None


def test_a_service_that_ends_while_it_starts_shows_the_end_of_its_log(service: Service) -> None:
    start(service, f"print('no database'); {_ENDS}")
    with pytest.raises(ServiceError, match=r"sleeper ended while it started; the end of .*sleeper\.log:\nno database"):
        service.wait_until(lambda: False, _PATIENCE_SECONDS, print)


def test_a_service_that_does_not_become_healthy_is_an_error(service: Service) -> None:
    start(service, _SLEEPS)
    with pytest.raises(ServiceError, match="sleeper is not healthy after 0 s"):
        service.wait_until(lambda: False, 0.0, print)


def test_each_start_has_a_log_of_its_own_and_keeps_the_one_before(service: Service) -> None:
    for text in ("first", "second"):
        start(service, f"print('{text}')")
        wait_until(lambda text=text: text in service.log.read_text())
    assert service.log.read_text() == "second\n"
    assert service.log.with_suffix(".log.before").read_text() == "first\n"


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts a command with processes in the foreground, in a group of its own; all are ended with the test."""
    begun: list[subprocess.Popen[str]] = []

    def begin(program: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, program, str(tmp_path / "held")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        return process

    yield begin
    for process in begun:
        for left in supervisor._group(process.pid):
            left.kill()
        process.communicate()


def test_the_first_to_end_is_named_and_the_rest_ends_with_the_command(
    command: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = command(_ENDS)
    output, _ = process.communicate(timeout=_PATIENCE_SECONDS)
    assert (process.returncode, output) == (0, "the other 3\n")
    assert supervisor._group(process.pid) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("program", [_SLEEPS, _IGNORES_SIGTERM], ids=["heeds", "ignores SIGTERM"])
def test_a_signal_to_the_command_alone_ends_all(
    command: Callable[[str], subprocess.Popen[str]], number: signal.Signals, program: str
) -> None:
    process = command(program)
    assert len(supervisor._group(process.pid)) == 3
    process.send_signal(number)
    _, errors = process.communicate(timeout=_PATIENCE_SECONDS)
    assert "KeyboardInterrupt" in errors
    assert supervisor._group(process.pid) == []


def test_in_the_background_of_a_script_sigterm_ends_all(tmp_path: Path) -> None:
    """There the shell has SIGINT ignored, and what the command starts would inherit that."""
    without_force = _COMMAND.replace(
        "service._OWN_ACCORD_SECONDS = service._PATIENCE_SECONDS = 0.5", "service._OWN_ACCORD_SECONDS = 0.5"
    )
    ignoring = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{without_force}"
    command = [sys.executable, "-c", ignoring, _TREATS_SIGTERM_AS_SIGINT, tmp_path / "held"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    members = psutil.Process(process.pid).children()
    assert len(members) == 2
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=_PATIENCE_SECONDS)
    assert [member.pid for member in members if member.is_running()] == []


def test_a_process_in_the_foreground_that_ends_while_it_starts_is_an_error() -> None:
    with supervisor.foreground() as processes:
        processes.start("the server", [sys.executable, "-c", _ENDS])
        with pytest.raises(ServiceError, match="the server ended with exit code 3 while it started"):
            processes.wait_until("the server", lambda: False)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_processes_hold_a_lock_beyond_the_command_that_took_it(tmp_path: Path) -> None:
    busy = ServiceError("busy")
    with supervisor.exclusively(tmp_path, busy) as lock, supervisor.foreground([lock.fileno()]) as processes:
        processes.start("the holder", [sys.executable, "-c", _SLEEPS])
        lock.close()
        with pytest.raises(ServiceError, match="busy"), supervisor.exclusively(tmp_path, busy):
            pass
    with supervisor.exclusively(tmp_path, busy):
        pass
