"""`music-platform status`: the platform's health at a glance, for people and (``--json``) for machines.

What is a problem is decided and printed here; how it is found out stands in lake_status.py and instance_status.py. The keys of
the JSON are those of the classes there, and documented in docs/operations.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from music_platform.cli.console import console, duration_told, echo_json, failures_told, settings_of_command
from music_platform.cli.lake_status import (
    LakeStatus,
    LayerStatus,
    TableStatus,
    UnprocessedHour,
    is_missing,
    lake_status,
    period_end,
)
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
from music_platform.partitions import day_of_key, describe_partitions
from music_platform.settings import Settings
from music_platform.tables.contract import Cadence, Layer

_RETRY_SECONDS = 10.0  # a command that looks must not wait as long as a run
_LOOK_BACK_HOURS = 72
_UNREAD_SECONDS = 5.0
_MOST_ROWS_SHOWN = 10
_MOST_NAMED = 3


@dataclass(frozen=True)
class _Report:
    """One look at the platform; ``lake`` or ``instance`` is None where it could not be looked into, or is not there.

    ``unread`` are the landed objects that no table reads.
    """

    at: datetime
    location: str
    lake: LakeStatus | None
    unread: UnreadFindings
    instance: InstanceStatus | None
    problems: list[str]
    warnings: list[str]


def status(
    tables: Annotated[bool, typer.Option("--tables", help="A row a table instead of a row a layer.")] = False,
    look_back_hours: Annotated[
        int,
        typer.Option("--hours", min=1, help="Hours back from now in which landed objects are compared with bronze."),
    ] = _LOOK_BACK_HOURS,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, keys as in docs/operations.md.")] = False,
) -> None:
    """How far each layer is, what failed, what waits, and whether sensors and daemon work.

    Exit code 1 when something failed, lags more than MUSIC_PLATFORM_LAG_LIMIT_HOURS, or has landed where no table reads it;
    each such problem is named.
    """
    settings = settings_of_command()
    with failures_told():
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
        problems += _problems_of_lake(found, settings, now)
        warnings += _warnings_of_lake(found, settings)
    problems += [describe_unread(group, settings.start) for group in unread.groups]
    if unread.left:
        warnings.append(describe_left(unread.left))
    told = None
    try:
        instance = open_recorded_instance()
    except MusicPlatformError as error:
        problems.append(str(error))
    else:
        if instance is None:
            warnings.append("DAGSTER_HOME is not set: nothing is known of runs, failed partitions and sensors")
        else:
            with instance:
                told = instance_status(instance, settings)
    if told is not None:
        problems += _problems_of_instance(told)
        if not told.daemon.is_running:
            warnings.append("Dagster's daemon is not running: no sensor, schedule or queue works. ./run dev starts it")
    return _Report(now, lake.location, found, unread, told, problems, warnings)


def _problems_of_lake(lake: LakeStatus, settings: Settings, now: datetime) -> Iterator[str]:
    limit = timedelta(hours=settings.lag_limit_hours)
    landing = lake.layers[0]
    yield from lake.damaged
    if landing.last_complete is None:
        yield "nothing has landed of any hour that is over"
    elif timedelta(seconds=landing.lag_seconds or 0.0) > limit:
        yield (
            f"landing: nothing has landed of any hour after {landing.last_complete}: does the producer run? After a demo "
            "nothing is to be expected"
        )
    for layer in lake.layers[1:]:
        due = _first_due(layer, landing.last_complete, now)
        if due is not None and now - due > limit:
            yield f"{_name(layer)}: {layer.held_back_by} lags, its last complete partition is {layer.last_complete or 'none'}"
    late = [hour for hour in lake.unprocessed if now - hour.waiting_since > limit]
    if late:
        yield f"landed and not in bronze for more than {settings.lag_limit_hours:g} h: {_hours_told(late)}"
    for gone in lake.gone:
        yield (
            f"{gone.event_type} {gone.hour}: {len(gone.objects)} landed objects are gone that bronze was made from, such as "
            f"'{gone.objects[0]}'. Restore them, or declare them expired: ./run music-platform landing expire --partition "
            f"'{gone.hour}'"
        )


def _first_due(layer: LayerStatus, landed: str | None, now: datetime) -> datetime | None:
    """When the layer's next partition could first be made; None when it has all that is over and landed."""
    if landed is None:
        return None
    is_hourly = layer.cadence is Cadence.HOURLY
    last_landed = landed if is_hourly else day_of_key(landed)
    last_landed_end = period_end(last_landed, layer.cadence)
    if layer.last_complete is None:
        return last_landed_end if last_landed_end <= now else None
    length = timedelta(hours=1) if is_hourly else timedelta(days=1)
    made_until = period_end(layer.last_complete, layer.cadence)
    due = made_until + length
    return due if made_until < last_landed_end and due <= now else None


