"""Waiting until something has come true, for tests of what other processes and threads do."""

from __future__ import annotations

import time
from collections.abc import Callable

_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05


def wait_until(is_so: Callable[[], object], seconds: float = _PATIENCE_SECONDS) -> None:
    """Wait until it is so; fails the test when that takes longer than so many seconds."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"it has not come true within {seconds:g} s"
        time.sleep(_LOOK_SECONDS)
