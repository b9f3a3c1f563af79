"""Small tables with the datasources' columns in a DuckDB file: what stands in for Druid where Superset is tested alone.

The two functions of Druid's SQL that DuckDB lacks are macros of the file.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from music_platform.contracts.aggregates import STAGES
from music_platform.dashboards.datasources import DATASOURCES, TIME

DAYS = 14
_PLAYS = 4000
_ARROW_TYPES = {
    "TIMESTAMP": pa.timestamp("us"),
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
}
_STATES = {"CA": "California", "NY": "New York", "TX": "Texas", "WA": "Washington", "FL": "Florida", "OH": "Ohio"}
_SYSTEMS = ("Windows", "Mac OS X", "iOS", "Android", "Linux")
_BROWSERS = ("Chrome", "Firefox", "Safari", "Mobile Safari", "IE")
_ARTISTS = tuple(
    f"{first} {second}" for first in ("The Quiet", "Golden", "Northern") for second in ("Lanterns", "Avenue", "Sea")
)
_PAGES = ("NextSong", "Home", "Upgrade", "Submit Upgrade", "Downgrade", "Cancel")
Row = dict[str, Any]


def write_database(file: Path, python: str, now: datetime | None = None) -> None:
    """Write the file by the Python that has DuckDB; the tables reach ``DAYS`` days back from ``now``."""
    random = np.random.default_rng(1)
    newest = (now or datetime.now(UTC)).replace(minute=0, second=0, microsecond=0, tzinfo=None)
    hours = [newest - timedelta(hours=hour) for hour in range(DAYS * 24)]
    days = sorted({hour.replace(hour=0) for hour in hours})
    statements = [
        "CREATE MACRO MILLIS_TO_TIMESTAMP(milliseconds) AS make_timestamp(milliseconds * 1000);",
        "CREATE MACRO TIME_FORMAT(moment, pattern) AS strftime(moment, '%Y-%m-%d');",
    ]
    for name, columns in DATASOURCES.items():
        rows = _ROWS[name](random, hours, days)
        assert {column for row in rows for column in row} <= set(columns), name
        schema = pa.schema([(column, _ARROW_TYPES[sql_type]) for column, sql_type in columns.items()])
        parquet = file.with_name(f"{name}.parquet")
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), parquet)
        statements.append(f"CREATE TABLE {name} AS SELECT * FROM read_parquet('{parquet}');")
    program = f"import duckdb, sys; duckdb.connect({str(file)!r}).execute(sys.stdin.read())"
    subprocess.run([python, "-c", program], input="\n".join(statements), check=True, text=True)


def _streams(random: np.random.Generator, hours: list[datetime], days: list[datetime]) -> list[Row]:
    rows = []
    for _ in range(_PLAYS):
        hour = hours[int(random.integers(len(hours)))]
        if random.random() > 0.25 + 0.75 * np.sin(np.pi * hour.hour / 24):
            continue
        artist = int(random.zipf(1.6)) % len(_ARTISTS)
        state = list(_STATES)[int(random.zipf(1.5)) % len(_STATES)]
        user = int(random.integers(300))
        seconds = float(random.uniform(120, 400))
        rows.append(
            {
                TIME: hour + timedelta(seconds=int(random.integers(3600))),
                "user_key": f"{user:016x}",
                "song_key": f"{artist * 10:016x}",
                "artist": _ARTISTS[artist],
                "song": f"Song {int(random.integers(4)) + 1} of {_ARTISTS[artist]}",
                "level": "paid" if user % 3 == 0 else "free",
                "state": state,
                "state_name": _STATES[state],
                "operating_system": _SYSTEMS[int(random.zipf(1.8)) % len(_SYSTEMS)],
                "browser": _BROWSERS[int(random.zipf(1.8)) % len(_BROWSERS)],
                "duration_seconds": seconds,
                "played_seconds": seconds,
                "is_skipped": int(random.random() < 0.12),
            }
        )
    return rows


def _page_views(random: np.random.Generator, hours: list[datetime], days: list[datetime]) -> list[Row]:
    return [
        {TIME: hour, "page": page, "level": "free", "state": state, "page_views": int(random.integers(1, 9))}
        for hour in hours
        for page in _PAGES
        for state in ("CA", "NY")
    ]


def _sessions(random: np.random.Generator, hours: list[datetime], days: list[datetime]) -> list[Row]:
    return [
        {
            TIME: hour,
            "session_key": f"{number:016x}",
            "level_at_start": "paid" if random.random() < 0.3 else "free",
            "duration_seconds": float(random.exponential(2400)),
            "songs": int(random.integers(0, 20)),
            "played_seconds": float(random.exponential(2000)),
        }
        for number, hour in enumerate(hours * 3)
    ]


def _daily_engagement(random: np.random.Generator, hours: list[datetime], days: list[datetime]) -> list[Row]:
    return [
        {TIME: day, "active_1_day": 90 + int(random.integers(30)), "active_7_days": 150 + 8 * age,
         "active_30_days": 180 + 12 * age, "users": 200 + 12 * age}
        for age, day in enumerate(days)
    ]  # fmt: skip


def _retention(random: np.random.Generator, hours: list[datetime], days: list[datetime]) -> list[Row]:
    rows = []
    for day in days:
        monday = day - timedelta(days=day.weekday())
        for weeks in range(8):
            users = 30 + int(random.integers(20))
            registered = (monday - timedelta(weeks=weeks)).replace(tzinfo=UTC)
            rows.append(
                {TIME: day, "registration_week": int(registered.timestamp() * 1000), "weeks_since_registration": weeks,
                 "users": users, "active_users": int(users * 0.9 ** (weeks + 1))}
            )  # fmt: skip
    return rows


def _top_songs(random: np.random.Generator, hours: list[datetime], days: list[datetime]) -> list[Row]:
    return [
        {TIME: day, "title": f"Song {place}", "artist": _ARTISTS[place % len(_ARTISTS)], "plays_rank": place,
         "plays": 200 // place, "skips": int(random.integers(0, 1 + 20 // place))}
        for day in days
        for place in range(1, 21)
    ]  # fmt: skip


def _top_artists(random: np.random.Generator, hours: list[datetime], days: list[datetime]) -> list[Row]:
    return [
        {TIME: day, "artist": artist, "plays_rank": place, "plays": 300 // place, "skips": int(random.integers(0, 20))}
        for day in days
        for place, artist in enumerate(_ARTISTS, start=1)
    ]


def _funnel(random: np.random.Generator, hours: list[datetime], days: list[datetime]) -> list[Row]:
    sizes = dict(zip(STAGES, (400, 30, 8, 8, 100, 25, 2, 2, 3, 1), strict=True))
    return [
        {TIME: day, "stage": stage, "stage_order": order, "users": size, "sessions": size, "events": size}
        for day in days
        for order, (stage, size) in enumerate(sizes.items(), start=1)
    ]


def _logins(random: np.random.Generator, hours: list[datetime], days: list[datetime]) -> list[Row]:
    return [{TIME: day, "attempts": 60, "successes": 60 - failed, "failures": failed}
            for day in days for failed in [int(random.integers(1, 9))]]  # fmt: skip


def _pipeline(random: np.random.Generator, hours: list[datetime], days: list[datetime]) -> list[Row]:
    rows = []
    for hour in hours:
        lines = 300 + int(random.integers(100))
        broken = int(random.integers(0, 4))
        for lag, (layer, count, rule) in enumerate(
            (
                ("bronze", lines, None),
                ("silver", lines - broken, None),
                ("quarantine", broken, "line_readable"),
                ("gold", lines - broken, None),
            )
        ):
            rows.append(
                {TIME: hour, "layer": layer, "table_name": "listen_events", "rule": rule, "row_count": count,
                 "byte_count": count * 80, "lag_seconds": 60.0 + 20 * lag + float(random.integers(30))}
            )  # fmt: skip
    return rows


_ROWS: dict[str, Callable[[np.random.Generator, list[datetime], list[datetime]], list[Row]]] = {
    "streams": _streams,
    "page_views": _page_views,
    "sessions": _sessions,
    "daily_engagement": _daily_engagement,
    "retention": _retention,
    "top_songs": _top_songs,
    "top_artists": _top_artists,
    "funnel": _funnel,
    "logins": _logins,
    "pipeline": _pipeline,
}
