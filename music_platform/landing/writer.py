"""Lands files of event lines exactly as the collector does; the same file always gives the same objects.

event_files.py reads the input, event_lines.py knows what a line means, chunks.py where an object ends, lake/landing_layout.py
what a key looks like.
"""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from isal import isal_zlib

from music_platform.lake.landing_layout import ERRORS_PREFIX, day_prefix, error_objects, errors_key, landed_key
from music_platform.lake.object_store import ObjectStore
from music_platform.landing.chunks import BLOCK_BYTES, Chunk, OpenChunks
from music_platform.landing.event_files import EventFile, blocks, opened
from music_platform.landing.event_lines import SortedBlock, hour_time, sort_block, without_times
from music_platform.landing.page_log import PAGE_LOG_TYPES, PageLog

_BYTES_BEING_WRITTEN = 128 * 1024 * 1024
_DAYS_LISTED = 64  # whose existing objects are remembered
_GZIP_LEVEL = 2  # isal's: as fast as its lower levels, and smaller

Progress = Callable[[int, int], None]
"""Called now and then with the bytes of input (as stored, compressed or not) and the lines since the last call."""


@dataclass(frozen=True)
class LandingSummary:
    """What a call landed.

    ``derived`` counts the events that logs of all pages gave beyond their own lines, by event type.

    ``lines`` that are not blank were read; ``error_records`` of them (one for each element of a broken array) are in
    ``errors/``. ``empty`` names the files without a line, ``without_event`` those with lines of which none is an event.
    ``objects_unchanged`` were in the lake already. ``bytes_read`` counts uncompressed text, ``bytes_written`` what the
    written objects take. The hours are those of the earliest and the latest event; ``lines_by_hour`` counts the events.
    ``error_keys_unchanged`` are those of the objects of error records that were in the lake already, wherever in ``errors/``.
    """

    files: int = 0
    lines: int = 0
    error_records: int = 0
    objects_written: int = 0
    objects_unchanged: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    first_hour: datetime | None = None
    last_hour: datetime | None = None
    lines_by_hour: dict[datetime, int] = field(default_factory=dict)
    derived: dict[str, int] = field(default_factory=dict)
    error_keys_unchanged: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    without_event: tuple[str, ...] = ()


def land_files(
    store: ObjectStore,
    files: Iterable[EventFile],
    progress: Progress | None = None,
    workers: int | None = None,
    *,
    now: datetime | None = None,
) -> LandingSummary:
    """Land the lines of files by the hour of each event; lines that are no event go to ``errors/``.

    Landing a file again changes nothing: its objects have the same names (a hash of type, hour, content, and how many
    objects of that hour the file gave before) and are left alone. Error records are filed by the time of collection, which
    is ``now`` (default: the present) and never what a file says; the names of their objects hold the hash of type and
    content without it, so that error records which lie in any hour of ``errors/`` are left alone too.

    A log of all pages gives lines of four event types; each file is split by itself.

    Holds some 400 MB at most, whatever the files' size. ``workers`` threads (default: one a processor) sort, compress and
    upload. Raises LandingInputError for a file that cannot be read to its end; what was landed before stays, and landing
    the repaired file completes it. Raises LakeUnreachableError as the store does.
    """
    workers = workers or os.cpu_count() or 1
    summary = LandingSummary()
    with ThreadPoolExecutor(workers, thread_name_prefix="land") as pool:
        landing = _Landing(store, pool, progress or (lambda *_: None), workers + 1, now or datetime.now(UTC))
        try:
            for file in files:
                summary = replace(landing.land(file, summary), files=summary.files + 1)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return replace(
        summary,
        derived=dict(landing.derived),
        lines_by_hour={hour_time(hour): lines for hour, lines in sorted(landing.lines.items())},
        error_keys_unchanged=tuple(sorted(landing.error_keys_unchanged)),
    )


