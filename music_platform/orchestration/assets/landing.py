"""The landed objects as external assets: Fluentd writes them, Dagster only records them."""

from collections.abc import Sequence

import dagster as dg

from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.contract import Cadence, Layer
from music_platform.tables.events import EVENT_CONTRACTS

LANDING_IO_MANAGER = "landing_io_manager"


def landing_assets(partitions: dg.PartitionsDefinition) -> Sequence[dg.AssetSpec]:
    """One external asset for each event type, and one for what the collector could not file."""
    return [
        *(
            _landing_asset(
                event.name,
                f"{event.description} Gzip JSON lines as the collector lands them, by the hour of the event.",
                f"landing/{event.name}/dt=YYYY-MM-DD/hour=HH/",
                partitions,
            )
            for event in EVENT_CONTRACTS.values()
        ),
        _landing_asset(
            COLLECTOR_ERRORS.name,
            "What the collector could not file. Gzip JSON lines, by the hour in which it was collected.",
            "errors/dt=YYYY-MM-DD/",
            partitions,
        ),
    ]


def _landing_asset(name: str, description: str, path: str, partitions: dg.PartitionsDefinition) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=[str(Layer.LANDING), name],
        description=description,
        partitions_def=partitions,
        group_name=str(Layer.LANDING),
        kinds={"fluentd", "s3", "json"},
        owners=["team:data-platform"],
        tags={"cadence": str(Cadence.HOURLY)},
        metadata={"path": path},
    ).with_io_manager_key(LANDING_IO_MANAGER)
