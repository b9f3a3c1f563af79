"""Handles to partitions: stored (inputs) and staged (output). Those to landed objects are in landing/landed_partitions.py.

All are lazy: nothing is read before the engine runs a plan, and nothing staged is visible before the IO manager publishes it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from music_platform.errors import ContractError, ManifestCorruptError, PartitionMissingError
from music_platform.lake.lake import Lake
from music_platform.lake.manifest import (
    Manifest,
    Source,
    data_version,
    lacking,
    materialize_again,
    partition_folder,
    read_manifest,
)
from music_platform.lake.parquet_reader import batches_of_object
from music_platform.lake.spark import SparkEngine
from music_platform.lake.writer import (
    ROW_GROUP_ROWS,
    Destination,
    WritePass,
    WrittenPartition,
    encode,
    new_file_name,
    write_partitions,
)
from music_platform.partitions import describe_partitions, in_batches
from music_platform.tables.contract import TableContract
from music_platform.tables.schemas import fingerprint, spark_schema

if (
    TYPE_CHECKING
):  # PySpark is loaded by those who make frames: a command that looks at manifests answers a second sooner
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class StoredPartitions:
    """Published partitions of one table."""

    contract: TableContract
    manifests: dict[str, Manifest]
    lake: Lake
    spark: SparkEngine

    @classmethod
    def open(
        cls, contract: TableContract, partitions: Sequence[str], lake: Lake, spark: SparkEngine
    ) -> StoredPartitions:
        """The partitions by their manifests, once all their files are known to exist.

        Raises ``PartitionMissingError``, which names the first that was never published, and ``ManifestCorruptError``,
        which names a missing file of a manifest: the embedded engine would read such a file as no rows.
        """
        found = _read_manifests(contract, partitions, lake)
        return cls._open_found(contract, found, lake, spark)

    @classmethod
    def open_published(
        cls, contract: TableContract, partitions: Sequence[str], lake: Lake, spark: SparkEngine
    ) -> StoredPartitions:
        """The partitions that were ever published: the first may lie before the history, the last may not exist yet.

        Raises ``PartitionMissingError`` for one that is missing between published ones.
        """
        found = list(_read_manifests(contract, partitions, lake).items())
        published = [index for index, (_, manifest) in enumerate(found) if manifest is not None]
        return cls._open_found(
            contract, dict(found[published[0] : published[-1] + 1] if published else []), lake, spark
        )

    @classmethod
    def _open_found(
        cls, contract: TableContract, found: dict[str, Manifest | None], lake: Lake, spark: SparkEngine
    ) -> StoredPartitions:
        missing = [key for key, manifest in found.items() if manifest is None]
        if missing:
            raise PartitionMissingError(
                f"{contract.path} has no partition {describe_partitions(missing)} in {lake.location}: no manifest in "
                f"'{partition_folder(contract.path, missing[0])}'. Materialize it first: ./run dagster asset materialize "
                f"--select '{contract.path}' --partition '{missing[0]}'."
            )
        manifests = {key: manifest for key, manifest in found.items() if manifest is not None}
        lake.map_requests(lambda manifest: _require_files(manifest, lake), list(manifests.values()))
        return cls(contract, manifests, lake, spark)

    @property
    def rows(self) -> dict[str, int]:
        return {key: manifest.rows for key, manifest in self.manifests.items()}

    def read(self, partitions: Sequence[str] | None = None) -> DataFrame:
        """One lazy DataFrame of exactly the files that the manifests of these partitions (default: all) name."""
        wanted = self.manifests if partitions is None else dict.fromkeys(partitions)
        return _read_files(
            self.contract, [key for name in wanted for key in self.manifests[name].keys], self.lake, self.spark
        )

    def batches_of_rows(self, partition: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of a partition as Arrow, a bounded number at a time, for computations without an engine."""
        return _batches_of_files(self.manifests[partition].keys, columns, self.lake)

    def are_read_in_order(self, partitions: Sequence[str]) -> bool:
        """Whether an engine reads the rows of each of these partitions one after the other in one task.

        It divides work by Parquet row groups, so a partition must be one file with one row group.
        """
        manifests = [self.manifests[key] for key in partitions]
        return all(len(manifest.files) <= 1 and manifest.rows <= ROW_GROUP_ROWS for manifest in manifests)

    def batches(self) -> list[list[str]]:
        """The partitions cut into batches that the engine can hold at once."""
        return in_batches(self.manifests, self.rows, self.lake.settings.batch_rows_of_a_step)

    def sources(self) -> dict[str, list[Source]]:
        """For manifests of tables made from these partitions, hour by hour."""
        return {key: [manifest.as_source()] for key, manifest in self.manifests.items()}


def _read_manifests(contract: TableContract, partitions: Sequence[str], lake: Lake) -> dict[str, Manifest | None]:
    found = lake.map_requests(lambda key: read_manifest(lake.store, contract, key), partitions)
    return {key: entry and entry[0] for key, entry in zip(partitions, found, strict=True)}


def _batches_of_files(keys: Iterable[str], columns: Sequence[str], lake: Lake) -> Iterator[pa.RecordBatch]:
    for key in keys:
        yield from batches_of_object(lake.store, key, columns=columns)


