"""Subsets of an asset's partitions, as automation conditions hand them to Dagster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from music_platform.orchestration.dagster_internals import AssetKeyPartitionKey, EntitySubset


def subset_of(
    context: dg.AutomationContext[dg.AssetKey], key: dg.AssetKey, partitions: Iterable[str]
) -> EntitySubset[Any]:
    """The subset of an asset with these partitions, without those that do not exist (any more)."""
    return context.asset_graph_view.get_asset_subset_from_asset_partitions(
        key, {AssetKeyPartitionKey(key, partition) for partition in partitions}, validate_existence=True
    )
