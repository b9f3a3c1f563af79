"""Landed objects back into lines, as a lazy DataFrame whose rows the engine's workers fetch and decompress themselves.

The reader is tolerant by design: whatever is wrong with one object, every readable line is returned, and the fault itself
becomes a row. gzip_lines.py decodes one object; transforms.bronze knows what a line means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from music_platform.errors import LandedObjectGoneError
from music_platform.lake.object_store import ObjectStore
from music_platform.landing.byte_order_marks import BYTE_ORDER_MARK, without_marks
from music_platform.landing.gzip_lines import ObjectFault, decode

if TYPE_CHECKING:  # PySpark is loaded only when a frame is made
    from pyspark.sql import DataFrame, SparkSession

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
_BATCH_BYTES = 8 * 1024 * 1024
_BATCH_ROWS = 256 * 1024  # lines of a few bytes take more memory for what is known of them than for themselves
# What a blank line or a byte order mark begins with.
_BLANKS = np.frombuffer(b" \t\n\r\v\f" + BYTE_ORDER_MARK[:1], dtype=np.uint8)


@dataclass(frozen=True)
class LandedObject:
    """One landed object: its key in the lake, its compressed size in bytes and the hour of its folder."""

    key: str
    size: int
    hour: datetime


def read_lines(spark: SparkSession, store: ObjectStore, objects: Sequence[LandedObject], tasks: int) -> DataFrame:
    """The lines of landed objects, in columns of ``LINES_SCHEMA``; lazy.

    Objects of one hour stay together in one task, in the order of their keys, so that an hour becomes one file and a
    rebuild gives the same one. ``tasks`` is the number of parallel tasks, balanced by compressed bytes.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

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
