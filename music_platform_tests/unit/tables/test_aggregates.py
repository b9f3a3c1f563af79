"""Aggregates of the days given, against a plain recomputation in pandas of random days: ranks, hours, funnel and logins.

Those that carry rows forward stand in test_user_activity and test_user_song_interactions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.contract import Column, ColumnType, Personal, TableContract
from music_platform.tables.events.auth_events import AUTH_EVENTS
from music_platform.tables.events.status_change_events import STATUS_CHANGE_EVENTS
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold.hourly_plays import HOURLY_PLAYS, hourly_plays
from music_platform.tables.gold.level_funnel import LEVEL_FUNNEL, STAGES, level_funnel
from music_platform.tables.gold.login_success import LOGIN_SUCCESS, login_success
from music_platform.tables.gold.top_artists import TOP_ARTISTS, top_artists
from music_platform.tables.gold.top_songs import TOP_SONGS, top_songs
from music_platform.tables.rankings import TOP_RANKS
from music_platform.tables.schemas import arrow_schema
from music_platform.tables.silver import SILVER
from music_platform.tables.transforms.keys import session_key
from music_platform_tests.unit.tables.aggregate_frames import (
    DAYS,
    FEW,
    FIRST_DAY,
    SEEDS,
    History,
    Rows,
    at,
    day_of,
    frame,
    key,
    moment_of,
    play,
    random_history,
    read,
    same,
)

AUTHS, STATUS_CHANGES = SILVER[AUTH_EVENTS.name], SILVER[STATUS_CHANGE_EVENTS.name]
SONGS = (Column(name="song_key", type=ColumnType.STRING, description="", personal=Personal.NONE),
         Column(name="title", type=ColumnType.STRING, description="", personal=Personal.NONE),
         Column(name="artist", type=ColumnType.STRING, description="", personal=Personal.NONE),
         Column(name="day", type=ColumnType.TIMESTAMP, description="", personal=Personal.NONE))  # fmt: skip
ARTISTS = (Column(name="artist_key", type=ColumnType.STRING, description="", personal=Personal.NONE), *SONGS[2:])


# top_songs, top_artists and hourly_plays


def listening_oracle(
    history: History, by: Callable[[dict[str, Any]], tuple[Any, ...]]
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Plays, listeners, seconds and skips by a key."""
    groups: dict[tuple[Any, ...], Rows] = {}
    for row in history.plays:
        groups.setdefault(by(row), []).append(row)
    return {
        group: {
            "plays": len(rows),
            "listeners": len({row["user_key"] for row in rows}),
            "played_seconds": math.fsum(row["played_seconds"] or 0.0 for row in rows),
            "skips": sum(bool(row["is_skipped"]) for row in rows),
        }
        for group, rows in sorted(groups.items())
    }


def ranked_oracle(history: History, name: str) -> Rows:
    rows = [
        {"day": moment_of(day), name: member} | measures
        for (day, member), measures in listening_oracle(
            history, lambda row: (day_of(row["event_time"]), row[name])
        ).items()
    ]
    if not rows:
        return []
    table = pd.DataFrame(rows)
    for measure in ("plays", "listeners"):
        ordered = table.sort_values(["day", measure, name], ascending=[True, False, True])
        table[f"{measure}_rank"] = ordered.groupby("day").cumcount() + 1
    return cast("Rows", table.astype(object).to_dict("records"))


@FEW
@given(seed=SEEDS)
def test_top_songs_and_artists_recomputed(spark: SparkSession, seed: int) -> None:
    history = random_history(seed)
    plays = frame(spark, FACT_PLAYS.columns, history.plays)
    songs = [
        {"song_key": key(song), "title": f"Song {song} of {day}", "artist": f"Artist {song % 3}", "day": moment_of(day)}
        for song in range(1, 7)  # the seventh is not in the dimension
        for day in DAYS
    ]
    artists = [{"artist_key": key(artist), "artist": f"Artist {artist}", "day": moment_of(day)}
               for artist in range(1, 3) for day in DAYS]  # fmt: skip
    wanted_songs = [
        row | (
            {"title": "Unknown", "artist": "Unknown"} if row["song_key"] == key(7) else
            {"title": f"Song {int(row['song_key'])} of {day_of(row['day'])}", "artist": f"Artist {int(row['song_key']) % 3}"}
        )
        for row in ranked_oracle(history, "song_key")
    ]  # fmt: skip
    wanted_artists = [
        row | {"artist": "Unknown" if row["artist_key"] == key(0) else f"Artist {int(row['artist_key'])}"}
        for row in ranked_oracle(history, "artist_key")
    ]
    same(read(top_songs(plays, frame(spark, SONGS, songs)), TOP_SONGS), wanted_songs)
    same(read(top_artists(plays, frame(spark, ARTISTS, artists)), TOP_ARTISTS), wanted_artists)


