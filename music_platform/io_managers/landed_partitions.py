"""Landed objects of some hours as the input of an asset, and what becomes of rows whose objects are gone.

A run leaves out no row only because the object that it came from is gone: it refuses, or keeps the rows of an object that
expired on purpose, or removes them where it is told to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pyspark.sql import DataFrame

from music_platform.contracts.schemas import fingerprint
from music_platform.contracts.table import Layer, TableContract
from music_platform.contracts.tables import MADE_OF_LANDED, QUARANTINE, SILVER
from music_platform.errors import ManifestCorruptError, PublishConflictError, RowsWouldBeRemovedError
from music_platform.io_managers.landed_sources import (
    GONE_INPUTS_TAG,
    GoneInputs,
    has_expired,
    read_rows_of,
    rows_by_object,
    sources_of,
)
from music_platform.io_managers.manifest import (
    DataFile,
    Manifest,
    Source,
    manifest_key,
    partition_folder,
    read_manifest,
)
from music_platform.io_managers.parquet_reader import open_parquet
from music_platform.landing.layout import LandingFolder, list_landed
from music_platform.landing.reader import LandedObject, read_lines
from music_platform.partitions import describe_partitions, hour_of_key, in_batches
from music_platform.resources.lake import Lake
from music_platform.resources.spark import SparkResource

_ATTEMPTS = 5
_MOST_OBJECTS_TOLD = 5
_LANDED_BYTES_OF_A_LINE = 48  # compressed; only decides how a range is cut into batches


@dataclass(frozen=True)
class LandedPartitions:
    """Landed objects of one kind, by the hours of their folders; an hour may have none.

    ``objects`` lie there now, and ``present`` are the same as sources. ``gone`` are what the table ``contract`` was made from
    and what is not there any more, and ``published`` the manifests of the table that name them. Of the gone ones ``kept`` are
    those whose rows stay, and ``removed`` those whose rows go, each with its number of rows.
    """

    contract: TableContract
    objects: dict[str, list[LandedObject]]
    present: dict[str, list[Source]]
    gone: dict[str, list[Source]]
    published: dict[str, Manifest]
    lake: Lake
    spark: SparkResource
    kept: dict[str, list[Source]] = field(default_factory=dict)
    removed: dict[str, list[Source]] = field(default_factory=dict)

    @classmethod
    def open(
        cls, contract: TableContract, listed: Mapping[str, LandingFolder], lake: Lake, spark: SparkResource
    ) -> LandedPartitions:
        """What lies in the hours' folders, against what the table was made from.

        Raises ``RowsWouldBeRemovedError`` for an hour of which neither the manifest nor the objects are left, while tables
        that are made from it hold rows.
        """
        manifests = _manifests_of_landed(contract, listed, lake)
        present: dict[str, list[Source]] = {}
        gone: dict[str, list[Source]] = {}
        for partition, folder in listed.items():
            manifest = manifests.get(partition)
            known = () if manifest is None else manifest.sources
            present[partition] = sources_of(lake, folder.objects, known)
            keys = {stored.key for stored in folder.objects}
            gone[partition] = [source for source in known if source.is_landed and source.key not in keys]
        _require_bronze_of_silver(
            contract, [hour for hour, folder in listed.items() if not folder.objects and hour not in manifests], lake
        )
        objects = {
            partition: [LandedObject(stored.key, stored.size, hour_of_key(partition)) for stored in folder.objects]
            for partition, folder in listed.items()
        }
        return cls(contract, objects, present, gone, manifests, lake, spark)

    def settled(self, gone_objects: GoneInputs, now: datetime) -> LandedPartitions:
        """The same, with a decision about the rows of objects that are gone.

        Rows of objects that expired on purpose stay, whatever is chosen. Raises ``RowsWouldBeRemovedError``, which names the
        objects, when others are gone and the choice is to refuse.
        """
        missing = {
            partition: found
            for partition, sources in self.gone.items()
            if (found := [source for source in sources if not has_expired(source, self.lake, now)])
        }
        if missing and gone_objects is GoneInputs.REFUSE:
            raise RowsWouldBeRemovedError(_told_of_gone_objects(self.contract, missing))
        kept: dict[str, list[Source]] = {}
        removed: dict[str, list[Source]] = {}
        for partition, sources in self.gone.items():
            rows = rows_by_object(self.lake, self.published[partition]) if sources else {}
            for source in sources:
                counted = replace(source, rows=rows.get(source.key, 0))
                if gone_objects is GoneInputs.REMOVE and source in missing.get(partition, ()):
                    removed.setdefault(partition, []).append(counted)
                else:
                    kept.setdefault(partition, []).append(replace(counted, is_expired=True))
        return replace(self, kept=kept, removed=removed)

    def read(self, partitions: Sequence[str] | None = None) -> DataFrame:
        """One lazy DataFrame of the objects' lines, in columns of landing.reader.LINES_SCHEMA."""
        objects = [landed for partition in partitions or self.objects for landed in self.objects[partition]]
        return read_lines(self.spark.session_for(self.lake), self.lake.store, objects, self.spark.parallel_tasks)

    def with_kept_rows(self, made: DataFrame, partitions: Sequence[str]) -> DataFrame:
        """What was made of the objects of these hours, and the rows of objects that are gone and kept."""
        kept = [
            (self.published[partition], frozenset(source.key for source in self.kept[partition] if source.rows))
            for partition in partitions
            if partition in self.kept
        ]
        if not kept:
            return made
        return made.unionByName(read_rows_of(self.spark.session_for(self.lake), self.lake.store, self.contract, kept))

    def counts(self, partition: str) -> dict[str, int]:
        """What the manifest is to say of the rows of gone objects; empty where none is gone."""
        counts: dict[str, int] = {}
        for name, sources in (("expired", self.kept.get(partition)), ("removed", self.removed.get(partition))):
            if sources:
                counts |= {f"{name}_objects": len(sources), f"{name}_rows": sum(source.rows or 0 for source in sources)}
        return counts

    def batches(self) -> list[list[str]]:
        """The hours cut into batches, by an estimate of their lines."""
        lines = {
            partition: sum(landed.size for landed in objects) // _LANDED_BYTES_OF_A_LINE
            + sum(source.rows or 0 for source in self.kept.get(partition, []))
            for partition, objects in self.objects.items()
        }
        return in_batches(self.objects, lines, self.lake.settings.batch_rows_of_a_step)

    def sources(self) -> dict[str, list[Source]]:
        """For manifests of tables made from these objects."""
        return {
            partition: sorted([*sources, *self.kept.get(partition, [])], key=lambda source: source.key)
            for partition, sources in self.present.items()
        }


