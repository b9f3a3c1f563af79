"""Runs that a command waits for, with their progress on the console."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from music_platform.cli.console import VisibleConsole
from music_platform.cli.progress import BAR_WIDTH, lasting_console
from music_platform.definitions import build_definitions
from music_platform.orchestration import runs
from music_platform.orchestration.runs import Instance, RunResult, RunSteps
from music_platform.settings import Settings

_POLL_SECONDS = 0.3
_LAST_DRAWING_SECONDS = 5.0


def materialize(
    instance: Instance,
    settings: Settings,
    tables: Sequence[str],
    partitions: Sequence[str],
    title: str,
    tags: Mapping[str, str] | None = None,
) -> RunResult:
    """As ``orchestration.runs.materialize``, of the definitions for these settings; ``title`` stands before the progress."""
    progress = partial(progress_shown, instance, title)
    return runs.materialize(build_definitions(settings), instance, tables, partitions, tags=tags, progress=progress)


@contextmanager
def progress_shown(instance: Instance, title: str, run_id: str) -> Generator[None]:
    """Draw the run's progress in a thread that cannot keep the process from ending."""
    ended = threading.Event()
    with lasting_console() as shown:
        drawing = threading.Thread(
            target=_show_progress, args=(instance, run_id, title, shown, ended), name="progress", daemon=True
        )
        drawing.start()
        try:
            yield
        finally:
            ended.set()
            drawing.join(_LAST_DRAWING_SECONDS)


def _show_progress(instance: Instance, run_id: str, title: str, shown: VisibleConsole, ended: threading.Event) -> None:
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(BAR_WIDTH),
        TextColumn("{task.fields[steps]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}", markup=False),  # last, because a narrow terminal cuts it
        console=shown,
        # What steps print belongs to Dagster's logs of the run.
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        task = progress.add_task(title, total=None, steps="", now="Dagster prepares the run")
        steps: RunSteps | None = None
        is_last = False
        while not is_last:
            is_last = ended.wait(_POLL_SECONDS)
            if steps is None and (run := instance.get_run_by_id(run_id)) is not None:
                steps = RunSteps(instance, run)
            if steps is not None:
                steps.read()
                progress.update(
                    task,
                    total=max(steps.planned, 1),
                    completed=len(steps.done),
                    steps=f"{len(steps.done)} of {steps.planned} steps",
                    now=", ".join(steps.running) or "Dagster records what was done",
                )
        progress.update(task, now="")
