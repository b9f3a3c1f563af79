"""The local Dagster, UI and daemon as `./run dev` starts them, for the time of a command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import dagster as dg
from dagster._daemon.controller import get_daemon_statuses
from dagster._daemon.types import DaemonStatus

from music_platform.local.service import Service
from music_platform.settings import process_environment

_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_SENSORS = "SENSOR"


@contextmanager
def local_dagster(
    instance: dg.DagsterInstance, home: Path, progress: Callable[[str], None], **settings: str
) -> Iterator[str]:
    """UI and daemon on an instance, until the block ends, however it does; gives the UI's address.

    ``settings`` are environment variables of theirs. Raises ``ServiceError`` with the end of their log when they do not come
    up, as when others serve this instance already.
    """
    service = Service("live-dagster", home / "live")
    begun = datetime.now().astimezone().timestamp()
    service.start([sys.executable, "-m", "music_platform.cli.dev"], process_environment() | settings)
    try:
        service.wait_until(lambda: _evaluates_sensors(instance, begun), _START_SECONDS, progress)
        yield (home / "dev.lock").read_text()
    finally:
        service.stop(_STOP_SECONDS)


def _evaluates_sensors(instance: dg.DagsterInstance, since: float) -> bool:
    """Whether a daemon that began since then has told that it lives."""
    status: DaemonStatus = get_daemon_statuses(instance, [_SENSORS])[_SENSORS]
    return status.last_heartbeat is not None and status.last_heartbeat.timestamp >= since