def test_a_song_stays_that_leads_in_either_rank(spark: SparkSession) -> None:
    """More songs than ranks, one play each, but for the first (three plays of a listener) and the last (two listeners)."""
    surplus = 5
    plays = [play(1, at("01 10:00"), song_key=key(song)) for song in range(TOP_RANKS + surplus)]
    plays += [play(1, at("01 11:00"), song_key=key(0))] * 2 + [
        play(2, at("01 11:00"), song_key=key(TOP_RANKS + surplus - 1))
    ]
    rows = read(top_songs(frame(spark, FACT_PLAYS.columns, plays), frame(spark, SONGS, [])), TOP_SONGS)
    by_key = {row["song_key"]: row for row in rows}
    assert len(rows) == TOP_RANKS
    first, last = by_key[key(0)], by_key[key(TOP_RANKS + surplus - 1)]
    assert (first["plays"], first["plays_rank"], first["listeners_rank"]) == (3, 1, 2)
    assert (last["plays"], last["plays_rank"], last["listeners_rank"]) == (2, 2, 1)
    assert sorted(row["plays_rank"] for row in rows) == list(range(1, TOP_RANKS + 1))
    assert [by_key[key(song)]["plays_rank"] for song in (1, 2, 3)] == [3, 4, 5]
    assert key(TOP_RANKS) not in by_key


def test_ranks_differ_by_what_they_rank(spark: SparkSession) -> None:
    """The first thousand by plays have one listener; others, with fewer plays, have two."""
    plays = [play(1, at("01 10:00"), song_key=key(song)) for song in range(TOP_RANKS)] * 3
    plays += [play(user, at("01 10:00"), song_key=key(TOP_RANKS + song)) for user in (1, 2) for song in range(2)]
    rows = read(top_songs(frame(spark, FACT_PLAYS.columns, plays), frame(spark, SONGS, [])), TOP_SONGS)
    assert len(rows) == TOP_RANKS + 2
    assert [(row["plays_rank"], row["listeners_rank"]) for row in rows[-3:]] == [(1000, 1002), (1001, 1), (1002, 2)]


@FEW
@given(seed=SEEDS)
def test_hourly_plays_recomputed(spark: SparkSession, seed: int) -> None:
    history = random_history(seed)
    by_hour = listening_oracle(
        history,
        lambda row: (row["event_time"].replace(minute=0), row["state"], row["level"]),
    )
    wanted = [{"hour_time": hour, "state": state, "level": level} | measures
              for (hour, state, level), measures in by_hour.items()]  # fmt: skip
    same(read(hourly_plays(frame(spark, FACT_PLAYS.columns, history.plays)), HOURLY_PLAYS), wanted)


def test_seconds_that_are_not_known_add_nothing(spark: SparkSession) -> None:
    unknown = {"played_seconds": None, "is_skipped": None}
    plays = [play(1, at("01 10:00"), **unknown), play(2, at("01 11:00"), **unknown), play(2, at("01 11:30"))]
    rows = read(hourly_plays(frame(spark, FACT_PLAYS.columns, plays)), HOURLY_PLAYS)
    assert [(row["plays"], row["played_seconds"], row["skips"]) for row in rows] == [(1, 0.0, 0), (2, 200.0, 0)]


# level_funnel


