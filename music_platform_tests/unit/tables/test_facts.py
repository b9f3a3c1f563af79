"""Facts on small frames, against plain Python over all events at once."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from music_platform.tables.columns import UNKNOWN_KEY
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS, fact_page_views
from music_platform.tables.gold.fact_plays import FACT_PLAYS, fact_plays
from music_platform.tables.gold.fact_sessions import FACT_SESSIONS, fact_sessions
from music_platform.tables.gold.fact_streams import FACT_STREAMS, fact_streams
from music_platform.tables.gold.session_days import SESSION_DAYS, session_days
from music_platform.tables.schemas import arrow_schema
from music_platform.tables.silver import SILVER

START = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"]
_PLACE = {"city": "Austin", "zip": "73301", "state": "TX", "latitude": 30.3, "longitude": -97.7}
_DEVICE = {"user_agent": "curl/8", "device": "Other", "operating_system": "Other", "browser": "curl"}
_USER = {
    "user_id": 5, "first_name": "Jane", "last_name": "Doe", "gender": "F", "registered_at": START - timedelta(days=9),
}  # fmt: skip


def page_view(number: int, at: datetime, session: int, item: int, page: str = "Home", **changes: Any) -> dict[str, Any]:
    """A row of silver's page views; anonymous with ``user_id=None``."""
    row = {
        "event_id": f"{number:032x}", "event_time": at, "session_id": session, "item_in_session": item, "page": page,
        "auth": "Logged In", "method": "GET", "status": 200, "level": "free", "tag": None, **_PLACE, **_DEVICE, **_USER,
        "artist": None, "song": None, "duration_seconds": None,
    } | changes  # fmt: skip
    if row["user_id"] is None:
        row |= dict.fromkeys(_USER)
    return row


def listen(view: dict[str, Any]) -> dict[str, Any]:
    """The listen that is a NextSong page view's twin."""
    return view | {"event_id": f"f{view['event_id'][1:]}"}


def frame(spark: SparkSession, table: str, rows: list[dict[str, Any]]) -> DataFrame:
    schema = arrow_schema(SILVER[table].columns)
    return spark.createDataFrame(pa.Table.from_pylist(rows, schema=schema))


def rows_of(made: DataFrame, contract: Any) -> list[dict[str, Any]]:
    rows = made.toArrow().cast(arrow_schema(contract.columns)).to_pylist()
    return sorted(rows, key=lambda row: [str(row[name]) for name in (*contract.sort_columns, *contract.unique_columns)])


