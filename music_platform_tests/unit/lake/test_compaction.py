"""Compaction: several small files become one with the same rows and data version, and a run that publishes meanwhile wins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from music_platform.errors import ManifestCorruptError
from music_platform.lake import compaction
from music_platform.lake.compaction import Compacted, compact_partition, compact_partitions
from music_platform.lake.lake import Lake
from music_platform.lake.manifest import Manifest, Source, read_manifest
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.partition_sets import StagedPartitions, StoredPartitions
from music_platform.lake.publish import Published, publish_partition
from music_platform.lake.spark import SparkEngine
from music_platform.lake.writer import WrittenPartition, encode
from music_platform.orchestration.io_managers.parquet_io_manager import ParquetLakeIOManager
from music_platform.settings import Settings
from music_platform.tables.contract import TableContract
from music_platform.tables.schemas import arrow_schema
from music_platform.tables.silver import SILVER

HOUR, NEXT_HOUR = "2026-11-01-05:00", "2026-11-01-06:00"
CONTRACT = SILVER["auth_events"]
FOLDER = f"{CONTRACT.path}/date=2026-11-01/hour=05"
SOURCES = (Source("bronze/auth_events/date=2026-11-01/hour=05", "0123456789abcdef", 6),)


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings)


def rows(numbers: Iterable[int]) -> pa.Table:
    """Rows of the contract whose event time is so many seconds after the hour."""
    times = [datetime(2026, 11, 1, 5, 0, number, tzinfo=UTC) for number in numbers]
    schema = arrow_schema(CONTRACT.columns)
    arrays = [
        pa.array(times).cast(field.type) if pa.types.is_timestamp(field.type) else pa.nulls(len(times), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def write(lake: Lake, write_id: str, *files: Iterable[int]) -> WrittenPartition:
    written = WrittenPartition(counts={"duplicates": 3})
    for index, numbers in enumerate(files):
        content, file = encode(rows(numbers), CONTRACT, f"part-{write_id}-{index:012d}.parquet")
        lake.store.put(f"{FOLDER}/{file.name}", content)
        written.files.append(file)
    return written


def publish(lake: Lake, write_id: str, *files: Iterable[int]) -> Published:
    written = write(lake, write_id, *files)
    return publish_partition(
        lake.store, CONTRACT, HOUR, written, run_id=f"run-{write_id}", write_id=write_id, sources=SOURCES
    )


def published(lake: Lake) -> Manifest:
    found = read_manifest(lake.store, CONTRACT, HOUR)
    assert found is not None
    return found[0]


def seconds(lake: Lake) -> list[int]:
    tables = [pq.read_table(lake.store.open(key)) for key in published(lake).keys]
    return [moment.second for table in tables for moment in table.column(CONTRACT.partition_column).to_pylist()]


def names(lake: Lake) -> set[str]:
    return {found.key.rsplit("/", 1)[1] for found in lake.store.list(FOLDER)}


def test_several_files_become_one_sorted_file_of_the_same_version(lake: Lake) -> None:
    before = publish(lake, "a", [5, 3], [1], [4, 2]).manifest
    assert compact_partition(lake, CONTRACT, HOUR, "compactor") == 3
    after = published(lake)
    assert seconds(lake) == [1, 2, 3, 4, 5]
    assert (after.rows, after.data_version, after.sources, after.counts, after.schema_fingerprint) == (
        (before.rows, before.data_version, before.sources, before.counts, before.schema_fingerprint)
    )
    assert names(lake) == {"_SUCCESS", after.files[0].name}  # the small files are gone


def test_a_second_time_changes_nothing(lake: Lake) -> None:
    publish(lake, "a", [1], [2])
    assert compact_partition(lake, CONTRACT, HOUR, "first") == 2
    before = published(lake)
    assert compact_partition(lake, CONTRACT, HOUR, "second") == 0
    assert published(lake) == before


def test_partitions_with_nothing_to_do_stay_as_they_are(lake: Lake) -> None:
    publish(lake, "a", [1, 2])
    before = published(lake)
    assert compact_partitions(lake, CONTRACT, [HOUR, NEXT_HOUR], "compactor") == Compacted()
    publish(lake, "empty")
    assert compact_partition(lake, CONTRACT, HOUR, "compactor") == 0
    assert before.run_id == "run-a"


def test_what_does_not_fit_in_one_file_stays(local_settings: Callable[..., Settings]) -> None:
    lake = Lake(local_settings(target_file_bytes=10))
    publish(lake, "a", [1], [2])
    assert compact_partition(lake, CONTRACT, HOUR, "compactor") == 0


def test_a_rebuild_of_the_same_rows_keeps_the_compacted_file_and_its_version(lake: Lake) -> None:
    version = publish(lake, "a", [1], [2]).manifest.data_version
    compact_partition(lake, CONTRACT, HOUR, "compactor")
    compacted = published(lake).files
    again = publish(lake, "b", [1], [2])
    assert again.is_unchanged
    assert published(lake).files == compacted
    assert published(lake).data_version == version
    assert names(lake) == {"_SUCCESS", compacted[0].name}


def test_a_rebuild_of_other_rows_replaces_it(lake: Lake) -> None:
    version = publish(lake, "a", [1], [2]).manifest.data_version
    compact_partition(lake, CONTRACT, HOUR, "compactor")
    again = publish(lake, "b", [1], [2], [9])
    assert not again.is_unchanged
    assert again.manifest.data_version != version
    assert sorted(seconds(lake)) == [1, 2, 9]


def test_a_run_that_publishes_meanwhile_wins(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(lake, "a", [1], [2])

    def encode_slowly(table: pa.Table, contract: TableContract, name: str) -> Any:
        publish(lake, "b", [7], [8], [9])
        return encode(table, contract, name)

    monkeypatch.setattr(compaction, "encode", encode_slowly)
    assert compact_partition(lake, CONTRACT, HOUR, "compactor") == 0
    assert sorted(seconds(lake)) == [7, 8, 9]
    assert names(lake) == {"_SUCCESS", *(file.name for file in published(lake).files)}


def test_a_run_that_removed_the_files_while_they_were_read_wins(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(lake, "a", [1], [2])
    stale = read_manifest(lake.store, CONTRACT, HOUR)
    publish(lake, "b", [7], [8])
    monkeypatch.setattr(compaction, "read_manifest", lambda *_: stale)
    assert compact_partition(lake, CONTRACT, HOUR, "compactor") == 0
    assert sorted(seconds(lake)) == [7, 8]


def test_a_damaged_file_is_named_and_not_rewritten(lake: Lake) -> None:
    publish(lake, "a", [1], [2])
    damaged = published(lake).keys[0]
    lake.store.put(damaged, b"not what it was")
    with pytest.raises(ManifestCorruptError, match=damaged):
        compact_partition(lake, CONTRACT, HOUR, "compactor")
    assert len(published(lake).files) == 2


def test_a_run_that_read_the_small_files_publishes_nothing(local_settings: Callable[..., Settings]) -> None:
    lake = Lake(local_settings())
    publish(lake, "a", [1], [2])
    read = StoredPartitions.open(CONTRACT, [HOUR], lake, SparkEngine())
    compact_partition(lake, CONTRACT, HOUR, "compactor")
    staged = StagedPartitions.begin(CONTRACT, "reader", read.sources())
    with pytest.raises(ManifestCorruptError, match="was replaced while"):
        ParquetLakeIOManager(lake, SparkEngine()).publish(staged, [HOUR], "reader")


def test_a_kill_before_the_switch_leaves_the_old_partition(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(lake, "a", [1], [2])
    before = published(lake)

    def killed(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(ObjectStore, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        compact_partition(lake, CONTRACT, HOUR, "killed")
    monkeypatch.undo()
    assert published(lake) == before
    assert compact_partition(lake, CONTRACT, HOUR, "compactor") == 2
    assert seconds(lake) == [1, 2]
