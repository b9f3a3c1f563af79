"""Publishing a partition: one compare-and-swap of its manifest, then the removal of files that it no longer names.

The order makes it safe: new files beside the old, the switch, only then the deletion. A kill at any instant leaves the old
partition or the new one. If two runs publish the same partition, each replaces it as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from music_platform.errors import ManifestCorruptError, PublishConflictError, RowsWouldBeRemovedError
from music_platform.lake.lake import Lake
from music_platform.lake.landed_sources import GONE_INPUTS_TAG, GoneInputs
from music_platform.lake.manifest import (
    MANIFEST_NAME,
    Manifest,
    Source,
    lacking,
    manifest_key,
    partition_folder,
)
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.stored_objects import StoredObject
from music_platform.lake.writer import WrittenPartition
from music_platform.tables.contract import TableContract
from music_platform.tables.schemas import fingerprint

_ATTEMPTS = 20


@dataclass(frozen=True)
class Published:
    """A partition after publishing. ``is_unchanged`` if it already had this content and its files were kept."""

    manifest: Manifest
    is_unchanged: bool


def publish_partition(
    store: ObjectStore,
    contract: TableContract,
    partition: str,
    written: WrittenPartition,
    *,
    run_id: str,
    write_id: str,
    sources: Sequence[Source] = (),
    leftover_grace_seconds: float = 3600.0,
    may_remove_rows: bool = False,
) -> Published:
    """Make the written files the partition, whatever it held before; without files it becomes explicitly empty.

    Where the partition already holds the same content its files stay, and only the manifest is replaced. A manifest that
    cannot be read is replaced as well. Raises ``PublishConflictError`` when other runs replace the partition each time that
    this one tries to, or have removed what it wrote; ``RowsWouldBeRemovedError`` when something is gone that the partition
    was made from and is no longer, unless ``may_remove_rows``.
    """
    key = manifest_key(contract.path, partition)
    for attempt in range(_ATTEMPTS):
        current, current_etag = _read_for_replacement(store, key)
        present = {found.key: found for found in store.list(partition_folder(contract.path, partition))}
        manifest = Manifest(
            table=contract.path,
            partition=partition,
            files=tuple(written.files),
            schema_fingerprint=fingerprint(contract),
            run_id=run_id,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            sources=tuple(sources),
            counts=dict(written.counts),
        )
        if current is not None and not may_remove_rows:
            _require_inputs(store, current, manifest)
        superseded = [] if current is None else current.keys
        is_unchanged = (
            current is not None and current.data_version == manifest.data_version and not lacking(current, present)
        )
        if current is not None and is_unchanged:
            superseded = manifest.keys
            manifest = replace(manifest, files=current.files, compacted_from=current.compacted_from)
        elif gone := lacking(manifest, present):
            # Never name a missing file: a sweep was too early, or this run's manifest was stored and replaced while its answer
            # was lost.
            raise PublishConflictError(
                f"'{gone[0]}', which run {run_id} wrote for {contract.path} partition {partition}, is gone or cut short "
                "before it was published: another run has replaced the partition or swept it. Run it again, and see that "
                "MUSIC_PLATFORM_LEFTOVER_GRACE_SECONDS exceeds the longest run."
            )
        if store.replace(key, manifest.to_json(), current_etag):
            leftovers = _leftovers(manifest, present.values(), write_id, leftover_grace_seconds)
            store.delete(sorted({*superseded, *leftovers} - set(manifest.keys)))
            return Published(manifest, is_unchanged)
        time.sleep(min(0.05 * 2**attempt, 1.0))
    raise PublishConflictError(
        f"{contract.path} partition {partition} was replaced by other runs {_ATTEMPTS} times in a row while run {run_id} "
        "tried to publish it. Find the runs that materialize the same partition, and let one finish."
    )


def publish_partitions(
    lake: Lake,
    contract: TableContract,
    written: dict[str, WrittenPartition],
    partitions: Sequence[str],
    *,
    run_id: str,
    write_id: str,
    sources: Mapping[str, Sequence[Source]],
    leftover_grace_seconds: float,
    may_remove_rows: bool = False,
) -> dict[str, Published]:
    """Publish each partition; one without written files becomes explicitly empty."""

    def publish(partition: str) -> Published:
        return publish_partition(
            lake.store,
            contract,
            partition,
            written.get(partition, WrittenPartition()),
            run_id=run_id,
            write_id=write_id,
            sources=sources.get(partition, ()),
            leftover_grace_seconds=leftover_grace_seconds,
            may_remove_rows=may_remove_rows,
        )

    return dict(zip(partitions, lake.map_requests(publish, partitions), strict=True))


def _require_inputs(store: ObjectStore, current: Manifest, manifest: Manifest) -> None:
    """Require that no source of the partition is left out, unless the table is no longer made of such tables at all.

    A source that is left out is gone, or is no partition since MUSIC_PLATFORM_START was moved: its rows would go either way.
    """
    named = {source.key for source in manifest.sources}
    tables = {key.partition("/date=")[0] for key in named}
    for source in current.sources:
        if source.key in named or not (source.is_landed or source.rows):
            continue
        found = store.get(source.key if source.is_landed else f"{source.key}/{MANIFEST_NAME}")
        place = f"{manifest.table} partition {manifest.partition}"
        if found is None:
            raise RowsWouldBeRemovedError(
                f"{place} was made from '{source.key}', which is gone: this run would remove its rows, so the partition was left "
                f"as it is. Restore it, or have the run remove the rows: its tag {GONE_INPUTS_TAG}={GoneInputs.REMOVE}."
            )
        if not source.is_landed and source.key.partition("/date=")[0] in tables:
            raise RowsWouldBeRemovedError(
                f"{place} was made from '{source.key}', which is still there and is not read by this run: its rows would be "
                "removed, so the partition was left as it is. Was MUSIC_PLATFORM_START moved? Set it back, or have the run "
                f"remove the rows: its tag {GONE_INPUTS_TAG}={GoneInputs.REMOVE}."
            )
        if source.is_landed:
            raise PublishConflictError(
                f"{place} was published by another run that read '{source.key}', which came after run {manifest.run_id} had "
                "listed its objects. Run it again."
            )


def _read_for_replacement(store: ObjectStore, key: str) -> tuple[Manifest | None, str | None]:
    """The manifest and its entity tag; only the tag if it cannot be read, because a rebuild replaces it.

    Its files are then removed like those of killed runs.
    """
    found = store.get_with_etag(key)
    if found is None:
        return None, None
    try:
        return Manifest.from_json(found[0], key), found[1]
    except ManifestCorruptError:
        return None, found[1]


def _leftovers(manifest: Manifest, present: Iterable[StoredObject], write_id: str, grace_seconds: float) -> list[str]:
    """The files that killed runs left in the partition's folder.

    A file that no manifest names may be one that another run is about to publish, so it must be older than any run lasts. Files
    of this write belong to this run.
    """
    named = {*manifest.keys, f"{manifest.folder}/{MANIFEST_NAME}"}
    now = time.time()
    return [
        found.key
        for found in present
        if found.key not in named
        and (f"-{write_id}-" in found.key or now - found.last_modified.timestamp() >= grace_seconds)
    ]
