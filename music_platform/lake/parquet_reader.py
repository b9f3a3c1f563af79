"""Parquet files read in the thread that asks for them, never in Arrow's own.

Arrow's threads hold the Python object that they read from a moment longer than the read takes. If Python shuts down in that
moment, such a thread cannot release the object, and the process aborts although all its work is done
(docs/decisions/0013-how-processes-end.md). So only this module opens Parquet files; ruff refuses it elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from music_platform.lake.object_store import ObjectStore


def open_parquet(store: ObjectStore, key: str) -> pq.ParquetFile:
    """One object of the lake, to read its footer; a context that closes it.

    Raises ``LakeUnreachableError`` when it cannot be read, ``ArrowInvalid`` or ``OSError`` when it is no Parquet file.
    """
    return _open(cast(BinaryIO, store.open(key)))


def read_parquet(source: BinaryIO, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a Parquet file, with all columns or some."""
    with _open(source) as file:
        return file.read(columns=None if columns is None else list(columns), use_threads=False)


def read_object(store: ObjectStore, key: str, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of one object of the lake, with all columns or some; raises what ``open_parquet`` does."""
    return read_parquet(cast(BinaryIO, store.open(key)), columns)


def batches_of_object(
    store: ObjectStore, key: str, most_rows: int = 65_536, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of one object of the lake, at most so many at a time; raises what ``open_parquet`` does."""
    wanted = None if columns is None else list(columns)
    with open_parquet(store, key) as file:
        yield from file.iter_batches(batch_size=most_rows, columns=wanted, use_threads=False)


def _open(source: BinaryIO) -> pq.ParquetFile:
    return pq.ParquetFile(source, pre_buffer=False)
