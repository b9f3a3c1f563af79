"""The gold assets that are made from manifests: their rows describe what was published of their inputs, by partition.

Their inputs' rows are never read. An input that was never published gives no rows.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

import dagster as dg

from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import list_landed
from music_platform.lake.manifest import Manifest, Source, read_manifest
from music_platform.lake.partition_sets import StagedPartitions
from music_platform.lake.quarantined import rows_by_rule
from music_platform.lake.song_catalogue import song_catalogue
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.assets.tables import LAKE_IO_MANAGER, SINGLE_RUN, pool_of, spec_arguments
from music_platform.orchestration.partitions_definitions import require_forward_range
from music_platform.orchestration.spark_resource import SparkResource
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.contract import Layer, TableContract
from music_platform.tables.events import EVENT_TYPES
from music_platform.tables.gold_table import Frames, GoldTable, PublishedPartition


def asset_of_manifests(table: GoldTable, partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The asset of a table that reads manifests, downstream of the tables that these describe."""

    @dg.asset(
        **spec_arguments(table.contract, transform_versions=[table.version], kinds={"parquet", "gold"}),
        deps=[wanted.contract.asset_key for wanted in table.inputs.values()],
        partitions_def=partitions,
        backfill_policy=SINGLE_RUN,
        pool=pool_of(table.contract),
        io_manager_key=LAKE_IO_MANAGER,
    )
    def gold(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], spark: SparkResource
    ) -> dg.Output[StagedPartitions]:
        require_forward_range(context.run)
        return dg.Output(stage_from_manifests(table, context.partition_keys, lake, spark.engine, context.run_id))

    return gold


def stage_from_manifests(
    table: GoldTable, partitions: Sequence[str], lake: Lake, spark: SparkEngine, run_id: str
) -> StagedPartitions:
    """Write the partitions' rows, for the IO manager to publish."""
    wanted = [(source.contract, partition) for partition in partitions for source in table.inputs.values()]
    found = lake.map_requests(lambda pair: read_manifest(lake.store, *pair), wanted)
    manifests = [(contract, entry[0]) for (contract, _), entry in zip(wanted, found, strict=True) if entry is not None]
    sources: dict[str, list[Source]] = {partition: [] for partition in partitions}
    for _, manifest in manifests:
        sources[manifest.partition].append(manifest.as_source())
    staged = StagedPartitions.begin(table.contract, run_id, sources)
    landed = _landed(lake, partitions, EVENT_TYPES)
    # An hour without errors is made of the same landing as its events.
    errors_landed = landed | _landed(lake, partitions, [COLLECTOR_ERRORS.name])
    published = [
        _published(
            contract,
            manifest,
            lake,
            (errors_landed if contract is COLLECTOR_ERRORS else landed).get(manifest.partition),
        )
        for contract, manifest in manifests
    ]
    session, catalogue = spark.session_for(lake), partial(song_catalogue, lake.settings)
    made = table.transform(Frames({}, None, partitions, session, catalogue, published))
    # In one task, so that each partition becomes one file: it has only some rows per table.
    staged.write(made.repartition(1), partitions, lake, rows_are_scattered=True)
    return staged


def _landed(lake: Lake, partitions: Sequence[str], kinds: Iterable[str]) -> dict[str, datetime]:
    """When the last object of those kinds landed, by partition; one without objects has no entry."""
    newest: dict[str, datetime] = {}
    for kind in kinds:
        for partition, folder in list_landed(lake.store, kind, partitions).items():
            for found in folder.objects:
                newest[partition] = max(found.last_modified, newest.get(partition, found.last_modified))
    return newest


def _published(contract: TableContract, manifest: Manifest, lake: Lake, landed: datetime | None) -> PublishedPartition:
    return PublishedPartition(
        contract,
        manifest.partition,
        manifest.rows,
        manifest.bytes,
        datetime.fromisoformat(manifest.created_at),
        rows_by_rule(lake, [manifest]) if contract.layer is Layer.QUARANTINE else (),
        landed,
    )
