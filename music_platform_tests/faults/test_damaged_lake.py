"""A lake in which somebody deleted or damaged something: reading says what is wrong, and a rebuild mends it."""

from __future__ import annotations

import pytest

from music_platform.errors import ManifestCorruptError, PartitionMissingError
from music_platform.lake.lake import Lake
from music_platform.lake.manifest import manifest_key, read_manifest
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.partition_sets import StagedPartitions, StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.io_managers.parquet_io_manager import ParquetLakeIOManager
from music_platform.settings import Settings
from music_platform_tests.faults.publishing import (
    CONTRACT,
    PARTITION,
    keys_in_folder,
    keys_named,
    rows_by_manifest,
    rows_of,
    write_and_publish,
)

MANIFEST = manifest_key(CONTRACT.path, PARTITION)
OTHER_PARTITION = "2026-11-01-06:00"


def _open(settings: Settings, *partitions: str) -> StoredPartitions:
    return StoredPartitions.open(CONTRACT, partitions, Lake(settings), SparkEngine.from_settings(settings))


@pytest.mark.parametrize("damage", ["deleted", "cut short"])
def test_a_lost_file_is_named_and_mended_by_the_same_content(settings: Settings, damage: str) -> None:
    store = ObjectStore.from_settings(settings)
    manifest = write_and_publish(store, 1).manifest
    lost = manifest.keys[1]
    if damage == "deleted":
        store.delete([lost])
    else:
        store.put(lost, (store.get(lost) or b"")[:-8])

    with pytest.raises(ManifestCorruptError) as raised:
        _open(settings, PARTITION)
    assert f"{CONTRACT.path} partition {PARTITION} lacks '{lost}' (1 of its 3 files" in str(raised.value)
    assert f"--partition '{PARTITION}'" in str(raised.value)

    mended = write_and_publish(store, 1)
    assert not mended.is_unchanged
    assert mended.manifest.data_version == manifest.data_version
    assert rows_by_manifest(store) == rows_of(1)
    assert keys_in_folder(settings, store) == keys_named(store)
    assert _open(settings, PARTITION).rows == {PARTITION: len(rows_of(1))}


def test_a_partition_that_was_never_published_is_named(settings: Settings) -> None:
    store = ObjectStore.from_settings(settings)
    write_and_publish(store, 1)
    with pytest.raises(PartitionMissingError) as raised:
        _open(settings, PARTITION, OTHER_PARTITION)
    assert f"{CONTRACT.path} has no partition {OTHER_PARTITION}" in str(raised.value)
    assert f"--partition '{OTHER_PARTITION}'" in str(raised.value)


@pytest.mark.parametrize(
    "damage", ["truncated", "empty", "not JSON", "other version", "of another partition", "no UTF-8"]
)
def test_a_manifest_that_cannot_be_read_is_named_and_replaced(settings: Settings, damage: str) -> None:
    store = ObjectStore.from_settings(settings)
    write_and_publish(store, 1)
    good = store.get(MANIFEST) or b""
    store.put(
        MANIFEST,
        {
            "truncated": good[: len(good) // 2],
            "empty": b"",
            "not JSON": b"[1, 2]",
            "other version": good.replace(b'"format_version": 1', b'"format_version": 7'),
            "of another partition": good.replace(PARTITION.encode(), OTHER_PARTITION.encode()),
            "no UTF-8": b"\xff" + good,
        }[damage],
    )
    with pytest.raises(ManifestCorruptError, match=f"'{MANIFEST}' cannot be read: .*Materialize the partition again"):
        read_manifest(store, CONTRACT, PARTITION)
    with pytest.raises(ManifestCorruptError, match=MANIFEST):
        _open(settings, PARTITION)

    write_and_publish(store, 2, grace_seconds=0)
    assert rows_by_manifest(store) == rows_of(2)
    assert keys_in_folder(settings, store) == keys_named(store)


@pytest.mark.parametrize("meanwhile", ["replaced", "unreadable", "same content"])
def test_nothing_is_published_from_a_partition_that_was_replaced_while_it_was_read(
    settings: Settings, meanwhile: str
) -> None:
    store = ObjectStore.from_settings(settings)
    lake, spark = Lake(settings), SparkEngine.from_settings(settings)
    write_and_publish(store, 1)
    stored = _open(settings, PARTITION)
    staged = StagedPartitions.begin(CONTRACT, "run", {OTHER_PARTITION: stored.sources()[PARTITION]})
    if meanwhile == "unreadable":
        store.put(MANIFEST, b"{")
    else:
        write_and_publish(store, 2 if meanwhile == "replaced" else 1)

    io_manager = ParquetLakeIOManager(lake, spark)
    if meanwhile == "same content":
        io_manager.publish(staged, [OTHER_PARTITION], "run")
        assert read_manifest(store, CONTRACT, OTHER_PARTITION) is not None
        return
    with pytest.raises(ManifestCorruptError, match=CONTRACT.path):
        io_manager.publish(staged, [OTHER_PARTITION], "run")
    assert read_manifest(store, CONTRACT, OTHER_PARTITION) is None
