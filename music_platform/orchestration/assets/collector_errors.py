"""The asset of what the collector could not file: every error record of an hour as one row.

Events among them for which the collector had no room are landed first: nothing is wrong with them, so no person has to look.
"""

import dagster as dg

from music_platform.lake.partition_sets import StagedPartitions
from music_platform.landing.error_rows import collector_errors
from music_platform.landing.landed_partitions import LandedPartitions
from music_platform.landing.replay import replay_error_records
from music_platform.orchestration.assets.tables import (
    LAKE_IO_MANAGER,
    SINGLE_RUN,
    GoneInputsConfig,
    gone_inputs_of,
    pool_of,
    spec_arguments,
    stage_landed,
)
from music_platform.tables.collector_errors import COLLECTOR_ERRORS, NOT_BUFFERED
from music_platform.tables.contract import Layer
from music_platform.tables.events import EVENT_TYPES

TRANSFORM_VERSION = "2"  # raise it when the same error records give other rows than before


def collector_errors_asset(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """quarantine/collector_errors; its input lies in `errors/` of the lake."""

    @dg.asset(
        **spec_arguments(
            COLLECTOR_ERRORS,
            # A tag is known when it names an event type.
            transform_versions=[",".join(EVENT_TYPES), TRANSFORM_VERSION],
            kinds={"spark", "parquet", "quarantine"},
        ),
        ins={"landed": dg.AssetIn(key=[str(Layer.LANDING), COLLECTOR_ERRORS.name])},
        partitions_def=partitions,
        pool=pool_of(COLLECTOR_ERRORS),
        backfill_policy=SINGLE_RUN,
        io_manager_key=LAKE_IO_MANAGER,
    )
    def quarantined(
        context: dg.AssetExecutionContext, config: GoneInputsConfig, landed: LandedPartitions
    ) -> dg.Output[StagedPartitions]:
        keys = [found.key for objects in landed.objects.values() for found in objects]
        replayed = replay_error_records(landed.lake.store, keys, reason=NOT_BUFFERED)
        if replayed.events:
            context.log.info(
                f"{replayed.events:,} events for which the collector had no room: {replayed.objects_written:,} objects "
                f"landed, {replayed.objects_unchanged:,} were there already"
            )
        return stage_landed(context, gone_inputs_of(context, config), landed, collector_errors)

    return quarantined
