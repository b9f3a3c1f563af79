"""How the daily tier follows the hours: one automation condition, and the sensor that turns what it requests into few runs.

The condition says which days of which tables are stale and when they are made. Its operands are in conditions.py and
inputs_published.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import dagster as dg

from music_platform.orchestration.automation.conditions import AttemptsLeft, InputsUpdated, QuietMoment
from music_platform.orchestration.automation.inputs_published import InputsArePublished
from music_platform.orchestration.automation.run_tags import PARTITION, RANGE_END, RANGE_START, REQUESTED
from music_platform.orchestration.dagster_internals import SensorExecutionData, copy
from music_platform.partitions import contiguous_ranges
from music_platform.settings import Settings
from music_platform.tables.contract import Cadence

CONDITION = "follows_the_hours"
SENSOR = "daily_tier_follows_the_hours"
_TICK_SECONDS = 15


def follows_the_hours(settings: Settings) -> dg.AutomationCondition[dg.AssetKey]:
    """Makes a day again when one of its inputs changed, however far back, at a quiet moment.

    A day becomes stale when an input is updated or when its first input is published (edges), and stays so until it is
    requested (latches). A requested day is owed until it is materialized, so that a failed run is tried again, a bounded
    number of times. Tables made from a requested table are requested with it.
    """
    condition = dg.AutomationCondition
    requested = condition.newly_requested()
    updated = InputsUpdated().since(requested).with_label("inputs_updated")
    missing = (condition.missing() & condition.any_deps_match(~condition.missing())).newly_true()
    new = missing.since(requested).with_label("has_its_first_input")
    owed = requested.since(condition.newly_updated()).with_label("requested_in_vain")
    with_inputs = condition.any_deps_match(condition.will_be_requested()).with_label("inputs_will_be_made")
    return (
        (updated | new | owed | with_inputs)
        & AttemptsLeft(settings.daily_attempts, settings.daily_quiet_seconds)
        & (QuietMoment(settings.daily_quiet_seconds, settings.daily_longest_wait_seconds) | with_inputs)
        & ~condition.in_progress()
        & ~condition.any_deps_in_progress()
        & InputsArePublished()
    ).with_label(CONDITION)


class DailyTierSensor(dg.AutomationConditionSensorDefinition):
    """Evaluates the condition and requests one run for days that follow each other.

    Dagster would launch a run for each day, or a backfill that its daemon cuts into a run for each set of tables with equal
    days, one after the other.
    """

    def evaluate_tick(self, context: dg.SensorEvaluationContext) -> SensorExecutionData:
        """A tick whose requests are ranges. The cursor and the evaluations are Dagster's."""
        tick = super().evaluate_tick(context)
        return copy(tick, run_requests=in_ranges(tick.run_requests or []))


def daily_tier_sensor() -> dg.AutomationConditionSensorDefinition:
    """The sensor of all daily tables."""
    return DailyTierSensor(
        SENSOR,
        target=dg.AssetSelection.tag("cadence", "daily"),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=_TICK_SECONDS,
        description="Makes the daily tables again where their hours changed, in one run for days that follow each other. A "
        "table's page shows which part of its condition held a day back.",
        tags={"cadence": str(Cadence.DAILY)},
        emit_backfills=False,
        use_user_code_server=True,  # only there are the condition's own operands known
    )


def in_ranges(requests: Sequence[dg.RunRequest]) -> list[dg.RunRequest]:
    """Turns requests of single days into requests of ranges; each range makes all tables that any of its days requests.

    Tables read the days around their own, so a run for each set of tables would make some of them from rows that the next
    run replaces. Rebuilding an extra day wastes time but changes no rows, so nothing downstream becomes stale.
    """
    by_day = {request.partition_key: request for request in requests if request.partition_key is not None}
    return [_range_request([by_day[day] for day in days]) for days in contiguous_ranges(by_day)]


def _range_request(requests: Sequence[dg.RunRequest]) -> dg.RunRequest:
    first, last = requests[0], requests[-1]
    if first is last:
        return first
    days: dict[dg.AssetKey, list[str]] = {}
    for request in requests:
        for key in request.asset_selection or ():
            days.setdefault(key, []).append(str(request.partition_key))
    requested = {key.to_user_string(): [wanted[0], wanted[-1]] for key, wanted in sorted(days.items())}
    tags = {name: value for name, value in first.tags.items() if name != PARTITION}
    return dg.RunRequest(
        job_name=first.job_name,
        asset_selection=sorted(days),
        tags=tags
        | {
            RANGE_START: str(first.partition_key),
            RANGE_END: str(last.partition_key),
            REQUESTED: json.dumps(requested),
        },
    )
