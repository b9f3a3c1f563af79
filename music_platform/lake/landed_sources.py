"""Which landed objects a table was made from, and whether the present ones are the same.

An object's identity is its content. S3's entity tag is computed from it. A local folder's changes when the lake is copied, so
there the manifest holds the SHA-256 as well. landing/landed_partitions.py decides what a run does about objects that are gone.
"""

# pyarrow makes its compute functions when it is imported, so no type checker finds them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import hour_of_object
from music_platform.lake.manifest import Manifest, Source, partition_folder
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.parquet_reader import batches_of_object, read_object
from music_platform.lake.stored_objects import StoredObject
from music_platform.partitions import hours_of_day
from music_platform.tables.contract import TableContract
from music_platform.tables.schemas import arrow_schema

if (
    TYPE_CHECKING
):  # PySpark is loaded only when a frame is made: a command that reads only manifests answers a second sooner
    from pyspark.sql import DataFrame, SparkSession

OBJECT_COLUMN = "_object"
"""Of a table made of landed objects: the key of the object that a row came from."""
_MD5_TAG = re.compile(r'"?([0-9a-f]{32})"?')  # S3's entity tag of an object that was not uploaded in parts


GONE_INPUTS_TAG = "music_platform/gone_inputs"
"""Tag of a run: what it does about inputs that are gone, one of ``GoneInputs``."""


class GoneInputs(StrEnum):
    """What a run does about a gone input that its partition was made from."""

    REFUSE = "refuse"
    KEEP = "keep"  # the rows stay; what they were made from is expired from now on
    REMOVE = "remove"  # the rows go


@dataclass(frozen=True)
class Difference:
    """The difference between what a table was made from and what has landed.

    ``new`` are objects that it was not made from, or whose content changed. ``gone`` are sources whose objects no longer exist,
    except those that expired on purpose.
    """

    new: list[StoredObject] = field(default_factory=list)
    gone: list[Source] = field(default_factory=list)


def compare(lake: Lake, sources: Iterable[Source], objects: Iterable[StoredObject], now: datetime) -> Difference:
    """Compare the sources of one partition with the present objects of its hour.

    Reads the content only of objects whose entity tag changed while their size did not.
    """
    known = {source.key: source for source in sources}
    landed = {stored.key: stored for stored in objects}
    new = [stored for key, stored in landed.items() if key not in known or not is_same(lake.store, known[key], stored)]
    gone = [source for key, source in known.items() if key not in landed and not has_expired(source, lake, now)]
    return Difference(new, gone)


def is_same(store: ObjectStore, source: Source, stored: StoredObject) -> bool:
    """Whether a present object is the one that a table was made from."""
    if source.version == stored.etag:
        return True
    if source.size != stored.size:
        return False
    content = store.get(stored.key)
    return content is not None and has_content(source, content)


def has_content(source: Source, content: bytes) -> bool:
    """Whether this is the content of the object that a table was made from, as far as its manifest records it."""
    if source.size is not None and source.size != len(content):
        return False
    if source.sha256 is not None:
        return source.sha256 == hashlib.sha256(content).hexdigest()
    tag = _MD5_TAG.fullmatch(source.version)
    return tag is not None and tag[1] == hashlib.md5(content, usedforsecurity=False).hexdigest()


def has_expired(source: Source, lake: Lake, now: datetime) -> bool:
    """Whether a landed object may be gone: it was declared expired, or its hour is older than the retention of landing."""
    days = lake.settings.landing_retention_days
    if source.is_expired or not days:
        return source.is_expired
    hour = hour_of_object(source.key)
    return hour is not None and hour + timedelta(days=days) <= now


def sources_of(lake: Lake, objects: Sequence[StoredObject], known: Iterable[Source] = ()) -> list[Source]:
    """Landed objects as sources for a manifest; ``known`` are those of the previous manifest, whose digests are reused."""
    before = {(source.key, source.version): source for source in known if not source.is_expired}

    def source_of(stored: StoredObject) -> Source:
        found = before.get((stored.key, stored.etag))
        if found is not None and found.size is not None:
            return found
        if not lake.store.is_local:
            return Source(stored.key, stored.etag, size=stored.size)
        content = lake.store.get(stored.key)  # None if it disappeared after the listing; reading its lines reports that
        digest = None if content is None else hashlib.sha256(content).hexdigest()
        return Source(stored.key, stored.etag, size=stored.size, sha256=digest)

    return [source_of(stored) for stored in objects]


def hours_with_rows(lake: Lake, contract: TableContract, day: str) -> frozenset[str]:
    """The hours of a day for which a table has files; costs one listing."""
    folders = {stored.key.rpartition("/")[0] for stored in lake.store.list(f"{contract.path}/date={day}")
               if stored.key.endswith(".parquet")}  # fmt: skip
    return frozenset(hour for hour in hours_of_day(day) if partition_folder(contract.path, hour) in folders)


def rows_by_object(lake: Lake, manifest: Manifest) -> Counter[str]:
    """The rows that a partition made of landed objects holds of each of them, by the object's key."""
    rows: Counter[str] = Counter()
    for key in manifest.keys:
        rows.update(_rows_by_object_of_file(lake.store, key))
    return rows


def _rows_by_object_of_file(store: ObjectStore, key: str) -> dict[str, int]:
    counts = pc.value_counts(read_object(store, key, [OBJECT_COLUMN]).column(0))
    return {entry["values"]: entry["counts"] for entry in counts.to_pylist()}


def read_rows_of(
    spark: SparkSession, store: ObjectStore, contract: TableContract, kept: Sequence[tuple[Manifest, frozenset[str]]]
) -> DataFrame:
    """The rows of published partitions that came from these landed objects, in the contract's columns; lazy.

    Each partition's rows come in one task, in the order in which its files hold them.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

    schema = arrow_schema(contract.columns)

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                manifest, objects = kept[task]
                for key in manifest.keys:
                    yield from _rows_of_file(store, key, objects, schema)

    return spark.range(0, len(kept), 1, len(kept)).mapInArrow(read, from_arrow_schema(schema))


def _rows_of_file(store: ObjectStore, key: str, objects: frozenset[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    wanted = pa.array(sorted(objects), pa.string())
    for batch in batches_of_object(store, key):
        rows = batch.filter(pc.is_in(batch.column(OBJECT_COLUMN), value_set=wanted))
        # A column that was added to the contract since is null: the line that could fill it is gone.
        columns = [
            rows.column(field.name).cast(field.type)
            if field.name in rows.schema.names
            else pa.nulls(rows.num_rows, field.type)
            for field in schema
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