def declare_expired(lake: Lake, kind: str, partition: str) -> list[Source]:
    """Declare the gone objects of an hour expired on purpose: its table keeps their rows from now on.

    ``kind`` is one of ``landing.layout.LANDED_KINDS``. Returns the objects with their rows; none where none is gone or nothing
    was published. Raises ``PublishConflictError`` when runs replace the manifest each time.
    """
    contract = MADE_OF_LANDED[kind]
    for _ in range(_ATTEMPTS):
        found = read_manifest(lake.store, contract, partition)
        if found is None:
            return []
        manifest, etag = found
        present = {stored.key for stored in list_landed(lake.store, kind, [partition])[partition].objects}
        gone = {s.key for s in manifest.sources if s.is_landed and not s.is_expired and s.key not in present}
        if not gone:
            return []
        rows = rows_by_object(lake, manifest)
        sources = tuple(
            replace(source, rows=rows[source.key], is_expired=True) if source.key in gone else source
            for source in manifest.sources
        )
        declared = replace(manifest, sources=sources)
        if lake.store.replace(manifest_key(contract.path, partition), declared.to_json(), etag):
            return [source for source in sources if source.key in gone]
    raise PublishConflictError(
        f"{contract.path} partition {partition} was replaced by runs {_ATTEMPTS} times in a row while its gone objects were to "
        "be declared expired. Let the runs finish, and declare them again."
    )


def _manifests_of_landed(contract: TableContract, partitions: Iterable[str], lake: Lake) -> dict[str, Manifest]:
    """The published manifests of a table made of landed objects, as far as there are any."""

    def read(partition: str) -> Manifest | None:
        try:
            found = read_manifest(lake.store, contract, partition)
        except ManifestCorruptError:
            return _manifest_of_files(contract, partition, lake)
        return None if found is None else found[0]

    keys = list(partitions)
    found = lake.map_requests(read, keys)
    return {key: manifest for key, manifest in zip(keys, found, strict=True) if manifest is not None}


def _manifest_of_files(contract: TableContract, partition: str, lake: Lake) -> Manifest:
    """In place of a manifest that cannot be read, and that a rebuild replaces: what the files say that they were made from."""
    folder = partition_folder(contract.path, partition)
    files = []
    for stored in lake.store.list(folder):
        if stored.key.endswith(".parquet"):
            with open_parquet(lake.store, stored.key) as file:
                files.append(DataFile(stored.key.removeprefix(f"{folder}/"), file.metadata.num_rows, stored.size, ""))
    manifest = Manifest(contract.path, partition, tuple(files), fingerprint(contract), run_id="", created_at="")
    return replace(manifest, sources=tuple(Source(key, "") for key in rows_by_object(lake, manifest)))


def _require_bronze_of_silver(contract: TableContract, partitions: Sequence[str], lake: Lake) -> None:
    """Of these hours neither a manifest of bronze nor an object is left: nothing may have been made from them."""
    if contract.layer is not Layer.BRONZE:
        return
    made_from_it = [SILVER[contract.name], QUARANTINE[contract.name]]

    def require(partition: str) -> None:
        for table in made_from_it:
            found = read_manifest(lake.store, table, partition)
            if found is not None and found[0].rows:
                raise RowsWouldBeRemovedError(
                    f"{contract.path} partition {partition} has neither a manifest nor landed objects, and {table.path} holds "
                    f"{found[0].rows} rows that were made from it: a run would remove them. Restore '"
                    f"{partition_folder(contract.path, partition)}' or the landed objects."
                )

    lake.map_requests(require, partitions)


def _told_of_gone_objects(contract: TableContract, missing: Mapping[str, Sequence[Source]]) -> str:
    keys = [source.key for sources in missing.values() for source in sources]
    named = ", ".join(f"'{key}'" for key in keys[:_MOST_OBJECTS_TOLD])
    more = f" and {len(keys) - _MOST_OBJECTS_TOLD} more" if len(keys) > _MOST_OBJECTS_TOLD else ""
    return (
        f"{contract.path} partition {describe_partitions(list(missing))} was made from landed objects that are gone: "
        f"{named}{more}. A run would remove their rows, so nothing was changed. Restore the objects. Or keep the rows and "
        f"declare the objects expired: ./run music-platform landing expire {_option_of(list(missing))}. Or have a run remove "
        f"the rows: by the tag {GONE_INPUTS_TAG}={GoneInputs.REMOVE}, or gone_inputs in the configuration of the asset."
    )


def _option_of(partitions: Sequence[str]) -> str:
    """Partitions as a command takes them."""
    if len(partitions) == 1:
        return f"--partition '{partitions[0]}'"
    return f"--partition-range '{partitions[0]}...{partitions[-1]}'"
