"""`music-platform status`: the platform's health at a glance, for people and (``--json``) for machines.

lake_status.py and instance_status.py read the state; health.py decides what is a problem. The JSON has the keys of these
modules' classes, documented in docs/operations.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich import box
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from music_platform.cli.console import console, echo_json, errors_as_messages, readable_duration, settings_of_command
from music_platform.cli.health import (
    describe_waiting_hours,
    first_line,
    layer_name,
    problems_of_instance,
    problems_of_lake,
    warnings_of_lake,
)
from music_platform.cli.lake_status import LakeStatus, is_missing, lake_status
from music_platform.cli.layer_status import LayerStatus, TableStatus
from music_platform.cli.progress import working
from music_platform.cli.server_status import ServerStatus, ask_servers
from music_platform.errors import LakeUnreachableError, MusicPlatformError
from music_platform.lake.lake import Lake
from music_platform.landing.unread import UnreadFindings, find_unread
from music_platform.landing.unread_messages import describe_left, describe_unread
from music_platform.orchestration.instance_status import (
    AutomationStatus,
    InstanceStatus,
    instance_status,
    open_recorded_instance,
)
from music_platform.settings import Settings

_RETRY_SECONDS = 10.0  # a command that looks must not wait as long as a run
_LOOK_BACK_HOURS = 72
_UNREAD_SECONDS = 5.0
_MOST_ROWS_SHOWN = 10


@dataclass(frozen=True)
class _Report:
    """The platform's state; ``lake`` or ``instance`` is None if it could not be read or does not exist.

    ``unread`` are the landed objects that no table reads; ``servers`` whether those that the settings name answer.
    """

    at: datetime
    location: str
    lake: LakeStatus | None
    unread: UnreadFindings
    instance: InstanceStatus | None
    problems: list[str]
    warnings: list[str]
    servers: list[ServerStatus] = field(default_factory=list)


def status(
    tables: Annotated[bool, typer.Option("--tables", help="A row a table instead of a row a layer.")] = False,
    look_back_hours: Annotated[
        int,
        typer.Option("--hours", min=1, help="Hours back from now of which landed objects and all tables are examined."),
    ] = _LOOK_BACK_HOURS,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, keys as in docs/operations.md.")] = False,
) -> None:
    """How far each layer is, what failed, what waits, and whether sensors, daemon and servers work.

    Exit code 1 when something failed, is damaged, does not answer, lags more than MUSIC_PLATFORM_LAG_LIMIT_HOURS, or has landed
    where no table reads it; each such problem is named.
    """
    settings = settings_of_command()
    with errors_as_messages(), working("looking") if not as_json else nullcontext():
        report = _look(settings, look_back_hours)
    if as_json:
        echo_json(_as_json(report), indent=1, default=datetime.isoformat)
    else:
        _print(report, tables)
    if report.problems:
        raise typer.Exit(1)


def _look(settings: Settings, look_back_hours: int) -> _Report:
    now = datetime.now(UTC)
    problems: list[str] = []
    warnings: list[str] = []
    answers = ask_servers(settings)
    quick = settings.model_copy(update={"s3_retry_seconds": min(settings.s3_retry_seconds, _RETRY_SECONDS)})
    lake, found, unread = Lake(quick), None, UnreadFindings()
    if is_missing(lake):
        problems.append(f"there is no lake: no folder {lake.location}. Land events, or correct MUSIC_PLATFORM_LAKE")
    else:
        try:
            found = lake_status(lake, now, look_back_hours)
            unread = find_unread(lake, budget_seconds=_UNREAD_SECONDS)
        except LakeUnreachableError as error:
            problems.append(str(error))
    if found is not None:
        problems += problems_of_lake(found, settings, now)
        warnings += warnings_of_lake(found, settings)
    problems += [describe_unread(group, settings.start) for group in unread.groups]
    if unread.left:
        warnings.append(describe_left(unread.left))
    dagster = None
    try:
        instance = open_recorded_instance()
    except MusicPlatformError as error:
        problems.append(str(error))
    else:
        if instance is None:
            warnings.append("DAGSTER_HOME is not set: nothing is known of runs, failed partitions and sensors")
        else:
            with instance:
                dagster = instance_status(instance, settings)
    if dagster is not None:
        problems += problems_of_instance(dagster)
        if not dagster.daemon.is_running:
            warnings.append("Dagster's daemon is not running: no sensor, schedule or queue works. ./run dev starts it")
    servers = answers()
    problems += [
        ". ".join(filter(None, (f"{server.name}: {server.found}", server.advice)))
        for server in servers
        if server.works is False
    ]
    return _Report(now, lake.location, found, unread, dagster, problems, warnings, servers)


def _as_json(report: _Report) -> dict[str, Any]:
    return {
        "healthy": not report.problems,
        "problems": report.problems,
        "warnings": report.warnings,
        "at": report.at.isoformat(timespec="seconds"),
        "location": report.location,
        "lake": None if report.lake is None else {**asdict(report.lake), **_unread_as_json(report.unread)},
        "dagster": None if report.instance is None else asdict(report.instance),
        "servers": [asdict(server) for server in report.servers],
    }


def _unread_as_json(unread: UnreadFindings) -> dict[str, Any]:
    return {"unread": [asdict(group) for group in unread.groups], "folders_not_looked_into": len(unread.left)}


def _print(report: _Report, by_table: bool) -> None:
    console.print(Text(f"Lake {report.location} at {report.at:%Y-%m-%d %H:%M:%S} UTC"))
    if report.lake is not None:
        failed = {} if report.instance is None else report.instance.failed_partitions
        console.print(_tables(report.lake, failed) if by_table else _layers(report.lake, failed))
        if report.lake.unprocessed:
            console.print(Text(f"Landed and not in bronze: {describe_waiting_hours(report.lake.unprocessed)}"))
    if report.instance is not None:
        _print_instance(report.instance, report.at)
    for server in report.servers:
        style = {True: "green", False: "bold red", None: "dim"}[server.works]
        console.print(Text.assemble((server.name, style), f": {server.found}"))
    for warning in report.warnings:
        console.print(Text.assemble(("warning:", "yellow"), " ", warning))
    for problem in report.problems:
        console.print(Text.assemble(("problem:", "bold red"), " ", problem))
    if not report.problems:
        console.print("[green]healthy[/]")


def _layers(lake: LakeStatus, failed: dict[str, list[str]]) -> Table:
    table = _table_of("layer")
    for layer in lake.layers:
        count = sum(len(failed.get(found.table, ())) for found in layer.tables)
        table.add_row(layer_name(layer), *_cells(layer, count))
    return table


def _tables(lake: LakeStatus, failed: dict[str, list[str]]) -> Table:
    table = _table_of("table")
    for layer in lake.layers:
        for found in layer.tables:
            table.add_row(found.table, *_cells(found, len(failed.get(found.table, ()))))
    return table


def _table_of(subject: str) -> Table:
    """Without borders, so that it fits into 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(subject, overflow="fold")
    table.add_column("last complete", no_wrap=True)
    for name in ("lag", "rows", "size", "quaran-\ntined", "failed"):
        table.add_column(name, justify="right")
    return table


