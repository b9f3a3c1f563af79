"""The operands of the daily tier's automation condition that Dagster does not have: edges, moments and guards over days.

How they are put together stands in daily_tier.py. Each is evaluated in the code location, for one asset and all its days.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import dagster as dg

from music_platform.orchestration.automation.run_tags import PARTITION, RANGE_END, RANGE_START, REQUESTED
from music_platform.orchestration.dagster_internals import AssetKeyPartitionKey, EntitySubset, TimingMetadata
from music_platform.partitions import day_of_key, is_day, partition_before


class InputsUpdated(dg.AutomationCondition[dg.AssetKey]):
    """Days of which an input was materialized since the last tick, by a run that does not make these days as well.

    Dagster's own any_deps_updated asks only whether the run made the asset, whatever the day; then a range run of a table that
    carries forward would request each of its days once more, and a run of one day would never reach the days around it.
    Where the table's own day before was made, all later days that exist are stale: each is made from the one before it.
    """

    @property
    def description(self) -> str:
        return "An input was updated since the last tick, by a run that does not make this day"

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        updated = context.get_empty_subset()
        if context.previous_max_storage_id is not None:
            for key in sorted(context.asset_graph.get(context.key).parent_keys):
                for run_id, made in _updates(context, key).items():
                    days = made.compute_mapped_subset(context.key, direction="down")
                    stale = set(days.expensively_compute_partition_keys())
                    if key == context.key and stale:
                        stale |= _later_days(context, min(stale))
                    stale -= _days_of_run(context, run_id, stale)
                    updated = updated.compute_union(_days(context, context.key, stale))
        # What came after the last tick came after what that tick requested.
        timing = None if updated.is_empty else TimingMetadata(timestamps={context.evaluation_time.timestamp(): updated})
        return dg.AutomationResult(
            context, context.candidate_subset.compute_intersection(updated), timing_metadata=timing
        )


class QuietMoment(dg.AutomationCondition[dg.AssetKey]):
    """All days at once: when no hourly table was materialized for so many seconds, or else once in the longest wait.

    The same answer for every asset of a tick, so that what is stale together is requested together.
    """

    def __init__(self, quiet_seconds: float, longest_wait_seconds: float) -> None:
        self._quiet_seconds = quiet_seconds
        self._longest_wait_seconds = longest_wait_seconds

    @property
    def description(self) -> str:
        return (
            f"No hourly table was updated for {self._quiet_seconds:g} seconds, or {self._longest_wait_seconds:g} seconds "
            "have passed"
        )

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        now, before = context.evaluation_time.timestamp(), context.previous_evaluation_time
        waited = (
            before is not None and now // self._longest_wait_seconds != before.timestamp() // self._longest_wait_seconds
        )
        is_moment = waited or now - _latest_hourly_update(context) >= self._quiet_seconds
        return dg.AutomationResult(context, context.candidate_subset if is_moment else context.get_empty_subset())


class AttemptsLeft(dg.AutomationCondition[dg.AssetKey]):
    """Days that were not requested so many times in vain, that is without being materialized since.

    Each further attempt waits twice as long as the one before. Whatever materializes the day, such as a person who mended
    what was wrong, restarts the count.
    """

    def __init__(self, attempts: int, pause_seconds: float) -> None:
        self._attempts = attempts
        self._pause_seconds = pause_seconds

    @property
    def description(self) -> str:
        return f"Not requested {self._attempts} times in vain"

    async def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:  # pyright: ignore[reportIncompatibleMethodOverride]
        everything = context.asset_graph_view.get_full_subset(key=context.key)
        requested, updated = [
            await context.for_child_condition(condition, [index], everything).evaluate_async()
            for index, condition in enumerate(
                (dg.AutomationCondition.newly_requested(), dg.AutomationCondition.newly_updated())
            )
        ]
        attempts: dict[str, list[float]] = json.loads(context.cursor or "{}")  # by day: how many, and when the last
        before = context.previous_evaluation_time
        if before is not None:
            for day in requested.true_subset.expensively_compute_partition_keys():
                attempts[day] = [attempts.get(day, [0.0])[0] + 1, before.timestamp()]
        for day in updated.true_subset.expensively_compute_partition_keys():
            attempts.pop(day, None)
        now = context.evaluation_time.timestamp()
        held = {
            day
            for day, (count, last) in attempts.items()
            if count >= self._attempts or now - last < self._pause_seconds * 2 ** (count - 1)
        }
        return dg.AutomationResult(
            context,
            context.candidate_subset.compute_difference(_days(context, context.key, held)),
            cursor=json.dumps(attempts, sort_keys=True),
            child_results=[requested, updated],
        )


class InputsArePublished(dg.AutomationCondition[dg.AssetKey]):
    """Days that can be made: their own day of every input is there, without a hole, and the day that they carry forward.

    What the assets would refuse is left waiting here, instead of failing a run.
    """

    @property
    def description(self) -> str:
        return "Of every input the same day is materialized, without a hole, and the day before of the table itself"

    async def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:  # pyright: ignore[reportIncompatibleMethodOverride]
        candidates = context.candidate_subset
        ready = set(candidates.expensively_compute_partition_keys())
        # Its own day before last: a day that lacks another input carries nothing forward.
        for key in sorted(context.asset_graph.get(context.key).parent_keys, key=lambda key: key == context.key):
            if not ready:
                break
            there = await context.asset_graph_view.compute_materialized_asset_subset(key=key)
            if (requested := context.request_subsets_by_key.get(key)) is not None:
                there = there.compute_union(requested)
            if key == context.key:
                ready = _with_day_before(ready, set(there.expensively_compute_partition_keys()))
            else:
                ready = {day for day in ready if _is_there(context, context.key, key, day, there)}
        for key in sorted(_compared_by_checks(context)):
            if ready:
                ready &= await _made_or_ready(context, key, ready)
        return dg.AutomationResult(context, _days(context, context.key, ready))


def _compared_by_checks(context: dg.AutomationContext) -> set[dg.AssetKey]:
    """The tables that the asset's checks compare it with, and that it is not made from."""
    graph = context.asset_graph
    checks = graph.get_check_keys_for_assets({context.key})
    compared = {key for check in checks for key in graph.get(check).parent_entity_keys if isinstance(key, dg.AssetKey)}
    daily = {key for key in compared if graph.get(key).tags.get("cadence") == "daily"}
    return daily - graph.get(context.key).parent_keys - {context.key}


