"""Shared by dim_songs and dim_artists: their plays so far, and the columns that only the song catalogue fills."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import count_column, time_column
from music_platform.tables.contract import Column, ColumnType, Personal, Rule, TableContract

IS_IN_CATALOGUE = Column(
    name="is_in_catalogue",
    type=ColumnType.BOOLEAN,
    description="Whether the catalogue of songs knows it.",
    personal=Personal.NONE,
)

PLAYS = count_column("plays", "Plays so far.")

FIRST_AND_LAST_PLAYED = (
    time_column("first_played_at", "First play so far; null before one.", nullable=True, personal=Personal.NONE),
    time_column("last_played_at", "Last play so far; null before one.", nullable=True, personal=Personal.NONE),
)

PLAYED_RULES = (
    Rule(
        name="played_times_exactly_with_plays",
        condition="(plays > 0) = (first_played_at IS NOT NULL) AND (plays > 0) = (last_played_at IS NOT NULL)",
        description="The first and the last play are known exactly where there is one.",
    ),
    Rule(
        name="first_play_not_after_last",
        condition="first_played_at IS NULL OR first_played_at <= last_played_at",
        description="The first play is not after the last.",
    ),
    Rule(
        name="played_until_day",
        condition="last_played_at IS NULL OR last_played_at < day + INTERVAL 1 DAY",
        description="No play lies after the snapshot's day.",
    ),
)

_FROM_CATALOGUE = ("track_id", "release", "year", "artist_id", "location", "latitude", "longitude")
NEVER_PLAYED = {"is_in_catalogue": False, "plays": 0}


def plays_of_events() -> list[SparkColumn]:
    return [
        F.min("event_time").alias("first_played_at"),
        F.max("event_time").alias("last_played_at"),
        F.count("*").alias("plays"),
    ]


def with_earlier_plays(
    today: DataFrame, previous: DataFrame | None, natural_key: Sequence[str], attributes: Sequence[str]
) -> DataFrame:
    """The day's plays by natural key, added to those of the days before; each attribute takes its smallest value."""
    names = (*natural_key, *attributes, "first_played_at", "last_played_at", "plays")
    plays = today.select(*names)
    if previous is None:
        return plays
    return (
        plays.union(previous.filter(F.col("plays") > 0).select(*names))
        .groupBy(*natural_key)
        .agg(
            *(F.min(name).alias(name) for name in attributes),
            F.min("first_played_at").alias("first_played_at"),
            F.max("last_played_at").alias("last_played_at"),
            F.sum("plays").alias("plays"),
        )
    )


def outside_catalogue(played: DataFrame, contract: TableContract) -> DataFrame:
    """Played members without a catalogue: null in the columns that only it fills."""
    untold = {
        column.name: F.lit(None).cast(str(column.type)) for column in contract.columns if column.name in _FROM_CATALOGUE
    }
    return played.withColumns({**untold, "is_in_catalogue": F.lit(False)})


def no_plays() -> dict[str, SparkColumn]:
    never = F.lit(None).cast("timestamp")
    return {
        "is_in_catalogue": F.lit(True),
        "first_played_at": never,
        "last_played_at": never,
        "plays": F.lit(0).cast("bigint"),
    }
