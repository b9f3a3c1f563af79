"""Aggregates, each against a plain recomputation in pandas of random days; empty days, ties, nulls, rows carried forward."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.contracts.aggregates import (
    ACTIVE_USERS,
    AGGREGATES,
    HOURLY_PLAYS,
    LEAST_SCORE,
    LEVEL_FUNNEL,
    LOGIN_SUCCESS,
    RETENTION_COHORTS,
    STAGES,
    TOP_ARTISTS,
    TOP_RANKS,
    TOP_SONGS,
    USER_ACTIVITY,
    USER_SONG_INTERACTIONS,
)
from music_platform.contracts.events import AUTH_EVENTS, STATUS_CHANGE_EVENTS
from music_platform.contracts.facts import FACT_PAGE_VIEWS, FACT_PLAYS
from music_platform.contracts.schemas import arrow_schema, spark_schema
from music_platform.contracts.table import Cadence, Column, ColumnType, Layer, TableContract, column_rules
from music_platform.contracts.tables import SILVER
from music_platform.transforms import aggregates
from music_platform.transforms.keys import session_key

FIRST_DAY = datetime(2026, 11, 1, tzinfo=UTC)  # a Sunday: the second day begins a week
DAY = timedelta(days=1)
DAYS = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04", "2026-11-05"]
AUTHS, STATUS_CHANGES = SILVER[AUTH_EVENTS.name], SILVER[STATUS_CHANGE_EVENTS.name]
SONGS = (Column(name="song_key", type=ColumnType.STRING, description=""),
         Column(name="title", type=ColumnType.STRING, description=""),
         Column(name="artist", type=ColumnType.STRING, description=""),
         Column(name="day", type=ColumnType.TIMESTAMP, description=""))  # fmt: skip
ARTISTS = (Column(name="artist_key", type=ColumnType.STRING, description=""), *SONGS[2:])
SEEDS = st.integers(min_value=0, max_value=2**32 - 1)
FEW = settings(max_examples=12, deadline=None)

Rows = list[dict[str, Any]]


def key(number: int) -> str:
    return f"{number:016x}"


def at(text: str) -> datetime:
    """A moment of November 2026, as ``"02 15:30"``."""
    return datetime.strptime(f"2026-11-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def day_of(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")


def frame(spark: SparkSession, columns: Iterable[Column], rows: Rows) -> DataFrame:
    """Rows as a DataFrame; columns that a row lacks are null."""
    columns = tuple(columns)
    table = pa.Table.from_pylist(rows, schema=arrow_schema(columns))
    return spark.createDataFrame(table, spark_schema(columns))


def read(result: DataFrame, contract: TableContract) -> Rows:
    """The rows in the order of their identity, once they are seen to keep the contract."""
    rules = (*column_rules(contract.columns), *contract.rules)
    broken = [F.sum((~F.coalesce(F.expr(rule.condition), F.lit(False))).cast("int")).alias(rule.name) for rule in rules]
    counts = result.agg(*broken).collect()[0].asDict()
    assert {name: count for name, count in counts.items() if count} == {}
    table = result.toArrow()
    wanted = arrow_schema(contract.columns)
    assert table.schema.names == wanted.names
    for name in wanted.names:
        assert table.schema.field(name).type in (wanted.field(name).type, pa.large_string()), name
    table = table.cast(wanted).sort_by([(name, "ascending") for name in contract.unique_columns])
    rows = table.to_pylist()
    assert len({tuple(row[name] for name in contract.unique_columns) for row in rows}) == len(rows)
    return rows


def play(user: int, moment: datetime, **changes: Any) -> dict[str, Any]:
    row = {
        "event_time": moment, "user_key": key(user), "song_key": key(1), "artist_key": key(1), "session_key": key(user),
        "level": "free", "state": "TX", "duration_seconds": 200.0, "played_seconds": 200.0, "is_skipped": False,
    }  # fmt: skip
    return row | {"event_id": f"play {user} {moment}"} | changes


def view(user: int | None, moment: datetime, page: str = "Home", **changes: Any) -> dict[str, Any]:
    row = {
        "event_time": moment, "user_key": key(user or 0), "user_id": user, "session_key": key(user or 99), "page": page,
        "registered_at": None if user is None else at("01 00:00") - user * 3 * DAY, "level": "free", "status": 200,
        "item_in_session": 0, "event_id": f"view {user} {moment} {page}",
    }  # fmt: skip
    return row | changes


@dataclass
class History:
    """Plays and page views of the days, in random order, with status changes."""

    plays: Rows
    page_views: Rows
    status_changes: Rows

    def plays_of(self, *days: str) -> Rows:
        return [row for row in self.plays if day_of(row["event_time"]) in days]

    def page_views_of(self, *days: str) -> Rows:
        return [row for row in self.page_views if day_of(row["event_time"]) in days]


def random_history(seed: int) -> History:
    """Five days, some of them empty; few users and songs, and whole minutes, so that much of it ties."""
    random = np.random.default_rng(seed)
    plays, page_views, status_changes = [], [], []
    pages = [
        "Home",
        "Upgrade",
        "Submit Upgrade",
        "Downgrade",
        "Submit Downgrade",
        "Cancel",
        "Cancellation Confirmation",
    ]
    for index in range(len(DAYS)):
        if random.random() < 0.25:
            continue
        for item in range(int(random.integers(1, 60))):
            user = int(random.integers(1, 9))
            moment = FIRST_DAY + index * DAY + timedelta(minutes=int(random.integers(0, 1440)))
            level = str(random.choice(["free", "paid"]))
            common = {"level": level, "session_key": key(100 * index + int(random.integers(0, 12)))}
            kind = random.random()
            if kind < 0.6:
                song = int(random.integers(1, 8))
                seconds = None if random.random() < 0.2 else float(random.integers(0, 200_000_000)) / 1e6
                plays.append(
                    play(user, moment, **common, event_id=f"play {index} {item}", song_key=key(song),
                         artist_key=key(song % 3), state=str(random.choice(["TX", "NY"])), played_seconds=seconds,
                         is_skipped=None if seconds is None else bool(random.random() < 0.4))
                )  # fmt: skip
            if kind < 0.5 or kind >= 0.6:  # some plays have no page view
                page = "NextSong" if kind < 0.5 else str(random.choice(pages))
                who = None if random.random() < 0.1 else user
                page_views.append(
                    view(who, moment, page, **common, event_id=f"view {index} {item}", item_in_session=item)
                )
            if kind > 0.9:
                status_changes.append({
                    "event_time": moment, "user_id": user, "previous_level": level, "session_id": user, "zip": "73301",
                    "user_agent": "browser", "tag": None,
                })  # fmt: skip
    for rows in (plays, page_views, status_changes):
        random.shuffle(rows)
    return History(plays, page_views, status_changes)


def carried(
    spark: SparkSession, history: History, make: Callable[..., DataFrame], contract: TableContract
) -> list[Rows]:
    """The table's partitions day by day, each made of the one before."""
    partitions: list[Rows] = []
    for day in DAYS:
        previous = frame(spark, contract.columns, partitions[-1]) if partitions else None
        partitions.append(read(make(previous, history, day), contract))
    return partitions


