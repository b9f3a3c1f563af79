"""The Parquet lake's IO manager: publishes what assets staged or computed, and opens partitions for what lies downstream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg
from pyspark.sql import DataFrame

from music_platform.contracts.pipeline import PIPELINE
from music_platform.contracts.table import TableContract
from music_platform.contracts.tables import TABLES
from music_platform.errors import ContractError, ManifestCorruptError
from music_platform.io_managers.manifest import MANIFEST_NAME, Manifest, Source, partition_folder
from music_platform.io_managers.parquet_reader import batches_of_object
from music_platform.io_managers.partition_sets import StagedPartitions, StoredPartitions
from music_platform.io_managers.publish import Published, publish_partitions
from music_platform.partitions import describe_partitions, require_forward_range
from music_platform.resources.lake import Lake
from music_platform.resources.spark import SparkResource

MAY_LACK_PARTITIONS = "may_lack_partitions"
"""Metadata of an input whose first or last partitions need not be published: those of an unfinished day, say."""
_PREVIEW_ROWS = 5
_PREVIEW_ROWS_OF_LONG_RANGES = 1  # each partition of the range records it anew
_LONG_RANGE = 24
_CONTRACTS = {**TABLES, PIPELINE.path: PIPELINE}


class ParquetLakeIOManager(dg.IOManager):
    """Reads and writes tables of the lake, one partition or a range of hundreds.

    Takes a lazy Spark DataFrame (written in one engine pass) or StagedPartitions. Gives a lazy DataFrame of any number of
    partitions, or, to a parameter annotated so, StoredPartitions.
    """

    def __init__(self, lake: Lake, spark: SparkResource) -> None:
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
        context.log.info(
            f"{contract.path}: published {describe_partitions(partitions)}, {metadata['rows']:,} rows, "
            f"{metadata['unchanged_partitions']} partitions unchanged"
        )
        context.add_output_metadata(metadata)

    def publish(self, staged: StagedPartitions, partitions: Sequence[str], run_id: str) -> dict[str, Any]:
        """Publish each of the partitions, empty ones explicitly, and return the metadata of the materialization.

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
        """A partition that is replaced while it is read loses its files, and the embedded engine reads those as no rows."""
        own = {partition_folder(staged.contract.path, partition) for partition in staged.made}
        read = {
            source
            for sources in staged.sources.values()
            for source in sources
            if not source.is_landed and source.key not in own  # what this very run makes is yet to be published
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

    def _metadata(self, contract: TableContract, published: dict[str, Published]) -> dict[str, Any]:
        """Counts from the manifests; a preview from the first rows of one file. The data is not scanned again."""
        manifests = [entry.manifest for entry in published.values()]
        rows = sum(manifest.rows for manifest in manifests)
        counts: dict[str, int] = {}
        for manifest in manifests:
            for name, count in manifest.counts.items():
                counts[name] = counts.get(name, 0) + count
        metadata: dict[str, Any] = {
            "rows": rows,  # of all partitions of the run: Dagster gives each of them the same metadata
            "bytes": sum(manifest.bytes for manifest in manifests),
            "files": sum(len(manifest.files) for manifest in manifests),
            "partitions": len(manifests),
            "unchanged_partitions": sum(entry.is_unchanged for entry in published.values()),
            "dagster/uri": self._lake.store.url(contract.path),
            **counts,
        }
        if len(manifests) == 1:
            metadata["dagster/partition_row_count"] = rows
            metadata["sources"] = len(manifests[0].sources)
        sample = next((manifest for manifest in reversed(manifests) if manifest.files), None)
        if sample is not None:
            metadata["preview"] = dg.MetadataValue.md(
                self._preview(sample, _PREVIEW_ROWS if len(manifests) <= _LONG_RANGE else _PREVIEW_ROWS_OF_LONG_RANGES)
            )
        return metadata

    def _preview(self, manifest: Manifest, rows: int) -> str:
        batch = next(batches_of_object(self._lake.store, manifest.keys[0], rows))
        cells = [[_cell(value) for value in row.values()] for row in batch.to_pylist()]
        lines = [batch.schema.names, ["---"] * batch.num_columns, *cells]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def contract_of(asset_key: dg.AssetKey) -> TableContract:
    """The contract of a table's asset; ``ContractError`` when no table has that key."""
    contract = _CONTRACTS.get("/".join(asset_key.path))
    if contract is None:
        raise ContractError(f"{asset_key.to_user_string()} has no contract; add one to music_platform.contracts.tables")
    return contract


def _cell(value: object) -> str:
    text = "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")
    return text if len(text) <= 60 else f"{text[:60]}…"
