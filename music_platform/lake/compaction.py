"""Compaction: a partition whose several files fit into one is rewritten as one sorted file, with the same data version.

It publishes only what it read: if a run replaces the partition meanwhile, the run wins and the compaction is discarded.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa

from music_platform.errors import ManifestCorruptError
from music_platform.lake.lake import Lake
from music_platform.lake.manifest import Manifest, manifest_key, read_manifest
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.parquet_reader import read_parquet
from music_platform.lake.writer import encode
from music_platform.tables.contract import TableContract
from music_platform.tables.schemas import fingerprint


@dataclass(frozen=True)
class Compacted:
    """The result of a compaction: the rewritten partitions, and how many files they had before. Each has one now."""

    partitions: int = 0
    files_before: int = 0


def compact_partitions(lake: Lake, contract: TableContract, partitions: Sequence[str], run_id: str) -> Compacted:
    """Compact the published partitions of a table that need it."""
    files = lake.map_parallel(lambda partition: compact_partition(lake, contract, partition, run_id), partitions)
    return Compacted(sum(number > 0 for number in files), sum(files))


def compact_partition(lake: Lake, contract: TableContract, partition: str, run_id: str) -> int:
    """Rewrite a partition's files as one and return how many they were; 0 where there was nothing to do.

    A partition is left alone if it was never published, has one file or none, exceeds the size of one file, was made by another
    version of the contract, or is being replaced by a run. Raises ``ManifestCorruptError`` that names a file which is not what
    the manifest says.
    """
    store = lake.store
    found = read_manifest(store, contract, partition)
    if found is None:
        return 0
    manifest, etag = found
    if (
        len(manifest.files) < 2
        or manifest.bytes > lake.settings.target_file_bytes
        or manifest.schema_fingerprint != fingerprint(contract)
    ):
        return 0
    tables = _read(store, manifest)
    if tables is None:
        return 0
    content, file = encode(
        pa.concat_tables(tables), contract, f"part-{run_id[:8]}{uuid.uuid4().hex[:8]}-{uuid.uuid4().hex[:12]}.parquet"
    )
    compacted = replace(
        manifest,
        files=(file,),
        run_id=run_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        compacted_from=manifest.data_version,
    )
    [key] = compacted.keys
    store.put(key, content)
    if not store.replace(manifest_key(contract.path, partition), compacted.to_json(), etag):
        store.delete([key])
        return 0
    store.delete(manifest.keys)
    return len(manifest.files)


def _read(store: ObjectStore, manifest: Manifest) -> list[pa.Table] | None:
    """The files' rows; None when a run has replaced the partition and removed them."""
    tables = []
    for key, file in zip(manifest.keys, manifest.files, strict=True):
        content = store.get(key)
        if content is None:
            return None
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise ManifestCorruptError(
                f"{manifest.table} partition {manifest.partition}: '{key}' is not the file that its manifest names. "
                f"Materialize it again: ./run dagster asset materialize --select '{manifest.table}' --partition "
                f"'{manifest.partition}'."
            )
        tables.append(read_parquet(io.BytesIO(content)))
    return tables