def activity_of(spark: SparkSession, previous: DataFrame | None, history: History, day: str) -> DataFrame:
    plays = frame(spark, FACT_PLAYS.columns, history.plays_of(day))
    page_views = frame(spark, FACT_PAGE_VIEWS.columns, history.page_views_of(day))
    return aggregates.user_activity(previous, plays, page_views, day)


def interactions_of(spark: SparkSession, previous: DataFrame | None, history: History, day: str) -> DataFrame:
    return aggregates.user_song_interactions(previous, frame(spark, FACT_PLAYS.columns, history.plays_of(day)), day)


def moment_of(day: str) -> pd.Timestamp:
    return pd.Timestamp(day, tz="UTC")


def same(found: Rows, wanted: Rows) -> None:
    """Equal rows; of fractions the first nine digits."""
    assert len(found) == len(wanted)
    for found_row, wanted_row in zip(found, wanted, strict=True):
        assert set(found_row) == set(wanted_row)
        for name, value in wanted_row.items():
            if isinstance(value, float):
                assert found_row[name] == pytest.approx(value, rel=1e-9, abs=1e-9), (name, found_row, wanted_row)
            else:
                assert found_row[name] == value, (name, found_row, wanted_row)


@pytest.mark.parametrize("contract", AGGREGATES, ids=lambda contract: contract.name)
def test_a_contract_is_sound(contract: TableContract) -> None:
    names = [column.name for column in contract.columns]
    assert len(set(names)) == len(names)
    assert (contract.layer, contract.cadence) == (Layer.GOLD, Cadence.DAILY)
    assert contract.column(contract.partition_column).type is ColumnType.TIMESTAMP
    assert contract.sort_columns
    assert contract.unique_columns[0] == contract.partition_column  # many days are checked at once
    assert {*contract.sort_columns, *contract.unique_columns} <= set(names)
    rules = [rule.name for rule in (*column_rules(contract.columns), *contract.rules)]
    assert len(set(rules)) == len(rules)
    for described in (contract, *contract.columns, *contract.rules):
        assert described.description.endswith("."), described