def _cells(found: LayerStatus | TableStatus, failed: int) -> list[str]:
    amount = f"{found.objects:,} objects" if found.objects is not None else _number(found.rows)
    return [
        found.last_complete or "none",
        "" if found.lag_seconds is None else readable_duration(found.lag_seconds),
        amount,
        "" if found.bytes is None else decimal(found.bytes),
        "" if found.quarantine_rate is None else f"{found.quarantine_rate:.2%}",
        f"[red]{failed:,}[/]" if failed else "0",
    ]


def _print_instance(instance: InstanceStatus, now: datetime) -> None:
    heartbeat = instance.daemon.last_heartbeat
    state = "running" if instance.daemon.is_running else "not running"
    if heartbeat is not None:
        state += f", last heartbeat {_ago(heartbeat, now)}"
    console.print(Text(f"Dagster in {instance.home}: daemon {state}"))
    console.print(f"Runs: {instance.in_progress} in progress, {instance.queued} queued")
    for run in instance.runs[:_MOST_ROWS_SHOWN]:
        console.print(Text(f"  {run.state} {_ago(run.since, now)}: {run.job} {run.partitions} ({run.run_id})"))
    if instance.automation:
        console.print(_automation(instance.automation, now))
    else:
        console.print("Sensors and schedules: none has ticked on this instance")


def _automation(found: Sequence[AutomationStatus], now: datetime) -> Table:
    table = Table("sensor or schedule", "switch", "last tick", "result", "what it said")
    for automation in found:
        tick = automation.last_tick
        cells = ["never", "", ""] if tick is None else [_ago(tick.at, now), tick.state, first_line(tick.message)]
        table.add_row(*map(Text, [automation.name, "on" if automation.is_on else "off", *cells]))
    return table


def _ago(moment: datetime, now: datetime) -> str:
    return f"{readable_duration(max((now - moment).total_seconds(), 0.0))} ago"


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
