"""Artists that were played, and those of the song catalogue."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import ARTIST_KEY, DAY, DAY_IS_WHOLE, text_column
from music_platform.tables.contract import Cadence, Layer, Personal, TableContract
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold_table import GoldTable, silver
from music_platform.tables.played_members import (
    FIRST_AND_LAST_PLAYED,
    IS_IN_CATALOGUE,
    NEVER_PLAYED,
    PLAYED_RULES,
    PLAYS,
    no_plays,
    outside_catalogue,
    plays_of_events,
    with_earlier_plays,
)
from music_platform.tables.reconciliations import resolves
from music_platform.tables.snapshots import LATITUDE, LONGITUDE, snapshot, unknown_member
from music_platform.tables.transforms.catalogue_seed import catalogue_tracks
from music_platform.tables.transforms.keys import artist_key

DIM_ARTISTS = TableContract(
    layer=Layer.GOLD,
    name="dim_artists",
    description="Artists by name: those of the catalogue, and those played without being in it.",
    columns=(
        replace(ARTIST_KEY, description="Artist by name; all zeros for the unknown member."),
        text_column("artist", "Name of the artist.", personal=Personal.NONE),
        text_column("artist_id", "Artist in the catalogue; of several under one name, one whose place is known.",
                     nullable=True, personal=Personal.NONE),
        # The artist's place, which is no listener's.
        text_column("location", "Where the artist comes from, in the catalogue's words.", nullable=True,
                     personal=Personal.NONE),
        replace(LATITUDE, description="Latitude of that place.", nullable=True, personal=Personal.NONE),
        replace(LONGITUDE, description="Longitude of that place.", nullable=True, personal=Personal.NONE),
        IS_IN_CATALOGUE,
        *FIRST_AND_LAST_PLAYED,
        PLAYS,
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(*PLAYED_RULES, DAY_IS_WHOLE),
    sort_columns=("artist", "artist_key"),
    unique_columns=("artist_key",),
)  # fmt: skip


def dim_artists(previous: DataFrame | None, listens: DataFrame, catalogue: DataFrame | None, day: str) -> DataFrame:
    """The artists played so far and the catalogue's others, as the catalogue is now; and the unknown member.

    Artists are distinguished by name. If the catalogue has several of one name, it takes one with known coordinates, else one
    with a known location, and of those the smallest artist_id. ``catalogue`` has the columns of CATALOGUE_SCHEMA.
    """
    spark = listens.sparkSession
    by_name = listens.groupBy("artist").agg(*plays_of_events())
    today = by_name.withColumn("artist_key", artist_key(F.col("artist")))
    played = with_earlier_plays(today, previous, ("artist_key", "artist"), ())
    unknown = unknown_member(spark, DIM_ARTISTS, day, NEVER_PLAYED)
    if catalogue is None:
        return snapshot(outside_catalogue(played, DIM_ARTISTS), DIM_ARTISTS, day).union(unknown)

    by_description = Window.partitionBy("artist_key").orderBy(
        F.col("latitude").isNull(),
        F.col("location").isNull(),
        *(F.asc_nulls_last(name) for name in ("artist_id", "location", "latitude", "longitude")),
    )
    ranked = catalogue_tracks(catalogue).withColumn("_rank", F.row_number().over(by_description))
    described = ranked.filter(F.col("_rank") == 1).select(
        "artist_key", "artist", "artist_id", "location", "latitude", "longitude", F.lit(True).alias("is_in_catalogue")
    )
    matched = played.join(described.drop("artist"), "artist_key", "left")
    known = matched.withColumn("is_in_catalogue", F.col("is_in_catalogue").isNotNull())
    unplayed = described.join(played.select("artist_key"), "artist_key", "left_anti").withColumns(no_plays())
    members = snapshot(known, DIM_ARTISTS, day).union(snapshot(unplayed, DIM_ARTISTS, day))
    return members.union(unknown)


TABLE = GoldTable(
    DIM_ARTISTS,
    lambda frames: dim_artists(frames.previous, frames["listen_events"], frames.catalogue(), frames.day),
    silver("listen_events"),
    reconciliations=[resolves("plays", FACT_PLAYS, "artist_key")],
    carries_forward=True,
    version="2",
)