# user_activity


def activity_oracle(history: History, day: str) -> Rows:
    """All history up to the day's end, recomputed."""
    views: Rows = [row | {"is_play": False} for row in history.page_views if row["user_id"] is not None]
    plays: Rows = [
        row | {"is_play": True, "item_in_session": -1, "user_id": None, "registered_at": None} for row in history.plays
    ]
    events = pd.DataFrame([row for row in views + plays if day_of(row["event_time"]) <= day])
    if events.empty:
        return []
    events["on_day"] = events["event_time"] >= moment_of(day)
    events["seconds"] = events["played_seconds"].astype(float).fillna(0) if "played_seconds" in events else 0.0
    rows = []
    for user, own in events.sort_values(["event_time", "item_in_session", "level"]).groupby("user_key"):
        on_day, is_play = own["on_day"], own["is_play"]
        known = own.dropna(subset=["user_id"])
        rows.append({
            "user_key": user,
            "user_id": None if known.empty else int(known["user_id"].iloc[0]),
            "registered_at": None if known.empty else known["registered_at"].min(),
            "first_active_at": own["event_time"].min(),
            "last_active_at": own["event_time"].max(),
            "level": own["level"].iloc[-1],
            "day_page_views": int((on_day & ~is_play).sum()),
            "day_plays": int((on_day & is_play).sum()),
            "day_played_seconds": float(own["seconds"][on_day].sum()),
            "plays": int(is_play.sum()),
            "played_seconds": float(own["seconds"].sum()),
            "day": moment_of(day),
        })  # fmt: skip
    return rows


@FEW
@given(seed=SEEDS)
def test_user_activity_carried_forward_is_all_history_recomputed(spark: SparkSession, seed: int) -> None:
    history = random_history(seed)
    partitions = carried(spark, history, lambda *rest: activity_of(spark, *rest), USER_ACTIVITY)
    for day, rows in zip(DAYS, partitions, strict=True):
        same(rows, activity_oracle(history, day))


def test_user_activity_of_a_day_without_events_keeps_the_users(spark: SparkSession) -> None:
    history = History([play(1, at("01 10:00"))], [view(1, at("01 10:00"), "NextSong"), view(2, at("01 11:00"))], [])
    first, second, *_ = carried(spark, history, lambda *rest: activity_of(spark, *rest), USER_ACTIVITY)
    nothing = {"day_page_views": 0, "day_plays": 0, "day_played_seconds": 0.0, "day": at("02 00:00")}
    assert second == [row | nothing for row in first]
    assert [(row["user_id"], row["day_page_views"], row["day_plays"]) for row in first] == [(1, 1, 1), (2, 1, 0)]


def test_user_activity_before_the_first_event_is_empty(spark: SparkSession) -> None:
    assert read(activity_of(spark, None, History([], [], []), DAYS[0]), USER_ACTIVITY) == []


