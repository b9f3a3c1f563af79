"""Runs of the platform's assets in this process, recorded in the Dagster instance."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg

from music_platform.errors import MusicPlatformError
from music_platform.orchestration.dagster_internals import (
    NOT_FINISHED_STATUSES,
    DaemonStatus,
    DagsterHomeNotSetError,
    RunFailureReason,
    capture_interrupts,
    get_daemon_statuses,
)
from music_platform.orchestration.executor import without_interrupts
from music_platform.partitions import describe_partitions

_SENSORS_DAEMON = "SENSOR"
_AFTER_INTERRUPT = "; what it published stays, and the same command completes it"
_STEP_ENDS = {
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_SKIPPED,
}


Instance = dg.DagsterInstance
RunResult = dg.ExecuteInProcessResult


def open_instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME; without one, an instance that is forgotten when the command ends."""
    try:
        return dg.DagsterInstance.get()
    except DagsterHomeNotSetError:
        return dg.DagsterInstance.ephemeral()


def _no_progress(_run_id: str) -> AbstractContextManager[None]:
    return nullcontext()


def materialize(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    tables: Sequence[str],
    partitions: Sequence[str],
    *,
    tags: Mapping[str, str] | None = None,
    progress: Callable[[str], AbstractContextManager[None]] = _no_progress,
) -> dg.ExecuteInProcessResult:
    """Materialize and check tables (``<layer>/<name>``) for a gapless range of hours or days in one run.

    ``partitions`` are empty for assets that have none. ``tags`` are the run's own. ``progress`` is entered with the run's id
    while it executes.

    Raises ``MusicPlatformError`` that names the steps and checks that failed, and ``KeyboardInterrupt`` when the run was
    interrupted, once that is recorded in the instance. Must be called in the main thread.
    """
    job = definitions.resolve_implicit_global_asset_job_def()
    run_id = str(uuid.uuid4())
    subject = f"run {run_id} of {describe_partitions(partitions) if partitions else ', '.join(tables)}"
    # Dagster ends the step and the run at an interrupt, in the main thread and once the run executes. Captured from here
    # on, an interrupt cannot break into what the instance records before that.
    _start_mirrors_without_interrupts(instance)
    with progress(run_id), capture_interrupts():
        try:
            result = job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey(table.split("/")) for table in tables],
                run_id=run_id,
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                **_partition_arguments(partitions, tags or {}),
            )
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as error:
            # Interrupted between two steps or before the first, the run would stay open for ever.
            run = instance.get_run_by_id(run_id)
            if run is not None and not run.is_finished:
                instance.report_run_canceled(run, "Interrupted.")
            raise KeyboardInterrupt(f"{subject} was interrupted{_AFTER_INTERRUPT}") from error
    if _was_interrupted(result):
        raise KeyboardInterrupt(f"{subject} was interrupted{_AFTER_INTERRUPT}")
    if not result.success:
        raise MusicPlatformError(f"{subject} failed: {_failures(result)}")
    return result


def _start_mirrors_without_interrupts(instance: dg.DagsterInstance) -> None:
    """As the platform's executor does it; in a command Dagster's own executes the steps."""
    manager = instance.compute_log_manager
    capture = manager.capture_logs

    @contextmanager
    def captured(log_key: Sequence[str]) -> Generator[Any]:
        with ExitStack() as stack:
            with without_interrupts():
                context = stack.enter_context(capture(log_key))
            yield context

    manager.capture_logs = captured


def warnings_of(result: dg.ExecuteInProcessResult) -> list[str]:
    """The findings of checks that did not pass in a run that succeeded; none of them blocks."""
    return [_describe(evaluation) for evaluation in result.get_asset_check_evaluations() if not evaluation.passed]


def _partition_arguments(partitions: Sequence[str], tags: Mapping[str, str]) -> dict[str, Any]:
    if not partitions:
        return {"tags": tags}
    if len(partitions) == 1:
        return {"partition_key": partitions[0], "tags": tags}
    return {
        "tags": {
            **tags,
            "dagster/asset_partition_range_start": partitions[0],
            "dagster/asset_partition_range_end": partitions[-1],
        }
    }


class RunSteps:
    """The steps of a run, from its events; each event is read once, and the many about partitions never."""

    def __init__(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
        self._instance = instance
        self._run_id = run.run_id
        self._cursor: str | None = None
        plan = run.execution_plan_snapshot_id
        self.planned = 0 if plan is None else len(instance.get_execution_plan_snapshot(plan).steps)
        self.running: list[str] = []
        self.done: set[str] = set()

    def read(self) -> None:
        """Read the events since the last call."""
        found = self._instance.get_records_for_run(
            self._run_id, cursor=self._cursor, of_type={dg.DagsterEventType.STEP_START, *_STEP_ENDS}
        )
        self._cursor = found.cursor
        for record in found.records:
            event = record.event_log_entry.get_dagster_event()
            if event.step_key is None:
                continue
            if event.event_type in _STEP_ENDS:
                self.done.add(event.step_key)
                self.running = [step for step in self.running if step != event.step_key]
            else:
                self.running.append(event.step_key)


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    ends = [event for event in result.all_events if event.event_type is dg.DagsterEventType.RUN_FAILURE]
    return any(event.job_failure_data.failure_reason is RunFailureReason.UNEXPECTED_TERMINATION for event in ends)


def _failures(result: dg.ExecuteInProcessResult) -> str:
    failures: list[str] = []
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        failures.append(f"step {event.step_key}: {error.message.strip() if error is not None else 'unknown'}")
    failures += [
        _describe(evaluation)
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR
    ]
    return "; ".join(failures)


def _describe(evaluation: dg.AssetCheckEvaluation) -> str:
    return f"check {evaluation.check_name} of {evaluation.asset_key.to_user_string()}: {evaluation.description}"


@dataclass(frozen=True)
class RunCounts:
    """The runs of an instance since a moment: how many are in which state.

    ``requested`` has, by the id of a run, when it was requested, in seconds since 1970.
    """

    queued: int = 0
    in_progress: int = 0
    finished: int = 0
    failed: int = 0
    requested: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, instance: dg.DagsterInstance, since: datetime) -> RunCounts:
        records = instance.get_run_records(dg.RunsFilter(created_after=since))
        runs = [record.dagster_run for record in records]
        queued = sum(run.status is dg.DagsterRunStatus.QUEUED for run in runs)
        in_progress = sum(run.status in NOT_FINISHED_STATUSES for run in runs) - queued
        failed = sum(run.status is dg.DagsterRunStatus.FAILURE for run in runs)
        requested = {record.dagster_run.run_id: record.create_timestamp.timestamp() for record in records}
        return cls(queued, in_progress, len(runs) - queued - in_progress, failed, requested)

    def __str__(self) -> str:
        finished = f"{self.finished} runs finished, {self.failed} of them failed"
        return f"{finished}, {self.in_progress} in progress, {self.queued} queued"


def daemon_evaluates_sensors(instance: dg.DagsterInstance, since: float) -> bool:
    """Whether a daemon that began since then (epoch seconds) has sent a heartbeat of its sensors' thread."""
    status: DaemonStatus = get_daemon_statuses(instance, [_SENSORS_DAEMON])[_SENSORS_DAEMON]
    return status.last_heartbeat is not None and status.last_heartbeat.timestamp >= since
