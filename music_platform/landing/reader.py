"""Landed objects back into lines, as a lazy DataFrame whose rows the engine's workers fetch and decompress themselves.

The reader is tolerant by design: whatever is wrong with one object, every line that can be had comes through, and the fault
itself becomes a row. What a line means is not known here (transforms.bronze).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from isal import isal_zlib
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from music_platform.errors import LandedObjectGoneError
from music_platform.lake.object_store import ObjectStore
from music_platform.landing.byte_order_marks import BYTE_ORDER_MARK, without_marks

LINES_SCHEMA = pa.schema(
    [
        pa.field("line", pa.binary()),  # with its line feed, so that lines lie in memory as they lay in the object
        pa.field("_fault", pa.string()),
        pa.field("_fault_detail", pa.string()),
        pa.field("_object", pa.string()),
        pa.field("_line_number", pa.int64()),
        pa.field("landed_hour", pa.timestamp("us", tz="UTC")),
    ]
)
LONGEST_LINE_BYTES = 16 * 1024 * 1024
_COMPRESSED_STEP_BYTES = 256 * 1024
_DECOMPRESSED_STEP_BYTES = 2 * 1024 * 1024  # the most that one step gives, however well its bytes are compressed
_BATCH_BYTES = 8 * 1024 * 1024
_BATCH_ROWS = 256 * 1024  # lines of a few bytes take more memory for what is known of them than for themselves
_KEPT_OF_A_FAULT_BYTES = 64 * 1024
_KEPT_OF_A_LONG_LINE_BYTES = 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
# What a blank line or a byte order mark begins with.
_BLANKS = np.frombuffer(b" \t\n\r\v\f" + BYTE_ORDER_MARK[:1], dtype=np.uint8)
_GZIP_ERRORS: tuple[Any, ...] = (isal_zlib.IsalError, zlib.error)


@dataclass(frozen=True)
class LandedObject:
    """One landed object: its key in the lake, its compressed size in bytes and the hour of its folder."""

    key: str
    size: int
    hour: datetime


@dataclass(frozen=True)
class ObjectFault:
    """What is wrong with an object, as a whole or at one of its lines.

    ``rest`` is the beginning of the bytes that become no line because of it: those of the line that is too long, or those
    left over after the last whole line. ``rest_bytes`` is how many they are in the object.
    """

    name: str
    detail: str
    rest: bytes
    rest_bytes: int


def read_lines(spark: SparkSession, store: ObjectStore, objects: Sequence[LandedObject], tasks: int) -> DataFrame:
    """The lines of landed objects, in columns of ``LINES_SCHEMA``; lazy.

    Objects of one hour stay together in one task, in the order of their keys, so that an hour becomes one file and a
    rebuild gives the same one. ``tasks`` is the number of parallel tasks, balanced by compressed bytes.
    """
    assigned = assign_to_tasks(objects, tasks)

    def read_assigned(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                yield from decode_objects(store, assigned[task])

    return spark.range(0, len(assigned), 1, max(len(assigned), 1)).mapInArrow(
        read_assigned, from_arrow_schema(LINES_SCHEMA)
    )


def assign_to_tasks(objects: Sequence[LandedObject], tasks: int) -> list[list[LandedObject]]:
    """Whole hours to tasks, the largest first and each to the task with the fewest bytes so far; no task is empty."""
    hours: dict[datetime, list[LandedObject]] = {}
    for landed in objects:
        hours.setdefault(landed.hour, []).append(landed)
    by_size = sorted(hours.values(), key=lambda group: (-sum(landed.size for landed in group), group[0].hour))
    assigned: list[list[LandedObject]] = [[] for _ in range(min(max(tasks, 1), len(by_size)))]
    held = [0] * len(assigned)
    for group in by_size:
        task = held.index(min(held))
        assigned[task].extend(group)
        held[task] += sum(landed.size for landed in group)
    return [sorted(task, key=lambda landed: (landed.hour, landed.key)) for task in assigned]


def decode_objects(store: ObjectStore, objects: Iterable[LandedObject]) -> Iterator[pa.RecordBatch]:
    """Batches (schema ``LINES_SCHEMA``, some 8 MB each) of the objects' lines; small objects share a batch."""
    pending = _PendingLines()
    for landed in objects:
        content = store.get(landed.key)
        if content is None:
            raise LandedObjectGoneError(
                f"landed object '{landed.key}' was listed and is gone; landed objects are immutable. "
                "Run the partition again, and find out what deletes them."
            )
        line_number = 1
        for piece in decode(content):
            if isinstance(piece, ObjectFault):
                line_number += pending.add_fault(piece, landed, line_number)
            else:
                line_number += pending.add_lines(piece, landed, line_number)
            if pending.bytes_held >= _BATCH_BYTES or pending.rows_held >= _BATCH_ROWS:
                yield pending.take()
    if pending.bytes_held or pending.rows_held:
        yield pending.take()


