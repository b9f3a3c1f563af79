"""A small table whose rows tell which publish they belong to, and processes that publish it and die on the way.

What is expected of a partition after that stands in the tests.
"""

from __future__ import annotations

import os
import pathlib
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from music_platform.lake.manifest import manifest_key, partition_folder, read_manifest
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.publish import Published, publish_partition
from music_platform.lake.stored_objects import StoredObject
from music_platform.lake.writer import WrittenPartition, encode
from music_platform.partitions import hour_of_key
from music_platform.settings import Settings
from music_platform.tables.contract import Column, ColumnType, Layer, Personal, TableContract

PARTITION = "2026-11-01-05:00"
CONTRACT = TableContract(
    layer=Layer.SILVER,
    name="generations",
    description="Rows that tell which publish they belong to.",
    columns=(
        Column(name="event_time", type=ColumnType.TIMESTAMP, description="Within the hour.", personal=Personal.NONE),
        Column(
            name="number", type=ColumnType.LONG, description="0, 1, 2 ... in its generation.", personal=Personal.NONE
        ),
        Column(
            name="generation", type=ColumnType.LONG, description="Which publish wrote the row.", personal=Personal.NONE
        ),
    ),
    partition_column="event_time",
    sort_columns=("number",),
)
FILES = 3
ROWS_OF_A_FILE = 400

Row = tuple[int, int]  # generation, number


def rows_of(generation: int) -> list[Row]:
    """The rows of a generation; generations differ in their number of rows."""
    return [(generation, number) for number in range(FILES * (ROWS_OF_A_FILE + generation % 7))]


def write(store: ObjectStore, generation: int, write_id: str, partition: str = PARTITION) -> WrittenPartition:
    """Store a generation's files, not yet published."""
    written = WrittenPartition()
    rows = rows_of(generation)
    for index in range(FILES):
        part = rows[index::FILES]
        table = pa.table(
            {
                "event_time": pa.array(
                    [hour_of_key(partition) + timedelta(milliseconds=number) for _, number in part],
                    pa.timestamp("us", tz="UTC"),
                ),
                "number": [number for _, number in part],
                "generation": [generation] * len(part),
            }
        )
        content, file = encode(table, CONTRACT, f"part-{write_id}-{index:012d}.parquet")
        store.put(f"{partition_folder(CONTRACT.path, partition)}/{file.name}", content)
        written.files.append(file)
    return written


def write_and_publish(
    store: ObjectStore, generation: int, *, partition: str = PARTITION, grace_seconds: float = 3600.0
) -> Published:
    """What a run does with a partition, from its first file to the last deletion."""
    write_id = uuid.uuid4().hex[:16]
    written = write(store, generation, write_id, partition)
    return publish_partition(
        store,
        CONTRACT,
        partition,
        written,
        run_id=f"run-{write_id}",
        write_id=write_id,
        leftover_grace_seconds=grace_seconds,
    )


def rows_by_manifest(store: ObjectStore, partition: str = PARTITION) -> list[Row] | None:
    """The rows that a reader of the manifest sees, sorted; None where the partition was never published."""
    found = read_manifest(store, CONTRACT, partition)
    if found is None:
        return None
    rows: list[Row] = []
    for key, file in zip(found[0].keys, found[0].files, strict=True):
        with pq.ParquetFile(store.open(key)) as parquet:
            table = parquet.read(["generation", "number"])
        assert table.num_rows == file.rows, f"{key} holds {table.num_rows} rows, its manifest says {file.rows}"
        rows += zip(table["generation"].to_pylist(), table["number"].to_pylist(), strict=True)
    return sorted(rows)


