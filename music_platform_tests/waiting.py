"""Waiting until something has come true, for tests of what other processes and threads do."""

from __future__ import annotations

import time
from collections.abc import Callable

_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.05


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so; fails the test when that takes a minute."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"it has not come true within {_PATIENCE_SECONDS:g} s"
        time.sleep(_LOOK_SECONDS)
