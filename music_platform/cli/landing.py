"""`music-platform landing`: lists, refiles or sets aside objects that no table reads; declares objects expired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from music_platform.cli.console import (
    PartitionOption,
    RangeOption,
    console,
    echo_json,
    errors_as_messages,
    fail,
    partitions_asked_for,
    settings_of_command,
    warn,
)
from music_platform.cli.lake_status import is_missing
from music_platform.errors import LakeUnreachableError, MusicPlatformError
from music_platform.inert_text import inert
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import LANDED_KINDS, SET_ASIDE_PREFIX
from music_platform.landing.landed_partitions import declare_expired
from music_platform.landing.refiling import Refiled, can_be_refiled, event_type_of, is_readable_name, refile, set_aside
from music_platform.landing.unread import NO_KIND, UnreadObject, find_held, find_unread
from music_platform.landing.unread_messages import describe_lines_without_partition, start_setting
from music_platform.partitions import describe_ranges, key_of_hour
from music_platform.settings import Settings
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.events import EVENT_TYPES

app = typer.Typer(
    help="What has landed and no table reads: bringing it in, or setting it aside; what is gone on purpose.",
    no_args_is_help=True,
)


@app.command("unread")
def unread(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object an object of the lake.")] = False,
) -> None:
    """Every object that no table reads and why; exit code 1 when there is one. Looks into all folders."""
    lake = _lake(settings_of_command())
    with errors_as_messages():
        found = find_unread(lake).objects
    table = Table("object", "bytes", "kind", "why it is not read")
    for one in found:
        if as_json:
            place = {"key": one.stored.key, "bytes": one.stored.size, **asdict(one.place)}
            echo_json(place)
        table.add_row(Text(one.stored.key), f"{one.stored.size:,}", one.place.kind, str(one.place.reason))
    if not as_json:
        if found:
            console.print(table)
        console.print(f"{len(found):,} objects that no table reads")
    if found:
        raise typer.Exit(1)


@app.command("refile")
def refile_unread(
    prefixes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PREFIX]...",
            help="Only objects whose keys begin so, such as landing/listen_events/dt=2026-11-01; without it all.",
            show_default=False,
        ),
    ] = None,
    event_type: Annotated[
        str | None,
        typer.Option(
            "--event-type",
            help="As what objects in no event type's folder are landed; a PREFIX must say which.",
            show_default=False,
        ),
    ] = None,
    is_meant: Annotated[bool, typer.Option("--yes", help="Do it; without, what would be done is shown.")] = False,
) -> None:
    """Land the lines of misplaced objects, each event in its own hour, and then remove the objects. Twice changes nothing.

    Error records go to the current hour. Events before MUSIC_PLATFORM_START stay: set it earlier to have them read. An object
    that cannot be read, or holds no event, stays too; then the exit code is 1.
    """
    if event_type is not None and event_type not in EVENT_TYPES:
        fail(f"no event type '{event_type}'; there are {', '.join(EVENT_TYPES)}", 2)
    if event_type is not None and not prefixes:
        fail("--event-type needs a PREFIX that says which objects are of that type, such as landing/skip_events/", 2)
    settings = settings_of_command()
    lake = _lake(settings)
    with errors_as_messages():
        found = [one for one in find_unread(lake).objects if one.stored.key.startswith(tuple(prefixes or ("",)))]
        planned = [(one, kind) for one in found if (kind := _kind_of(one, event_type)) is not None]
        _print_plan(found, event_type)
        _warn_of_what_stays(found, event_type)
        if not planned:
            console.print("nothing to refile")
            return
        if not is_meant:
            console.print(f"{len(planned):,} objects would be refiled and removed; nothing was changed. --yes does it")
            return
        _refile(lake, planned, settings)


@app.command("set-aside")
def set_aside_objects(
    prefixes: Annotated[
        list[str],
        typer.Argument(
            metavar="PREFIX...",
            help="Objects whose keys begin so, such as landing/listen_events/dt=2020-01-01; only those that no table reads, and "
            "events of hours to come.",
            show_default=False,
        ),
    ],
    is_meant: Annotated[bool, typer.Option("--yes", help="Do it; without, what would be done is shown.")] = False,
) -> None:
    """Take objects of a wrong clock or of no use out of landing/ and errors/, whole. Nothing is deleted.

    They lie in set_aside/ under their former keys, where nothing reads them. Copied back by the store's own tool, they are as
    before.
    """
    lake = _lake(settings_of_command())
    with errors_as_messages():
        keys = [one.stored.key for one in find_unread(lake).objects]
        keys += [held.key for held in find_held(lake, datetime.now(UTC))]
        keys = sorted(key for key in keys if key.startswith(tuple(prefixes)))
        movable = [key for key in keys if is_readable_name(key)]
        _warn_of_odd_names(keys)
        if not movable:
            console.print("nothing to set aside: no object there that no table reads, nor events of hours to come")
            return
        for key in movable:
            moved = f"'{key}' is now '{set_aside(lake.store, key)}'" if is_meant else f"'{key}'"
            console.print(Text(moved), soft_wrap=True)
        if not is_meant:
            message = (
                f"{len(movable):,} objects would be moved to {SET_ASIDE_PREFIX}/; nothing was changed. --yes does it"
            )
            console.print(message)


@app.command("expire")
def expire(
    partition: PartitionOption = None,
    partition_range: RangeOption = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help=f"Only these: {', '.join(LANDED_KINDS)}.", show_default=False),
    ] = None,
) -> None:
    """Declare gone landed objects expired on purpose: bronze keeps their rows, and everything else is made from bronze.

    Nothing is deleted, and existing objects stay as they are.
    """
    hours = partitions_asked_for(partition, partition_range)
    if hours is None:
        fail("name the hours: --partition or --partition-range", 2)
    if kind is not None and kind not in LANDED_KINDS:
        fail(f"there are no landed objects of '{kind}'; there are {', '.join(LANDED_KINDS)}", 2)
    lake = _lake(settings_of_command())
    table = Table("landed", "partition", "objects expired", "rows kept")
    with errors_as_messages():
        asked = [(name, hour) for name in (LANDED_KINDS if kind is None else (kind,)) for hour in hours]
        for (name, hour), sources in zip(
            asked, lake.map_parallel(lambda pair: declare_expired(lake, *pair), asked), strict=True
        ):
            if sources:
                table.add_row(name, hour, f"{len(sources):,}", f"{sum(source.rows or 0 for source in sources):,}")
    if table.row_count:
        console.print(table)
    else:
        console.print("no landed object is gone that these hours were made from")


def _lake(settings: Settings) -> Lake:
    lake = Lake(settings)
    if is_missing(lake):
        fail(f"there is no lake: no folder {lake.location}. Land events, or correct MUSIC_PLATFORM_LAKE")
    return lake


def _kind_of(one: UnreadObject, event_type: str | None) -> str | None:
    """The kind under which an object is refiled; None for one that stays."""
    return event_type_of(one, event_type) if can_be_refiled(one) else None


def _print_plan(found: Sequence[UnreadObject], event_type: str | None) -> None:
    table = Table("object", "bytes", "what happens to it")
    for one in found:
        kind = _kind_of(one, event_type)
        if kind == COLLECTOR_ERRORS.name:
            what = "filed under the current hour, as error records"
        else:
            what = "stays" if kind is None else f"landed as {kind}, by the hour of each event"
        table.add_row(Text(one.stored.key), f"{one.stored.size:,}", what)
    if found:
        console.print(table)


def _warn_of_what_stays(found: Sequence[UnreadObject], event_type: str | None) -> None:
    _warn_of_odd_names([one.stored.key for one in found])
    early = [one.place.hour for one in found if not can_be_refiled(one) and one.place.hour is not None]
    if early:
        warn(
            f"{len(early):,} objects of events before MUSIC_PLATFORM_START stay, of {describe_ranges(set(early))}; set "
            f"{start_setting(min(early))} to have them read"
        )
    unknown = [one for one in found if one.place.kind == NO_KIND and event_type is None]
    if unknown:
        warn(
            f"{len(unknown):,} objects of no known event type stay; say what they are: "
            "music-platform landing refile PREFIX --event-type TYPE"
        )


def _warn_of_odd_names(keys: Sequence[str]) -> None:
    odd = [key for key in keys if not is_readable_name(key)]
    if odd:
        warn(
            f"{len(odd):,} objects stay, for their names cannot be read (control characters, not UTF-8, two slashes in a row, "
            f"# and digits at the end); rename them by the store's own tool, such as '{inert(odd[0])}'"
        )


def _refile(lake: Lake, planned: Sequence[tuple[UnreadObject, str]], settings: Settings) -> None:
    """Refile the planned objects; print what happened to each, and which hours have new objects."""
    now = datetime.now(UTC)
    lines: dict[datetime, int] = {}
    failed: list[str] = []
    for one, kind in planned:
        try:
            refiled = refile(lake.store, one, kind, settings.start, now)
        except LakeUnreachableError:
            raise
        except MusicPlatformError as error:
            failed.append(one.stored.key)
            warn(f"'{one.stored.key}' stays: {error}")
            continue
        console.print(Text(_describe(refiled)), soft_wrap=True)
        if refiled.summary is not None:
            for hour, count in refiled.summary.lines_by_hour.items():
                lines[hour] = lines.get(hour, 0) + count
    if lines:
        message = f"to be materialized, where the landing sensor does not: {describe_ranges(map(key_of_hour, lines))}"
        console.print(message, highlight=False, soft_wrap=True)
    for message in describe_lines_without_partition(lines, settings.start, now):
        warn(message)
    if failed:
        fail(f"{len(failed):,} of {len(planned):,} objects were not refiled, such as '{failed[0]}'")


def _describe(refiled: Refiled) -> str:
    if refiled.summary is None:
        return f"'{refiled.key}' is now '{refiled.error_key}'"
    summary = refiled.summary
    return (
        f"'{refiled.key}' removed: its {summary.lines:,} lines are in {summary.objects_written:,} objects landed and "
        f"{summary.objects_unchanged:,} unchanged, {summary.error_records:,} of them error records"
    )