def rows_by_glob(settings: Settings, partition: str = PARTITION) -> list[Row]:
    """The rows that a tool sees which knows nothing of manifests and reads every ``part-*.parquet``, sorted."""
    options = {
        "aws_endpoint_url": settings.s3_endpoint,
        "aws_access_key_id": settings.s3_access_key_id,
        "aws_secret_access_key": settings.s3_secret_access_key.get_secret_value(),
        "aws_region": settings.s3_region,
        "aws_allow_http": "true",
    }
    frame = pl.scan_parquet(
        f"{settings.lake}/{partition_folder(CONTRACT.path, partition)}/part-*.parquet",
        storage_options=options if settings.lake.startswith("s3://") else None,
        hive_partitioning=False,
    )
    return sorted(frame.select("generation", "number").collect().rows())


def keys_in_folder(settings: Settings, store: ObjectStore, partition: str = PARTITION) -> list[str]:
    """Every object in the partition's folder; of a local lake every file, also those that the store would not list."""
    prefix = partition_folder(CONTRACT.path, partition)
    if store.is_local:
        folder = pathlib.Path(settings.lake, prefix)
        return sorted(f"{prefix}/{path.name}" for path in folder.iterdir())
    return sorted(found.key for found in store.list(prefix))


def keys_named(store: ObjectStore, partition: str = PARTITION) -> list[str]:
    """The manifest and the files that it names."""
    found = read_manifest(store, CONTRACT, partition)
    assert found is not None
    return sorted([manifest_key(CONTRACT.path, partition), *found[0].keys])


@dataclass(frozen=True)
class DyingStore(ObjectStore):
    """A store that counts the points before and after each of its operations, and kills its process at one of them."""

    dies_at: int = -1
    points: list[str] = field(default_factory=list, compare=False)

    def point(self, name: str) -> None:
        """Die here if it is time."""
        if len(self.points) == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.points.append(name)

    def put(self, key: str, content: bytes) -> str:
        self.point("before put")
        etag = super().put(key, content)
        self.point("after put")
        return etag

    def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        self.point("before get")
        found = super().get_with_etag(key)
        self.point("after get")
        return found

    def replace(self, key: str, content: bytes, expected_etag: str | None) -> bool:
        self.point("before replace")
        done = super().replace(key, content, expected_etag)
        self.point("after replace")
        return done

    def list(self, prefix: str) -> Iterator[StoredObject]:
        self.point("before list")
        yield from super().list(prefix)
        self.point("after list")

    def delete(self, keys: list[str]) -> None:
        for key in keys:  # one by one: a kill can come between two of them
            self.point("before delete")
            super().delete([key])
            self.point("after delete")


def publish_and_die(settings: Settings, generation: int, partition: str, dies_at: int, grace_seconds: float) -> None:
    """For a process of its own: dies at the point of that number; ends well if the publish has fewer points."""
    template = DyingStore.from_settings(settings)
    store = DyingStore(template.location, template.options, template.retry_seconds, dies_at=dies_at)
    if store.is_local:
        _die_within_local_writes(store)
    write_and_publish(store, generation, partition=partition, grace_seconds=grace_seconds)


def _die_within_local_writes(store: DyingStore) -> None:
    """Further points: a file half written, and one whole but not renamed."""
    write_bytes, rename = pathlib.Path.write_bytes, pathlib.Path.replace

    def write_in_halves(path: pathlib.Path, data: bytes) -> int:
        write_bytes(path, data[: len(data) // 2])
        store.point("half written")
        return write_bytes(path, data)

    def rename_after_point(path: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        store.point("before rename")
        return rename(path, target)

    pathlib.Path.write_bytes = write_in_halves  # type: ignore[method-assign, assignment]
    pathlib.Path.replace = rename_after_point  # type: ignore[method-assign, assignment]


def publish_on_signal(settings: Settings, generation: int, partition: str, parent: Connection) -> None:
    """For a process of its own: tells when it begins and when it is done, and is killed at any time between."""
    store = ObjectStore.from_settings(settings)
    store.get("warm")  # the first request opens the store
    parent.send("begins")
    write_and_publish(store, generation, partition=partition)
    parent.send("done")
