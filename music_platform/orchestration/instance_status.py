"""The state of Dagster's instance for `music-platform status`: failed partitions, sensors and schedules, daemon, runs.

Read from the instance alone, so that it holds for whatever sensors and schedules the running code has; no code location is
loaded. cli/health.py decides what is a problem.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from music_platform.errors import MusicPlatformError
from music_platform.orchestration.dagster_internals import (
    InstigatorState,
    InstigatorTick,
    get_and_update_asset_status_cache_value,
)
from music_platform.orchestration.partitions_definitions import daily_partitions, hourly_partitions
from music_platform.settings import Settings, dagster_home
from music_platform.tables.catalogue import made_tables
from music_platform.tables.contract import Cadence

_MOST_RUNS_SHOWN = 20
_LIVE_SECONDS = 120.0  # the daemon's threads send a heartbeat every 30 s
_IN_PROGRESS = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
_QUEUED = (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class TickStatus:
    """The last tick of a sensor or schedule; ``state`` is started, skipped, success or failure."""

    state: str
    at: datetime
    message: str


@dataclass(frozen=True)
class AutomationStatus:
    """A sensor or schedule that ticked on the instance, or was switched by hand."""

    name: str
    kind: str
    location: str
    is_on: bool
    last_tick: TickStatus | None


@dataclass(frozen=True)
class RunStatus:
    """A run that waits or works; ``partitions`` is its partition or range, empty when it has none."""

    run_id: str
    job: str
    state: str
    partitions: str
    since: datetime


@dataclass(frozen=True)
class DaemonStatus:
    """Dagster's daemon; ``last_heartbeat`` is None if none ever ran. ``errors`` are by daemon type."""

    is_running: bool
    last_heartbeat: datetime | None
    errors: dict[str, str]


@dataclass(frozen=True)
class InstanceStatus:
    """The instance's state. ``failed_partitions`` has, by table, keys in order; tables without any are left out."""

    home: str
    failed_partitions: dict[str, list[str]]
    automation: tuple[AutomationStatus, ...]
    daemon: DaemonStatus
    runs: tuple[RunStatus, ...]
    in_progress: int
    queued: int


def open_recorded_instance() -> dg.DagsterInstance | None:
    """The instance of DAGSTER_HOME; None when that names none.

    Raises ``MusicPlatformError`` when it cannot be opened.
    """
    home = dagster_home()
    if home is None:
        return None
    try:
        return dg.DagsterInstance.from_config(str(_existing(home)))
    except Exception as error:
        raise MusicPlatformError(
            f"Dagster's instance in DAGSTER_HOME={home} cannot be opened: {error}. Correct DAGSTER_HOME or the "
            "dagster.yaml in it."
        ) from error


def _existing(home: Path) -> Path:
    if not home.is_dir():
        raise NotADirectoryError("there is no such folder")
    return home


def instance_status(instance: dg.DagsterInstance, settings: Settings) -> InstanceStatus:
    """Read the state of an instance."""
    runs: list[RunStatus] = []
    counts: list[int] = []
    for statuses in (_IN_PROGRESS, _QUEUED):
        wanted = dg.RunsFilter(statuses=list(statuses))
        counts.append(instance.get_runs_count(wanted))
        runs += [_run(record) for record in instance.get_run_records(wanted, limit=_MOST_RUNS_SHOWN)]
    automation = [_automation(instance, state) for state in instance.all_instigator_state()]
    return InstanceStatus(
        home=instance.root_directory,
        failed_partitions=_failed_partitions(instance, settings),
        automation=tuple(sorted(automation, key=lambda found: (found.kind, found.name, found.location))),
        daemon=_daemon(instance),
        runs=tuple(runs),
        in_progress=counts[0],
        queued=counts[1],
    )


def _failed_partitions(instance: dg.DagsterInstance, settings: Settings) -> dict[str, list[str]]:
    """From Dagster's cache of partition states, which reads only the events that are new to it."""
    definitions = {
        Cadence.HOURLY: hourly_partitions(settings.start),
        Cadence.DAILY: daily_partitions(settings.start),
    }
    failed: dict[str, list[str]] = {}
    for contract in made_tables(is_served=settings.druid_enabled).values():
        definition = definitions[contract.cadence]
        cached = get_and_update_asset_status_cache_value(instance, dg.AssetKey(contract.asset_key), definition)
        if cached is None:
            continue
        keys = cached.deserialize_failed_partition_subsets(definition).get_partition_keys()
        if keys:
            failed[contract.path] = sorted(keys)
    return failed


def _automation(instance: dg.DagsterInstance, state: InstigatorState) -> AutomationStatus:
    ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
    return AutomationStatus(
        name=state.instigator_name,
        kind=state.instigator_type.value.lower(),
        location=state.origin.repository_origin.code_location_origin.location_name,
        is_on=state.is_running,
        last_tick=_tick(ticks[0]) if ticks else None,
    )


def _tick(tick: InstigatorTick) -> TickStatus:
    if tick.error is not None:
        error = tick.error
        while error.cause is not None:
            error = error.cause
        message = error.message.strip()
    else:
        message = tick.skip_reason or f"{len(tick.run_ids)} runs requested"
    return TickStatus(tick.status.value.lower(), _moment(tick.timestamp), message)


def _daemon(instance: dg.DagsterInstance) -> DaemonStatus:
    heartbeats = instance.get_daemon_heartbeats()
    last = max((heartbeat.timestamp for heartbeat in heartbeats.values()), default=None)
    is_running = last is not None and time.time() - last <= _LIVE_SECONDS
    errors = {
        daemon_type: heartbeat.errors[0].message.strip()
        for daemon_type, heartbeat in heartbeats.items()
        if heartbeat.errors and is_running
    }
    return DaemonStatus(is_running, None if last is None else _moment(last), errors)


def _run(record: dg.RunRecord) -> RunStatus:
    run = record.dagster_run
    first, last = run.tags.get(_RANGE_START), run.tags.get(_RANGE_END)
    partitions = run.tags.get("dagster/partition") or (f"{first}...{last}" if first else "")
    since = _moment(record.start_time) if record.start_time else record.create_timestamp
    return RunStatus(run.run_id, run.job_name, run.status.value.lower(), partitions, since)


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
