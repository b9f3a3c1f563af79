"""Operands of the daily tier's automation condition that Dagster does not have: which days became stale, and when to make them.

The operand in inputs_published.py says which days can be made; daily_tier.py combines them. Each is evaluated in the code
location, for one asset and all its days.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import dagster as dg

from music_platform.orchestration.automation.run_tags import PARTITION, RANGE_END, RANGE_START, REQUESTED
from music_platform.orchestration.automation.subsets import subset_of
from music_platform.orchestration.dagster_internals import EntitySubset, TimingMetadata


class InputsUpdated(dg.AutomationCondition[dg.AssetKey]):
    """Days of which an input was materialized since the last tick, by a run that does not make these days as well.

    Dagster's own any_deps_updated asks only whether the run made the asset, on whatever day. With it, a range run of a
    table that carries forward would request all its days again, and a run of one day would never reach the days around it.
    Where the table's own day before was made, all later days that exist are stale: each is made from the one before it.
    """

    @property
    def description(self) -> str:
        return "An input was updated since the last tick, by a run that does not make this day"

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        updated = context.get_empty_subset()
        if context.previous_max_storage_id is not None:
            for key in sorted(context.asset_graph.get(context.key).parent_keys):
                for run_id, changed in _updates_by_run(context, key).items():
                    days = changed.compute_mapped_subset(context.key, direction="down")
                    stale = set(days.expensively_compute_partition_keys())
                    if key == context.key and stale:
                        stale |= _days_from(context, min(stale))
                    stale -= _days_made_by(context, run_id, stale)
                    updated = updated.compute_union(subset_of(context, context.key, stale))
        # An update since the last tick is later than what that tick requested.
        timing = None if updated.is_empty else TimingMetadata(timestamps={context.evaluation_time.timestamp(): updated})
        return dg.AutomationResult(
            context, context.candidate_subset.compute_intersection(updated), timing_metadata=timing
        )


class QuietMoment(dg.AutomationCondition[dg.AssetKey]):
    """All days at once: when no hourly table was materialized for so many seconds, and at least once per longest wait.

    Every asset of a tick gets the same answer, so that days that are stale together are requested together.
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

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        now, before = context.evaluation_time.timestamp(), context.previous_evaluation_time
        waited = (
            before is not None and now // self._longest_wait_seconds != before.timestamp() // self._longest_wait_seconds
        )
        is_moment = waited or now - _latest_hourly_update(context) >= self._quiet_seconds
        return dg.AutomationResult(context, context.candidate_subset if is_moment else context.get_empty_subset())


class AttemptsLeft(dg.AutomationCondition[dg.AssetKey]):
    """Days with fewer failed requests than the limit; a request fails when the day is not materialized after it.

    Each further attempt waits twice as long as the one before. Any materialization of the day restarts the count, for
    example by a person who repaired the cause.

    Dagster's ``execution_failed().newly_true()`` cannot count the attempts: when a run begins and fails between two ticks,
    the day counts as failed at both, so nothing is newly true. A day whose run was canceled or never began does not count
    as failed at all.
    """

    def __init__(self, attempts: int, pause_seconds: float) -> None:
        self._attempts = attempts
        self._pause_seconds = pause_seconds

    @property
    def description(self) -> str:
        return f"Not requested {self._attempts} times in vain"

    async def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:  # pyright: ignore[reportIncompatibleMethodOverride]
        everything = context.asset_graph_view.get_full_subset(key=context.key)
        requested, updated = [
            await context.for_child_condition(condition, [index], everything).evaluate_async()
            for index, condition in enumerate(
                (dg.AutomationCondition.newly_requested(), dg.AutomationCondition.newly_updated())
            )
        ]
        # By day: how many attempts, and the time of the last one.
        attempts: dict[str, list[float]] = json.loads(context.cursor or "{}")
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
            context.candidate_subset.compute_difference(subset_of(context, context.key, held)),
            cursor=json.dumps(attempts, sort_keys=True),
            child_results=[requested, updated],
        )


def _updates_by_run(
    context: dg.AutomationContext[dg.AssetKey], key: dg.AssetKey
) -> dict[str | None, EntitySubset[dg.AssetKey]]:
    """The partitions of an asset that changed since the last tick, by the run that materialized them."""
    queryer = context.asset_graph_view.get_inner_queryer_for_back_compat()
    by_run: dict[str | None, set[str]] = {}
    for record in queryer.get_asset_materializations_updated_after_cursor(
        asset_key=key, after_cursor=context.previous_max_storage_id or 0, before_cursor=context.max_storage_id
    ):
        if record.partition is not None:
            by_run.setdefault(record.run_id, set()).add(record.partition)
    return {
        run_id: subset_of(context, key, _changed_by_run(context, key, run_id, made)) for run_id, made in by_run.items()
    }


def _changed_by_run(
    context: dg.AutomationContext[dg.AssetKey], key: dg.AssetKey, run_id: str | None, made: set[str]
) -> set[str]:
    """The days of a table that changed, among those that a run made.

    A range run of this tier also makes days that were not stale; their rows stay the same. Where the table carries forward,
    all days count as changed, because each is made from the one before.
    """
    run = _run(context, run_id)
    requested = json.loads(run.tags.get(REQUESTED, "{}")) if run is not None else {}
    if key.to_user_string() not in requested or key in context.asset_graph.get(key).parent_keys:
        return made
    first, last = requested[key.to_user_string()]
    return {day for day in made if first <= day <= last}


def _days_made_by(context: dg.AutomationContext[dg.AssetKey], run_id: str | None, days: Iterable[str]) -> set[str]:
    """Those of the days that a run makes, or has made, of the evaluated asset."""
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


def _run(context: dg.AutomationContext[dg.AssetKey], run_id: str | None) -> dg.DagsterRun | None:
    """The run that made a materialization; None for one that was reported from elsewhere, and for a deleted run."""
    return context.asset_graph_view.instance.get_run_by_id(run_id) if run_id else None


def _latest_hourly_update(context: dg.AutomationContext[dg.AssetKey]) -> float:
    """When any hourly table was materialized last, in seconds since 1970; 0 if none ever was."""
    queryer = context.asset_graph_view.get_inner_queryer_for_back_compat()
    latest = 0.0
    for key in context.asset_graph.materializable_asset_keys:
        if context.asset_graph.get(key).tags.get("cadence") == "hourly":
            record = queryer.get_asset_record(key)
            entry = None if record is None else record.asset_entry.last_materialization_record
            latest = max(latest, 0.0 if entry is None else entry.timestamp)
    return latest


def _days_from(context: dg.AutomationContext[dg.AssetKey], first: str) -> set[str]:
    everything = context.asset_graph_view.get_full_subset(key=context.key)
    return {day for day in everything.expensively_compute_partition_keys() if day >= first}
