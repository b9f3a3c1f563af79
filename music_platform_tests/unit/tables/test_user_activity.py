"""What users did so far, day by day, and what is counted from it: active users and retention cohorts."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any, cast

import numpy as np
import pandas as pd
from hypothesis import given
from pyspark.sql import DataFrame, SparkSession

from music_platform.tables.gold.active_users import ACTIVE_USERS, active_users
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold.retention_cohorts import RETENTION_COHORTS, retention_cohorts
from music_platform.tables.gold.user_activity import USER_ACTIVITY, user_activity
from music_platform_tests.unit.tables.aggregate_frames import (
    DAY,
    DAYS,
    FEW,
    FIRST_DAY,
    SEEDS,
    History,
    Rows,
    at,
    carried,
    day_of,
    frame,
    key,
    moment_of,
    play,
    random_history,
    read,
    same,
    view,
)


def activity_of(spark: SparkSession, previous: DataFrame | None, history: History, day: str) -> DataFrame:
    plays = frame(spark, FACT_PLAYS.columns, history.plays_of(day))
    page_views = frame(spark, FACT_PAGE_VIEWS.columns, history.page_views_of(day))
    return user_activity(previous, plays, page_views, day)


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

    assert read(active_users(users, days), ACTIVE_USERS) == [
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
    same(read(retention_cohorts(users), RETENTION_COHORTS), wanted)


def test_the_edges_of_the_windows_of_active_users(spark: SparkSession) -> None:
    """The windows end with the day: its first moment is active, a microsecond before it is not."""
    day = at("30 00:00")
    users = [
        activity_row(2 * index + late, day - (length - 1) * DAY - late * timedelta(microseconds=1))
        for index, length in enumerate((1, 7, 30))
        for late in (0, 1)
    ]
    [row] = read(active_users(frame(spark, USER_ACTIVITY.columns, users), ["2026-11-30"]), ACTIVE_USERS)
    assert row == {"day": day, "active_1_day": 1, "active_7_days": 3, "active_30_days": 5, "users": 6}


def test_active_users_has_a_row_where_nobody_is_known(spark: SparkSession) -> None:
    rows = read(active_users(frame(spark, USER_ACTIVITY.columns, []), DAYS[:2]), ACTIVE_USERS)
    nobody = {"active_1_day": 0, "active_7_days": 0, "active_30_days": 0, "users": 0}
    assert rows == [{"day": at("01 00:00")} | nobody, {"day": at("02 00:00")} | nobody]


def test_a_registration_after_the_day_counts_negative_weeks(spark: SparkSession) -> None:
    """From Monday 2 November: the Sunday after belongs to the week of the Monday before."""
    registered = [at("02 00:00"), at("08 23:59"), at("09 00:00"), at("29 12:00"), at("30 00:00"), at("01 12:00")]
    users = [
        activity_row(user, at("02 10:00"), "2026-11-04", registered_at=moment) for user, moment in enumerate(registered)
    ]
    rows = read(retention_cohorts(frame(spark, USER_ACTIVITY.columns, users)), RETENTION_COHORTS)
    found = [(row["registration_week"], row["weeks_since_registration"], row["users"]) for row in rows]
    monday = at("02 00:00")
    assert found == [
        (monday - 7 * DAY, 1, 1), (monday, 0, 2), (monday + 7 * DAY, -1, 1), (monday + 21 * DAY, -3, 1),
        (monday + 28 * DAY, -4, 1),
    ]  # fmt: skip
