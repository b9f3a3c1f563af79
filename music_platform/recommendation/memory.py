"""Whether a day's model fits into this machine's memory, before it is begun."""

from __future__ import annotations

import psutil

from music_platform.errors import MusicPlatformError

# Measured by benchmarks.recommendation: keys and scores of the pairs while they become a matrix, and its transpose.
_BYTES_OF_PAIR = 64
_GIB = 1024**3


class MemoryTooSmallError(MusicPlatformError):
    """A day's model needs more memory than is free; the text says how much."""


def require_memory(table: str, partition: str, pairs: int) -> None:
    """Raises ``MemoryTooSmallError`` where so many pairs of listener and song do not fit into what is free."""
    free, needed = psutil.virtual_memory().available, pairs * _BYTES_OF_PAIR
    if needed > free:
        raise MemoryTooSmallError(
            f"{table} partition {partition} is made of {pairs:,} pairs of listener and song, which need "
            f"{needed / _GIB:.1f} GiB of memory; {free / _GIB:.1f} GiB are free. Give the run more memory, or let it run "
            "where nothing else does."
        )