def funnel_oracle(history: History, days: list[str]) -> Rows:
    events: dict[tuple[str, str], list[tuple[int, str]]] = {(day, stage): [] for day in days for stage in STAGES}
    for row in history.page_views:
        if row["user_id"] is None:
            continue
        stages = [f"active_{row['level']}", {
            "Upgrade": "upgrade_page", "Submit Upgrade": "submit_upgrade", "Downgrade": "downgrade_page",
            "Submit Downgrade": "submit_downgrade", "Cancel": "cancel", "Cancellation Confirmation": "cancelled",
        }.get(row["page"])]  # fmt: skip
        for stage in stages:
            if stage:
                events[day_of(row["event_time"]), stage].append((row["user_id"], row["session_key"]))
    for row in history.status_changes:
        stage = "became_paid" if row["previous_level"] == "free" else "became_free"
        events[day_of(row["event_time"]), stage].append((row["user_id"], row["session_id"]))
    order = list(STAGES)
    return [
        {
            "day": moment_of(day), "stage": stage, "stage_order": order.index(stage) + 1,
            "users": len({user for user, _ in found}), "sessions": len({session for _, session in found}),
            "events": len(found),
        }
        for (day, stage), found in sorted(events.items())
    ]  # fmt: skip


@FEW
@given(seed=SEEDS)
def test_level_funnel_recomputed(spark: SparkSession, seed: int) -> None:
    history = random_history(seed)
    page_views = frame(spark, FACT_PAGE_VIEWS.columns, history.page_views)
    changes = frame(spark, STATUS_CHANGES.columns, history.status_changes)
    same(read(level_funnel(page_views, changes, DAYS), LEVEL_FUNNEL), funnel_oracle(history, DAYS))


def test_level_funnel_has_every_stage_on_a_day_without_events(spark: SparkSession) -> None:
    page_views, changes = frame(spark, FACT_PAGE_VIEWS.columns, []), frame(spark, STATUS_CHANGES.columns, [])
    rows = read(level_funnel(page_views, changes, DAYS[:2]), LEVEL_FUNNEL)
    assert sorted((day_of(row["day"]), row["stage_order"], row["stage"]) for row in rows) == [
        (day, order, stage) for day in DAYS[:2] for order, stage in enumerate(STAGES, start=1)
    ]
    assert {(row["users"], row["sessions"], row["events"]) for row in rows} == {(0, 0, 0)}


# login_success


def auth(session: int, item: int, moment: datetime, success: bool, **changes: Any) -> dict[str, Any]:
    row = {"session_id": session, "item_in_session": item, "event_time": moment, "success": success, "zip": "73301",
           "user_agent": "browser", "tag": None}  # fmt: skip
    return row | changes


def twins(spark: SparkSession, pages: list[tuple[dict[str, Any], str, int]]) -> DataFrame:
    """Page views of fact_page_views at the places of auth events."""
    columns = (*AUTHS.columns, FACT_PAGE_VIEWS.column("page"), FACT_PAGE_VIEWS.column("status"))
    rows = [event | {"page": page, "status": status} for event, page, status in pages]
    identity = (F.col(name) for name in ("session_id", "tag", "zip", "user_agent"))
    views = frame(spark, columns, rows).withColumn("session_key", session_key(*identity))
    return views.select("session_key", "item_in_session", "event_time", "page", "status")


@FEW
@given(seed=SEEDS)
def test_login_success_recomputed(spark: SparkSession, seed: int) -> None:
    random = np.random.default_rng(seed)
    auths, pages = [], []
    wanted = {day: [0, 0, 0] for day in DAYS}
    for item in range(int(random.integers(0, 60))):
        moment = FIRST_DAY + timedelta(minutes=int(random.integers(0, len(DAYS) * 1440)))
        success, tag = bool(random.random() < 0.7), str(random.choice(["a", "b"])) if random.random() < 0.5 else None
        event = auth(int(random.integers(1, 4)), item, moment, success, tag=tag)
        auths.append(event)
        page, status = str(random.choice(["Home", "Login", "Logout", "Error"])), int(random.choice([200, 307]))
        has_twin = random.random() < 0.9
        if has_twin:
            pages += [(event, page, status)] * int(random.integers(1, 3))
        stale = has_twin and page in ("Login", "Logout") and status == 307
        wanted[day_of(moment)][2 if stale else 0 if success else 1] += 1
        pages.append((event | {"item_in_session": 1000 + item}, "Login", 307))  # of no auth event
    result = login_success(frame(spark, AUTHS.columns, auths), twins(spark, pages), DAYS)
    same(
        read(result, LOGIN_SUCCESS),
        [
            {
                "day": moment_of(day), "attempts": successes + failures, "successes": successes, "failures": failures,
                "overcounted": overcounted,
                "success_rate": successes / (successes + failures) if successes + failures else None,
            }
            for day, (successes, failures, overcounted) in wanted.items()
        ],
    )  # fmt: skip


