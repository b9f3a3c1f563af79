"""Landed objects of some hours as the input of an asset, and what happens to rows whose objects are gone.

A run never drops rows just because their object is gone. It refuses, or keeps the rows of an object that expired on purpose, or
removes them if the run is configured to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pyspark.sql import DataFrame

from music_platform.errors import ManifestCorruptError, PublishConflictError, RowsWouldBeRemovedError
from music_platform.lake.lake import Lake
from music_platform.lake.landed_sources import (
    GONE_INPUTS_TAG,
    GoneInputs,
    has_expired,
    read_rows_of,
    rows_by_object,
    sources_of,
)
from music_platform.lake.landing_layout import LandingFolder, list_landed
from music_platform.lake.manifest import (
    DataFile,
    Manifest,
    Source,
    lacking,
    manifest_key,
    partition_folder,
    read_manifest,
)
from music_platform.lake.parquet_reader import open_parquet
from music_platform.lake.spark import SparkEngine
from music_platform.landing.gzip_lines import count_lines
from music_platform.landing.reader import LandedObject, read_lines
from music_platform.partitions import describe_partitions, hour_of_key, in_batches
from music_platform.tables.bronze import MADE_OF_LANDED
from music_platform.tables.contract import Layer, TableContract
from music_platform.tables.schemas import fingerprint
from music_platform.tables.silver import SILVER

_ATTEMPTS = 5
_MOST_NAMED = 5
_LANDED_BYTES_OF_A_LINE = 48  # compressed; only decides how a range is cut into batches


@dataclass(frozen=True)
class LandedPartitions:
    """Landed objects of one kind, by the hours of their folders; an hour may have none.

    ``objects`` are those that exist now, ``present`` the same as sources. ``gone`` are sources of the table ``contract`` that
    no longer exist, ``published`` the table's manifests that name them. Of the gone ones, ``kept`` are those whose rows stay
    and ``removed`` those whose rows go, each with its number of rows.
    """

    contract: TableContract
    objects: dict[str, list[LandedObject]]
    present: dict[str, list[Source]]
    gone: dict[str, list[Source]]
    published: dict[str, Manifest]
    lake: Lake
    spark: SparkEngine
    kept: dict[str, list[Source]] = field(default_factory=dict)
    removed: dict[str, list[Source]] = field(default_factory=dict)

    @classmethod
    def open(
        cls, contract: TableContract, listed: Mapping[str, LandingFolder], lake: Lake, spark: SparkEngine
    ) -> LandedPartitions:
        """Compare the objects in the hours' folders with those that the table was made from.

        Raises ``RowsWouldBeRemovedError`` for an hour of which nothing is left in bronze, and fewer lines in landing than
        silver was made from.
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
        objects = {
            partition: [LandedObject(stored.key, stored.size, hour_of_key(partition)) for stored in folder.objects]
            for partition, folder in listed.items()
        }
        _require_rows_of_silver(
            contract, {hour: found for hour, found in objects.items() if hour not in manifests}, lake
        )
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
            raise RowsWouldBeRemovedError(_describe_gone_objects(self.contract, missing))
        kept: dict[str, list[Source]] = {}
        removed: dict[str, list[Source]] = {}
        for partition, sources in self.gone.items():
            if not sources:
                continue
            is_removed = gone_objects is GoneInputs.REMOVE and len(sources) == len(missing.get(partition, ()))
            rows = _rows_of_gone(self.lake, self.published[partition], may_lack_files=is_removed)
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
        """What the manifest records about the rows of gone objects; empty if none is gone."""
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


def _rows_of_gone(lake: Lake, manifest: Manifest, *, may_lack_files: bool) -> Mapping[str, int]:
    """The partition's rows by object; none if a file is gone and all the named objects' rows are to be removed.

    Raises ``ManifestCorruptError`` that names the file: the rows in it could be kept by no run.
    """
    absent = lacking(manifest, {stored.key: stored for stored in lake.store.list(manifest.folder)})
    if not absent:
        return rows_by_object(lake, manifest)
    if may_lack_files:
        return {}
    raise ManifestCorruptError(
        f"{manifest.table} partition {manifest.partition} lacks '{absent[0]}', and landed objects that it was made from are "
        f"gone, so that its rows cannot be kept. Restore the file, or the objects; or have a run remove the rows: its tag "
        f"{GONE_INPUTS_TAG}={GoneInputs.REMOVE}."
    )


