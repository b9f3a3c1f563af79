"""Runs of the platform's assets from a command, recorded in the Dagster instance, with progress on the console."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterHomeNotSetError
from dagster._core.events import RunFailureReason
from dagster._utils.interrupts import capture_interrupts
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from music_platform.cli.console import console
from music_platform.definitions import build_definitions
from music_platform.errors import MusicPlatformError
from music_platform.partitions import describe_partitions
from music_platform.settings import Settings

_POLL_SECONDS = 0.3
_LAST_DRAWING_SECONDS = 5.0
_AFTER_INTERRUPT = "; what it published stays, and the same command completes it"
_STEP_ENDS = {
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_SKIPPED,
}


def open_instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME; without one, an instance that is forgotten when the command ends."""
    try:
        return dg.DagsterInstance.get()
    except DagsterHomeNotSetError:
        return dg.DagsterInstance.ephemeral()


def materialize(
    instance: dg.DagsterInstance,
    settings: Settings,
    tables: Sequence[str],
    partitions: Sequence[str],
    title: str,
    tags: Mapping[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """Materialize and check tables (``<layer>/<name>``) for a gapless range of hours or days in one run.

    ``partitions`` are empty for assets that have none. ``tags`` are the run's own.

    Raises ``MusicPlatformError`` that names the steps and checks that failed, and ``KeyboardInterrupt`` when the run was
    interrupted, once that is recorded in the instance. Must be called in the main thread.
    """
    job = build_definitions(settings).resolve_implicit_global_asset_job_def()
    run_id = str(uuid.uuid4())
    told = f"run {run_id} of {describe_partitions(partitions) if partitions else ', '.join(tables)}"
    # Dagster turns an interrupt into the end of the step and of the run, in the main thread and once it executes. Taken from
    # here on, none breaks into what the instance records of the run before that.
    with _progress_shown(instance, run_id, title), capture_interrupts():
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
            # Between two steps, or before the first; the run would stay open for ever.
            run = instance.get_run_by_id(run_id)
            if run is not None and not run.is_finished:
                instance.report_run_canceled(run, "Interrupted.")
            raise KeyboardInterrupt(f"{told} was interrupted{_AFTER_INTERRUPT}") from error
    if _was_interrupted(result):
        raise KeyboardInterrupt(f"{told} was interrupted{_AFTER_INTERRUPT}")
    if not result.success:
        raise MusicPlatformError(f"{told} failed: {_failures(result)}")
    return result


def warnings_of(result: dg.ExecuteInProcessResult) -> list[str]:
    """What the checks that did not pass have found, in a run that succeeded: none of them blocks."""
    return [_told(evaluation) for evaluation in result.get_asset_check_evaluations() if not evaluation.passed]


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


@contextmanager
def _progress_shown(instance: dg.DagsterInstance, run_id: str, title: str) -> Iterator[None]:
    """Draw the run's progress in a thread that cannot keep the process from ending."""
    ended = threading.Event()
    drawing = threading.Thread(
        target=_show_progress, args=(instance, run_id, title, ended), name="progress", daemon=True
    )
    drawing.start()
    try:
        yield
    finally:
        ended.set()
        drawing.join(_LAST_DRAWING_SECONDS)


def _show_progress(instance: dg.DagsterInstance, run_id: str, title: str, ended: threading.Event) -> None:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} steps"),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        task = progress.add_task(title, total=1)
        steps: _Steps | None = None
        is_last = False
        while not is_last:
            is_last = ended.wait(_POLL_SECONDS)
            if steps is None and (run := instance.get_run_by_id(run_id)) is not None:
                steps = _Steps(instance, run)
            if steps is not None:
                steps.read()
                progress.update(
                    task,
                    total=max(steps.planned, 1),
                    completed=len(steps.done),
                    description=": ".join([title, *steps.running[-1:]]),
                )
        progress.update(task, description=title)


class _Steps:
    """The steps of a run as its events tell them; each event is read once, the many about partitions never."""

    def __init__(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
        self._instance = instance
        self._run_id = run.run_id
        self._cursor: str | None = None
        plan = run.execution_plan_snapshot_id
        self.planned = 0 if plan is None else len(instance.get_execution_plan_snapshot(plan).steps)
        self.running: list[str] = []
        self.done: set[str] = set()

    def read(self) -> None:
        """Take in what happened since the last call."""
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
    told = []
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        told.append(f"step {event.step_key}: {error.message.strip() if error is not None else 'unknown'}")
    told += [
        _told(evaluation)
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR
    ]
    return "; ".join(told)


def _told(evaluation: dg.AssetCheckEvaluation) -> str:
    return f"check {evaluation.check_name} of {evaluation.asset_key.to_user_string()}: {evaluation.description}"