def _warnings_of_lake(lake: LakeStatus, settings: Settings) -> Iterator[str]:
    for layer in lake.layers:
        for table in layer.tables:
            if (table.quarantine_rate or 0.0) > settings.quarantine_rate_warning:
                yield (
                    f"{table.table}: {table.quarantine_rate:.1%} of the rows of {table.last_complete} are in quarantine; "
                    "music-platform quarantine show has them"
                )
    if lake.held or lake.later_held_days:
        more = f", and on {lake.later_held_days} later days" if lake.later_held_days else ""
        yield (
            f"held until their hour comes: {sum(hour.objects for hour in lake.held)} landed objects of "
            f"{describe_partitions(list(dict.fromkeys(hour.hour for hour in lake.held)))}{more}. See to the producer's clock"
        )


def _problems_of_instance(instance: InstanceStatus) -> Iterator[str]:
    for table, keys in instance.failed_partitions.items():
        yield f"{table}: failed, and not made since: {describe_partitions(keys)}"
    for automation in instance.automation:
        if automation.is_on and automation.last_tick is not None and automation.last_tick.state == "failure":
            yield f"{automation.kind} {automation.name}: its last tick failed: {_first_line(automation.last_tick.message)}"
    daemon = instance.daemon
    for daemon_type, error in daemon.errors.items():
        yield f"Dagster's daemon, {daemon_type}: {_first_line(error)}"
    on = [automation.name for automation in instance.automation if automation.is_on]
    if not daemon.is_running and (on or instance.queued):
        waits = [f"{', '.join(on)} on"] * bool(on) + [f"{instance.queued} runs queued"] * bool(instance.queued)
        yield f"Dagster's daemon is not running, with {' and '.join(waits)}"


def _as_json(report: _Report) -> dict[str, Any]:
    return {
        "healthy": not report.problems,
        "problems": report.problems,
        "warnings": report.warnings,
        "at": report.at.isoformat(timespec="seconds"),
        "location": report.location,
        "lake": None if report.lake is None else {**asdict(report.lake), **_unread_as_json(report.unread)},
        "dagster": None if report.instance is None else asdict(report.instance),
    }


def _unread_as_json(unread: UnreadFindings) -> dict[str, Any]:
    return {"unread": [asdict(group) for group in unread.groups], "folders_not_looked_into": len(unread.left)}


def _print(report: _Report, by_table: bool) -> None:
    console.print(Text(f"Lake {report.location} at {report.at:%Y-%m-%d %H:%M:%S} UTC"))
    if report.lake is not None:
        failed = {} if report.instance is None else report.instance.failed_partitions
        console.print(_tables(report.lake, failed) if by_table else _layers(report.lake, failed))
        if report.lake.unprocessed:
            console.print(Text(f"Landed and not in bronze: {_hours_told(report.lake.unprocessed)}"))
    if report.instance is not None:
        _print_instance(report.instance, report.at)
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
        table.add_row(_name(layer), *_cells(layer, count))
    return table


def _tables(lake: LakeStatus, failed: dict[str, list[str]]) -> Table:
    table = _table_of("table")
    for layer in lake.layers:
        for found in layer.tables:
            table.add_row(found.table, *_cells(found, len(failed.get(found.table, ()))))
    return table


def _table_of(subject: str) -> Table:
    table = Table(subject, "last complete")
    for name in ("lag", "rows or objects", "bytes", "quarantined", "failed partitions"):
        table.add_column(name, justify="right")
    return table


def _cells(found: LayerStatus | TableStatus, failed: int) -> list[str]:
    amount = f"{found.objects:,} objects" if found.objects is not None else _number(found.rows)
    return [
        found.last_complete or "none",
        "" if found.lag_seconds is None else duration_told(found.lag_seconds),
        amount,
        _number(found.bytes),
        "" if found.quarantine_rate is None else f"{found.quarantine_rate:.2%}",
        f"[red]{failed:,}[/]" if failed else "0",
    ]


def _print_instance(instance: InstanceStatus, now: datetime) -> None:
    heartbeat = instance.daemon.last_heartbeat
    told = "running" if instance.daemon.is_running else "not running"
    if heartbeat is not None:
        told += f", last heartbeat {_ago(heartbeat, now)}"
    console.print(Text(f"Dagster in {instance.home}: daemon {told}"))
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
        cells = ["never", "", ""] if tick is None else [_ago(tick.at, now), tick.state, _first_line(tick.message)]
        table.add_row(*map(Text, [automation.name, "on" if automation.is_on else "off", *cells]))
    return table


def _name(layer: LayerStatus) -> str:
    return f"{layer.layer}, {layer.cadence}" if layer.layer is Layer.GOLD else str(layer.layer)


def _hours_told(hours: Sequence[UnprocessedHour]) -> str:
    """How many objects wait, and of which hours: the first few by name."""
    keys = list(dict.fromkeys(hour.hour for hour in hours))
    more = f" and {len(keys) - _MOST_NAMED} more hours" if len(keys) > _MOST_NAMED else ""
    return f"{sum(hour.objects for hour in hours):,} objects of {', '.join(keys[:_MOST_NAMED])}{more}"


def _ago(moment: datetime, now: datetime) -> str:
    return f"{duration_told(max((now - moment).total_seconds(), 0.0))} ago"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
