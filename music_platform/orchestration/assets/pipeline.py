"""The asset gold/pipeline: an hour's manifests as rows, once the hour's tables are published."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import pyarrow as pa

from music_platform.lake.lake import Lake
from music_platform.lake.manifest import Manifest, Source, read_manifest
from music_platform.lake.partition_sets import StagedPartitions
from music_platform.lake.quarantined import rows_by_rule
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.assets.tables import LAKE_IO_MANAGER, SINGLE_RUN, pool_of, spec_arguments
from music_platform.orchestration.partitions_definitions import require_forward_range
from music_platform.orchestration.spark_resource import SparkResource
from music_platform.partitions import hour_of_key
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.contract import Layer, TableContract
from music_platform.tables.pipeline import COLLECTOR, PIPELINE, WATCHED
from music_platform.tables.schemas import arrow_schema

TRANSFORM_VERSION = "1"  # raise it when the same manifests come to give other rows


def pipeline_asset(hours: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """gold/pipeline, downstream of every hourly table of the lake."""

    @dg.asset(
        **spec_arguments(PIPELINE, transform_versions=[TRANSFORM_VERSION], kinds={"parquet", "gold"}),
        deps=[contract.asset_key for contract in WATCHED],
        partitions_def=hours,
        backfill_policy=SINGLE_RUN,
        pool=pool_of(PIPELINE),
        io_manager_key=LAKE_IO_MANAGER,
    )
    def pipeline(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], spark: SparkResource
    ) -> dg.Output[StagedPartitions]:
        require_forward_range(context.run)
        return dg.Output(stage_pipeline(context.partition_keys, lake, spark.engine, context.run_id))

    return pipeline


def stage_pipeline(hours: Sequence[str], lake: Lake, spark: SparkEngine, run_id: str) -> StagedPartitions:
    """Write the hours' rows, for the IO manager to publish; a table of which an hour was never published has none."""
    wanted = [(contract, hour) for hour in hours for contract in WATCHED]
    found = lake.map_requests(lambda pair: read_manifest(lake.store, *pair), wanted)
    published = [(contract, entry[0]) for (contract, _), entry in zip(wanted, found, strict=True) if entry is not None]
    sources: dict[str, list[Source]] = {hour: [] for hour in hours}
    for _, manifest in published:
        sources[manifest.partition].append(manifest.as_source())
    rows = [row for contract, manifest in published for row in _rows_of(contract, manifest, lake)]
    staged = StagedPartitions.begin(PIPELINE, run_id, sources)
    if not rows:
        return staged  # Spark makes no frame of nothing; the hours are published as empty
    table = pa.Table.from_pylist(rows, schema=arrow_schema(PIPELINE.columns))
    frame = spark.session_for(lake).createDataFrame(table).repartition(1)
    staged.write(frame, hours, lake, rows_are_scattered=True)
    return staged


def _rows_of(contract: TableContract, manifest: Manifest, lake: Lake) -> Iterator[dict[str, Any]]:
    hour = hour_of_key(manifest.partition)
    lag = datetime.fromisoformat(manifest.created_at) - (hour + timedelta(hours=1))
    counts = _rows_by_rule(contract, manifest, lake) or [(None, manifest.rows)]
    for number, (rule, count) in enumerate(counts):
        yield {
            "hour_time": hour,
            "layer": COLLECTOR if contract is COLLECTOR_ERRORS else str(contract.layer),
            "table_name": contract.name,
            "rule": rule,
            "row_count": count,
            "byte_count": manifest.bytes if number == 0 else 0,
            "lag_seconds": max(lag.total_seconds(), 0.0),
        }


def _rows_by_rule(contract: TableContract, manifest: Manifest, lake: Lake) -> list[tuple[str, int]]:
    """The rules with the most rows first; none where the table has no rules or no rows."""
    if contract.layer is not Layer.QUARANTINE:
        return []
    return rows_by_rule(lake, [manifest])
