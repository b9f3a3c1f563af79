"""The songs of the day with the most plays and with the most listeners."""

from __future__ import annotations

from pyspark.sql import DataFrame

from music_platform.tables.columns import SONG_KEY, text_column
from music_platform.tables.contract import Personal
from music_platform.tables.gold.dim_songs import DIM_SONGS
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.rankings import ARTIST, leading_members, ranking_contract, ranks_are_whole
from music_platform.tables.reconciliations import Input

TOP_SONGS = ranking_contract(
    "songs", SONG_KEY, text_column("title", "Title of the song.", personal=Personal.NONE), ARTIST
)


def top_songs(plays: DataFrame, songs: DataFrame) -> DataFrame:
    """The songs that lead fact_plays of each day, by plays or by listeners.

    ``songs`` holds song_key, title, artist and day: dim_songs of the days. A song that it lacks keeps its row.
    """
    return leading_members(plays, songs, "song_key", ["title", "artist"], TOP_SONGS)


TABLE = GoldTable(
    TOP_SONGS,
    lambda frames: top_songs(frames["plays"], frames["songs"]),
    {"plays": Input(FACT_PLAYS), "songs": Input(DIM_SONGS)},
    reconciliations=[ranks_are_whole()],
)
