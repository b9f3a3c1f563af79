"""Writes a lazy DataFrame as Parquet files into partitions' folders, from within the engine's workers.

One pass can feed several tables (silver and quarantine). The files are new and uniquely named, and no reader sees them
before publish.py names them in a manifest.
"""

# pyarrow makes its compute functions when it is imported, so no type checker finds them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from music_platform.errors import ContractError, platform_error_of
from music_platform.lake.manifest import DataFile, partition_folder
from music_platform.lake.object_store import ObjectStore
from music_platform.partitions import DAILY_KEY_FORMAT, HOURLY_KEY_FORMAT
from music_platform.tables.contract import Cadence, ColumnType, TableContract
from music_platform.tables.schemas import arrow_schema, fingerprint

if (
    TYPE_CHECKING
):  # PySpark is loaded when something is written: manifests and staged partitions are looked at without it
    from pyspark.sql import DataFrame

ROW_GROUP_ROWS = 131_072
_COMPRESSION_RATIO_GUESS = 4  # Arrow bytes to Parquet bytes, for deciding when a file is full
_RESULT_SCHEMA = pa.schema(
    [("destination", pa.string()), ("partition", pa.string()), ("name", pa.string()), ("rows", pa.int64()),
     ("bytes", pa.int64()), ("sha256", pa.string())]
)  # fmt: skip
_MICROSECONDS = {Cadence.HOURLY: 3_600_000_000, Cadence.DAILY: 86_400_000_000}


@dataclass
class WrittenPartition:
    """The new files of one partition, and the rows of the pass that were counted without being written."""

    files: list[DataFile] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Destination:
    """The destination of rows of a pass: a table, or none (``contract`` None: they are only counted)."""

    name: str
    contract: TableContract | None


@dataclass(frozen=True)
class WritePass:
    """How the rows of one pass become files.

    ``partition_column`` is a timestamp whose hour or day is the row's partition. Without ``destination_column`` all rows go to
    the only destination. A partition's rows in one task become one file (more beyond ``target_file_bytes``), sorted by the
    contract's sort columns. They must follow one another, unless ``rows_are_scattered``: then a task holds all its rows until
    the last. Files are named by ``write_id``.
    """

    destinations: Mapping[str, Destination]
    store: ObjectStore
    write_id: str
    partition_column: str
    cadence: Cadence = Cadence.HOURLY
    destination_column: str | None = None
    target_file_bytes: int = 128 * 1024 * 1024
    rows_are_scattered: bool = False

    @property
    def columns(self) -> list[str]:
        """The columns that the pass takes of its frame."""
        contracts = [destination.contract for destination in self.destinations.values() if destination.contract]
        routing = [name for name in (self.partition_column, self.destination_column) if name is not None]
        return list(dict.fromkeys([*(column.name for contract in contracts for column in contract.columns), *routing]))


def write_partitions(frame: DataFrame, wanted: WritePass) -> dict[str, dict[str, WrittenPartition]]:
    """Run the frame's plan and write its rows: ``{destination: {partition key: files and counts}}``."""
    from pyspark.errors import PySparkException

    def write_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        writer = _TaskWriter(wanted)
        for batch in batches:
            writer.take(batch)
        yield writer.finish()

    written: dict[str, dict[str, WrittenPartition]] = {name: {} for name in wanted.destinations}
    try:
        results = _map_in_arrow(frame, wanted.columns, write_batches, _RESULT_SCHEMA).toArrow().to_pylist()
    except PySparkException as error:
        cause = platform_error_of(error)
        raise cause from (None if cause is error else error)
    for row in results:
        partition = written[row["destination"]].setdefault(row["partition"], WrittenPartition())
        if row["name"] is None:
            partition.counts["rows"] = partition.counts.get("rows", 0) + row["rows"]
        else:
            partition.files.append(DataFile(row["name"], row["rows"], row["bytes"], row["sha256"]))
    for partitions in written.values():
        for partition in partitions.values():
            partition.files.sort(key=lambda file: (file.sha256, file.name))
    return written


def _map_in_arrow(
    frame: DataFrame,
    columns: Sequence[str],
    function: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]],
    schema: pa.Schema,
) -> DataFrame:
    """``mapInArrow`` of these columns of a frame.

    Without a cached schema PySpark would plan the whole query again to learn its column names. We supply the names without
    types, for this call alone.
    """
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import NullType, StructField, StructType

    known = frame._cached_schema
    frame._cached_schema = StructType([StructField(name, NullType()) for name in columns])
    try:
        return frame.mapInArrow(function, from_arrow_schema(schema))
    finally:
        frame._cached_schema = known


def gathered(frame: DataFrame, contract: TableContract, partitions: int) -> DataFrame:
    """The frame with each partition's rows in one task, so that scattered rows are written into one file each.

    ``partitions`` is the number of partitions that have rows.
    """
    from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

    if partitions == 1:
        return frame.repartition(1)
    unit = "HOUR" if contract.cadence is Cadence.HOURLY else "DAY"
    rows = frame.withColumn("_partition", F.date_trunc(unit, contract.partition_column))
    return rows.repartition("_partition").drop("_partition")


