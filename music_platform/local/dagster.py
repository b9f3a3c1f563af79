"""The local Dagster, UI and daemon as `./run dev` starts them, for the time of a command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from music_platform.local.service import Service
from music_platform.settings import process_environment

_START_SECONDS = 120.0
_STOP_SECONDS = 30.0


@contextmanager
def local_dagster(
    home: Path, serves: Callable[[], bool], progress: Callable[[str], None], **settings: str
) -> Iterator[str]:
    """UI and daemon on the instance in ``home``, until the block ends, however it does; gives the UI's address.

    ``serves`` says whether the daemon works by now. ``settings`` are environment variables for both. Raises ``ServiceError``
    with the end of their log when they do not start, for instance because others serve this instance already.
    """
    service = Service("live-dagster", home / "live")
    service.start([sys.executable, "-m", "music_platform.cli.dev"], process_environment() | settings)
    try:
        service.wait_until(serves, _START_SECONDS, progress)
        yield (home / "dev.lock").read_text()
    finally:
        service.stop(_STOP_SECONDS)
