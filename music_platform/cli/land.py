"""`music-platform land`: the command line of landing files as the collector does.

Options, progress, messages and exit codes; landing.writer makes objects of lines.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Display

from music_platform.cli.console import console, error_console, errors_as_messages, settings_of_command, warn
from music_platform.inert_text import inert
from music_platform.lake.landing_layout import ERRORS_PREFIX
from music_platform.lake.object_store import ObjectStore
from music_platform.landing.event_files import EventFile, LandingInputError, event_files, left_out_of_folders
from music_platform.landing.examination import examined
from music_platform.landing.unread_messages import describe_lines_without_partition, describe_unread_error_records
from music_platform.landing.writer import LandingSummary, Progress, land_files

_MOST_NAMES = 10


class LogFormat(StrEnum):
    """Formats of files that hold several event types."""

    INTERANA = "interana"


def land(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Files of JSON lines, plain, .gz, .xz, .bz2 or .zst; - for standard input. A folder stands for the files "
            "directly in it that are named after an event type (listen_events.jsonl.gz); what else lies there, hidden files "
            "apart, is not landed, but named. With --format interana it stands for all files in it.",
            show_default=False,
        ),
    ],
    event_type: Annotated[
        str | None,
        typer.Option(
            "--event-type",
            help="Type of all these files; without it their names say. A file named after another type is an error.",
            show_default=False,
        ),
    ] = None,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(
            "--format",
            help="interana: logs of the original Eventsim, such as Sparkify's, with all pages in one file. They become the four "
            "event types. Files of other names than an event type's are recognised by their content without it.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Land files of events in the lake exactly as Fluentd does, by the hour of each event. Twice changes nothing.

    All files are looked at before the first is landed. The exit code is 1 where one cannot be read or is of a format that is
    not read, where one holds lines but no event, and where all are empty.
    """
    began = time.monotonic()
    if event_type is not None and log_format is not None:
        raise typer.BadParameter("give --event-type or --format, not both: a log has all event types.")
    settings = settings_of_command()
    with errors_as_messages():
        inputs = files_of_paths(files, event_type, log_format, by_content=event_type is None)
        store = ObjectStore.from_settings(settings)
        with examined(inputs) as files_to_land, _shown_progress(inputs) as progress:
            _name_logs(files_to_land)
            summary = land_files(store, files_to_land, progress)
    _print_summary(summary, store, time.monotonic() - began)
    now = datetime.now(UTC)
    for message in (
        *describe_lines_without_partition(summary.lines_by_hour, settings.start, now),
        *describe_unread_error_records(summary.error_keys_unchanged, settings.start, now),
    ):
        warn(message)
    with errors_as_messages():
        _require_events(summary)


def files_of_paths(
    paths: list[Path],
    event_type: str | None = None,
    log_format: LogFormat | None = None,
    *,
    by_content: bool = False,
) -> list[EventFile]:
    """The event files of these paths; warns of other files in a folder.

    Raises LandingInputError as ``event_files``.
    """
    is_page_log = log_format is LogFormat.INTERANA
    inputs = event_files(paths, event_type, is_page_log=is_page_log, by_content=by_content)
    left_out = [] if is_page_log else left_out_of_folders(paths)
    if left_out:
        warn(
            f"not landed, because not named after an event type: {_names(left_out)}. Give files themselves, with --event-type "
            "or --format."
        )
    return inputs


def _name_logs(files: list[EventFile]) -> None:
    """Say which files are logs of all pages, and what becomes of them."""
    logs = [file.name for file in files if file.is_page_log]
    if logs:
        error_console.print(
            f"Logs of the original Eventsim, all pages in one file: {_names(logs)}. Every line lands as a page view; listens, "
            "attempts to log in and changes of level follow from them.",
            highlight=False, soft_wrap=True, markup=False,
        )  # fmt: skip


def _require_events(summary: LandingSummary) -> None:
    """Name the files without an event; an empty file among others is a quiet hour's, and so only a warning."""
    if summary.without_event:
        raise LandingInputError(
            f"not one line is an event in {_names(summary.without_event)}; the lines are error records now"
        )
    if len(summary.empty) == summary.files:
        raise LandingInputError(f"no event was landed, for there is no line in {_names(summary.empty)}")
    if summary.empty:
        warn(f"no line in {_names(summary.empty)}")


def _names(files: Sequence[str | Path]) -> str:
    names = ", ".join(f"'{inert(str(file))}'" for file in files[:_MOST_NAMES])
    return names + (f" and {len(files) - _MOST_NAMES:,} more" if len(files) > _MOST_NAMES else "")


def warn_of_error_records(summary: LandingSummary, store: ObjectStore) -> None:
    """Warn how many lines were no events, and where they are stored."""
    if summary.error_records:
        warn(
            f"{summary.error_records:,} records are no events and lie in {store.url(ERRORS_PREFIX)}/: "
            "lines that are no JSON object, or whose ts is not epoch milliseconds."
        )


@contextmanager
def _shown_progress(inputs: list[EventFile]) -> Generator[Progress | None]:
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


def _print_summary(summary: LandingSummary, store: ObjectStore, seconds: float) -> None:
    hours = ""
    if summary.first_hour and summary.last_hour:
        hours = f", events of {summary.first_hour:%Y-%m-%d %H:00} to {summary.last_hour:%Y-%m-%d %H:00} UTC"
    console.print(
        f"{summary.lines:,} lines of {summary.files} files{hours}: {summary.objects_written:,} objects landed "
        f"({summary.bytes_written / 1e6:,.1f} MB), {summary.objects_unchanged:,} unchanged, "
        f"{summary.error_records:,} error records, in {seconds:.1f} s ({summary.lines / max(seconds, 1e-3):,.0f} lines/s)",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if summary.derived:
        derived = ", ".join(f"{count:,} {event_type}" for event_type, count in sorted(summary.derived.items()))
        console.print(f"From these page views follow {derived}.", highlight=False, soft_wrap=True)
    warn_of_error_records(summary, store)
