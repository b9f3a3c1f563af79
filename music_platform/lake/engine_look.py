"""What the engine and its workers are, seen by small tasks that run there. `music-platform doctor` judges it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from music_platform.lake.lake import Lake
from music_platform.lake.spark import SparkEngine

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TASKS = 8  # so that each of a few executors gets one
_ROWS = 3
_WORKER_SCHEMA = "host string, python string, package string"


@dataclass(frozen=True, order=True)
class Worker:
    """A Python worker of the engine: its host, its Python (``3.11.2``), and its version of this package, or none (empty)."""

    host: str
    python: str
    package: str


def engine_version(engine: SparkEngine) -> str:
    """The release of Spark that the server says it is; Sail says which one it stands for."""
    return engine.spark_session.version


def workers_of(engine: SparkEngine) -> list[Worker]:
    """The different workers that answered; not every executor need be among them. Works where the package is missing."""

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # Nothing of this package: the function is sent as it is, and must run where the package is another or none.
        import platform
        from importlib import metadata

        for _ in batches:
            pass
        try:
            package = metadata.version("music-platform")
        except metadata.PackageNotFoundError:
            package = ""
        rows = {"host": [platform.node()], "python": [platform.python_version()], "package": [package]}
        yield pa.RecordBatch.from_pydict(rows)

    found = engine.spark_session.range(0, _TASKS, 1, _TASKS).mapInArrow(look, _WORKER_SCHEMA).toArrow()
    return sorted({Worker(**row) for row in found.to_pylist()})


def reach_lake(engine: SparkEngine, lake: Lake) -> None:
    """Write and remove a small object from the workers, and read a Parquet file by the engine's own reader.

    Raises what fails: a ``PySparkException`` of the engine, behind which is an error of the store where a worker failed, or a
    ``LakeUnreachableError`` of this process.
    """
    name = f"doctor-{uuid.uuid4().hex}"
    session = engine.session_for(lake)
    _write_from_workers(session, lake, name)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"row": list(range(_ROWS))}), sink)
    key = f"{name}.parquet"
    lake.store.put(key, sink.getvalue().to_pybytes())
    try:
        rows = session.read.schema("row bigint").parquet(lake.store.url(key)).count()
    finally:
        lake.store.delete([key])
    if rows != _ROWS:
        raise AssertionError(f"the engine read {rows} of {_ROWS} rows of {lake.store.url(key)}")


def _write_from_workers(session: SparkSession, lake: Lake, name: str) -> None:
    store = lake.store

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            keys = [f"{name}-{task}" for task in batch.column(0).to_pylist()]
            for key in keys:
                store.put(key, b"music-platform doctor")
            store.delete(keys)
            yield batch

    session.range(0, _TASKS, 1, _TASKS).mapInArrow(write, "id bigint").toArrow()
