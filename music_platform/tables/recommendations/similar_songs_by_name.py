"""The songs most similar to each song, all by their names: what dashboards show of the model."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import DAY, DAY_IS_WHOLE
from music_platform.tables.contract import Cadence, Layer, TableContract
from music_platform.tables.frames import columns_of
from music_platform.tables.gold.dim_songs import DIM_SONGS
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.recommendations.shared import (
    SHOWN_RANKS,
    holds_the_first_ranks,
    names_are_those_of,
    rank_column,
)
from music_platform.tables.recommendations.similar_songs import SIMILAR_SONGS
from music_platform.tables.reconciliations import Input

_TITLE, _ARTIST = DIM_SONGS.column("title"), DIM_SONGS.column("artist")

SIMILAR_SONGS_BY_NAME = TableContract(
    layer=Layer.RECOMMENDATIONS,
    name="similar_songs_by_name",
    description=f"The {SHOWN_RANKS} songs nearest to each song in the model, all with their names.",
    columns=(
        SIMILAR_SONGS.column("song_key"),
        _TITLE,
        _ARTIST,
        rank_column("rank", "Place by similarity.", SHOWN_RANKS),
        SIMILAR_SONGS.column("similar_song_key"),
        replace(_TITLE, name="similar_title", description="Title of the similar song."),
        replace(_ARTIST, name="similar_artist", description="Name of the similar song's artist."),
        SIMILAR_SONGS.column("similarity"),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(DAY_IS_WHOLE,),
    sort_columns=("song_key", "rank"),
    unique_columns=("day", "song_key", "rank"),
)


def similar_songs_by_name(pairs: DataFrame, songs: DataFrame) -> DataFrame:
    """The nearest songs of each song; ``songs`` is dim_songs of their days. A key that it lacks leaves null, which the
    contract refuses.
    """
    names = songs.select("day", "song_key", "title", "artist")
    similar = songs.select(
        "day",
        F.col("song_key").alias("similar_song_key"),
        F.col("title").alias("similar_title"),
        F.col("artist").alias("similar_artist"),
    )
    first = pairs.where(F.col("rank") <= SHOWN_RANKS)
    named = first.join(names, ["day", "song_key"], "left").join(similar, ["day", "similar_song_key"], "left")
    return columns_of(named, SIMILAR_SONGS_BY_NAME)


TABLE = GoldTable(
    SIMILAR_SONGS_BY_NAME,
    lambda frames: similar_songs_by_name(frames["pairs"], frames["songs"]),
    {"pairs": Input(SIMILAR_SONGS), "songs": Input(DIM_SONGS)},
    reconciliations=[
        holds_the_first_ranks(SIMILAR_SONGS, ["song_key", "rank", "similar_song_key", "similarity"]),
        names_are_those_of(DIM_SONGS, {"song_key": "song_key", "title": "title", "artist": "artist"}),
        names_are_those_of(
            DIM_SONGS,
            {"similar_song_key": "song_key", "similar_title": "title", "similar_artist": "artist"},
            of="similar_",
        ),
    ],
    is_made_only_to_be_served=True,
)
