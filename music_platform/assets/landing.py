"""The landed objects as external assets: Fluentd writes them, Dagster knows that they are there."""

from collections.abc import Sequence

import dagster as dg

from music_platform.contracts.events import EVENT_CONTRACTS
from music_platform.contracts.table import Cadence, Layer

LANDING_IO_MANAGER = "landing_io_manager"


def landing_assets(partitions: dg.PartitionsDefinition) -> Sequence[dg.AssetSpec]:
    """One external asset for each event type."""
    return [
        dg.AssetSpec(
            key=[str(Layer.LANDING), event.name],
            description=f"{event.description} Gzip JSON lines as the collector lands them, by the hour of the event.",
            partitions_def=partitions,
            group_name=str(Layer.LANDING),
            kinds={"fluentd", "s3", "json"},
            owners=["team:data-platform"],
            tags={"cadence": str(Cadence.HOURLY)},
            metadata={"path": f"landing/{event.name}/dt=YYYY-MM-DD/hour=HH/"},
        ).with_io_manager_key(LANDING_IO_MANAGER)
        for event in EVENT_CONTRACTS.values()
    ]
