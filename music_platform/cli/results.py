"""`music-platform results`: figures of some days from gold: top songs, active users, the funnel, sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import pyarrow as pa
import typer
from rich.table import Table
from rich.text import Text

from music_platform.cli.console import console, errors_as_messages, fail, settings_of_command, warn
from music_platform.lake.lake import Lake
from music_platform.lake.manifest import Manifest, read_manifest
from music_platform.lake.parquet_reader import read_object
from music_platform.lake.quarantined import entirely_quarantined
from music_platform.partitions import days_in_range, describe_partitions, hours_of_day
from music_platform.tables.contract import TableContract
from music_platform.tables.gold.active_users import ACTIVE_USERS
from music_platform.tables.gold.dim_songs import DIM_SONGS
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold.fact_sessions import FACT_SESSIONS
from music_platform.tables.gold.level_funnel import LEVEL_FUNNEL
from music_platform.tables.gold.login_success import LOGIN_SUCCESS
from music_platform.tables.silver import SILVER

_TOP_SONGS = 10
_SECONDS_OF_AN_HOUR = 3600


def results(
    days: Annotated[
        str, typer.Option("--partition-range", help="Days from one to another, such as 2026-11-01...2026-11-14.")
    ],
) -> None:
    """Print, from gold, the top songs, the active users of each day, the funnel of subscription levels and the sessions.

    Exit code 1 when gold has no plays of the days although some landed, or is not made; the message says which it is.
    """
    first, _, last = days.partition("...")
    try:
        partitions = days_in_range(first, last or first)
    except ValueError as error:
        fail(str(error), 2)
    lake = Lake(settings_of_command())
    with errors_as_messages():
        quarantined = entirely_quarantined(lake, [hour for day in partitions for hour in hours_of_day(day)])
        if not _rows(lake, FACT_PLAYS, partitions, ["song_key"]).num_rows:
            _explain_missing_plays(lake, partitions, quarantined)
        for message in quarantined.values():
            warn(message)
        print_results(lake, partitions)


def _explain_missing_plays(lake: Lake, days: Sequence[str], quarantined: Mapping[str, str]) -> None:
    """Ends the command, unless the tables are made and nobody listened."""
    if message := quarantined.get("listen_events"):
        fail(message)
    hours = [hour for day in days for hour in hours_of_day(day)]
    asked = describe_partitions(days)
    silver = _published(lake, SILVER["listen_events"], hours)
    rows = sum(manifest.rows for manifest in silver)
    made = _published(lake, FACT_PLAYS, days)
    daily = f"./run dagster asset materialize --select 'tag:cadence=daily' --partition-range '{days[0]}...{days[-1]}'"
    if not silver and not made:
        hourly = (
            "./run dagster asset materialize --select 'tag:cadence=hourly and not group:landing' --partition-range "
            f"'{hours[0]}...{hours[-1]}'"
        )
        fail(f"nothing was materialized of {asked}. Materialize the hours first: {hourly}; then the days: {daily}")
    if rows or not made:
        is_older = " was made before them and" if made else ""
        fail(
            f"gold{is_older} has no plays of {asked}, of which silver/listen_events has {rows:,} rows. Materialize the days: "
            f"{daily}"
        )
    console.print(Text(f"No one listened: silver/listen_events has 0 rows of {asked}, and quarantine none."))


def _published(lake: Lake, contract: TableContract, partitions: Sequence[str]) -> list[Manifest]:
    found = lake.map_requests(lambda partition: read_manifest(lake.store, contract, partition), partitions)
    return [entry[0] for entry in found if entry is not None]


def print_results(lake: Lake, days: Sequence[str]) -> None:
    """The days' results as tables, without days that gold lacks."""
    plays = _rows(lake, FACT_PLAYS, days, ["song_key", "user_key", "played_seconds"])
    if plays.num_rows:
        console.print(_top_songs(plays, _rows(lake, DIM_SONGS, days[-1:], ["song_key", "title", "artist"])))
    columns = ["day", "active_1_day", "active_7_days", "active_30_days", "users"]
    console.print(_as_table("Active users", _rows(lake, ACTIVE_USERS, days, columns).sort_by("day").to_pylist()))
    console.print(_as_table("Subscription levels", _funnel(_rows(lake, LEVEL_FUNNEL, days, None))))
    console.print(_as_table("Sessions and logins", [_totals(lake, days, plays)]))


def _rows(lake: Lake, contract: TableContract, days: Sequence[str], columns: list[str] | None) -> pa.Table:
    keys = [key for manifest in _published(lake, contract, days) for key in manifest.keys]
    names = columns or [column.name for column in contract.columns]
    tables = lake.map_parallel(lambda key: read_object(lake.store, key, names), keys)
    return pa.concat_tables(tables) if tables else pa.table({name: [] for name in names})


def _top_songs(plays: pa.Table, songs: pa.Table) -> Table:
    counted = plays.group_by("song_key").aggregate([([], "count_all"), ("user_key", "count_distinct")])
    order = [("count_all", "descending"), ("user_key_count_distinct", "descending"), ("song_key", "ascending")]
    best = counted.sort_by(order).slice(0, _TOP_SONGS).to_pylist()
    names = {row["song_key"]: row for row in songs.to_pylist()}
    unknown = {"title": "Unknown", "artist": "Unknown"}
    return _as_table(
        "Top songs",
        [
            {
                "title": names.get(row["song_key"], unknown)["title"],
                "artist": names.get(row["song_key"], unknown)["artist"],
                "plays": row["count_all"],
                "listeners": row["user_key_count_distinct"],
            }
            for row in best
        ],
    )


def _funnel(stages: pa.Table) -> list[dict[str, Any]]:
    """Events by stage over all days, and the sum of each day's users."""
    summed = stages.group_by(["stage_order", "stage"]).aggregate(
        [("users", "sum"), ("sessions", "sum"), ("events", "sum")]
    )
    return [
        {
            "stage": row["stage"],
            "user days": row["users_sum"],
            "sessions": row["sessions_sum"],
            "events": row["events_sum"],
        }
        for row in summed.sort_by("stage_order").to_pylist()
    ]


def _totals(lake: Lake, days: Sequence[str], plays: pa.Table) -> dict[str, Any]:
    sessions = _rows(lake, FACT_SESSIONS, days, ["songs", "skips", "duration_seconds"]).to_pylist()
    logins = _rows(lake, LOGIN_SUCCESS, days, ["attempts", "successes"]).to_pylist()
    seconds = sum(value for value in plays.column("played_seconds").to_pylist() if value is not None)
    attempts = sum(row["attempts"] for row in logins)
    return {
        "sessions": len(sessions),
        "plays": plays.num_rows,
        "skips": sum(row["skips"] for row in sessions),
        "hours listened": round(seconds / _SECONDS_OF_AN_HOUR),
        "logins": attempts,
        "of them successful": sum(row["successes"] for row in logins) / attempts if attempts else "-",
    }


def _as_table(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    for name, value in (rows[0] if rows else {}).items():
        table.add_column(name.replace("_", " "), justify="right" if isinstance(value, int | float) else "left")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    return table


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1%}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}"
    return f"{value:,}" if isinstance(value, int) else str(value)
