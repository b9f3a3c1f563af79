"""Runs of the platform's assets from a command, recorded in the Dagster instance, with progress on the console."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import dagster as dg
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from music_platform.cli.console import console
from music_platform.definitions import build_definitions
from music_platform.errors import MusicPlatformError
from music_platform.partitions import describe_partitions, hour_of_key
from music_platform.settings import Settings

_POLL_SECONDS = 0.3


def open_instance() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME; without one, an instance that is forgotten when the command ends."""
    try:
        return dg.DagsterInstance.get()
    except Exception as error:
        if type(error).__name__ != "DagsterHomeNotSetError":
            raise
        return dg.DagsterInstance.ephemeral()


def materialize(
    instance: dg.DagsterInstance, settings: Settings, tables: Sequence[str], partitions: Sequence[str], title: str
) -> dg.ExecuteInProcessResult:
    """Materialize and check tables (``<layer>/<name>``) for a gapless range of hours in one run.

    Raises ``MusicPlatformError`` that names the steps and checks that failed.
    """
    definitions = build_definitions(settings)
    job = definitions.resolve_implicit_global_asset_job_def()
    run_id = str(uuid.uuid4())
    outcome: dict[str, Any] = {}

    def execute() -> None:
        try:
            outcome["result"] = job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey(table.split("/")) for table in tables],
                run_id=run_id,
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                **_partition_arguments(partitions),
            )
        except BaseException as error:  # noqa: BLE001 (it is raised again, in the thread that waits)
            outcome["error"] = error

    thread = threading.Thread(target=execute, name="dagster-run")
    thread.start()
    _show_progress(instance, run_id, thread, title)
    if "error" in outcome:
        raise outcome["error"]
    result: dg.ExecuteInProcessResult = outcome["result"]
    if not result.success:
        raise MusicPlatformError(f"run {run_id} of {describe_partitions(partitions)} failed: {_failures(result)}")
    return result


def contiguous_ranges(partitions: Sequence[str]) -> list[list[str]]:
    """Hours, in order, grouped into ranges without gaps: what one run can take."""
    ordered = sorted(partitions)
    groups = groupby(enumerate(ordered), lambda item: int(hour_of_key(item[1]).timestamp()) // 3600 - item[0])
    return [[key for _, key in group] for _, group in groups]


def _partition_arguments(partitions: Sequence[str]) -> dict[str, Any]:
    if len(partitions) == 1:
        return {"partition_key": partitions[0]}
    return {
        "tags": {
            "dagster/asset_partition_range_start": partitions[0],
            "dagster/asset_partition_range_end": partitions[-1],
        }
    }


def _show_progress(instance: dg.DagsterInstance, run_id: str, thread: threading.Thread, title: str) -> None:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} steps"),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        task = progress.add_task(title, total=1)
        while thread.is_alive():
            thread.join(_POLL_SECONDS)
            run = instance.get_run_by_id(run_id)
            stats = instance.get_run_step_stats(run_id) if run is not None else []
            done = [step for step in stats if step.end_time is not None]
            running = [step.step_key for step in stats if step.end_time is None]
            total = _planned_steps(instance, run)
            progress.update(
                task,
                total=max(total, 1),
                completed=len(done),
                description=f"{title}: {running[-1] if running else 'starting' if not done else 'ending'}",
            )
        progress.update(task, description=title)


def _planned_steps(instance: dg.DagsterInstance, run: dg.DagsterRun | None) -> int:
    if run is None or run.execution_plan_snapshot_id is None:
        return 0
    return len(instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id).steps)


def _failures(result: dg.ExecuteInProcessResult) -> str:
    told = []
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        told.append(f"step {event.step_key}: {error.message.strip() if error is not None else 'unknown'}")
    told += [
        f"check {evaluation.check_name} of {evaluation.asset_key.to_user_string()}: {evaluation.description}"
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR
    ]
    return "; ".join(told)