def declare_expired(lake: Lake, kind: str, partition: str) -> list[Source]:
    """Declare the gone objects of an hour expired on purpose: its table keeps their rows from now on.

    ``kind`` is one of ``landing_layout.LANDED_KINDS``. Returns the objects with their rows; none if none is gone or nothing was
    published. Raises ``PublishConflictError`` when runs replace the manifest each time.
    """
    contract = MADE_OF_LANDED[kind]
    for _ in range(_ATTEMPTS):
        try:
            found = read_manifest(lake.store, contract, partition)
        except ManifestCorruptError as error:
            raise ManifestCorruptError(
                f"the manifest of {contract.path} partition {partition} cannot be read, so nothing can be declared in it. Run "
                f"the hour with the tag {GONE_INPUTS_TAG}={GoneInputs.KEEP}, which keeps the rows and writes it again."
            ) from error
        if found is None:
            return []
        manifest, etag = found
        present = {stored.key for stored in list_landed(lake.store, kind, [partition])[partition].objects}
        gone = {s.key for s in manifest.sources if s.is_landed and not s.is_expired and s.key not in present}
        if not gone:
            return []
        rows = _rows_of_gone(lake, manifest, may_lack_files=False)
        sources = tuple(
            replace(source, rows=rows.get(source.key, 0), is_expired=True) if source.key in gone else source
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
    """What a table made of landed objects holds, from its manifests, or from its files if a manifest cannot be read."""

    def read(partition: str) -> Manifest | None:
        try:
            found = read_manifest(lake.store, contract, partition)
        except ManifestCorruptError:
            found = None
        return _manifest_of_files(contract, partition, lake) if found is None else found[0]

    keys = list(partitions)
    found = lake.map_requests(read, keys)
    return {key: manifest for key, manifest in zip(keys, found, strict=True) if manifest is not None}


def _manifest_of_files(contract: TableContract, partition: str, lake: Lake) -> Manifest | None:
    """Replaces a manifest that is gone or cannot be read: the sources that the files of one run name.

    Of several runs, takes the one with the most rows: a killed run leaves fewer, or the same ones again.
    """
    folder = partition_folder(contract.path, partition)
    by_run: dict[str, list[DataFile]] = {}
    for stored in lake.store.list(folder):
        name = stored.key.removeprefix(f"{folder}/")
        if name.endswith(".parquet"):
            with open_parquet(lake.store, stored.key) as file:
                rows = file.metadata.num_rows
            by_run.setdefault(name.split("-")[1], []).append(DataFile(name, rows, stored.size, ""))
    if not by_run:
        return None
    files = max(by_run.values(), key=lambda found: sum(file.rows for file in found))
    manifest = Manifest(contract.path, partition, tuple(files), fingerprint(contract), run_id="", created_at="")
    return replace(manifest, sources=tuple(Source(key, "") for key in rows_by_object(lake, manifest)))


def _require_rows_of_silver(
    contract: TableContract, partitions: Mapping[str, Sequence[LandedObject]], lake: Lake
) -> None:
    """For hours of which bronze has neither a manifest nor a file: landing must hold what silver was made from."""
    if contract.layer is not Layer.BRONZE:
        return

    def require(item: tuple[str, Sequence[LandedObject]]) -> None:
        partition, objects = item
        found = read_manifest(lake.store, SILVER[contract.name], partition)
        needed = 0 if found is None else sum(source.rows or 0 for source in found[0].sources)
        if not needed:
            return
        lines = sum(count_lines(lake.store.get(landed.key) or b"") for landed in objects)
        if lines < needed:
            raise RowsWouldBeRemovedError(
                f"{contract.path} partition {partition} has no manifest and no file, and its landed objects hold {lines} lines, "
                f"while {SILVER[contract.name].path} was made from {needed} rows of it: a run would remove the others. Restore "
                f"'{partition_folder(contract.path, partition)}' or the landed objects."
            )

    lake.map_requests(require, list(partitions.items()))


def _describe_gone_objects(contract: TableContract, missing: Mapping[str, Sequence[Source]]) -> str:
    keys = [source.key for sources in missing.values() for source in sources]
    named = ", ".join(f"'{key}'" for key in keys[:_MOST_NAMED])
    more = f" and {len(keys) - _MOST_NAMED} more" if len(keys) > _MOST_NAMED else ""
    return (
        f"{contract.path} partition {describe_partitions(list(missing))} was made from landed objects that are gone: "
        f"{named}{more}. A run would remove their rows, so nothing was changed. Restore the objects. Or keep the rows and "
        f"declare the objects expired: ./run music-platform landing expire {_option_of(list(missing))}. Or say what a run does "
        f"with the rows: by its tag {GONE_INPUTS_TAG}={GoneInputs.KEEP} or ={GoneInputs.REMOVE}, or by gone_inputs in the "
        "configuration of the asset."
    )


def _option_of(partitions: Sequence[str]) -> str:
    """Partitions as a command takes them."""
    if len(partitions) == 1:
        return f"--partition '{partitions[0]}'"
    return f"--partition-range '{partitions[0]}...{partitions[-1]}'"
