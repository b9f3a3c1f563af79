"""Publishing partitions in a local folder: what the manifest says, which files stay and which go."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from music_platform.errors import ContractError, ManifestCorruptError
from music_platform.lake.lake import Lake
from music_platform.lake.manifest import DataFile, Manifest, Source, data_version, manifest_key, read_manifest
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.partition_sets import stage
from music_platform.lake.publish import Published, publish_partition, publish_partitions
from music_platform.lake.writer import WrittenPartition, encode
from music_platform.settings import Settings
from music_platform.tables.contract import Column, ColumnType, Layer, Personal, TableContract

HOUR = "2026-11-01-05:00"
FOLDER = "silver/numbers/date=2026-11-01/hour=05"
CONTRACT = TableContract(
    layer=Layer.SILVER,
    name="numbers",
    description="Numbers.",
    columns=(
        Column(name="event_time", type=ColumnType.TIMESTAMP, description="Within the hour.", personal=Personal.NONE),
        Column(name="number", type=ColumnType.LONG, description="A number.", personal=Personal.NONE),
    ),
    partition_column="event_time",
    sort_columns=("number",),
)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "lake"))


def table(numbers: Iterable[int]) -> pa.Table:
    values = list(numbers)
    times = [datetime(2026, 11, 1, 5, tzinfo=UTC)] * len(values)
    return pa.table({"event_time": pa.array(times, pa.timestamp("us", tz="UTC")), "number": values})


def write(store: ObjectStore, write_id: str, *files: Iterable[int]) -> WrittenPartition:
    written = WrittenPartition()
    for index, numbers in enumerate(files):
        content, file = encode(table(numbers), CONTRACT, f"part-{write_id}-{index:012d}.parquet")
        store.put(f"{FOLDER}/{file.name}", content)
        written.files.append(file)
    return written


def publish(store: ObjectStore, written: WrittenPartition, write_id: str, **others: Any) -> Published:
    return publish_partition(store, CONTRACT, HOUR, written, run_id=f"run-{write_id}", write_id=write_id, **others)


def names(store: ObjectStore) -> list[str]:
    return sorted(found.key.rsplit("/", 1)[1] for found in store.list(FOLDER))


def test_the_manifest_names_files_counts_and_sources(store: ObjectStore) -> None:
    written = write(store, "a", [1, 2], [3])
    written.counts["duplicates"] = 4
    published = publish(store, written, "a", sources=[Source("bronze/numbers/date=2026-11-01/hour=05", "v1", 7)])

    assert read_manifest(store, CONTRACT, HOUR) == (published.manifest, store.get_with_etag(f"{FOLDER}/_SUCCESS")[1])  # type: ignore[index]
    content = json.loads(store.get(manifest_key(CONTRACT.path, HOUR)) or b"")
    assert content["rows"] == 3
    assert content["bytes"] == sum(file.bytes for file in written.files)
    assert content["run_id"] == "run-a"
    assert content["counts"] == {"duplicates": 4}
    assert content["sources"] == [{"key": "bronze/numbers/date=2026-11-01/hour=05", "version": "v1", "rows": 7}]
    assert content["data_version"] == published.manifest.data_version
    assert not published.is_unchanged


def test_nothing_written_is_an_explicitly_empty_partition(store: ObjectStore) -> None:
    publish(store, write(store, "a", [1]), "a")
    published = publish(store, WrittenPartition(), "b")
    assert published.manifest.rows == 0
    assert names(store) == ["_SUCCESS"]
    assert publish(store, WrittenPartition(), "c").is_unchanged


def test_partitions_of_a_range_without_rows_become_empty(store: ObjectStore) -> None:
    hours = [HOUR, "2026-11-01-06:00", "2026-11-01-07:00"]
    lake = Lake(Settings(lake=store.location))
    published = publish_partitions(
        lake, CONTRACT, {HOUR: write(store, "a", [1])}, hours, run_id="run", write_id="a", sources={},
        leftover_grace_seconds=3600,
    )  # fmt: skip
    assert [published[hour].manifest.rows for hour in hours] == [1, 0, 0]
    assert all(read_manifest(store, CONTRACT, hour) is not None for hour in hours)


def test_unchanged_content_keeps_its_files_and_takes_the_new_run(store: ObjectStore) -> None:
    first = publish(store, write(store, "a", [1, 2], [3]), "a")
    files = names(store)
    second = publish(store, write(store, "b", [3], [2, 1]), "b")
    assert second.is_unchanged
    assert names(store) == files
    assert second.manifest.run_id == "run-b"
    assert replace(second.manifest, run_id="run-a", created_at=first.manifest.created_at) == first.manifest


def test_changed_content_replaces_the_old_files(store: ObjectStore) -> None:
    publish(store, write(store, "a", [1, 2], [3]), "a")
    published = publish(store, write(store, "b", [1, 2]), "b")
    assert not published.is_unchanged
    assert names(store) == ["_SUCCESS", "part-b-000000000000.parquet"]


def test_unchanged_content_with_a_lost_file_is_written_anew(store: ObjectStore) -> None:
    publish(store, write(store, "a", [1, 2], [3]), "a")
    store.delete([f"{FOLDER}/part-a-000000000001.parquet"])
    published = publish(store, write(store, "b", [1, 2], [3]), "b")
    assert not published.is_unchanged
    assert names(store) == ["_SUCCESS", "part-b-000000000000.parquet", "part-b-000000000001.parquet"]


def test_leftovers_go_when_they_are_older_than_the_grace_or_this_runs_own(store: ObjectStore) -> None:
    written = write(store, "c", [1], [2])
    unnamed = WrittenPartition(written.files[:1])  # a retried task of the engine wrote the other one twice
    for name, age in (("part-dead-000000000000.parquet", 7200), ("part-busy-000000000000.parquet", 60)):
        store.put(f"{FOLDER}/{name}", b"")
        changed = (datetime.now(UTC) - timedelta(seconds=age)).timestamp()
        os.utime(Path(store.location, FOLDER, name), (changed, changed))
    Path(store.location, FOLDER, ".part-dead.half-written").write_bytes(b"PAR1")
    os.utime(Path(store.location, FOLDER, ".part-dead.half-written"), (0, 0))
    publish(store, unnamed, "c", leftover_grace_seconds=3600)
    assert names(store) == ["_SUCCESS", "part-busy-000000000000.parquet", "part-c-000000000000.parquet"]


def test_a_write_that_fails_leaves_neither_the_object_nor_a_half(store: ObjectStore, tmp_path: Path) -> None:
    store.put("folder/object/below", b"")  # where an object is wanted there is a folder
    with pytest.raises(Exception, match="cannot write 'folder/object'"):
        store.put("folder/object", b"content")
    assert [path.name for path in (tmp_path / "lake" / "folder").iterdir()] == ["object"]


def test_the_data_version_tells_content_and_schema_and_nothing_else() -> None:
    files = [DataFile("one", 1, 10, "aa"), DataFile("two", 2, 20, "bb")]
    version = data_version("schema", files)
    assert version == data_version("schema", [replace(file, name=f"other-{file.name}") for file in reversed(files)])
    assert version != data_version("other schema", files)
    assert version != data_version("schema", files[:1])
    assert len(version) == 16


def test_equal_rows_give_equal_files_whatever_their_order_and_name() -> None:
    one, other = encode(table([3, 1, 2]), CONTRACT, "one"), encode(table([1, 2, 3]), CONTRACT, "other")
    assert one[0] == other[0]
    assert one[1].sha256 == other[1].sha256


def test_a_manifest_survives_its_own_form() -> None:
    manifest = Manifest(
        table=CONTRACT.path, partition=HOUR, files=(DataFile("one", 1, 10, "aa"),), schema_fingerprint="f", run_id="r",
        created_at="2026-11-01T05:00:00+00:00", sources=(Source("key", "version"),), counts={"rows": 1},
    )  # fmt: skip
    assert Manifest.from_json(manifest.to_json(), f"{FOLDER}/_SUCCESS") == manifest
    with pytest.raises(
        ManifestCorruptError, match=f"'elsewhere' cannot be read: it is the manifest of {CONTRACT.path}"
    ):
        Manifest.from_json(manifest.to_json(), "elsewhere")


class _FrameOfRows:
    """Stands in for a Spark DataFrame: gives one batch to whoever maps over it."""

    _cached_schema = None  # PySpark's name

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows

    def mapInArrow(self, function: Any, _schema: Any) -> _FrameOfRows:  # noqa: N802 (PySpark's name)
        return _FrameOfRows(pa.Table.from_batches(function(iter(self._rows.to_batches()))))

    def toArrow(self) -> pa.Table:  # noqa: N802 (PySpark's name)
        return self._rows


def _stage(rows: pa.Table, partitions: list[str], lake: Lake) -> dict[str, WrittenPartition]:
    frame: Any = _FrameOfRows(rows)
    written = stage(frame, {"numbers": CONTRACT}, partitions, lake, write_id="w", partition_column="event_time")
    return written["numbers"]


def test_rows_of_partitions_that_were_not_asked_for_are_refused(tmp_path: Path) -> None:
    lake = Lake(Settings(lake=str(tmp_path / "lake")))
    with pytest.raises(ContractError, match=f"rows of {HOUR} by their event_time") as raised:
        _stage(table([1, 2]), ["2026-11-01-06:00"], lake)
    assert "the write of 2026-11-01-06:00 gave 'numbers'" in str(raised.value)
    assert read_manifest(lake.store, CONTRACT, HOUR) is None
    assert list(_stage(table([1, 2]), [HOUR], lake)) == [HOUR]


def test_rows_without_a_partition_are_refused(tmp_path: Path) -> None:
    rows = pa.table({"event_time": pa.array([None], pa.timestamp("us", tz="UTC")), "number": [1]})
    with pytest.raises(ContractError, match="1 rows for 'numbers' have no event_time"):
        _stage(rows, [HOUR], Lake(Settings(lake=str(tmp_path / "lake"))))


def test_the_same_rows_give_the_same_bytes_however_the_engine_cuts_them() -> None:
    rows = table(range(60_000))
    rows = rows.append_column("text", pa.array([f"{number * 7919:040}" for number in range(60_000)]))
    contract = replace(
        CONTRACT,
        columns=(
            *CONTRACT.columns,
            Column(name="text", type=ColumnType.STRING, description="A text.", personal=Personal.NONE),
        ),
    )
    batches = {size: pa.Table.from_batches(rows.to_batches(max_chunksize=size)) for size in (777, 8192, 60_000)}
    assert len({encode(cut, contract, "part-a.parquet")[1].sha256 for cut in batches.values()}) == 1
