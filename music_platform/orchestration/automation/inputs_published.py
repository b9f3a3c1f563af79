"""The operand of the daily tier's condition that holds a day back until its table can be made.

Four words say in what state a partition of a table is:

- published: Dagster's instance knows a materialization of it;
- requested: this tick requests it, so that it is made by the run that makes what depends on it;
- available: it is published or requested;
- can be made (a day): each input covers the day by available partitions, and the day before is available or can be made where
  the table carries that forward.
"""

from __future__ import annotations

import dagster as dg

from music_platform.orchestration.automation.subsets import subset_of
from music_platform.orchestration.dagster_internals import EntitySubset
from music_platform.partitions import contiguous_ranges, day_of_key, is_day, partition_before


class InputsArePublished(dg.AutomationCondition[dg.AssetKey]):
    """Days that can be made and whose checks find the tables that they compare with.

    A day that the asset would refuse waits here instead of failing a run.
    """

    @property
    def description(self) -> str:
        return "Of every input the same day is materialized, without a hole, and the day before of the table itself"

    async def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:  # pyright: ignore[reportIncompatibleMethodOverride]
        table = context.key
        days = set(context.candidate_subset.expensively_compute_partition_keys())
        days = await _covered_by_all_inputs(context, table, days)
        # After the other inputs: a day that lacks one of them carries nothing forward.
        if days and table in context.asset_graph.get(table).parent_keys:
            days = _with_day_before(days, set((await _available(context, table)).expensively_compute_partition_keys()))
        for other in sorted(_compared_by_checks(context)):
            days = await _published_or_can_be_made(context, other, days)
        return dg.AutomationResult(context, subset_of(context, table, days))


async def _covered_by_all_inputs(
    context: dg.AutomationContext[dg.AssetKey], table: dg.AssetKey, days: set[str]
) -> set[str]:
    """Those of a table's days that each of its inputs covers; the table itself is left out."""
    for source in sorted(context.asset_graph.get(table).parent_keys - {table}):
        if not days:
            break
        available = await _available(context, source)
        days = {day for day in days if _covers_day(context, table, source, day, available)}
    return days


async def _available(context: dg.AutomationContext[dg.AssetKey], table: dg.AssetKey) -> EntitySubset[dg.AssetKey]:
    """The partitions of a table that are published, or requested by this tick."""
    published = await context.asset_graph_view.compute_materialized_asset_subset(key=table)
    requested = context.request_subsets_by_key.get(table)
    return published if requested is None else published.compute_union(requested)


def _covers_day(
    context: dg.AutomationContext[dg.AssetKey],
    table: dg.AssetKey,
    source: dg.AssetKey,
    day: str,
    available: EntitySubset[dg.AssetKey],
) -> bool:
    """Whether an input has partitions of a table's day and, among all that the table reads for the day, no hole.

    The last partitions may be missing, because the present is unfinished. The first ones may be missing where the history
    begins: then the hour before them is not available either.
    """
    read = subset_of(context, table, {day}).compute_mapped_subset(source, direction="up")
    wanted = sorted(read.expensively_compute_partition_keys())
    found = sorted(read.compute_intersection(available).expensively_compute_partition_keys())
    if day not in map(day_of_key, found) or len(contiguous_ranges(found)) > 1:
        return False
    if found[0] == wanted[0] or is_day(found[0]):
        return True
    hour_before = subset_of(context, source, {partition_before(wanted[0])})
    return hour_before.compute_intersection(available).is_empty


def _with_day_before(days: set[str], available: set[str]) -> set[str]:
    """Those of the days whose previous day is available or among them, and the first day of the table's history."""
    can_be_made: set[str] = set()
    first = min(available, default=None)
    for day in sorted(days):
        before = partition_before(day)
        begins_history = not can_be_made and (first is None or day <= first)
        if before in available or before in can_be_made or begins_history:
            can_be_made.add(day)
    return can_be_made


def _compared_by_checks(context: dg.AutomationContext[dg.AssetKey]) -> set[dg.AssetKey]:
    """The daily tables that the asset's checks compare it with, and that it is not made from."""
    graph = context.asset_graph
    checks = graph.get_check_keys_for_assets({context.key})
    compared = {key for check in checks for key in graph.get(check).parent_entity_keys}
    daily = {key for key in compared if graph.get(key).tags.get("cadence") == "daily"}
    return daily - graph.get(context.key).parent_keys - {context.key}


async def _published_or_can_be_made(
    context: dg.AutomationContext[dg.AssetKey], table: dg.AssetKey, days: set[str]
) -> set[str]:
    """Those of the days of which another table is published, or has its inputs and so is made by the same run.

    Otherwise the asset would be made and its check would fail: an hour's silver is published before the hour's facts.
    """
    published = await context.asset_graph_view.compute_materialized_asset_subset(key=table)
    missing = days - published.expensively_compute_partition_keys()
    return (days - missing) | await _covered_by_all_inputs(context, table, missing)
