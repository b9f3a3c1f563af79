"""The landing sensor's requests in Dagster's terms: run requests, events of the landing assets, and the outcome of runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import dagster as dg

from music_platform.lake.landing_layout import LANDED_KINDS
from music_platform.landing.watch.cursor import FailedHour
from music_platform.landing.watch.landed_hours import LandedHour, LandedObjects
from music_platform.landing.watch.plan import Request, RunState
from music_platform.orchestration.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    NOT_FINISHED_STATUSES,
    PARTITION_NAME_TAG,
    PRIORITY_TAG,
    RUN_KEY_TAG,
    WILL_RETRY_TAG,
)
from music_platform.partitions import is_day, keys_in_range
from music_platform.tables.contract import Layer

_DATA_VERSION_TAG = "dagster/data_version"
_MOST_RUNS_READ = 500
_STATES = {
    dg.DagsterRunStatus.SUCCESS: RunState.SUCCEEDED,
    dg.DagsterRunStatus.FAILURE: RunState.FAILED,
    dg.DagsterRunStatus.CANCELED: RunState.CANCELED,
}


def run_request(run_key: str, hours: Collection[str], *, is_current: bool = False) -> dg.RunRequest:
    """One run of the hourly spine for consecutive hours; with ``is_current`` it overtakes others that wait in the queue."""
    first, last = min(hours), max(hours)
    priority = {PRIORITY_TAG: "1"} if is_current else {}
    if first == last:
        return dg.RunRequest(run_key=run_key, partition_key=first, tags=priority)
    # A range has no partition key: these tags are how Dagster knows that a single run takes it all.
    return dg.RunRequest(
        run_key=run_key,
        tags={ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last, **priority},
    )


def landing_events(request: Request, listed: Mapping[str, LandedHour]) -> list[dg.AssetMaterialization]:
    """Events of the landing assets: one for each hour and kind whose objects changed."""
    return [
        landed_event(kind, hour, listed[hour].by_kind.get(kind, LandedObjects()))
        for hour, kinds in request.changed.items()
        for kind in kinds
    ]


def landed_event(kind: str, hour: str, landed: LandedObjects) -> dg.AssetMaterialization:
    """The objects of an hour as a materialization of the external asset, whose data version is their digest."""
    metadata: dict[str, dg.MetadataValue] = {
        "objects": dg.MetadataValue.int(landed.objects),
        "bytes": dg.MetadataValue.int(landed.bytes),
    }
    if landed.newest is not None:
        metadata["newest_object"] = dg.MetadataValue.timestamp(landed.newest)
    return dg.AssetMaterialization(
        asset_key=[str(Layer.LANDING), kind],
        partition=hour,
        metadata=metadata,
        tags={_DATA_VERSION_TAG: landed.digest},
    )


def run_state(instance: dg.DagsterInstance, run_key: str) -> RunState:
    """The state of the newest run with this key."""
    runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: run_key}), limit=1)
    if not runs:
        return RunState.MISSING
    # Dagster itself repeats the run of a process that died. Until it has created the new run, only the old run's tag
    # announces it.
    if runs[0].tags.get(WILL_RETRY_TAG) == "true":
        return RunState.IN_PROGRESS
    return _STATES.get(runs[0].status, RunState.IN_PROGRESS)


def hours_remade(instance: dg.DagsterInstance, failed: Mapping[str, FailedHour]) -> set[str]:
    """The failed hours that a later run made successfully, whoever started it."""
    left = {hour: failure.failed_at for hour, failure in failed.items() if failure.is_left}
    if not left:
        return set()
    records = instance.get_run_records(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.SUCCESS], created_after=datetime.fromtimestamp(min(left.values()), UTC)
        ),
        limit=_MOST_RUNS_READ,
    )
    remade: set[str] = set()
    for record in records:
        created = record.create_timestamp.timestamp()
        remade.update(hour for hour in _hours_of_run(record.dagster_run.tags) if created > left.get(hour, created))
    return remade


def hours_in_progress(instance: dg.DagsterInstance) -> set[str]:
    """The hours that a run will make or is making."""
    runs = instance.get_runs(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES), limit=_MOST_RUNS_READ)
    return {hour for run in runs for hour in _hours_of_run(run.tags)}


def data_versions_of_landing(instance: dg.DagsterInstance) -> dict[str, dict[str, str]]:
    """The digest last reported of each hour's objects, by kind; one query each, whatever the history."""
    return {
        kind: {
            hour: tags.get(_DATA_VERSION_TAG, "")
            for hour, tags in instance.event_log_storage.get_latest_tags_by_partition(
                dg.AssetKey([str(Layer.LANDING), kind]),
                dg.DagsterEventType.ASSET_MATERIALIZATION,
                [_DATA_VERSION_TAG],
            ).items()
        }
        for kind in LANDED_KINDS
    }


def _hours_of_run(tags: Mapping[str, str]) -> list[str]:
    """The hours that a run makes; a run of days, or without partitions, makes none."""
    partition = tags.get(PARTITION_NAME_TAG, "")
    first = tags.get(ASSET_PARTITION_RANGE_START_TAG, partition)
    last = tags.get(ASSET_PARTITION_RANGE_END_TAG, partition)
    return keys_in_range(first, last) if first and not is_day(first) else []