def test_anonymous_page_views_are_no_activity(spark: SparkSession) -> None:
    history = History([], [view(None, at("01 10:00"), "Login"), view(3, at("01 10:00"))], [])
    [row] = read(activity_of(spark, None, history, DAYS[0]), USER_ACTIVITY)
    assert (row["user_id"], row["day_page_views"]) == (3, 1)


def test_level_is_that_of_the_last_event(spark: SparkSession) -> None:
    """At the same moment the later place in the session is last, and a page view rather than its listen; then paid."""
    moment = at("01 10:00")
    later_place = [view(1, moment, level="paid", item_in_session=4), view(1, moment, level="free", item_in_session=5)]
    same_moment = view(2, moment, level="free")
    all_equal = [view(3, moment, level=level, event_id=f"view {level}") for level in ("free", "paid", "free")]
    earlier = view(4, moment, level="free", item_in_session=9)
    plays = [play(2, moment, level="paid"), play(4, at("01 10:01"), level="paid")]
    history = History(plays, [*later_place, same_moment, *all_equal, earlier], [])
    rows = read(activity_of(spark, None, history, DAYS[0]), USER_ACTIVITY)
    assert [row["level"] for row in rows] == ["free", "free", "paid", "paid"]


def test_totals_carried_forward_do_not_drift(spark: SparkSession) -> None:
    """A tenth of a second has no exact double; the totals of a sum day by day are still those of one sum."""
    history = History([play(1, FIRST_DAY + index * DAY, played_seconds=0.1) for index in range(len(DAYS))], [], [])
    partitions = carried(spark, history, lambda *rest: activity_of(spark, *rest), USER_ACTIVITY)
    assert [rows[0]["played_seconds"] for rows in partitions] == [0.1, 0.2, 0.3, 0.4, 0.5]


# active_users and retention_cohorts


def activity_row(user: int, last_active_at: datetime, day: str = "2026-11-30", **changes: Any) -> dict[str, Any]:
    row = {
        "user_key": key(user), "user_id": user, "registered_at": at("01 00:00"), "first_active_at": last_active_at,
        "last_active_at": last_active_at, "level": "free", "day_page_views": 0, "day_plays": 0, "day_played_seconds": 0.0,
        "plays": 0, "played_seconds": 0.0, "day": datetime.fromisoformat(f"{day}T00:00:00+00:00"),
    }  # fmt: skip
    return row | changes


@FEW
@given(seed=SEEDS)
def test_active_users_and_cohorts_recomputed(spark: SparkSession, seed: int) -> None:
    random = np.random.default_rng(seed)
    days = ["2026-11-29", "2026-11-30", "2026-12-01"]
    activity = [
        activity_row(
            user,
            moment_of(day).to_pydatetime() + DAY - timedelta(minutes=int(random.integers(1, 40 * 1440))),
            day,
            registered_at=None if random.random() < 0.1 else at("20 12:00") + int(random.integers(-40, 20)) * DAY,
        )
        for day in days
        for user in range(int(random.integers(0, 40)))
    ]
    rows = pd.DataFrame(activity, columns=[column.name for column in USER_ACTIVITY.columns])
    rows["day"] = pd.to_datetime(rows["day"], utc=True)
    rows["registered_at"] = pd.to_datetime(rows["registered_at"], utc=True)
    age = rows["day"] + DAY - pd.to_datetime(rows["last_active_at"], utc=True)
    users = frame(spark, USER_ACTIVITY.columns, activity)

    def active(day: str, length: int) -> int:
        return int(((rows["day"] == moment_of(day)) & (age <= length * DAY)).sum())

    assert read(aggregates.active_users(users, days), ACTIVE_USERS) == [
        {
            "day": moment_of(day), "active_1_day": active(day, 1), "active_7_days": active(day, 7),
            "active_30_days": active(day, 30), "users": int((rows["day"] == moment_of(day)).sum()),
        }
        for day in days
    ]  # fmt: skip

    week = rows["registered_at"].dt.tz_localize(None).dt.to_period("W-SUN").dt.start_time.dt.tz_localize("UTC")
    cohorts = rows.assign(week=week, active=age <= 7 * DAY).groupby(["day", "week"], dropna=False)["active"]
    wanted = []
    for (day, monday), of_cohort in cast("Any", cohorts):
        weeks = None if pd.isna(monday) else math.floor((day - monday) / (7 * DAY))
        wanted.append({
            "day": day, "registration_week": None if pd.isna(monday) else monday, "weeks_since_registration": weeks,
            "users": len(of_cohort), "active_users": int(of_cohort.sum()), "retention": float(of_cohort.mean()),
        })  # fmt: skip
    same(read(aggregates.retention_cohorts(users), RETENTION_COHORTS), wanted)