class _Landing:
    """The state of one call of land_files: what exists in the lake, and the tasks under way."""

    def __init__(
        self, store: ObjectStore, pool: ThreadPoolExecutor, progress: Progress, blocks_ahead: int, now: datetime
    ) -> None:
        self.lines: Counter[int] = Counter()  # of events, by hour since the epoch
        self.derived: Counter[str] = Counter()  # events of logs beyond their own lines, by event type
        self.error_keys_unchanged: set[str] = set()
        self._now = now
        self._store = store
        self._pool = pool
        self._progress = progress
        self._blocks_ahead = blocks_ahead
        self._existing = _ExistingObjects(store)

    def land(self, file: EventFile, summary: LandingSummary) -> LandingSummary:
        """Land one whole file and add it to the summary."""
        writing = _Writing(self._pool, self._write)
        lines_before, has_event = summary.lines, False
        with opened(file) as (stream, position):
            split = PageLog().split if file.is_page_log else lambda block: {file.event_type: block}
            types = PAGE_LOG_TYPES if file.is_page_log else (file.event_type,)
            chunks = {event_type: OpenChunks(self._now, len(types)) for event_type in types}
            sorting: deque[tuple[int, int, str, Future[SortedBlock]]] = deque()
            reported = 0

            def take_sorted() -> None:
                nonlocal summary, reported, has_event
                size, consumed, event_type, future = sorting.popleft()
                block = future.result()
                for chunk in chunks[event_type].add(block):
                    writing.start(chunk, event_type)
                for group in block.by_hour:
                    self.lines[group.hour] += group.lines
                if event_type != file.event_type:
                    self.derived[event_type] += block.lines
                    return
                has_event = has_event or bool(block.by_hour)
                summary = _with_block(summary, block, size)
                self._progress(consumed - reported, block.lines)
                reported = consumed

            for block in blocks(stream, file, BLOCK_BYTES):
                for event_type, lines in split(block).items():
                    task = self._pool.submit(sort_block, lines, event_type, self._now)
                    sorting.append((len(block), position(), event_type, task))
                    if len(sorting) > self._blocks_ahead:
                        take_sorted()
            while sorting:
                take_sorted()
            for event_type in types:
                for chunk in chunks[event_type].take_all():
                    writing.start(chunk, event_type)
        written, unchanged, stored = writing.finish()
        if not has_event:
            name = "empty" if summary.lines == lines_before else "without_event"
            summary = replace(summary, **{name: (*getattr(summary, name), file.name)})
        return replace(
            summary,
            objects_written=summary.objects_written + written,
            objects_unchanged=summary.objects_unchanged + unchanged,
            bytes_written=summary.bytes_written + stored,
        )

    def _write(self, chunk: Chunk, event_type: str) -> int | None:
        """Store a chunk and return the object's size; None when it is in the lake already."""
        # For error records neither the hour nor their own times count: both are those of the collection.
        place = ERRORS_PREFIX if chunk.of_errors else f"{event_type} {chunk.hour:%Y%m%d%H}"
        name = hashlib.sha256(f"{place} {chunk.ordinal}\n".encode())
        for part in chunk.parts:
            name.update(without_times(part) if chunk.of_errors else part)
        chunk_id = name.hexdigest()[:32]  # as long as Fluentd's
        if chunk.of_errors:
            key = errors_key(chunk.hour, chunk_id)
            existing = self._existing.add_error_records(chunk_id, key)
            is_new = existing is None
            if existing is not None:
                self.error_keys_unchanged.add(existing)
        else:
            key = landed_key(event_type, chunk.hour, chunk_id)
            is_new = self._existing.add(day_prefix(event_type, chunk.hour), key)
        if not is_new:
            return None
        compressor = isal_zlib.compressobj(level=_GZIP_LEVEL, wbits=16 + zlib.MAX_WBITS)  # gzip without a time or name
        content = b"".join([*(compressor.compress(part) for part in chunk.parts), compressor.flush()])
        self._store.put(key, content)
        return len(content)


class _Writing:
    """Chunks being written; ``start`` waits while too many bytes are under way."""

    def __init__(self, pool: ThreadPoolExecutor, write: Callable[[Chunk, str], int | None]) -> None:
        self._pool = pool
        self._write = write
        self._sizes: dict[Future[int | None], int] = {}
        self._written = self._unchanged = self._stored = 0

    def start(self, chunk: Chunk, event_type: str) -> None:
        while self._sizes and sum(self._sizes.values()) + chunk.size > _BYTES_BEING_WRITTEN:
            self._collect(wait(self._sizes, return_when=FIRST_COMPLETED).done)
        self._sizes[self._pool.submit(self._write, chunk, event_type)] = chunk.size

    def finish(self) -> tuple[int, int, int]:
        """Wait for all; returns the objects written, the unchanged ones and the bytes written."""
        self._collect(wait(self._sizes).done)
        return self._written, self._unchanged, self._stored

    def _collect(self, done: Iterable[Future[int | None]]) -> None:
        for future in done:
            del self._sizes[future]
            stored = future.result()
            if stored is None:
                self._unchanged += 1
            else:
                self._written += 1
                self._stored += stored


class _ExistingObjects:
    """The existing objects: one listing when a day, or errors/, is first needed, instead of a request per object."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._keys: OrderedDict[str, set[str]] = OrderedDict()
        self._error_keys: dict[str, str] | None = None

    def add(self, prefix: str, key: str) -> bool:
        """Note a key that is about to be written; False when it is in the lake already."""
        with self._lock:
            if prefix not in self._keys:
                self._keys[prefix] = {stored.key for stored in self._store.list(prefix)}
            self._keys.move_to_end(prefix)
            if len(self._keys) > _DAYS_LISTED:
                self._keys.popitem(last=False)
            known = key in self._keys[prefix]
            self._keys[prefix].add(key)
            return not known

    def add_error_records(self, chunk_id: str, key: str) -> str | None:
        """Note the key of an object of error records; returns this chunk id's existing key in any hour of errors/, else None."""
        with self._lock:
            if self._error_keys is None:
                self._error_keys = error_objects(self._store)
            existing = self._error_keys.get(chunk_id)
            self._error_keys.setdefault(chunk_id, key)
            return existing


def _with_block(summary: LandingSummary, block: SortedBlock, size: int) -> LandingSummary:
    hours = [hour_time(group.hour) for group in (block.by_hour[:1] + block.by_hour[-1:])]
    return replace(
        summary,
        lines=summary.lines + block.lines,
        error_records=summary.error_records + len(block.errors),
        bytes_read=summary.bytes_read + size,
        first_hour=min([*hours, *filter(None, [summary.first_hour])], default=None),
        last_hour=max([*hours, *filter(None, [summary.last_hour])], default=None),
    )
