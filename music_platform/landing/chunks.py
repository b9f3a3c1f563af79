"""Where one landed object ends and the next begins: lines gather by the hour into chunks, each of which becomes an object."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from music_platform.landing.event_lines import HourLines, SortedBlock, hour_time

# These three decide where one object ends and the next begins, and so the objects' names: a file that was landed before one
# of them changed lands a second time under other names.
CHUNK_BYTES = 64 * 1024 * 1024  # uncompressed, as Fluentd's chunk_limit_size
OPEN_BYTES = 128 * 1024 * 1024  # of all hours that still gather lines
BLOCK_BYTES = 1024 * 1024  # read and sorted at once; larger ones leave the processor's cache


@dataclass
class Chunk:
    """Lines of one hour, or error records, that become one object."""

    hour: datetime
    of_errors: bool
    ordinal: int  # of the chunks of this hour in this file: two of them with equal content are two objects
    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, content: bytes) -> None:
        self.parts.append(content)
        self.size += len(content)


class OpenChunks:
    """The hours that gather lines. A sorted file fills one after the other; a late line opens its old hour again.

    A full chunk leaves. When all together hold too much, those that received no line for longest leave first. Both depend on
    the content alone, never on timing, so that the same file always gives the same chunks. ``sharers``: so many of these share
    the memory, one for each event type of a file.
    """

    def __init__(self, now: datetime, sharers: int = 1) -> None:
        self._sharers = sharers
        self._current_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        self._open: OrderedDict[int | None, Chunk] = OrderedDict()  # by hour since the epoch; None: error records
        self._begun: Counter[int | None] = Counter()  # chunks, by hour
        self._size = 0

    def add(self, block: SortedBlock) -> list[Chunk]:
        """Take a sorted block; returns the chunks that are complete."""
        complete: list[Chunk] = []
        for group in block.by_hour:
            complete += self._add(group.hour, group)
        if block.errors:
            complete += self._add(None, HourLines(0, len(block.errors), b"".join(block.errors)))
        while self._size > OPEN_BYTES // self._sharers:
            complete.append(self._take(next(iter(self._open))))
        return complete

    def _add(self, hour: int | None, group: HourLines) -> list[Chunk]:
        full = []
        if hour in self._open and self._open[hour].size + len(group.content) > CHUNK_BYTES:
            full.append(self._take(hour))
        if hour not in self._open:
            start = self._current_hour if hour is None else hour_time(hour)
            self._open[hour] = Chunk(start, hour is None, self._begun[hour])
            self._begun[hour] += 1
        self._open[hour].add(group.content)
        self._open.move_to_end(hour)
        self._size += len(group.content)
        return full

    def _take(self, hour: int | None) -> Chunk:
        chunk = self._open.pop(hour)
        self._size -= chunk.size
        return chunk

    def take_all(self) -> Iterator[Chunk]:
        while self._open:
            yield self._take(next(iter(self._open)))
