"""The manifest of a partition: the `_SUCCESS` object that names the partition's files and what they were made from.

This module knows only its form and its place; publish.py publishes it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from music_platform.errors import ManifestCorruptError
from music_platform.lake.landing_layout import ERRORS_PREFIX, LANDING_PREFIX
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.stored_objects import StoredObject
from music_platform.partitions import partition_path
from music_platform.tables.contract import TableContract

MANIFEST_NAME = "_SUCCESS"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a partition: its name in the partition's folder, rows, bytes and the SHA-256 of its content."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """What a partition was made from: a landed object (key, entity tag) or an upstream partition (folder, data version, rows).

    ``file_names`` are the files of the upstream partition that were read; they serve the reading run and are not in the
    manifest. ``size`` and ``sha256`` are those of a landed object's content, the latter only if the store's entity tag does not
    identify it (landed_sources.py). ``is_expired``: the landed object is gone on purpose, and the partition keeps its ``rows``.
    """

    key: str
    version: str
    rows: int | None = None
    file_names: tuple[str, ...] = field(default=(), compare=False, repr=False)
    size: int | None = None
    sha256: str | None = None
    is_expired: bool = False

    @property
    def is_landed(self) -> bool:
        """Whether it is a landed object and not a partition of a table."""
        return self.key.startswith((f"{LANDING_PREFIX}/", f"{ERRORS_PREFIX}/"))


@dataclass(frozen=True)
class Manifest:
    """One published partition.

    ``counts`` holds further row counts of the pass that made it, such as the duplicates that silver removed.
    ``data_version`` depends on the content alone: a rebuild that gives the same rows gives the same version.
    ``compacted_from`` is the data version of the files that a compaction rewrote as these: the rows are the same, so the
    version stays.
    """

    table: str
    partition: str
    files: tuple[DataFile, ...]
    schema_fingerprint: str
    run_id: str
    created_at: str
    sources: tuple[Source, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    compacted_from: str | None = None
    format_version: int = FORMAT_VERSION

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def data_version(self) -> str:
        return self.compacted_from or data_version(self.schema_fingerprint, self.files)

    @property
    def folder(self) -> str:
        return partition_folder(self.table, self.partition)

    @property
    def keys(self) -> list[str]:
        """The files' keys in the lake."""
        return [f"{self.folder}/{file.name}" for file in self.files]

    def as_source(self) -> Source:
        """The partition as a source of another one."""
        return Source(self.folder, self.data_version, self.rows, tuple(file.name for file in self.files))

    def to_json(self) -> bytes:
        content: dict[str, Any] = asdict(self)
        content |= {"rows": self.rows, "bytes": self.bytes, "data_version": self.data_version}
        for source in content["sources"]:
            del source["file_names"]
            for name in ("size", "sha256", "is_expired"):
                if not source[name]:  # most sources have none of them, and an hour can have thousands
                    del source[name]
        return json.dumps(content, indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, content: bytes, key: str) -> Manifest:
        """Parse a manifest; raises ``ManifestCorruptError`` that names it if it is none."""
        try:
            fields = json.loads(content)
            if fields["format_version"] != FORMAT_VERSION:
                raise ValueError(f"its format version is {fields['format_version']}, this code reads {FORMAT_VERSION}")
            manifest = cls(
                table=fields["table"],
                partition=fields["partition"],
                files=tuple(DataFile(**file) for file in fields["files"]),
                schema_fingerprint=fields["schema_fingerprint"],
                run_id=fields["run_id"],
                created_at=fields["created_at"],
                sources=tuple(Source(**source) for source in fields["sources"]),
                counts=fields["counts"],
                compacted_from=fields.get("compacted_from"),
            )
            if (manifest.rows, manifest.bytes) != (fields["rows"], fields["bytes"]):
                raise ValueError("its totals contradict its files")
            if f"{manifest.folder}/{MANIFEST_NAME}" != key:
                raise ValueError(f"it is the manifest of {manifest.table} partition {manifest.partition}")
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestCorruptError(f"manifest '{key}' cannot be read: {error}. {_replacing(key)}") from error
        return manifest


def data_version(schema_fingerprint: str, files: Iterable[DataFile]) -> str:
    """16 hex digits over the schema and the files' content, whatever the files are called."""
    digest = hashlib.sha256(schema_fingerprint.encode())
    for content in sorted(file.sha256 for file in files):
        digest.update(content.encode())
    return digest.hexdigest()[:16]


def partition_folder(table: str, partition: str) -> str:
    """The folder of a table's partition in the lake, such as ``silver/listen_events/date=2026-11-01/hour=05``."""
    return f"{table}/{partition_path(partition)}"


def manifest_key(table: str, partition: str) -> str:
    return f"{partition_folder(table, partition)}/{MANIFEST_NAME}"


def materialize_again(table: str, partition: str) -> str:
    """The advice that mends a damaged partition."""
    return (
        "Materialize the partition again to replace it: ./run dagster asset materialize --select "
        f"'{table}' --partition '{partition}'"
    )


def _replacing(key: str) -> str:
    """The advice about the manifest at a key, which is all that is known of its partition."""
    if place := re.fullmatch(rf"(.+)/date=(\d{{4}}-\d\d-\d\d)(?:/hour=(\d\d))?/{MANIFEST_NAME}", key):
        table, day, hour = place.groups()
        return materialize_again(table, day if hour is None else f"{day}-{hour}:00")
    return "Materialize the partition again to replace it."


def read_manifest(store: ObjectStore, contract: TableContract, partition: str) -> tuple[Manifest, str] | None:
    """A partition's manifest and its entity tag; None when the partition has never been published."""
    key = manifest_key(contract.path, partition)
    found = store.get_with_etag(key)
    return None if found is None else (Manifest.from_json(found[0], key), found[1])


def lacking(manifest: Manifest, present: Mapping[str, StoredObject]) -> list[str]:
    """Keys of the files that a manifest names and that are missing or incomplete among the objects in its folder."""
    return [
        key
        for key, file in zip(manifest.keys, manifest.files, strict=True)
        if (found := present.get(key)) is None or found.size != file.bytes
    ]
