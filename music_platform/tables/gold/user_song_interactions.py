"""Implicit feedback: the songs that each listener played, with a score that fades."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import DAY, DAY_IS_WHOLE, SONG_KEY, time_column
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.frames import columns_of, moment_of
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold.user_activity import USER_KEY_OF_A_LISTENER
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.listening import PLAYED_SECONDS, PLAYS, SKIPS, SKIPS_AMONG_PLAYS
from music_platform.tables.reconciliations import Input, Reconciliation, by_day
from music_platform.tables.transforms.numbers import MICRO, NANO, whole

# The implicit score sums a user's plays of a song, as the observations r_ui of Hu, Koren and Volinsky, "Collaborative
# Filtering for Implicit Feedback Datasets" (ICDM 2008), each weighed by its age, as in Ding and Li, "Time Weight Collaborative
# Filtering" (CIKM 2005). The four values are this project's.
PLAY_WEIGHT = 1.0  # also where it is not known whether the song was skipped
SKIPPED_PLAY_WEIGHT = 0.2
SCORE_HALF_LIFE_DAYS = 30
LEAST_SCORE = 0.01  # a single play falls below it after 200 days

USER_SONG_INTERACTIONS = TableContract(
    layer=Layer.GOLD,
    name="user_song_interactions",
    description="Implicit feedback: one row a listener and song that they played, with a score that fades. Carried forward from "
    f"day to day; a pair whose score falls below {LEAST_SCORE} is dropped, which bounds the table, and starts again when the "
    "song is played again.",
    columns=(
        USER_KEY_OF_A_LISTENER,
        SONG_KEY,
        replace(PLAYS, description="Songs started since the pair entered the table.", minimum=1),
        replace(PLAYED_SECONDS, description="Listened since the pair entered the table, where it is known."),
        SKIPS,
        time_column("last_played_at", "Last play.", personal=Personal.NONE),
        Column(
            name="score",
            type=ColumnType.DOUBLE,
            description=f"Sum over the plays of their weight, halved for every {SCORE_HALF_LIFE_DAYS} days from the play to the "
            f"day's end; the weight is {SKIPPED_PLAY_WEIGHT} where the song was skipped, else {PLAY_WEIGHT}.",
            minimum=LEAST_SCORE,
            personal=Personal.NONE,
        ),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        SKIPS_AMONG_PLAYS,
        Rule(
            name="played_before_day_end",
            condition="last_played_at < day + INTERVAL 1 DAY",
            description="The last play lies before the day's end.",
        ),
        Rule(
            name="score_within_plays",
            condition=f"score <= plays * {PLAY_WEIGHT}",
            description="No play weighs more than a whole one.",
        ),
    ),
    sort_columns=("user_key", "song_key"),
    unique_columns=("day", "user_key", "song_key"),
)

_MICROSECONDS_OF_DAY = 86_400e6


def user_song_interactions(previous: DataFrame | None, plays: DataFrame, day: str) -> DataFrame:
    """One row per listener and song: fact_plays of the day added to the day before, whose score fades by a day.

    ``previous`` is this table's partition of the day before, None at the beginning of history. ``day`` is YYYY-MM-DD. The score
    counts each play's age up to the day's end, so that the score of a day is the same however it is reached.
    """
    age_days = (F.unix_micros(moment_of(day)) + F.lit(_MICROSECONDS_OF_DAY) - F.unix_micros("event_time")) / F.lit(
        _MICROSECONDS_OF_DAY
    )
    aged = plays.withColumns({
        "weight": F.when(F.col("is_skipped"), SKIPPED_PLAY_WEIGHT).otherwise(PLAY_WEIGHT),
        "fading": F.pow(F.lit(0.5), age_days / F.lit(float(SCORE_HALF_LIFE_DAYS))),
    })  # fmt: skip
    interactions = aged.select(
        "user_key",
        "song_key",
        F.lit(1).cast("bigint").alias("plays"),
        whole(F.col("played_seconds"), MICRO).alias("microseconds"),
        F.when(F.col("is_skipped"), 1).otherwise(0).cast("bigint").alias("skips"),
        F.col("event_time").alias("last_played_at"),
        whole(F.col("weight") * F.col("fading"), NANO).alias("billionths"),
    )
    if previous is not None:
        faded = F.col("score") * F.lit(0.5 ** (1 / SCORE_HALF_LIFE_DAYS))
        before = previous.select(
            "user_key",
            "song_key",
            "plays",
            whole(F.col("played_seconds"), MICRO).alias("microseconds"),
            "skips",
            "last_played_at",
            whole(faded, NANO).alias("billionths"),
        )
        interactions = interactions.unionByName(before)
    pairs = interactions.groupBy("user_key", "song_key").agg(
        F.sum("plays").alias("plays"),
        F.coalesce(F.sum("microseconds"), F.lit(0)).alias("microseconds"),
        F.sum("skips").alias("skips"),
        F.max("last_played_at").alias("last_played_at"),
        F.sum("billionths").alias("billionths"),
    )
    pairs = pairs.withColumns({
        "played_seconds": F.col("microseconds") / F.lit(MICRO),
        "score": F.col("billionths") / F.lit(NANO),
        "day": moment_of(day),
    })  # fmt: skip
    return columns_of(pairs.where(F.col("score") >= LEAST_SCORE), USER_SONG_INTERACTIONS)


TABLE = GoldTable(
    USER_SONG_INTERACTIONS,
    lambda frames: user_song_interactions(frames.previous, frames["plays"], frames.day),
    {"plays": Input(FACT_PLAYS)},
    reconciliations=[
        Reconciliation(
            name="holds_every_pair_played",
            description="Pairs played on the day against those of fact_plays:",
            others={"plays": Input(FACT_PLAYS)},
            expected=lambda stored: by_day(
                stored["plays"].read(), "event_time", F.count_distinct(F.concat("user_key", "song_key"))
            ),
            found=lambda stored: by_day(stored.own.read().where("last_played_at >= day"), "day", F.count(F.lit(1))),
        )
    ],
    carries_forward=True,
)