class _TaskWriter:
    """Writes the batches of one task, holding the rows of the files that are open: one a destination, or one a partition."""

    def __init__(self, wanted: WritePass) -> None:
        self._pass = wanted
        self._most_held_bytes = wanted.target_file_bytes * _COMPRESSION_RATIO_GUESS
        self._held: dict[tuple[str, str], list[pa.RecordBatch]] = {}  # by destination and partition
        self._held_bytes: dict[tuple[str, str], int] = {}
        self._counted: dict[tuple[str, str], int] = {}
        self._results: list[dict[str, str | int | None]] = []

    def take(self, batch: pa.RecordBatch) -> None:
        """Route a batch's rows. A partition's rows should follow one another; otherwise it gets more files."""
        if self._pass.destination_column is None:
            [name] = self._pass.destinations
            self._take_for(name, batch)
            return
        names = batch.column(self._pass.destination_column)
        for name in self._pass.destinations:
            mask = pc.equal(names, name)
            if pc.all(mask).as_py():
                self._take_for(name, batch)
                break
            rows = batch.filter(mask)
            if rows.num_rows:
                self._take_for(name, rows)

    def _take_for(self, name: str, batch: pa.RecordBatch) -> None:
        times = batch.column(self._pass.partition_column)
        if times.null_count:
            raise ContractError(
                f"{times.null_count} rows for '{name}' have no {self._pass.partition_column}, so they belong to no partition"
            )
        ordinals = times.cast(pa.int64()).to_numpy() // _MICROSECONDS[self._pass.cadence]
        if (ordinals[1:] < ordinals[:-1]).any():
            order = np.argsort(ordinals, kind="stable")
            ordinals, batch = ordinals[order], batch.take(pa.array(order))
        edges = [0, *(np.flatnonzero(np.diff(ordinals)) + 1).tolist(), len(ordinals)]
        for start, end in pairwise(edges):
            if end > start:
                self._take_run(name, self._partition_of(int(ordinals[start])), batch.slice(start, end - start))

    def _partition_of(self, ordinal: int) -> str:
        key_format = HOURLY_KEY_FORMAT if self._pass.cadence is Cadence.HOURLY else DAILY_KEY_FORMAT
        moment = np.datetime64(ordinal * _MICROSECONDS[self._pass.cadence], "us").item()
        return moment.strftime(key_format)

    def _take_run(self, name: str, partition: str, rows: pa.RecordBatch) -> None:
        contract = self._pass.destinations[name].contract
        if contract is None:
            self._counted[name, partition] = self._counted.get((name, partition), 0) + rows.num_rows
            return
        file = (name, partition)
        if self._held_bytes.get(file, 0) > self._most_held_bytes:
            self._write_held(*file)
        if not self._pass.rows_are_scattered:
            for other in [held for held in self._held if held[0] == name and held != file]:
                self._write_held(*other)
        rows = rows.select([column.name for column in contract.columns])
        self._held.setdefault(file, []).append(rows)
        self._held_bytes[file] = self._held_bytes.get(file, 0) + rows.nbytes

    def _write_held(self, name: str, partition: str) -> None:
        contract = self._pass.destinations[name].contract
        if contract is None:
            raise AssertionError(f"rows of '{name}' are only counted")
        table = pa.Table.from_batches(self._held.pop((name, partition))).cast(arrow_schema(contract.columns))
        del self._held_bytes[name, partition]
        content, file = encode(table, contract, new_file_name(self._pass.write_id))
        self._pass.store.put(f"{partition_folder(contract.path, partition)}/{file.name}", content)
        self._results.append(
            {"destination": name, "partition": partition, "name": file.name, "rows": file.rows, "bytes": file.bytes,
             "sha256": file.sha256}
        )  # fmt: skip

    def finish(self) -> pa.RecordBatch:
        """Write what is held and return one row for each file and each count."""
        for held in list(self._held):
            self._write_held(*held)
        self._results += [
            {"destination": name, "partition": partition, "name": None, "rows": rows, "bytes": 0, "sha256": None}
            for (name, partition), rows in self._counted.items()
        ]
        return pa.RecordBatch.from_pylist(self._results, schema=_RESULT_SCHEMA)


def new_file_name(write_id: str) -> str:
    """A new name that identifies the write."""
    return f"part-{write_id}-{uuid.uuid4().hex[:12]}.parquet"


def encode(table: pa.Table, contract: TableContract, name: str) -> tuple[bytes, DataFile]:
    """A table as the bytes of one Parquet file in the contract's order, and its entry for a manifest.

    The same rows give the same bytes, so content can be compared by its SHA-256.
    """
    table = table.replace_schema_metadata({"music_platform.contract": f"{contract.path}:{fingerprint(contract)}"})
    # Pages would end where the engine's batches end, which depend on what else was read; and one chunk sorts faster.
    table = table.combine_chunks()
    if contract.sort_columns:
        order = pc.sort_indices(table, [(column, "ascending") for column in contract.sort_columns]).to_numpy()
        if (order[1:] < order[:-1]).any():  # the engine may have sorted the rows already
            table = table.take(order)
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        row_group_size=ROW_GROUP_ROWS,
        write_page_index=True,
        **_column_encodings(contract),
    )
    content = sink.getvalue().to_pybytes()
    return content, DataFile(name, table.num_rows, len(content), hashlib.sha256(content).hexdigest())


def _column_encodings(contract: TableContract) -> dict[str, Any]:
    """The column that identifies rows has no value twice: a dictionary of it only costs time and room."""
    if not contract.unique_columns:
        return {}
    distinct = contract.column(contract.unique_columns[-1])
    with_dictionary = [column.name for column in contract.columns if column is not distinct]
    if distinct.type is ColumnType.LONG:
        return {"use_dictionary": with_dictionary, "column_encoding": {distinct.name: "DELTA_BINARY_PACKED"}}
    return {"use_dictionary": with_dictionary}
