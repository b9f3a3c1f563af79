"""The asset of what the collector could not file: every error record of an hour as one row."""

import dagster as dg

from music_platform.assets.tables import (
    LAKE_IO_MANAGER,
    SINGLE_RUN,
    data_version_of,
    pool_of,
    spec_arguments,
    with_progress,
)
from music_platform.contracts.collector_errors import COLLECTOR_ERRORS
from music_platform.contracts.events import EVENT_TYPES
from music_platform.contracts.table import Layer
from music_platform.io_managers.partition_sets import LandedPartitions, StagedPartitions
from music_platform.transforms.collector_errors import collector_errors

TRANSFORM_VERSION = "2"  # raise it when the same error records come to give other rows


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
    def quarantined(context: dg.AssetExecutionContext, landed: LandedPartitions) -> dg.Output[StagedPartitions]:
        staged = StagedPartitions.begin(COLLECTOR_ERRORS, context.run_id, landed.sources())
        for batch in with_progress(context, COLLECTOR_ERRORS.path, landed.batches()):
            staged.write(collector_errors(landed.read(batch)), batch, landed.lake)
        return dg.Output(staged, data_version=data_version_of(staged, context.partition_keys))

    return quarantined
