"""The artists of the day with the most plays and with the most listeners."""

from __future__ import annotations

from pyspark.sql import DataFrame

from music_platform.tables.columns import ARTIST_KEY
from music_platform.tables.gold.dim_artists import DIM_ARTISTS
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.rankings import ARTIST, leading_members, ranking_contract, ranks_are_whole
from music_platform.tables.reconciliations import Input

TOP_ARTISTS = ranking_contract("artists", ARTIST_KEY, ARTIST)


def top_artists(plays: DataFrame, artists: DataFrame) -> DataFrame:
    """The artists that lead fact_plays of each day, by plays or by listeners.

    ``artists`` holds artist_key, artist and day: dim_artists of the days. An artist that it lacks keeps its row.
    """
    return leading_members(plays, artists, "artist_key", ["artist"], TOP_ARTISTS)


TABLE = GoldTable(
    TOP_ARTISTS,
    lambda frames: top_artists(frames["plays"], frames["artists"]),
    {"plays": Input(FACT_PLAYS), "artists": Input(DIM_ARTISTS)},
    reconciliations=[ranks_are_whole()],
)