def test_a_page_of_another_session_or_time_makes_no_login_stale(spark: SparkSession) -> None:
    """sessionId begins anew in every run of a producer: the same number may come again with other listeners or later."""
    event = auth(7, 3, at("01 10:00"), True)
    others = [{"session_id": 8}, {"item_in_session": 4}, {"zip": "10001"}, {"user_agent": "other"}, {"tag": "other"},
              {"event_time": at("01 10:01")}]  # fmt: skip
    auths = frame(spark, AUTHS.columns, [event])
    result = login_success(auths, twins(spark, [(event | other, "Login", 307) for other in others]), DAYS[:1])
    assert [(row["attempts"], row["overcounted"]) for row in read(result, LOGIN_SUCCESS)] == [(1, 0)]
    result = login_success(auths, twins(spark, [(event, "Login", 307)]), DAYS[:1])
    assert [(row["attempts"], row["overcounted"]) for row in read(result, LOGIN_SUCCESS)] == [(0, 1)]


def test_the_real_producer_s_funnel_and_logins(spark: SparkSession, sample_folder: Path) -> None:
    """Its 324 auth events hold 11 stale ones; every status change belongs to a page Submit Upgrade or Submit Downgrade."""
    names = {
        "sessionId": "session_id",
        "itemInSession": "item_in_session",
        "userId": "user_id",
        "userAgent": "user_agent",
    }

    def sample(event_type: str, contract: TableContract, more: dict[str, str]) -> DataFrame:
        file = sample_folder / "eventsim" / f"{event_type}.jsonl.xz"
        events = pd.read_json(file, lines=True, dtype={"zip": str}, convert_dates=False).rename(columns=names | more)
        events["event_time"] = pd.to_datetime(events["ts"], unit="ms", utc=True)
        wanted = arrow_schema(
            column for column in contract.columns if column.name in events and column.name != "registered_at"
        )
        table = pa.Table.from_pandas(events[wanted.names], preserve_index=False).cast(wanted)
        return spark.createDataFrame(table).withColumn("tag", F.lit(None).cast("string"))

    key_of_session = session_key(*(F.col(name) for name in ("session_id", "tag", "zip", "user_agent")))
    page_views = sample("page_view_events", SILVER["page_view_events"], {}).withColumn("session_key", key_of_session)
    auths = sample("auth_events", AUTHS, {})
    changes = sample("status_change_events", STATUS_CHANGES, {"level": "previous_level"})
    days = [f"2026-11-{day:02}" for day in range(1, 6)]

    logins = pd.DataFrame(read(login_success(auths, page_views, days), LOGIN_SUCCESS))
    totals = logins[["attempts", "successes", "failures", "overcounted"]].sum().to_list()
    assert totals == [313, 282, 31, 11]

    funnel = pd.DataFrame(read(level_funnel(page_views, changes, days), LEVEL_FUNNEL))
    assert len(funnel) == len(days) * len(STAGES)
    assert funnel.groupby("stage_order")["events"].sum().to_list() == [6507, 61, 25, 25, 17649, 194, 1, 1, 3, 3]


# All tables: how the days come


@settings(max_examples=3, deadline=None)
@given(seed=SEEDS)
def test_days_made_together_are_the_days_made_one_by_one(spark: SparkSession, seed: int) -> None:
    history = random_history(seed)
    songs, artists = frame(spark, SONGS, []), frame(spark, ARTISTS, [])

    def tables(days: list[str]) -> list[Rows]:
        plays = frame(spark, FACT_PLAYS.columns, history.plays_of(*days))
        page_views = frame(spark, FACT_PAGE_VIEWS.columns, history.page_views_of(*days))
        changes = [row for row in history.status_changes if day_of(row["event_time"]) in days]
        return [
            read(top_songs(plays, songs), TOP_SONGS),
            read(top_artists(plays, artists), TOP_ARTISTS),
            read(hourly_plays(plays), HOURLY_PLAYS),
            read(level_funnel(page_views, frame(spark, STATUS_CHANGES.columns, changes), days), LEVEL_FUNNEL),
        ]

    one_by_one = [tables([day]) for day in DAYS[:3]]
    assert tables(DAYS[:3]) == [[row for rows in by_day for row in rows] for by_day in zip(*one_by_one, strict=True)]
