"""The JVM of the local Druid as a process: started, found again by its record, looked into and stopped.

Whether Druid itself is healthy is asked in health.py.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from music_platform.errors import LocalDruidError
from music_platform.local.druid.configuration import LocalConfiguration
from music_platform.local.service import is_port_free

NEEDED_MEMORY_BYTES = 1536 * 1024**2

_STOP_SECONDS = 30.0
_KILL_SECONDS = 10.0
_END_PAUSE_SECONDS = 0.1
_PORT_SECONDS = 5.0
_PORT_PAUSE_SECONDS = 0.2
_SAME_PROCESS_SECONDS = 1.0  # a process's start is known to the hundredth
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """What a process holds, in bytes: resident, and its proportional share of it where the kernel tells that."""

    resident: int
    proportional: int | None


def running(configuration: LocalConfiguration) -> psutil.Process | None:
    """The JVM that was started on this folder, if it still runs; another process with its old number is not taken for it."""
    try:
        record = json.loads(_record_of(configuration).read_text())
        process = psutil.Process(record["pid"])
        is_same = abs(process.create_time() - record["started"]) < _SAME_PROCESS_SECONDS
        return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    except (FileNotFoundError, json.JSONDecodeError, psutil.NoSuchProcess):
        return None


def start(configuration: LocalConfiguration, command: list[str]) -> psutil.Process:
    """Start the JVM in a session of its own, so that it outlives this command and its terminal."""
    # Nodes of leaders that no longer live would send every request in circles for half a minute.
    shutil.rmtree(configuration.zookeeper_data, ignore_errors=True)
    with configuration.java_log.open("wb") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=configuration.folder,
            start_new_session=True,
        )
    process = psutil.Process(child.pid)
    record = _record_of(configuration)
    new = record.with_suffix(".new")
    new.write_text(json.dumps({"pid": process.pid, "started": process.create_time()}))
    new.replace(record)
    return process


def stop(configuration: LocalConfiguration) -> bool:
    """Stop the JVM and all of its session; False when none runs.

    Druid is given time to end by itself, so that a task can go on at the next start.
    """
    process = running(configuration)
    if process is not None:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
            if not _has_ended(process, _STOP_SECONDS):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                if not _has_ended(process, _KILL_SECONDS):
                    raise LocalDruidError(
                        f"process {process.pid} of Druid does not end, not even when it is killed: look at what it waits for "
                        f"(ps -o stat,wchan -p {process.pid}), and repeat music-platform druid down"
                    )
    _record_of(configuration).unlink(missing_ok=True)
    return process is not None


def _has_ended(process: psutil.Process, seconds: float) -> bool:
    """Whether the process ends in time. One that only its parent has not taken notice of has ended."""
    deadline = time.monotonic() + seconds
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(_END_PAUSE_SECONDS)
    return True


def memory_of(process: psutil.Process) -> Memory:
    try:
        return Memory(process.memory_info().rss, getattr(process.memory_full_info(), "pss", None))
    except psutil.AccessDenied:
        return Memory(process.memory_info().rss, None)


def require_free_ports(ports: Mapping[str, int]) -> None:
    """Raises ``LocalDruidError`` that names the first port that is taken, and who holds it where that is known."""
    deadline = time.monotonic() + _PORT_SECONDS  # the kernel closes those of a JVM that was killed a moment later
    for name, port in ports.items():
        while not is_port_free(port):
            if time.monotonic() > deadline:
                raise LocalDruidError(
                    f"port {port}, which the {name} of the local Druid needs, is taken by {_holder_of(port)}. Stop that, or "
                    "move all of Druid's ports by MUSIC_PLATFORM_DRUID_PORT_OFFSET, such as 1000."
                )
            time.sleep(_PORT_PAUSE_SECONDS)


def require_memory() -> None:
    """Raises ``LocalDruidError`` when Druid would drive the machine, or the container, out of memory."""
    available = min([psutil.virtual_memory().available, *_left_in_container()])
    if available < NEEDED_MEMORY_BYTES:
        mebibytes = 1024**2
        raise LocalDruidError(
            f"the local Druid needs {NEEDED_MEMORY_BYTES // mebibytes:,} MiB of memory, and {available // mebibytes:,} MiB are "
            "free. Stop something, or set MUSIC_PLATFORM_DRUID_URL to a Druid elsewhere."
        )


def _left_in_container() -> list[int]:
    try:
        limit, used = ((_CGROUP / name).read_text().strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return []
    return [] if limit == "max" else [int(limit) - int(used)]


def _holder_of(port: int) -> str:
    with suppress(psutil.AccessDenied, psutil.NoSuchProcess, OSError):
        for connection in psutil.net_connections("tcp"):
            is_listener = connection.status == psutil.CONN_LISTEN and bool(connection.laddr)
            if is_listener and connection.laddr.port == port and connection.pid is not None:  # pyright: ignore[reportAttributeAccessIssue]
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "a process that this user may not see"


def _record_of(configuration: LocalConfiguration) -> Path:
    return configuration.folder / "process.json"