def test_the_edges_of_the_windows_of_active_users(spark: SparkSession) -> None:
    """The windows end with the day: its first moment is active, a microsecond before it is not."""
    day = at("30 00:00")
    users = [
        activity_row(2 * index + late, day - (length - 1) * DAY - late * timedelta(microseconds=1))
        for index, length in enumerate((1, 7, 30))
        for late in (0, 1)
    ]
    [row] = read(aggregates.active_users(frame(spark, USER_ACTIVITY.columns, users), ["2026-11-30"]), ACTIVE_USERS)
    assert row == {"day": day, "active_1_day": 1, "active_7_days": 3, "active_30_days": 5, "users": 6}


def test_active_users_has_a_row_where_nobody_is_known(spark: SparkSession) -> None:
    rows = read(aggregates.active_users(frame(spark, USER_ACTIVITY.columns, []), DAYS[:2]), ACTIVE_USERS)
    nobody = {"active_1_day": 0, "active_7_days": 0, "active_30_days": 0, "users": 0}
    assert rows == [{"day": at("01 00:00")} | nobody, {"day": at("02 00:00")} | nobody]


def test_a_registration_after_the_day_counts_negative_weeks(spark: SparkSession) -> None:
    """From Monday 2 November: the Sunday after belongs to the week of the Monday before."""
    registered = [at("02 00:00"), at("08 23:59"), at("09 00:00"), at("29 12:00"), at("30 00:00"), at("01 12:00")]
    users = [
        activity_row(user, at("02 10:00"), "2026-11-04", registered_at=moment) for user, moment in enumerate(registered)
    ]
    rows = read(aggregates.retention_cohorts(frame(spark, USER_ACTIVITY.columns, users)), RETENTION_COHORTS)
    found = [(row["registration_week"], row["weeks_since_registration"], row["users"]) for row in rows]
    monday = at("02 00:00")
    assert found == [
        (monday - 7 * DAY, 1, 1), (monday, 0, 2), (monday + 7 * DAY, -1, 1), (monday + 21 * DAY, -3, 1),
        (monday + 28 * DAY, -4, 1),
    ]  # fmt: skip


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
    same(read(aggregates.top_songs(plays, frame(spark, SONGS, songs)), TOP_SONGS), wanted_songs)
    same(read(aggregates.top_artists(plays, frame(spark, ARTISTS, artists)), TOP_ARTISTS), wanted_artists)


def test_a_song_stays_that_leads_in_either_rank(spark: SparkSession) -> None:
    """More songs than ranks, one play each, but for the first (three plays of a listener) and the last (two listeners)."""
    surplus = 5
    plays = [play(1, at("01 10:00"), song_key=key(song)) for song in range(TOP_RANKS + surplus)]
    plays += [play(1, at("01 11:00"), song_key=key(0))] * 2 + [
        play(2, at("01 11:00"), song_key=key(TOP_RANKS + surplus - 1))
    ]
    rows = read(aggregates.top_songs(frame(spark, FACT_PLAYS.columns, plays), frame(spark, SONGS, [])), TOP_SONGS)
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
    rows = read(aggregates.top_songs(frame(spark, FACT_PLAYS.columns, plays), frame(spark, SONGS, [])), TOP_SONGS)
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
    same(read(aggregates.hourly_plays(frame(spark, FACT_PLAYS.columns, history.plays)), HOURLY_PLAYS), wanted)


