"""The one supervisor of processes: starts, watches and ends all processes of the platform on this machine.

A ``Service`` runs in the background: a process group of its own with a pid file and a log, so that it outlives the command that
started it and another command can end it. ``Foreground`` processes belong to one command: they share its terminal and its
Ctrl-C, and none outlives the command.

Callers know what a process is and when it is healthy. Nothing here is specific to Superset, Druid or Dagster.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TextIO

import psutil

from music_platform.errors import MusicPlatformError

_POLL_SECONDS = 0.2
_LOG_LINES_SHOWN = 15
_SAME_PROCESS_SECONDS = 1.0  # a process's start time is exact to the hundredth and moves with the clock
_OWN_ACCORD_SECONDS = 3.0  # a terminal's Ctrl-C reaches the processes as well: a second signal would hurry them
_PATIENCE_SECONDS = 30.0
Progress = Callable[[str], None]


class ServiceError(MusicPlatformError):
    """A background service did not start, did not become healthy or did not stop."""


@dataclass(frozen=True)
class Service:
    """A service by its name; its pid file and log lie in ``folder``."""

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def process(self) -> psutil.Process | None:
        """The running process, None when there is none.

        A pid alone is no proof, as the system reuses pids: the process must also have begun at the time in the pid file.
        """
        try:
            recorded = json.loads(self._pid_file.read_text())
            process = psutil.Process(recorded["pid"])
            is_same = abs(process.create_time() - recorded["created"]) < _SAME_PROCESS_SECONDS
            if not is_same or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except (FileNotFoundError, psutil.NoSuchProcess, KeyError, TypeError, ValueError):  # none, gone, or damaged
            return None
        return process

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None
    ) -> psutil.Process:
        """Start the command in a session of its own, so that it outlives this process and its terminal.

        It works in ``folder``, by default its own. It gets a new log; the previous one is kept beside it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.before"))
        with self.log.open("wb") as log:
            started = subprocess.Popen(
                list(command),
                env=dict(environment),
                cwd=folder or self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = psutil.Process(started.pid)
        created = process.create_time()
        written = self._pid_file.with_suffix(".pid.new")
        written.write_text(json.dumps({"pid": started.pid, "created": created}))
        written.replace(self._pid_file)
        return process

    def wait_until(self, is_healthy: Callable[[], bool], seconds: float, progress: Progress) -> None:
        """Wait until the service is healthy; ``progress`` is called with what is waited for, once in a while.

        Raises ``ServiceError`` with the end of the log when the process ends or the seconds are over.
        """
        begun = time.monotonic()
        last_progress = begun
        while not is_healthy():
            waited = time.monotonic() - begun
            if self.process() is None:
                raise ServiceError(f"{self.name} ended while it started{self._log_end()}")
            if waited > seconds:
                raise ServiceError(f"{self.name} is not healthy after {seconds:.0f} s{self._log_end()}")
            if time.monotonic() - last_progress > 5:
                progress(f"waiting for {self.name}, {waited:.0f} s")
                last_progress = time.monotonic()
            time.sleep(_POLL_SECONDS)

    def stop(self, patience_seconds: float = _PATIENCE_SECONDS) -> bool:
        """Stop the service and all processes of its group, by force after the patience; False when it did not run."""
        process = self.process()
        if process is None:
            self._pid_file.unlink(missing_ok=True)
            return False
        members = [process, *process.children(recursive=True)]
        _signal_group(process.pid, signal.SIGTERM)
        alive = _not_ended(members, patience_seconds)
        alive += _group(process.pid)  # a supervisor may have replaced a process that had ended
        if alive:
            _signal_group(process.pid, signal.SIGKILL)
            alive = _not_ended(alive, patience_seconds)
        if alive:
            raise ServiceError(f"{self.name} does not end: process {alive[0].pid} is still there; end it by hand")
        self._pid_file.unlink(missing_ok=True)
        return True

    def _log_end(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:] if self.log.exists() else []
        return f"; the end of {self.log}:\n" + "\n".join(lines) if lines else f"; its log {self.log} is empty"


class Foreground:
    """The processes of a command in the foreground, by name. They share its terminal and its process group."""

    def __init__(self, kept_open: Sequence[int]) -> None:
        """``kept_open``: file descriptors that the processes hold as long as they live."""
        self._kept_open = kept_open
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str | Path]) -> None:
        """Start the command.

        In the background of a script the shell has SIGINT ignored, and processes would inherit that; Dagster's would then
        ignore SIGTERM too, which they treat the same. There they do not ignore it, in a group that no Ctrl-C reaches.
        """
        is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        if is_ignored:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            self._processes[name] = subprocess.Popen(
                command, pass_fds=self._kept_open, process_group=0 if is_ignored else None
            )
        finally:
            if is_ignored:
                signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait_until(self, name: str, is_healthy: Callable[[], bool]) -> None:
        """Wait until the process is healthy; raises ``ServiceError`` when it ends before."""
        while not is_healthy():
            if (code := self._processes[name].poll()) is not None:
                raise ServiceError(f"{name} ended with exit code {code} while it started; see its output above")
            time.sleep(_POLL_SECONDS)

    def first_to_end(self) -> tuple[str, int]:
        """Wait until one of the processes ends by itself; returns its name and exit code."""
        while True:
            for name, process in self._processes.items():
                if (code := process.poll()) is not None:
                    return name, code
            time.sleep(_POLL_SECONDS)

    def end(self, *names: str) -> None:
        """End the named processes, or all, at once: first let them end themselves, then SIGTERM, at last force.

        From here on SIGINT and SIGTERM no longer interrupt the command: what follows is bounded.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        ending = [self._processes.pop(name) for name in names or list(self._processes) if name in self._processes]
        alive = [psutil.Process(process.pid) for process in ending if process.poll() is None]
        for patience, act in (
            (_OWN_ACCORD_SECONDS, psutil.Process.terminate),
            (_PATIENCE_SECONDS, psutil.Process.kill),
        ):
            alive = _not_ended(alive, patience)
            for process in alive:
                act(process)
        for process in ending:
            process.wait()


@contextmanager
def foreground(kept_open: Sequence[int] = ()) -> Generator[Foreground]:
    """Processes that end with the block, however it ends; SIGTERM interrupts it as Ctrl-C does. For the main thread."""
    processes = Foreground(kept_open)
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield processes
    finally:
        processes.end()
        for number, handler in former.items():
            signal.signal(number, handler)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def run_aloud(command: Sequence[str], environment: Mapping[str, str], heard: Progress) -> tuple[int, str]:
    """Run a command to its end; ``heard`` is called with each line of its standard error. Returns its exit code and all of it."""
    with subprocess.Popen(list(command), env=dict(environment), stderr=subprocess.PIPE, text=True) as process:
        said: list[str] = []
        try:
            for line in process.stderr or ():
                said.append(line)
                heard(line.strip())
        except BaseException:
            process.terminate()
            raise
    return process.returncode, "".join(said).strip()


def is_port_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server may listen on the port of this address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


@contextmanager
def exclusively(folder: Path, busy: MusicPlatformError, name: str = "lock") -> Generator[TextIO]:
    """Let one process at a time start or stop the service in the folder; raises ``busy`` for another.

    Yields the open file ``name``, which is the lock: it is held as long as any process has it open, and keeps its text.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel frees it when the last process ends
        except BlockingIOError:
            raise busy from None
        yield lock


def _group(leader: int) -> list[psutil.Process]:
    """The processes of a group that still exist."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def _not_ended(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """The processes that do not end in time; a zombie counts as ended."""
    deadline = time.monotonic() + seconds
    while alive := [process for process in processes if _is_alive(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