async def _made_or_ready(context: dg.AutomationContext, key: dg.AssetKey, days: set[str]) -> set[str]:
    """Those of the days of which another table is there, or has its inputs and so is made in the same run.

    Without it the asset would be made and its check fail: an hour's silver is there before the hour's facts.
    """
    view = context.asset_graph_view
    missing = days - (await view.compute_materialized_asset_subset(key=key)).expensively_compute_partition_keys()
    ready = days - missing
    for parent in sorted(context.asset_graph.get(key).parent_keys - {key}):
        there = await view.compute_materialized_asset_subset(key=parent)
        if (requested := context.request_subsets_by_key.get(parent)) is not None:
            there = there.compute_union(requested)
        missing = {day for day in missing if _is_there(context, key, parent, day, there)}
    return ready | missing


def _updates(context: dg.AutomationContext, key: dg.AssetKey) -> dict[str | None, EntitySubset]:
    """The partitions of an asset that were materialized since the last tick, by the runs that did."""
    queryer = context.asset_graph_view.get_inner_queryer_for_back_compat()
    by_run: dict[str | None, set[str]] = {}
    for record in queryer.get_asset_materializations_updated_after_cursor(
        asset_key=key, after_cursor=context.previous_max_storage_id or 0, before_cursor=context.max_storage_id
    ):
        if record.partition is not None:
            by_run.setdefault(record.run_id, set()).add(record.partition)
    return {run_id: _days(context, key, _stale_ones(context, key, run_id, made)) for run_id, made in by_run.items()}