def test_seconds_that_are_not_known_add_nothing(spark: SparkSession) -> None:
    unknown = {"played_seconds": None, "is_skipped": None}
    plays = [play(1, at("01 10:00"), **unknown), play(2, at("01 11:00"), **unknown), play(2, at("01 11:30"))]
    rows = read(aggregates.hourly_plays(frame(spark, FACT_PLAYS.columns, plays)), HOURLY_PLAYS)
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
    same(read(aggregates.level_funnel(page_views, changes, DAYS), LEVEL_FUNNEL), funnel_oracle(history, DAYS))


def test_level_funnel_has_every_stage_on_a_day_without_events(spark: SparkSession) -> None:
    page_views, changes = frame(spark, FACT_PAGE_VIEWS.columns, []), frame(spark, STATUS_CHANGES.columns, [])
    rows = read(aggregates.level_funnel(page_views, changes, DAYS[:2]), LEVEL_FUNNEL)
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
    result = aggregates.login_success(frame(spark, AUTHS.columns, auths), twins(spark, pages), DAYS)
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
    result = aggregates.login_success(
        auths, twins(spark, [(event | other, "Login", 307) for other in others]), DAYS[:1]
    )
    assert [(row["attempts"], row["overcounted"]) for row in read(result, LOGIN_SUCCESS)] == [(1, 0)]
    result = aggregates.login_success(auths, twins(spark, [(event, "Login", 307)]), DAYS[:1])
    assert [(row["attempts"], row["overcounted"]) for row in read(result, LOGIN_SUCCESS)] == [(0, 1)]


def test_the_real_producer_s_funnel_and_logins(spark: SparkSession, shared_folder: Path) -> None:
    """Its 852 auth events hold 36 stale ones; every status change belongs to a page Submit Upgrade or Submit Downgrade."""
    names = {
        "sessionId": "session_id",
        "itemInSession": "item_in_session",
        "userId": "user_id",
        "userAgent": "user_agent",
    }

    def sample(event_type: str, contract: TableContract, more: dict[str, str]) -> DataFrame:
        file = shared_folder / "eventsim" / "sample" / f"{event_type}.jsonl.xz"
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
    days = [f"2026-11-{day:02}" for day in range(1, 16)]

    logins = pd.DataFrame(read(aggregates.login_success(auths, page_views, days), LOGIN_SUCCESS))
    totals = logins[["attempts", "successes", "failures", "overcounted"]].sum().to_list()
    assert totals == [816, 734, 82, 36]

    funnel = pd.DataFrame(read(aggregates.level_funnel(page_views, changes, days), LEVEL_FUNNEL))
    assert len(funnel) == len(days) * len(STAGES)
    assert funnel.groupby("stage_order")["events"].sum().to_list() == [16114, 173, 56, 56, 46396, 482, 3, 3, 4, 4]


# user_song_interactions


@FEW
@given(seed=SEEDS)
def test_interactions_carried_forward_are_all_history_recomputed(spark: SparkSession, seed: int) -> None:
    """Within five days no score falls below the least."""
    history = random_history(seed)
    partitions = carried(spark, history, lambda *rest: interactions_of(spark, *rest), USER_SONG_INTERACTIONS)
    for day, rows in zip(DAYS, partitions, strict=True):
        end = moment_of(day) + DAY
        plays = pd.DataFrame(
            [row for row in history.plays if row["event_time"] < end], columns=list(play(1, FIRST_DAY))
        )
        age_days = (end - pd.to_datetime(plays["event_time"], utc=True)) / DAY
        plays["skip"] = plays["is_skipped"].eq(True)
        plays["score"] = np.where(plays["skip"], 0.2, 1.0) * 0.5 ** (age_days / 30)
        plays["seconds"] = plays["played_seconds"].astype(float).fillna(0)
        wanted = [
            {
                "user_key": user, "song_key": song, "plays": len(own), "played_seconds": float(own["seconds"].sum()),
                "skips": int(own["skip"].sum()), "last_played_at": own["event_time"].max(), "score": own["score"].sum(),
                "day": moment_of(day),
            }
            for (user, song), own in plays.groupby(["user_key", "song_key"])
        ]  # fmt: skip
        assert [row.pop("score") for row in rows] == pytest.approx([row.pop("score") for row in wanted], abs=1e-7)
        same(rows, wanted)


