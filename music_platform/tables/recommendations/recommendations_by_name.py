"""The head of each list with the listener's number and the songs' names: what dashboards show of the recommendations."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import DAY, DAY_IS_WHOLE
from music_platform.tables.contract import Cadence, Layer, TableContract
from music_platform.tables.frames import columns_of
from music_platform.tables.gold.dim_songs import DIM_SONGS
from music_platform.tables.gold.dim_users import DIM_USERS
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.recommendations.recommendations import RECOMMENDATIONS
from music_platform.tables.recommendations.shared import (
    SHOWN_RANKS,
    holds_the_first_ranks,
    names_are_those_of,
    rank_column,
)
from music_platform.tables.reconciliations import Input

RECOMMENDATIONS_BY_NAME = TableContract(
    layer=Layer.RECOMMENDATIONS,
    name="recommendations_by_name",
    description=f"The first {SHOWN_RANKS} songs of each listener's recommendations, with the listener's number and the "
    "songs' names.",
    columns=(
        RECOMMENDATIONS.column("user_key"),
        replace(DIM_USERS.column("user_id"), description="Listener by the producer's number.", nullable=False),
        rank_column("rank", "Place in the list.", SHOWN_RANKS),
        RECOMMENDATIONS.column("song_key"),
        DIM_SONGS.column("title"),
        DIM_SONGS.column("artist"),
        RECOMMENDATIONS.column("source"),
        RECOMMENDATIONS.column("weight"),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(DAY_IS_WHOLE,),
    sort_columns=("user_key", "rank"),
    unique_columns=("day", "user_key", "rank"),
)


def recommendations_by_name(lists: DataFrame, users: DataFrame, songs: DataFrame) -> DataFrame:
    """The head of each list; ``users`` and ``songs`` are the dimensions of the lists' days.

    A listener has several rows in dim_users, all with the same number. A key that a dimension lacks leaves null, which the
    contract refuses.
    """
    numbers = users.select("day", "user_key", "user_id").distinct()
    names = songs.select("day", "song_key", "title", "artist")
    first = lists.where(F.col("rank") <= SHOWN_RANKS)
    named = first.join(numbers, ["day", "user_key"], "left").join(names, ["day", "song_key"], "left")
    return columns_of(named, RECOMMENDATIONS_BY_NAME)


TABLE = GoldTable(
    RECOMMENDATIONS_BY_NAME,
    lambda frames: recommendations_by_name(frames["lists"], frames["users"], frames["songs"]),
    {"lists": Input(RECOMMENDATIONS), "users": Input(DIM_USERS), "songs": Input(DIM_SONGS)},
    reconciliations=[
        holds_the_first_ranks(RECOMMENDATIONS, ["user_key", "rank", "song_key", "source", "weight"]),
        names_are_those_of(DIM_SONGS, {"song_key": "song_key", "title": "title", "artist": "artist"}),
        names_are_those_of(DIM_USERS, {"user_key": "user_key", "user_id": "user_id"}),
    ],
    is_made_only_to_be_served=True,
)
