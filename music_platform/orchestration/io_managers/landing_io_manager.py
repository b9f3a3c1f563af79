"""Opens landed objects for bronze assets. It never writes: Fluentd does, and landed objects are immutable."""

from __future__ import annotations

from typing import Any

import dagster as dg

from music_platform.errors import MusicPlatformError
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import list_errors, list_landing
from music_platform.lake.spark import SparkEngine
from music_platform.landing.landed_partitions import LandedPartitions
from music_platform.orchestration.partitions_definitions import require_forward_range
from music_platform.tables.bronze import BRONZE
from music_platform.tables.collector_errors import COLLECTOR_ERRORS


class LandingIOManager(dg.IOManager):
    """Loads ``landing/<event_type>``, and ``landing/collector_errors`` from `errors/`, as LandedPartitions."""

    def __init__(self, lake: Lake, spark: SparkEngine) -> None:
        self._lake = lake
        self._spark = spark

    def load_input(self, context: dg.InputContext) -> LandedPartitions:
        """The objects of the run's hours; an hour without objects is an hour without events."""
        require_forward_range(context.step_context.dagster_run)
        name, partitions = context.asset_key.path[-1], list(context.asset_partition_keys)
        if name == COLLECTOR_ERRORS.name:
            return open_errors(partitions, self._lake, self._spark)
        return open_landed(name, partitions, self._lake, self._spark)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ARG002
        """Refused: nothing but the collector writes here."""
        raise MusicPlatformError(f"{context.asset_key.to_user_string()} is written by the collector, not by Dagster")


def open_landed(event_type: str, partitions: list[str], lake: Lake, spark: SparkEngine) -> LandedPartitions:
    """The landed objects of an event type's hours."""
    return LandedPartitions.open(BRONZE[event_type], list_landing(lake.store, event_type, partitions), lake, spark)


def open_errors(partitions: list[str], lake: Lake, spark: SparkEngine) -> LandedPartitions:
    """The objects of error records by the hours in which they were collected."""
    return LandedPartitions.open(COLLECTOR_ERRORS, list_errors(lake.store, partitions), lake, spark)