def test_the_weight_and_the_age_of_a_play(spark: SparkSession) -> None:
    noon = at("01 12:00")
    plays = [
        play(1, noon), play(2, noon, played_seconds=9.0, is_skipped=True), play(3, noon, played_seconds=None, is_skipped=None),
        play(4, at("01 00:00")),
    ]  # fmt: skip
    rows = read(interactions_of(spark, None, History(plays, [], []), DAYS[0]), USER_SONG_INTERACTIONS)
    half_a_day = 0.5 ** (0.5 / 30)
    assert [row["score"] for row in rows] == pytest.approx(
        [half_a_day, 0.2 * half_a_day, half_a_day, 0.5 ** (1 / 30)], abs=1e-9
    )
    assert [(row["plays"], row["skips"], row["played_seconds"]) for row in rows] == [
        (1, 0, 200.0), (1, 1, 9.0), (1, 0, 0.0), (1, 0, 200.0)
    ]  # fmt: skip


def test_a_score_halves_in_30_days(spark: SparkSession) -> None:
    rows = read(interactions_of(spark, None, History([play(1, FIRST_DAY)], [], []), DAYS[0]), USER_SONG_INTERACTIONS)
    scores = [rows[0]["score"]]
    for days in range(1, 31):
        previous = frame(spark, USER_SONG_INTERACTIONS.columns, rows)
        rows = (
            interactions_of(spark, previous, History([], [], []), day_of(FIRST_DAY + days * DAY)).toArrow().to_pylist()
        )
        scores.append(rows[0]["score"])
    assert scores == pytest.approx([0.5 ** ((days + 1) / 30) for days in range(31)], abs=1e-7)


def test_a_pair_is_dropped_below_the_least_score(spark: SparkSession) -> None:
    least = LEAST_SCORE * 2 ** (1 / 30)
    pairs = [
        {
            "user_key": key(1), "song_key": key(song), "plays": 1, "played_seconds": 9.0, "skips": 0, "day": at("01 00:00"),
            "last_played_at": at("01 00:00"), "score": score,
        }
        for song, score in enumerate((least + 2e-9, least - 2e-9))
    ]  # fmt: skip
    previous = frame(spark, USER_SONG_INTERACTIONS.columns, pairs)
    rows = read(interactions_of(spark, previous, History([], [], []), DAYS[1]), USER_SONG_INTERACTIONS)
    assert [row["song_key"] for row in rows] == [key(0)]


def test_a_dropped_pair_begins_anew(spark: SparkSession) -> None:
    faded = {
        "user_key": key(1), "song_key": key(1), "plays": 9, "played_seconds": 900.0, "skips": 2, "day": at("01 00:00"),
        "last_played_at": at("01 00:00") - 200 * DAY, "score": 0.0101,
    }  # fmt: skip
    previous = frame(spark, USER_SONG_INTERACTIONS.columns, [faded])
    assert read(interactions_of(spark, previous, History([], [], []), DAYS[1]), USER_SONG_INTERACTIONS) == []
    [row] = read(
        interactions_of(spark, previous, History([play(1, at("02 10:00"))], [], []), DAYS[1]), USER_SONG_INTERACTIONS
    )
    assert (row["plays"], row["skips"], row["played_seconds"]) == (
        10,
        2,
        1100.0,
    )  # played before it would have been dropped
    [row] = read(
        interactions_of(spark, None, History([play(1, at("03 10:00"))], [], []), DAYS[2]), USER_SONG_INTERACTIONS
    )
    assert (row["plays"], row["skips"]) == (1, 0)


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
            read(aggregates.top_songs(plays, songs), TOP_SONGS),
            read(aggregates.top_artists(plays, artists), TOP_ARTISTS),
            read(aggregates.hourly_plays(plays), HOURLY_PLAYS),
            read(
                aggregates.level_funnel(page_views, frame(spark, STATUS_CHANGES.columns, changes), days), LEVEL_FUNNEL
            ),
        ]

    one_by_one = [tables([day]) for day in DAYS[:3]]
    assert tables(DAYS[:3]) == [[row for rows in by_day for row in rows] for by_day in zip(*one_by_one, strict=True)]
