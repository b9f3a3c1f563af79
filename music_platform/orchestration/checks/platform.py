"""Checks that run by the clock: completeness of closed hours, landed objects that nothing reads, freshness of landing, and
partitions left failed.

They belong to the landed objects and to an asset of their own, not to tables: a table's check is part of each run that makes
the table, so they would check all other hours again in each run.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg

from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import LANDED_KINDS
from music_platform.landing.unread import NO_KIND
from music_platform.orchestration.checks.completeness import COMPLETENESS_CHECK, check_closed_hours
from music_platform.orchestration.checks.outcome import CheckOutcome, first_problems
from music_platform.orchestration.checks.unread import UNREAD_CHECK, check_objects_are_read
from music_platform.tables.contract import Layer, TableContract
from music_platform.tables.events import EVENT_TYPES

OPERATIONS = dg.AssetKey(["operations", "partitions"])
FAILED_CHECK = "no_partition_is_left_failed"
_LANDING_DEADLINE = "50 * * * *"  # by then something of the hour that runs has landed
_RUNS_AT_ONCE = 500


def operations_asset() -> dg.AssetSpec:
    """The asset of the checks on the platform as a whole."""
    return dg.AssetSpec(
        OPERATIONS,
        description="All partitions of all tables; carries the checks on the platform as a whole.",
        group_name="operations",
        kinds={"dagster"},
        owners=["team:data-platform"],
    )


def clock_checks(tables: Iterable[TableContract]) -> list[dg.AssetChecksDefinition]:
    """All of them; ``tables`` are the tables that may have no partition left failed."""
    return [
        *(_completeness_check(event_type) for event_type in EVENT_TYPES),
        *(_unread_check(kind, _landing_key(kind)) for kind in LANDED_KINDS),
        _unread_check(NO_KIND, OPERATIONS),
        *dg.build_time_partition_freshness_checks(
            assets=[_landing_key(event_type) for event_type in EVENT_TYPES], deadline_cron=_LANDING_DEADLINE
        ),
        _failed_check([dg.AssetKey(table.asset_key) for table in tables]),
    ]


def find_failed_partitions(instance: dg.DagsterInstance, assets: Sequence[dg.AssetKey]) -> CheckOutcome:
    """Whether a partition is left failed, as a check's outcome."""
    problems = [
        f"{asset} {partition} (run {run_id[:8]} {ended})"
        for asset, partition, run_id, ended in failed_partitions(instance, assets)
    ]
    return CheckOutcome(
        table=OPERATIONS.to_user_string(),
        check=FAILED_CHECK,
        passed=not problems,
        description=f"{first_problems(problems)}. See why in the run, mend it and materialize them again"
        if problems
        else "no partition is left failed",
        numbers={"failed_partitions": len(problems)},
    )


def failed_partitions(instance: dg.DagsterInstance, assets: Sequence[dg.AssetKey]) -> list[tuple[str, str, str, str]]:
    """The partitions whose last run failed or was cancelled before it made them: asset, partition, run and how it ended."""
    attempts = {
        (asset.to_user_string(), partition): run_id
        for asset in assets
        for partition, (run_id, _) in (
            instance.event_log_storage.get_latest_asset_partition_materialization_attempts_without_materializations(
                asset
            )
        ).items()
    }
    ended = _unsuccessful(instance, sorted(set(attempts.values())))
    return [
        (asset, partition, run_id, ended[run_id])
        for (asset, partition), run_id in sorted(attempts.items())
        if run_id in ended
    ]


def _unsuccessful(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> dict[str, str]:
    """How those of the runs ended that did not succeed: 'failed' or 'was cancelled'."""
    ends = {dg.DagsterRunStatus.FAILURE: "failed", dg.DagsterRunStatus.CANCELED: "was cancelled"}
    ended = {}
    for start in range(0, len(run_ids), _RUNS_AT_ONCE):
        filters = dg.RunsFilter(run_ids=list(run_ids[start : start + _RUNS_AT_ONCE]), statuses=list(ends))
        ended |= {run.run_id: ends[run.status] for run in instance.get_runs(filters)}
    return ended


def _landing_key(event_type: str) -> dg.AssetKey:
    return dg.AssetKey([str(Layer.LANDING), event_type])


def _completeness_check(event_type: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=_landing_key(event_type),
        name=COMPLETENESS_CHECK,
        description="Every hour that closed is in every table, made from all objects that landed.",
    )
    def check(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        return check_closed_hours(event_type, datetime.now(UTC), lake).to_dagster()

    return check


def _unread_check(kind: str, asset: dg.AssetKey) -> dg.AssetChecksDefinition:
    """A kind's check belongs to its landing asset; objects in no kind's folder have none and belong to the platform's asset."""

    @dg.asset_check(
        asset=asset,
        name=UNREAD_CHECK,
        description="Every landed object lies where a partition reads it.",
    )
    def check(lake: dg.ResourceParam[Lake]) -> dg.AssetCheckResult:
        return replace(check_objects_are_read(kind, lake), table=asset.to_user_string()).to_dagster()

    return check


def _failed_check(tables: Sequence[dg.AssetKey]) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=OPERATIONS,
        name=FAILED_CHECK,
        description="No partition of any table was last tried in vain.",
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return find_failed_partitions(context.instance, tables).to_dagster()

    return check
