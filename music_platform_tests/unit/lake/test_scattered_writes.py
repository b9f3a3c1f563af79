"""Writes of scattered rows: those of each partition come to one task and become one sorted file, whatever order they come in."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from music_platform.lake.lake import Lake
from music_platform.lake.manifest import DataFile, Manifest, partition_folder
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.lake.writer import (
    ROW_GROUP_ROWS,
    Destination,
    WritePass,
    WrittenPartition,
    gathered,
    write_partitions,
)
from music_platform.settings import Settings
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, TableContract
from music_platform.tables.schemas import arrow_schema, spark_schema

START = datetime(2026, 11, 1, tzinfo=UTC)
HOURS = [f"2026-11-01-{hour:02}:00" for hour in range(24)]
CONTRACT = TableContract(
    layer=Layer.GOLD,
    name="numbers",
    description="Numbers.",
    columns=(
        Column(name="event_time", type=ColumnType.TIMESTAMP, description="When.", personal=Personal.NONE),
        Column(name="number", type=ColumnType.LONG, description="Which.", personal=Personal.NONE),
    ),
    partition_column="event_time",
    sort_columns=("number",),
)
Rows = list[tuple[datetime, int]]


@pytest.fixture(scope="module")
def spark() -> SparkSession:
    return SparkEngine().spark_session


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "lake"))


def interleaved(hours: int, rows_of_each: int) -> Rows:
    """Rows of so many hours in random order."""
    rows = [
        (START + timedelta(hours=hour, microseconds=number), 100_000 * hour + number)
        for hour in range(hours)
        for number in range(rows_of_each)
    ]
    random.Random(4).shuffle(rows)
    return rows


def frame_of(spark: SparkSession, rows: Rows, tasks: int) -> DataFrame:
    times, numbers = [time for time, _ in rows], [number for _, number in rows]
    table = pa.table([pa.array(times, pa.timestamp("us", tz="UTC")), pa.array(numbers, pa.int64())],
                     schema=arrow_schema(CONTRACT.columns))  # fmt: skip
    return spark.createDataFrame(table, spark_schema(CONTRACT.columns)).repartition(tasks)


def write(
    frame: DataFrame, store: ObjectStore, contract: TableContract = CONTRACT, *, target_file_bytes: int = 2**20
) -> dict[str, WrittenPartition]:
    wanted = WritePass(
        {"numbers": Destination("numbers", contract)},
        store,
        write_id="w",
        partition_column="event_time",
        cadence=contract.cadence,
        target_file_bytes=target_file_bytes,
        rows_are_scattered=True,
    )
    return write_partitions(frame, wanted)["numbers"]


def numbers_of(store: ObjectStore, partition: str, written: WrittenPartition) -> list[list[int]]:
    """The numbers of each of a partition's files, as they lie in it."""
    folder = partition_folder(CONTRACT.path, partition)
    return [pq.read_table(store.open(f"{folder}/{file.name}"))["number"].to_pylist() for file in written.files]


def require_one_sorted_file_each(store: ObjectStore, written: dict[str, WrittenPartition], rows: Rows) -> None:
    wanted: dict[str, list[int]] = {}
    for time, number in rows:
        wanted.setdefault(f"{time:%Y-%m-%d-%H}:00", []).append(number)
    found = {partition: numbers_of(store, partition, own) for partition, own in written.items()}
    assert found == {partition: [sorted(numbers)] for partition, numbers in wanted.items()}
    assert {partition: [file.rows for file in own.files] for partition, own in written.items()} == {
        partition: [len(numbers)] for partition, numbers in wanted.items()
    }


def test_interleaved_rows_of_many_partitions_become_one_sorted_file_each(
    spark: SparkSession, store: ObjectStore
) -> None:
    rows = interleaved(hours=24, rows_of_each=50)
    frame = gathered(frame_of(spark, rows, tasks=3), CONTRACT, partitions=24)
    assert frame.columns == ["event_time", "number"]
    written = write(frame, store)
    assert sorted(written) == HOURS
    require_one_sorted_file_each(store, written, rows)


def test_rows_of_one_task_need_not_be_gathered(spark: SparkSession, store: ObjectStore) -> None:
    rows = interleaved(hours=3, rows_of_each=40)
    require_one_sorted_file_each(store, write(frame_of(spark, rows, tasks=1), store), rows)


def test_rows_of_one_partition_become_one_file(spark: SparkSession, store: ObjectStore) -> None:
    rows = interleaved(hours=1, rows_of_each=500)
    written = write(gathered(frame_of(spark, rows, tasks=4), CONTRACT, partitions=1), store)
    require_one_sorted_file_each(store, written, rows)


@pytest.mark.parametrize("partitions", [1, 24])
def test_no_rows_become_no_files(spark: SparkSession, store: ObjectStore, partitions: int) -> None:
    assert write(gathered(frame_of(spark, [], tasks=2), CONTRACT, partitions), store) == {}
    assert list(store.list("gold")) == []


def test_days_are_gathered_by_day(spark: SparkSession, store: ObjectStore) -> None:
    contract = replace(CONTRACT, cadence=Cadence.DAILY)
    rows = interleaved(hours=60, rows_of_each=5)  # two days and a half
    frame = gathered(frame_of(spark, rows, tasks=3), contract, partitions=3)
    written = write(frame, store, contract)
    assert {day: [file.rows for file in own.files] for day, own in written.items()} == {
        "2026-11-01": [120], "2026-11-02": [120], "2026-11-03": [60],
    }  # fmt: skip


def test_a_file_that_is_full_goes_on_in_another(spark: SparkSession, store: ObjectStore) -> None:
    """Also with rows scattered: one partition's growth does not end the files of the others."""
    written = write(
        frame_of(spark, interleaved(hours=2, rows_of_each=30_000), tasks=1), store, target_file_bytes=20_000
    )
    for partition, own in written.items():
        numbers = numbers_of(store, partition, own)
        assert len(numbers) > 1
        assert all(part == sorted(part) for part in numbers)
        first = 100_000 * HOURS.index(partition)
        assert sorted(number for part in numbers for number in part) == list(range(first, first + 30_000))


@pytest.mark.parametrize(
    ("files", "are_read_in_order"),
    [([], True), ([ROW_GROUP_ROWS], True), ([ROW_GROUP_ROWS + 1], False), ([1, 1], False)],
)
def test_partitions_of_one_row_group_are_read_in_order(
    tmp_path: Path, files: list[int], are_read_in_order: bool
) -> None:
    manifest = Manifest(
        table=CONTRACT.path,
        partition=HOURS[0],
        files=tuple(DataFile(f"part-{number}.parquet", rows, 1, "0" * 64) for number, rows in enumerate(files)),
        schema_fingerprint="",
        run_id="",
        created_at="",
    )
    lake = Lake(Settings(lake=str(tmp_path / "lake")))
    stored = StoredPartitions(CONTRACT, {HOURS[0]: manifest}, lake, SparkEngine())
    assert stored.are_read_in_order(HOURS[:1]) is are_read_in_order
