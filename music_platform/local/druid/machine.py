"""What the local Druid needs of this machine: checks memory and ports before the start, and measures its use."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from music_platform.errors import LocalDruidError
from music_platform.local.service import is_port_free

NEEDED_MEMORY_BYTES = 1536 * 1024**2

_PORT_SECONDS = 5.0
_PORT_PAUSE_SECONDS = 0.2
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """What a process holds, in bytes: resident, and its proportional share if the kernel reports it."""

    resident: int
    proportional: int | None


def memory_of(process: psutil.Process) -> Memory:
    try:
        return Memory(process.memory_info().rss, getattr(process.memory_full_info(), "pss", None))
    except psutil.AccessDenied:
        return Memory(process.memory_info().rss, None)


def require_free_ports(ports: Mapping[str, int]) -> None:
    """Raises ``LocalDruidError`` that names the first port in use and, if known, the process that holds it."""
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
    """Raises ``LocalDruidError`` if the machine or the container has too little memory for Druid."""
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
