"""The Parquet lake's IO manager: publishes what assets staged or computed, and opens partitions for downstream assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from pyspark.sql import DataFrame

from music_platform.errors import ContractError, ManifestCorruptError
from music_platform.inert_text import inert
from music_platform.lake.lake import Lake
from music_platform.lake.manifest import MANIFEST_NAME, Manifest, Source, manifest_key, partition_folder
from music_platform.lake.parquet_reader import batches_of_object
from music_platform.lake.partition_sets import StagedPartitions, StoredPartitions
from music_platform.lake.publish import Published, publish_partitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.io_managers.partition_metadata import add_partition_metadata, standard_counts
from music_platform.orchestration.partitions_definitions import require_forward_range
from music_platform.partitions import describe_partitions
from music_platform.tables.catalogue import TABLES
from music_platform.tables.columns import KEY_PATTERN
from music_platform.tables.contract import Column, ColumnType, Layer, Personal, TableContract

MAY_LACK_PARTITIONS = "may_lack_partitions"
"""Metadata of an input whose first or last partitions need not be published: those of an unfinished day, say."""
_PREVIEW_ROWS = 5
_LONGEST_RANGE_WITH_PREVIEWS = 24
_LONGEST_CELL = 60


class ParquetLakeIOManager(dg.IOManager):
    """Reads and writes tables of the lake, one partition or a range of hundreds.

    Takes a lazy Spark DataFrame (written in one engine pass) or StagedPartitions. Gives a lazy DataFrame of any number of
    partitions, or, to a parameter annotated so, StoredPartitions.
    """

    def __init__(self, lake: Lake, spark: SparkEngine) -> None:
        self._lake = lake
        self._spark = spark

    def load_input(self, context: dg.InputContext) -> DataFrame | StoredPartitions:
        require_forward_range(context.step_context.dagster_run)
        contract = contract_of(context.asset_key)
        open_them = StoredPartitions.open
        if (context.definition_metadata or {}).get(MAY_LACK_PARTITIONS):
            open_them = StoredPartitions.open_published
        partitions = open_them(contract, list(context.asset_partition_keys), self._lake, self._spark)
        return partitions if context.dagster_type.typing_type is StoredPartitions else partitions.read()

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        require_forward_range(context.step_context.dagster_run)
        contract = contract_of(context.asset_key)
        partitions = list(context.asset_partition_keys)
        staged = obj if isinstance(obj, StagedPartitions) else self._stage(contract, obj, partitions, context.run_id)
        metadata = self.publish(staged, partitions, context.run_id)
        rows, unchanged = (sum(entry[name] for entry in metadata.values()) for name in ("rows", "unchanged"))
        context.log.info(
            f"{contract.path}: published {describe_partitions(partitions)}, {rows:,} rows, {unchanged} partitions unchanged"
        )
        add_partition_metadata(context.step_context, context.asset_key, metadata)

    def publish(self, staged: StagedPartitions, partitions: Sequence[str], run_id: str) -> dict[str, dict[str, Any]]:
        """Publish each of the partitions, empty ones explicitly, and return the metadata of each one's materialization.

        Raises ``ManifestCorruptError``, and publishes nothing, when what they were made from was replaced meanwhile.
        """
        self._require_sources(staged)
        published = publish_partitions(
            self._lake,
            staged.contract,
            staged.written,
            partitions,
            run_id=run_id,
            write_id=staged.write_id,
            sources=staged.sources,
            leftover_grace_seconds=self._lake.settings.leftover_grace_seconds,
            may_remove_rows=staged.may_remove_rows,
        )
        return self._metadata(staged.contract, published)

    def _require_sources(self, staged: StagedPartitions) -> None:
        """A partition replaced while it is read loses its files, and the embedded engine reads lost files as no rows."""
        own = {partition_folder(staged.contract.path, partition) for partition in staged.made}
        read = {
            source
            for sources in staged.sources.values()
            for source in sources
            if not source.is_landed and source.key not in own  # this run's own partitions are not published yet
        }

        def require(source: Source) -> None:
            key = f"{source.key}/{MANIFEST_NAME}"
            found = self._lake.store.get(key)
            manifest = None if found is None else Manifest.from_json(found, key)
            if (
                manifest is None
                or manifest.data_version != source.version
                or tuple(file.name for file in manifest.files) != source.file_names
            ):
                raise ManifestCorruptError(
                    f"'{source.key}' was replaced while {staged.contract.path} was made from it, so the rows that were read "
                    "may not be all. Nothing was published; run the same partitions again."
                )

        self._lake.map_requests(require, sorted(read, key=lambda source: source.key))

    def _stage(self, contract: TableContract, frame: Any, partitions: Sequence[str], run_id: str) -> StagedPartitions:
        if not hasattr(frame, "mapInArrow"):
            raise ContractError(f"{contract.path} must be a Spark DataFrame or StagedPartitions, not {type(frame)}")
        staged = StagedPartitions.begin(contract, run_id, sources={})
        staged.write(frame, partitions, self._lake)
        return staged

    def _metadata(self, contract: TableContract, published: Mapping[str, Published]) -> dict[str, dict[str, Any]]:
        """By partition: counts from its manifest; a preview from the first rows of one file. The data is not read again."""
        previews: dict[str, dg.TableMetadataValue | None] = {}
        if (shown := previewed_columns(contract)) and len(published) <= _LONGEST_RANGE_WITH_PREVIEWS:
            made = [entry.manifest for entry in published.values() if entry.manifest.files]
            found = self._lake.map_requests(lambda manifest: self._preview(manifest, shown), made)
            previews = {manifest.partition: preview for manifest, preview in zip(made, found, strict=True)}
        return {
            partition: {
                "rows": entry.manifest.rows,
                "bytes": entry.manifest.bytes,
                **standard_counts(entry.manifest.rows, entry.manifest.bytes),
                "files": len(entry.manifest.files),
                "sources": len(entry.manifest.sources),
                "unchanged": entry.is_unchanged,
                "dagster/uri": self._lake.store.url(manifest_key(contract.path, partition)),
                **entry.manifest.counts,
                **({"preview": preview} if (preview := previews.get(partition)) else {}),
            }
            for partition, entry in published.items()
        }

    def _preview(self, manifest: Manifest, columns: Sequence[Column]) -> dg.TableMetadataValue:
        """The first rows as cells of plain text. Never Markdown: a title such as ``![](http://...)`` would be an image."""
        names = [column.name for column in columns]
        batch = next(batches_of_object(self._lake.store, manifest.keys[0], _PREVIEW_ROWS, names))
        return dg.MetadataValue.table(
            records=[dg.TableRecord({name: _cell(row[name]) for name in names}) for row in batch.to_pylist()],
            schema=dg.TableSchema([dg.TableColumn(column.name, str(column.type)) for column in columns]),
        )


def previewed_columns(contract: TableContract) -> list[Column]:
    """The columns in a table's preview: gold's columns that are not personal; none of other layers.

    Dagster's log keeps a preview until its partition is made again, even if the lake is deleted. A table with only moments left
    has no preview.
    """
    if contract.layer is not Layer.GOLD:
        return []
    shown = [
        column
        for column in contract.columns
        if column.personal is Personal.NONE and column.pattern != KEY_PATTERN  # a hash is of no use to a reader
    ]
    return shown if any(column.type is not ColumnType.TIMESTAMP for column in shown) else []


def contract_of(asset_key: dg.AssetKey) -> TableContract:
    """The contract of a table's asset; ``ContractError`` when no table has that key."""
    contract = TABLES.get("/".join(asset_key.path))
    if contract is None:
        raise ContractError(f"{asset_key.to_user_string()} has no contract; add one to music_platform.tables.catalogue")
    return contract


def _cell(value: object) -> str:
    return "" if value is None else inert(str(value), longest=_LONGEST_CELL)
