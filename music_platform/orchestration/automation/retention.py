"""Retention: old runs are deleted with their events, except those with the present state of an asset, partition or check.

Ticks are pruned by Dagster itself, as deploy/local/dagster.yaml says; the lake is not touched.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from music_platform.orchestration.dagster_internals import FINISHED_STATUSES

_RUNS_AT_ONCE = 500
_EVENTS_AT_ONCE = 500


def prune_runs(instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey], ended_before: datetime) -> int:
    """Delete finished runs that ended before a moment; return how many.

    Keeps every run that made a partition's latest materialization, that failed in the latest attempt (the partition counts
    as failed by it), or that last executed a check: without it Dagster would forget that the partition exists.
    """
    kept = _runs_in_force(instance, list(checks))
    old = [run for run in _finished_runs(instance, ended_before) if run not in kept]
    for run_id in old:
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)
    return len(old)


def _finished_runs(instance: dg.DagsterInstance, ended_before: datetime) -> Iterator[str]:
    filters = dg.RunsFilter(statuses=FINISHED_STATUSES, updated_before=ended_before)
    cursor = None
    while records := instance.get_run_records(filters, limit=_RUNS_AT_ONCE, cursor=cursor):
        cursor = records[-1].dagster_run.run_id
        yield from (record.dagster_run.run_id for record in records)


def _runs_in_force(instance: dg.DagsterInstance, checks: list[dg.AssetCheckKey]) -> set[str]:
    storage = instance.event_log_storage
    kept: set[str] = set()
    for key in instance.all_asset_keys():
        record = next(iter(instance.get_asset_records([key])), None)
        if record is not None and record.asset_entry.last_materialization_record is not None:
            kept.add(record.asset_entry.last_materialization_record.run_id)
        for event_type in (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION):
            latest = sorted(storage.get_latest_storage_id_by_partition(key, event_type).values())
            for start in range(0, len(latest), _EVENTS_AT_ONCE):
                ids = latest[start : start + _EVENTS_AT_ONCE]
                found = instance.get_asset_event_summary_records(
                    event_type, asset_key=key, storage_ids=ids, limit=len(ids)
                )
                kept.update(event.run_id for event in found if event.run_id)
        attempts = storage.get_latest_asset_partition_materialization_attempts_without_materializations(key)
        kept.update(run_id for run_id, _ in attempts.values())
    executions = storage.get_latest_asset_check_execution_by_key(checks)
    kept.update(execution.run_id for execution in executions.values())
    return kept


def retention_job(days: int, checks: Iterable[dg.AssetCheckKey]) -> dg.JobDefinition:
    """The job that prunes runs that ended so many days ago; ``checks`` are all checks of the platform."""
    check_keys = list(checks)

    @dg.op
    def prune_old_runs(context: dg.OpExecutionContext) -> None:
        ended_before = datetime.now(UTC) - timedelta(days=days)
        pruned = prune_runs(context.instance, check_keys, ended_before)
        context.log.info(f"{pruned} runs that ended before {ended_before:%Y-%m-%d %H:%M} UTC were deleted")
        context.add_output_metadata({"deleted_runs": pruned})

    @dg.job(name="retention", description=f"Deletes runs older than {days} days; partitions keep their status.")
    def retention() -> None:
        prune_old_runs()

    return retention
