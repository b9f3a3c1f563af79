"""Plays by hour, state and subscription level."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import time_column
from music_platform.tables.contract import Cadence, Layer, Personal, Rule, TableContract
from music_platform.tables.frames import columns_of
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.listening import (
    LISTENERS,
    LISTENERS_AMONG_PLAYS,
    PLAYED_SECONDS,
    PLAYS,
    SKIPS,
    SKIPS_AMONG_PLAYS,
    listening,
)
from music_platform.tables.reconciliations import Input, adds_up_to_plays
from music_platform.tables.transforms.numbers import hour_number

HOURLY_PLAYS = TableContract(
    layer=Layer.GOLD,
    name="hourly_plays",
    description="Plays by hour, state and subscription level; an hour without plays has no row.",
    columns=(
        time_column("hour_time", "The hour, by its first moment.", personal=Personal.NONE),
        FACT_PLAYS.column("state"),
        FACT_PLAYS.column("level"),
        PLAYS,
        LISTENERS,
        PLAYED_SECONDS,
        SKIPS,
    ),
    partition_column="hour_time",
    cadence=Cadence.DAILY,
    rules=(
        Rule(
            name="hour_is_whole",
            condition="date_trunc('HOUR', hour_time) = hour_time",
            description="`hour_time` is the hour's first moment.",
        ),
        LISTENERS_AMONG_PLAYS,
        SKIPS_AMONG_PLAYS,
    ),
    sort_columns=("hour_time", "state", "level"),
    unique_columns=("hour_time", "state", "level"),
)


def hourly_plays(plays: DataFrame) -> DataFrame:
    """fact_plays by hour, state and level."""
    hours = listening(plays.withColumn("hour", hour_number(F.col("event_time"))), "hour", "state", "level")
    return columns_of(hours.withColumn("hour_time", F.timestamp_seconds(F.col("hour") * 3_600)), HOURLY_PLAYS)


TABLE = GoldTable(
    HOURLY_PLAYS,
    lambda frames: hourly_plays(frames["plays"]),
    {"plays": Input(FACT_PLAYS)},
    reconciliations=[adds_up_to_plays("plays", FACT_PLAYS)],
)