def decode(content: bytes) -> Iterator[bytes | ObjectFault]:
    """A landed object's content as blocks of whole lines, and its faults where they lie.

    A line longer than ``LONGEST_LINE_BYTES`` is a fault, and the lines behind it follow; any other fault is the end. The
    last line gets a line feed when it lacks one. Several gzip members in a row are one stream (RFC 1952, 2.2).
    Whatever the content decompresses to, no more than some 40 MB of it are held at once.
    """
    if not content:
        yield ObjectFault("empty_object", "0 bytes", b"", 0)
        return
    if content[:2] != _GZIP_MAGIC:
        yield ObjectFault("not_gzip", f"begins with {content[:8]!r}", content[:_KEPT_OF_A_FAULT_BYTES], len(content))
        return
    unfinished = _UnfinishedLine()
    for piece in _inflate_and_salvage(content):
        if isinstance(piece, ObjectFault):
            yield replace(piece, rest=unfinished.beginning(_KEPT_OF_A_FAULT_BYTES), rest_bytes=unfinished.size)
            return
        begin, end = 0, piece.rfind(b"\n") + 1
        if unfinished.size and end:
            begin = piece.find(b"\n") + 1
            unfinished.add(piece[:begin])
            yield unfinished.take()
        if begin < end:
            yield piece[begin:end]
        unfinished.add(piece[end:])
    if unfinished.size:
        unfinished.add(b"\n")
        yield unfinished.take()


def count_lines(content: bytes) -> int:
    """Rows that a landed object must become in bronze: its lines that are not blank, and its fault if it has one."""
    rows = 0
    for piece in decode(content):
        if isinstance(piece, ObjectFault):
            rows += 1
        else:
            rows += sum(bool(line.strip()) for line in without_marks(piece).split(b"\n"))
    return rows


def _inflate_and_salvage(content: bytes) -> Iterator[bytes | ObjectFault]:
    """The decompressed bytes up to the first damage, then the damage if there is one.

    A decompressor gives nothing of the step in which it meets damage, and the fast one holds back the last bytes before an
    early end. Damaged objects are rare, so they are read once more by one that can go back, so that only the damaged bytes
    themselves stay behind.
    """
    given = 0
    for piece in _inflate(content, _new_fast_decompressor):
        if isinstance(piece, ObjectFault):
            break
        given += len(piece)
        yield piece
    else:
        return
    for piece in _inflate(content, _CarefulDecompressor):
        if isinstance(piece, ObjectFault):
            yield piece
        elif given >= len(piece):
            given -= len(piece)
        else:
            yield piece[given:]
            given = 0


def _inflate(content: bytes, new_decompressor: Callable[[], Any]) -> Iterator[bytes | ObjectFault]:
    """Every member of a gzip stream, step by step; no step gives more than ``LONGEST_LINE_BYTES``."""
    most = min(_DECOMPRESSED_STEP_BYTES, LONGEST_LINE_BYTES)
    start = 0
    while start < len(content):
        if content[start : start + 2] != _GZIP_MAGIC:
            if content[start:].strip(b"\0"):  # padding with zeros is allowed, as gzip's own tool allows it
                yield ObjectFault("corrupt_gzip", f"{len(content) - start} bytes after the gzip stream", b"", 0)
            return
        decompressor = new_decompressor()
        while not decompressor.eof:
            step = content[start : start + _COMPRESSED_STEP_BYTES]
            try:
                block = decompressor.decompress(step, most)
            except _DamageError as damage:
                if damage.salvaged:
                    yield damage.salvaged
                detail = f"{damage} (within byte {start} and {start + len(step)})"
                yield ObjectFault("corrupt_gzip", detail, b"", 0)
                return
            except _GZIP_ERRORS as error:
                yield ObjectFault("corrupt_gzip", str(error), b"", 0)
                return
            start += len(step) - len(decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail)
            if block:
                yield block
            elif not step:  # nothing is left, neither before the decompressor nor in it
                detail = f"ends within its gzip stream, after {len(content)} bytes"
                yield ObjectFault("truncated_gzip", detail, b"", 0)
                return


def _new_fast_decompressor() -> Any:
    return isal_zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)


class _DamageError(Exception):
    """A damaged stream, with what could be read of the step in which the damage lies."""

    def __init__(self, reason: str, salvaged: bytes) -> None:
        super().__init__(reason)
        self.salvaged = salvaged


class _CarefulDecompressor:
    """zlib's decompressor, which repeats a failed step byte by byte to tell how far it can be read."""

    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._decompressor.eof

    @property
    def unused_data(self) -> bytes:
        return self._decompressor.unused_data

    @property
    def unconsumed_tail(self) -> bytes:
        return self._decompressor.unconsumed_tail

    def decompress(self, step: bytes, most: int) -> bytes:
        before = self._decompressor.copy()
        try:
            return self._decompressor.decompress(step, most)
        except zlib.error as damage:
            salvaged = bytearray()
            with suppress(zlib.error):
                for position in range(len(step)):
                    salvaged += before.decompress(step[position : position + 1])
            raise _DamageError(str(damage), bytes(salvaged)) from damage