def random_events(seed: int) -> list[dict[str, Any]]:
    """Page views of sessions that start on any day, pause for hours, run past midnight and tie on whole seconds."""
    chance = random.Random(seed)
    views = []
    for session in range(1, 40):
        at = START + timedelta(seconds=chance.randrange(4 * 86_400))
        at = at.replace(microsecond=chance.choice((0, 250_000)))
        item, level = chance.choice((0, 0, 3)), chance.choice(("free", "paid"))
        user = chance.choice((None, 5, 6))
        for _ in range(chance.randrange(1, 30)):
            if user is None and chance.random() < 0.1:
                user = 5
            is_song = user is not None and chance.random() < 0.6
            page = "NextSong" if is_song else chance.choice(
                ("Home", "Error", "Submit Upgrade", "Submit Downgrade", "Cancellation Confirmation", "Help")
            )  # fmt: skip
            duration = chance.choice((200.5, 3600.25, 30.0)) if is_song else None
            views.append(page_view(
                len(views) + 1, at, session, item, page, user_id=user, level=level, status=chance.choice((200, 404, 307)),
                auth="Guest" if user is None else "Logged In",
                artist="Pixies" if is_song else None, song="Debaser" if is_song else None, duration_seconds=duration,
            ))  # fmt: skip
            whole = math.floor(duration) if duration else 60
            at += timedelta(seconds=chance.choices((0, whole, whole // 2, 4 * 3600), (3, 5, 3, 1))[0])
            item += 1
    return [view for view in views if view["event_time"] < START + timedelta(days=4)]


def tables(spark: SparkSession, views: list[dict[str, Any]], days: list[str]) -> dict[str, list[dict[str, Any]]]:
    """All facts of the days, made at once of all events."""
    silver_views = frame(spark, "page_view_events", views)
    listens = frame(spark, "listen_events", [listen(view) for view in views if view["page"] == "NextSong"])
    streams, page_views = fact_streams(listens, silver_views), fact_page_views(silver_views)
    plays = fact_plays(streams, page_views, days)
    parts = session_days(page_views, plays)
    return {
        "streams": rows_of(streams, FACT_STREAMS),
        "page_views": rows_of(page_views, FACT_PAGE_VIEWS),
        "plays": rows_of(plays, FACT_PLAYS),
        "session_days": rows_of(parts, SESSION_DAYS),
        "sessions": rows_of(fact_sessions(parts, days), FACT_SESSIONS),
    }


def expected_seconds(views: list[dict[str, Any]], *, same_hour: bool) -> dict[str, float | None]:
    """Of each listen the seconds until the session's next event, at most the song's length."""
    by_session: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for view in views:
        by_session[view["session_id"]].append(view)
    expected: dict[str, float | None] = {}
    for events in by_session.values():
        events.sort(key=lambda view: (view["event_time"], view["item_in_session"]))
        for view, following in zip(events, [*events[1:], None], strict=True):
            if view["page"] != "NextSong":
                continue
            hours = [
                event and event["event_time"].replace(minute=0, second=0, microsecond=0) for event in (view, following)
            ]
            if following is None or (same_hour and hours[0] != hours[1]):
                expected[listen(view)["event_id"]] = None
            else:
                seconds = (following["event_time"] - view["event_time"]).total_seconds()
                expected[listen(view)["event_id"]] = min(seconds, view["duration_seconds"])
    return expected


@pytest.mark.parametrize("seed", range(3))
def test_played_seconds_and_skips(spark: SparkSession, seed: int) -> None:
    views = random_events(seed)
    made = tables(spark, views, DAYS)
    for name, same_hour in (("streams", True), ("plays", False)):
        expected = expected_seconds(views, same_hour=same_hour)
        assert {row["event_id"]: row["played_seconds"] for row in made[name]} == pytest.approx(expected)
        for row in made[name]:
            seconds = row["played_seconds"]
            assert row["is_skipped"] == (None if seconds is None else seconds < math.floor(row["duration_seconds"]))


@pytest.mark.parametrize("seed", range(3))
def test_no_row_is_lost_and_no_key_is_null(spark: SparkSession, seed: int) -> None:
    views = random_events(seed)
    made = tables(spark, views, DAYS)
    assert sorted(row["event_id"] for row in made["page_views"]) == sorted(view["event_id"] for view in views)
    for row in made["page_views"]:
        assert (row["user_key"] == UNKNOWN_KEY) == (row["user_id"] is None)
        assert (row["song_key"] == UNKNOWN_KEY) == (row["page"] != "NextSong")
        assert row["datetime_key"] == int(f"{row['event_time']:%Y%m%d%H}")
        assert row["state_name"] == "Texas"
    songs_of_views = {row["song_key"] for row in made["page_views"]} - {UNKNOWN_KEY}
    assert songs_of_views == {row["song_key"] for row in made["streams"]} == {row["song_key"] for row in made["plays"]}


@pytest.mark.parametrize("seed", range(4))
def test_sessions_are_whole_across_midnight(spark: SparkSession, seed: int) -> None:
    views = random_events(seed)
    made = tables(spark, views, DAYS)
    seconds = expected_seconds(views, same_hour=False)
    expected = {}
    for session in {view["session_id"] for view in views}:
        events = sorted(
            (view for view in views if view["session_id"] == session),
            key=lambda view: (view["event_time"], view["item_in_session"]),
        )
        songs = [listen(view)["event_id"] for view in events if view["page"] == "NextSong"]
        skipped = [
            view for view in events if view["page"] == "NextSong"
            and (played := seconds[listen(view)["event_id"]]) is not None and played < math.floor(view["duration_seconds"])
        ]  # fmt: skip
        pages = {view["page"] for view in events}
        expected[session] = {
            "started_at": events[0]["event_time"], "ended_at": events[-1]["event_time"],
            "entry_page": events[0]["page"], "exit_page": events[-1]["page"],
            "level_at_start": events[0]["level"], "level_at_end": events[-1]["level"],
            "page_views": len(events), "songs": len(songs), "pages": len(events) - len(songs), "skips": len(skipped),
            "played_seconds": pytest.approx(sum(seconds[song] or 0.0 for song in songs)),
            "errors": sum(view["page"] == "Error" or view["status"] == 404 for view in events),
            "is_converted": "Submit Upgrade" in pages, "is_downgraded": "Submit Downgrade" in pages,
            "is_cancelled": "Cancellation Confirmation" in pages,
            "duration_seconds": (events[-1]["event_time"] - events[0]["event_time"]).total_seconds(),
        }  # fmt: skip
    assert {
        row["session_id"]: {name: row[name] for name in expected[row["session_id"]]} for row in made["sessions"]
    } == expected


@pytest.mark.parametrize("seed", range(2))
def test_one_day_at_a_time_gives_what_a_range_gives(spark: SparkSession, seed: int) -> None:
    """Each day is made of the days around it that it reads, and nothing else."""
    views = random_events(seed)
    at_once = tables(spark, views, DAYS)
    for index, day in enumerate(DAYS):
        around = [view for view in views if f"{view['event_time']:%Y-%m-%d}" in DAYS[max(index - 1, 0) : index + 4]]
        alone = tables(spark, around, DAYS[max(index - 1, 0) : index + 3])
        for name, moment in (("plays", "event_time"), ("session_days", "started_at"), ("sessions", "started_at")):
            wanted = [row for row in at_once[name] if f"{row[moment]:%Y-%m-%d}" == day]
            assert [row for row in alone[name] if f"{row[moment]:%Y-%m-%d}" == day] == wanted, (day, name)


@pytest.mark.parametrize("twin_is_lost_on", [{2}, {1, 2}, {2, 3}, {1, 2, 3}])
def test_a_session_goes_on_by_its_plays_where_their_page_views_are_missing(
    spark: SparkSession, twin_is_lost_on: set[int]
) -> None:
    at = [START + timedelta(hours=hours) for hours in (20, 44, 68)]  # of three days in a row
    song = {"artist": "Pixies", "song": "Debaser", "duration_seconds": 200.5}
    played = [page_view(number, moment, 1, number, "NextSong", **song) for number, moment in enumerate(at, start=1)]
    kept = [view for number, view in enumerate(played, start=1) if number not in twin_is_lost_on]
    other = page_view(9, START, 2, 0)
    streams = fact_streams(
        frame(spark, "listen_events", [listen(view) for view in played]),
        frame(spark, "page_view_events", [*kept, other]),
    )
    views = fact_page_views(frame(spark, "page_view_events", [*kept, other]))
    parts = session_days(views, fact_plays(streams, views, DAYS))
    [session] = [row for row in rows_of(fact_sessions(parts, DAYS), FACT_SESSIONS) if row["session_id"] == 1]
    told = ("started_at", "ended_at", "entry_page", "exit_page", "page_views", "pages", "songs", "played_seconds")
    assert [session[name] for name in told] == [
        at[0], at[2], "NextSong", "NextSong", len(kept), 0, 3, 2 * 200.5,
    ]  # fmt: skip