def _stale_ones(context: dg.AutomationContext, key: dg.AssetKey, run_id: str | None, made: set[str]) -> set[str]:
    """Of the days that a range run of this tier made those that were stale: the others are what they were before.

    All of them where the table carries forward: there each day follows from the one before.
    """
    run = _run(context, run_id)
    requested = json.loads(run.tags.get(REQUESTED, "{}")) if run is not None else {}
    if key.to_user_string() not in requested or key in context.asset_graph.get(key).parent_keys:
        return made
    first, last = requested[key.to_user_string()]
    return {day for day in made if first <= day <= last}


def _days_of_run(context: dg.AutomationContext, run_id: str | None, days: Iterable[str]) -> set[str]:
    """Those of the days that a run makes, or has made, of the asset that is looked at."""
    run = _run(context, run_id)
    if run is None:
        return set()
    instance = context.asset_graph_view.instance
    planned = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    ).records
    if not any(record.event_log_entry.get_dagster_event().asset_key == context.key for record in planned):
        return set()
    if PARTITION in run.tags:
        return {day for day in days if day == run.tags[PARTITION]}
    if RANGE_START in run.tags:
        return {day for day in days if run.tags[RANGE_START] <= day <= run.tags[RANGE_END]}
    return set()


def _run(context: dg.AutomationContext, run_id: str | None) -> dg.DagsterRun | None:
    """The run that made a materialization; None for one that was reported from elsewhere, and for a deleted run."""
    return context.asset_graph_view.instance.get_run_by_id(run_id) if run_id else None


def _latest_hourly_update(context: dg.AutomationContext) -> float:
    """When any hourly table was materialized last, in seconds since 1970; 0 if none ever was."""
    queryer = context.asset_graph_view.get_inner_queryer_for_back_compat()
    latest = 0.0
    for key in context.asset_graph.materializable_asset_keys:
        if context.asset_graph.get(key).tags.get("cadence") == "hourly":
            record = queryer.get_asset_record(key)
            entry = None if record is None else record.asset_entry.last_materialization_record
            latest = max(latest, 0.0 if entry is None else entry.timestamp)
    return latest


def _later_days(context: dg.AutomationContext, first: str) -> set[str]:
    everything = context.asset_graph_view.get_full_subset(key=context.key)
    return {day for day in everything.expensively_compute_partition_keys() if day >= first}


def _with_day_before(days: Iterable[str], materialized: set[str]) -> set[str]:
    """Days whose day before is there or becomes so with them, and the first day of all."""
    ready: set[str] = set()
    first = min(materialized, default=None)
    for day in sorted(days):
        before = partition_before(day)
        if before in materialized or before in ready or (not ready and (first is None or day <= first)):
            ready.add(day)
    return ready


def _is_there(context: dg.AutomationContext, of: dg.AssetKey, key: dg.AssetKey, day: str, there: EntitySubset) -> bool:
    """Whether an input of the asset ``of`` has partitions of the day and no hole, nor one between it and the day before."""
    wanted = _days(context, of, {day}).compute_mapped_subset(key, direction="up")
    keys = sorted(wanted.expensively_compute_partition_keys())
    found = wanted.compute_intersection(there).expensively_compute_partition_keys()
    published = [index for index, partition in enumerate(keys) if partition in found]
    if not any(day_of_key(partition) == day for partition in found):
        return False
    begins_later = published[0] > 0 and not is_day(
        keys[0]
    )  # hours, of which the first are missing: history may begin here
    if begins_later and not _days(context, key, {partition_before(keys[0])}).compute_intersection(there).is_empty:
        return False
    return published[-1] - published[0] + 1 == len(published)


def _days(context: dg.AutomationContext, key: dg.AssetKey, partitions: Iterable[str]) -> EntitySubset[Any]:
    """The subset of an asset with these partitions, without those that do not exist (any more)."""
    return context.asset_graph_view.get_asset_subset_from_asset_partitions(
        key, {AssetKeyPartitionKey(key, partition) for partition in partitions}, validate_existence=True
    )
