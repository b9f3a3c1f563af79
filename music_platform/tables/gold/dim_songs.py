"""Songs that were played, and every track of the song catalogue."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import ARTIST_KEY, DAY, DAY_IS_WHOLE, SONG_KEY, text_column
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, TableContract
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
from music_platform.tables.snapshots import DURATION, snapshot, unknown_member
from music_platform.tables.transforms.catalogue_seed import catalogue_tracks
from music_platform.tables.transforms.keys import artist_key, duration_milliseconds, song_key

DURATION_TOLERANCE_MILLISECONDS = 1_000

DIM_SONGS = TableContract(
    layer=Layer.GOLD,
    name="dim_songs",
    description="Songs: every track of the catalogue, and every song that was played without being in it. A played song is "
    "the catalogue's track of the same artist and title and the nearest length, at most one second away; it keeps the key "
    "of its plays. Two songs whose plays differ in length alone can be one track.",
    columns=(
        replace(SONG_KEY, description="Song: artist, title and length in milliseconds; all zeros for the unknown member."),
        ARTIST_KEY,
        text_column("title", "Title of the song.", personal=Personal.NONE),
        text_column("artist", "Name of the artist.", personal=Personal.NONE),
        replace(DURATION, nullable=True),
        text_column("track_id", "Track in the catalogue.", nullable=True, personal=Personal.NONE),
        text_column("release", "Album, as the catalogue names it.", nullable=True, personal=Personal.NONE),
        Column(name="year", type=ColumnType.INTEGER, description="Year of the release; null where the catalogue has none.",
               nullable=True, minimum=1, maximum=9999, personal=Personal.NONE),
        IS_IN_CATALOGUE,
        *FIRST_AND_LAST_PLAYED,
        PLAYS,
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(*PLAYED_RULES, DAY_IS_WHOLE),
    sort_columns=("artist", "title", "song_key"),
    unique_columns=("song_key",),
)  # fmt: skip


def dim_songs(previous: DataFrame | None, listens: DataFrame, catalogue: DataFrame | None, day: str) -> DataFrame:
    """The songs played so far and the catalogue's other tracks, as the catalogue is now; and the unknown member.

    A played song is the track of the same artist and title whose length is nearest, at most one second away; of equally near
    ones that with the smallest track_id. ``catalogue`` has the columns of CATALOGUE_SCHEMA.
    """
    spark = listens.sparkSession
    keyed = listens.select(
        song_key(F.col("artist"), F.col("song"), F.col("duration_seconds")).alias("song_key"),
        "artist",
        F.col("song").alias("title"),
        "duration_seconds",
        "event_time",
    )
    song = ("song_key", "artist", "title")
    today = keyed.groupBy(*song).agg(F.min("duration_seconds").alias("duration_seconds"), *plays_of_events())
    played = with_earlier_plays(today, previous, song, ("duration_seconds",))
    played = played.withColumn("artist_key", artist_key(F.col("artist")))
    unknown = unknown_member(spark, DIM_SONGS, day, NEVER_PLAYED)
    if catalogue is None:
        return snapshot(outside_catalogue(played, DIM_SONGS), DIM_SONGS, day).union(unknown)

    tracks = catalogue_tracks(catalogue)
    candidates = tracks.select(
        F.col("song_key").alias("_track_key"),
        F.col("artist").alias("_artist"),
        F.col("title").alias("_title"),
        duration_milliseconds(F.col("duration_seconds")).alias("_track_milliseconds"),
        "track_id",
        "release",
        "year",
    )
    measured = played.withColumn("_milliseconds", duration_milliseconds(F.col("duration_seconds")))
    distance = F.abs(F.col("_milliseconds") - F.col("_track_milliseconds"))
    is_same = (F.col("artist") == F.col("_artist")) & (F.col("title") == F.col("_title"))
    joined = measured.join(candidates, is_same & (distance <= DURATION_TOLERANCE_MILLISECONDS), "left")
    by_distance = Window.partitionBy("song_key").orderBy(distance, F.asc_nulls_last("track_id"), "_track_key")
    ranked = joined.withColumn("_rank", F.row_number().over(by_distance)).filter(F.col("_rank") == 1)
    matched = ranked.withColumn("is_in_catalogue", F.col("_track_key").isNotNull())
    found = matched.filter(F.col("is_in_catalogue")).select(F.col("_track_key").alias("song_key")).distinct()
    unplayed = tracks.join(found, "song_key", "left_anti").withColumns(no_plays())

    members = snapshot(matched, DIM_SONGS, day).union(snapshot(unplayed, DIM_SONGS, day))
    return members.union(unknown)


TABLE = GoldTable(
    DIM_SONGS,
    lambda frames: dim_songs(frames.previous, frames["listen_events"], frames.catalogue(), frames.day),
    silver("listen_events"),
    reconciliations=[resolves("plays", FACT_PLAYS, "song_key")],
    carries_forward=True,
    version="2",
)
