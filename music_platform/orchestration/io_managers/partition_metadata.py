"""Metadata for each partition's materialization in a run, in place of the same for all of them.

Only this module knows how Dagster keeps it: see ``add_partition_metadata``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from music_platform.orchestration.dagster_internals import StepExecutionContext


def standard_counts(rows: int, size: int | None = None) -> dict[str, int]:
    """A partition's rows and bytes under the names by which Dagster plots them and shows them in its catalogue.

    Its UI reads ``dagster/row_count``, and knows ``dagster/partition_row_count`` as any other number; a materialization is of
    one partition, so both are its rows.
    """
    counts = {"dagster/row_count": rows, "dagster/partition_row_count": rows}
    return counts if size is None else {**counts, "dagster/size_bytes": size}


def add_partition_metadata(
    step: StepExecutionContext, asset_key: dg.AssetKey, metadata: Mapping[str, Mapping[str, Any]]
) -> None:
    """Give each partition's materialization, which Dagster records when the step ends, its own metadata.

    Like Dagster's ``add_asset_metadata`` for each partition. That method lists all partitions of the run at every call to find
    the partition among them: four milliseconds for a month of hours, so three seconds per table.
    """
    # Dagster offers no way to replace the accumulator but this attribute.
    accumulator = step._metadata_accumulator  # pyright: ignore[reportPrivateUsage]
    for partition, of_partition in metadata.items():
        accumulator = accumulator.with_additional_asset_metadata(asset_key, partition, of_partition)
    step._metadata_accumulator = accumulator  # pyright: ignore[reportPrivateUsage]
