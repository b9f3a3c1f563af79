"""`music-platform land`: the command line of landing files as the collector does.

Options, progress, messages and exit codes belong here; how lines become objects does not (landing.writer).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Display

from music_platform.cli.console import console, error_console, fail
from music_platform.errors import MusicPlatformError
from music_platform.landing.event_files import EventFile, event_files
from music_platform.landing.layout import ERRORS_PREFIX
from music_platform.landing.writer import LandingSummary, Progress, land_files
from music_platform.resources.object_store import ObjectStore
from music_platform.settings import current_settings


def land(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Eventsim's files, plain, .gz or .xz; a folder stands for all event files in it, - for standard input.",
            show_default=False,
        ),
    ],
    event_type: Annotated[
        str | None,
        typer.Option("--event-type", help="Type of all these files; without it their names tell.", show_default=False),
    ] = None,
) -> None:
    """Land files of events in the lake exactly as Fluentd does, by the hour of each event. Twice changes nothing."""
    began = time.monotonic()
    try:
        inputs = event_files(files, event_type)
        store = ObjectStore.from_settings(current_settings())
        with _shown_progress(inputs) as progress:
            summary = land_files(store, inputs, progress)
    except MusicPlatformError as error:
        fail(escape(str(error)))
    _tell(summary, store, time.monotonic() - began)


@contextmanager
def _shown_progress(inputs: list[EventFile]) -> Iterator[Progress | None]:
    """A bar of the bytes of input with lines a second, on a terminal only."""
    if not error_console.is_terminal:
        yield None
        return
    # Standard input has no size; then the bar only moves.
    total = (
        None
        if any(file.path is None for file in inputs)
        else sum(file.path.stat().st_size for file in inputs if file.path)
    )
    columns = (BarColumn(), DownloadColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Display(*columns, console=error_console, transient=True) as display:
        task = display.add_task("landing", total=total, rate="")
        began, lines = time.monotonic(), 0

        def show(more_bytes: int, more_lines: int) -> None:
            nonlocal lines
            lines += more_lines
            rate = f"{lines / max(time.monotonic() - began, 1e-3):,.0f} lines/s"
            display.update(task, advance=more_bytes, rate=rate)

        yield show


def _tell(summary: LandingSummary, store: ObjectStore, seconds: float) -> None:
    hours = ""
    if summary.first_hour and summary.last_hour:
        hours = f", events of {summary.first_hour:%Y-%m-%d %H:00} to {summary.last_hour:%Y-%m-%d %H:00} UTC"
    console.print(
        f"{summary.lines:,} lines of {summary.files} files{hours}: {summary.objects_written:,} objects landed "
        f"({summary.bytes_written / 1e6:,.1f} MB), {summary.objects_unchanged:,} unchanged, "
        f"{summary.error_records:,} error records, in {seconds:.1f} s ({summary.lines / max(seconds, 1e-3):,.0f} lines/s)",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if summary.error_records:
        error_console.print(
            f"[yellow]{summary.error_records:,} records are no events and lie in {escape(store.url(ERRORS_PREFIX))}/[/]: "
            "lines that are no JSON object, or whose ts is not epoch milliseconds.",
            highlight=False,
        )
