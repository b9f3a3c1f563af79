"""A listener's plays of a song: totals carried forward, a score that fades, and pairs that are dropped."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from pyspark.sql import DataFrame, SparkSession

from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold.user_song_interactions import (
    LEAST_SCORE,
    USER_SONG_INTERACTIONS,
    user_song_interactions,
)
from music_platform_tests.unit.tables.aggregate_frames import (
    DAY,
    DAYS,
    FEW,
    FIRST_DAY,
    SEEDS,
    History,
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
)


def interactions_of(spark: SparkSession, previous: DataFrame | None, history: History, day: str) -> DataFrame:
    return user_song_interactions(previous, frame(spark, FACT_PLAYS.columns, history.plays_of(day)), day)


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