def _read_files(contract: TableContract, keys: Sequence[str], lake: Lake, spark: SparkEngine) -> DataFrame:
    session, schema = spark.session_for(lake), spark_schema(contract.columns)
    if not keys:
        return session.createDataFrame([], schema)
    return session.read.schema(schema).parquet(*(lake.store.url(key) for key in keys))


def _require_files(manifest: Manifest, lake: Lake) -> None:
    if not manifest.files:
        return
    gone = lacking(manifest, {found.key: found for found in lake.store.list(manifest.folder)})
    if gone:
        raise ManifestCorruptError(
            f"{manifest.table} partition {manifest.partition} lacks '{gone[0]}' ({len(gone)} of its {len(manifest.files)} "
            f"files are gone or cut short in {lake.location}). If a run is replacing the partition, run this one again; "
            f"else: {materialize_again(manifest.table, manifest.partition)}"
        )


@dataclass
class StagedPartitions:
    """Files of one table that are written and not yet published, for the IO manager to publish.

    ``sources`` are what each partition was made from, for its manifest. Partitions without files become explicitly empty;
    ``made`` holds those written so far, including empty ones. ``may_remove_rows``: the run is configured to remove rows whose
    inputs are gone.
    """

    contract: TableContract
    write_id: str
    sources: dict[str, list[Source]]
    may_remove_rows: bool = False
    written: dict[str, WrittenPartition] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)

    @classmethod
    def begin(
        cls, contract: TableContract, run_id: str, sources: dict[str, list[Source]], *, may_remove_rows: bool = False
    ) -> StagedPartitions:
        """Nothing written yet. Files are named by the first 8 characters of their run's id and 8 random ones."""
        return cls(contract, f"{run_id[:8]}{uuid.uuid4().hex[:8]}", sources, may_remove_rows)

    def write(
        self, frame: DataFrame, partitions: Sequence[str], lake: Lake, *, rows_are_scattered: bool = False
    ) -> None:
        """Write the rows of some of the partitions, in one engine pass."""
        written = stage(
            frame,
            {self.contract.name: self.contract},
            partitions,
            lake,
            write_id=self.write_id,
            partition_column=self.contract.partition_column,
            rows_are_scattered=rows_are_scattered,
        )
        self.written |= written[self.contract.name]
        self.made.update(partitions)

    def read(self, partition: str, lake: Lake, spark: SparkEngine) -> DataFrame:
        """A written partition before it is published, for the next one of the same run."""
        folder = partition_folder(self.contract.path, partition)
        files = self.written[partition].files if partition in self.written else []
        return _read_files(self.contract, [f"{folder}/{file.name}" for file in files], lake, spark)

    def write_rows(self, tables: Iterable[pa.Table], partition: str, lake: Lake) -> None:
        """Write the rows of one partition that were made without an engine, one file per table with rows."""
        folder = partition_folder(self.contract.path, partition)
        written = self.written.setdefault(partition, WrittenPartition())
        for rows in tables:
            if rows.num_rows:
                content, file = encode(rows, self.contract, new_file_name(self.write_id))
                lake.store.put(f"{folder}/{file.name}", content)
                written.files.append(file)
        written.files.sort(key=lambda file: (file.sha256, file.name))
        self.made.add(partition)

    def batches_of_rows(self, partition: str, columns: Sequence[str], lake: Lake) -> Iterator[pa.RecordBatch]:
        """The rows of a written partition, before it is published, as Arrow."""
        folder = partition_folder(self.contract.path, partition)
        return _batches_of_files([f"{folder}/{file.name}" for file in self.written[partition].files], columns, lake)

    def source(self, partition: str) -> Source:
        """A written partition as a source of the next one."""
        files = self.written[partition].files if partition in self.written else []
        version = data_version(fingerprint(self.contract), files)
        return Source(partition_folder(self.contract.path, partition), version, sum(file.rows for file in files))

    @property
    def data_version(self) -> str:
        """16 hex digits over the content of all partitions."""
        files = [file for partition in self.written.values() for file in partition.files]
        return data_version(fingerprint(self.contract), files)


def stage(
    frame: DataFrame,
    contracts: dict[str, TableContract | None],
    partitions: Sequence[str],
    lake: Lake,
    *,
    write_id: str,
    partition_column: str,
    destination_column: str | None = None,
    rows_are_scattered: bool = False,
) -> dict[str, dict[str, WrittenPartition]]:
    """One engine write of a frame into one or several tables: ``{destination: {partition: what was written}}``.

    Rows of a partition that was not requested are a defect of the frame: ``ContractError`` names the partition.
    """
    cadences = {contract.cadence for contract in contracts.values() if contract is not None}
    [cadence] = cadences
    written = write_partitions(
        frame,
        WritePass(
            {name: Destination(name, contract) for name, contract in contracts.items()},
            lake.store,
            write_id=write_id,
            partition_column=partition_column,
            cadence=cadence,
            destination_column=destination_column,
            target_file_bytes=lake.settings.target_file_bytes,
            rows_are_scattered=rows_are_scattered,
        ),
    )
    wanted = set(partitions)
    for name, by_partition in written.items():
        strangers = sorted(set(by_partition) - wanted)
        if strangers:
            raise ContractError(
                f"the write of {describe_partitions(list(partitions))} gave '{name}' rows of {describe_partitions(strangers)} "
                f"by their {partition_column}; the transform must keep to the partitions it was asked for"
            )
    return written
