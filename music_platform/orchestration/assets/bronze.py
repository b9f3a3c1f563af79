"""The bronze assets: every landed line of an hour as one row."""

import dagster as dg

from music_platform.lake.partition_sets import StagedPartitions
from music_platform.landing.landed_partitions import LandedPartitions
from music_platform.orchestration.assets.tables import (
    LAKE_IO_MANAGER,
    SINGLE_RUN,
    GoneInputsConfig,
    gone_inputs_of,
    pool_of,
    spec_arguments,
    stage_landed,
)
from music_platform.tables.bronze import BRONZE
from music_platform.tables.contract import Layer
from music_platform.tables.events import EVENT_CONTRACTS, EventContract
from music_platform.tables.transforms.bronze import bronze_events

TRANSFORM_VERSION = "3"  # raise it when the same objects give other rows than before


def bronze_assets(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """One asset for each event type."""
    return [_bronze_asset(event, partitions) for event in EVENT_CONTRACTS.values()]


def _bronze_asset(event: EventContract, partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    contract = BRONZE[event.name]

    @dg.asset(
        **spec_arguments(contract, transform_versions=[TRANSFORM_VERSION], kinds={"spark", "parquet", "bronze"}),
        ins={"landed": dg.AssetIn(key=[str(Layer.LANDING), event.name])},
        partitions_def=partitions,
        backfill_policy=SINGLE_RUN,
        pool=pool_of(contract),
        io_manager_key=LAKE_IO_MANAGER,
    )
    def bronze(
        context: dg.AssetExecutionContext, config: GoneInputsConfig, landed: LandedPartitions
    ) -> dg.Output[StagedPartitions]:
        return stage_landed(context, gone_inputs_of(context, config), landed, lambda lines: bronze_events(lines, event))

    return bronze