class _UnfinishedLine:
    """What has come so far of a line whose line feed has not; of a line that is too long only the beginning is held."""

    def __init__(self) -> None:
        self.size = 0  # bytes, also those that are not held
        self._held = bytearray()

    def add(self, part: bytes) -> None:
        if self.size <= LONGEST_LINE_BYTES:
            self._held += part
        self.size += len(part)
        if self.size > LONGEST_LINE_BYTES:
            del self._held[_KEPT_OF_A_LONG_LINE_BYTES:]

    def beginning(self, most: int) -> bytes:
        """At most that many bytes."""
        return bytes(self._held[:most])

    def take(self) -> bytes | ObjectFault:
        """The line, complete with its line feed, or the fault that it is; afterwards there is none."""
        held, size = bytes(self._held), self.size
        self.size = 0
        self._held.clear()
        return held if size <= LONGEST_LINE_BYTES else ObjectFault("line_too_long", f"{size} bytes", held, size)


class _PendingLines:
    """Lines gathered from one or several objects until they make a batch."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.bytes_held = 0
        self.rows_held = 0
        self._blocks: list[bytes] = []
        self._lengths: list[np.ndarray] = []
        self._numbers: list[np.ndarray] = []
        self._faults: list[tuple[int, str, str]] = []  # row in the batch, name, detail
        self._objects: list[tuple[str, datetime, int]] = []  # key, hour, rows

    def add_lines(self, block: bytes, landed: LandedObject, first_line_number: int) -> int:
        """Take a block of whole lines without byte order marks before them; returns how many it has, blank ones included."""
        characters = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero(characters == ord("\n")) + 1
        lengths = np.diff(ends, prepend=0)
        numbers = np.arange(first_line_number, first_line_number + len(lengths))
        if np.isin(characters[ends - lengths], _BLANKS).any():  # a line that may be blank
            lines = without_marks(block).split(b"\n")[:-1]
            kept = np.array([bool(line.strip()) for line in lines], dtype=bool)
            block = b"".join(line + b"\n" for line, keep in zip(lines, kept, strict=True) if keep)
            lengths, numbers = np.array([len(line) + 1 for line in lines], dtype=np.int64)[kept], numbers[kept]
        self._append(block, lengths, numbers, landed)
        return len(ends)

    def add_fault(self, fault: ObjectFault, landed: LandedObject, line_number: int) -> int:
        """Take what is kept of a fault as one row; returns 1, as for one line."""
        detail = fault.detail
        if len(fault.rest) < fault.rest_bytes:
            detail += f"; the first {len(fault.rest)} of {fault.rest_bytes} bytes are kept"
        self._faults.append((self.rows_held, fault.name, detail))
        kept = fault.rest.removesuffix(b"\n") + b"\n"
        self._append(kept, np.array([len(kept)]), np.array([line_number]), landed)
        return 1

    def _append(self, block: bytes, lengths: np.ndarray, numbers: np.ndarray, landed: LandedObject) -> None:
        self._blocks.append(block)
        self._lengths.append(lengths)
        self._numbers.append(numbers)
        self._objects.append((landed.key, landed.hour, len(lengths)))
        self.bytes_held += len(block)
        self.rows_held += len(lengths)

    def take(self) -> pa.RecordBatch:
        """The lines held so far as one batch, in which the lines lie one behind the other."""
        lengths = np.concatenate(self._lengths)
        offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
        np.cumsum(lengths, out=offsets[1:])
        lines = pa.Array.from_buffers(
            pa.binary(), len(lengths), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(self._blocks))]
        )
        of_object = pa.array(np.repeat(np.arange(len(self._objects)), [rows for _, _, rows in self._objects]))
        faults: list[pa.Array] = [pa.nulls(len(lengths), pa.string())] * 2
        if self._faults:
            names: list[str | None] = [None] * len(lengths)
            details: list[str | None] = [None] * len(lengths)
            for row, name, detail in self._faults:
                names[row], details[row] = name, detail
            faults = [pa.array(names, pa.string()), pa.array(details, pa.string())]
        batch = pa.RecordBatch.from_arrays(
            [
                lines,
                *faults,
                pa.array([key for key, _, _ in self._objects], pa.string()).take(of_object),
                pa.array(np.concatenate(self._numbers)),
                pa.array([hour for _, hour, _ in self._objects], pa.timestamp("us", tz="UTC")).take(of_object),
            ],
            schema=LINES_SCHEMA,
        )
        self._clear()
        return batch
