"""What each listener is likely to play once more: their own songs, by their own score."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import DAY, DAY_IS_WHOLE, SONG_KEY, UNKNOWN_KEY
from music_platform.tables.contract import Cadence, Layer, TableContract
from music_platform.tables.frames import columns_of
from music_platform.tables.gold.user_activity import USER_KEY_OF_A_LISTENER
from music_platform.tables.gold.user_song_interactions import USER_SONG_INTERACTIONS
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.recommendations.shared import (
    IS_ACTIVE,
    LIST_LENGTH,
    rank_column,
    ranks_have_no_hole,
    score_column,
    scores_fall,
)
from music_platform.tables.reconciliations import Input, Reconciliation, by_day

_MAY_BE_PLAYED_AGAIN = f"skips < plays AND song_key <> '{UNKNOWN_KEY}' AND user_key <> '{UNKNOWN_KEY}'"

LISTEN_AGAIN = TableContract(
    layer=Layer.RECOMMENDATIONS,
    name="listen_again",
    description=f"For each active listener the first {LIST_LENGTH} of the songs that they played, by their own "
    "fading score; a song that they always skipped is left out. Measured, no model orders a listener's own songs "
    "better.",
    columns=(
        USER_KEY_OF_A_LISTENER,
        rank_column("rank", "Place in the list; of equal scores the lesser key comes first.", LIST_LENGTH),
        replace(SONG_KEY, description="Song in dim_songs, which the listener has played."),
        score_column("The listener's score for the song, of user_song_interactions.", minimum=0),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(DAY_IS_WHOLE,),
    sort_columns=("user_key", "rank"),
    unique_columns=("day", "user_key", "song_key"),
)


def listen_again(interactions: DataFrame) -> DataFrame:
    """The leading songs of each active listener in user_song_interactions, day by day."""
    listener = Window.partitionBy("day", "user_key")
    active = (
        interactions.withColumn("latest", F.max("last_played_at").over(listener))
        .where(IS_ACTIVE.replace("last_played_at", "latest"))
        .where(_MAY_BE_PLAYED_AGAIN)
    )
    ranked = active.withColumn("rank", F.row_number().over(listener.orderBy(F.desc("score"), "song_key")))
    return columns_of(ranked.where(F.col("rank") <= LIST_LENGTH), LISTEN_AGAIN)


def _expected_rows(interactions: DataFrame) -> DataFrame:
    """Rows of each active listener's list: their songs that may come again, as far as the list is long."""
    of_listener = interactions.groupBy("day", "user_key").agg(
        F.max("last_played_at").alias("last_played_at"), F.count_if(F.expr(_MAY_BE_PLAYED_AGAIN)).alias("songs")
    )
    return of_listener.where(IS_ACTIVE).withColumn("rows", F.least("songs", F.lit(LIST_LENGTH)))


TABLE = GoldTable(
    LISTEN_AGAIN,
    lambda frames: listen_again(frames["interactions"]),
    {"interactions": Input(USER_SONG_INTERACTIONS)},
    reconciliations=[
        ranks_have_no_hole("user_key"),
        scores_fall("user_key"),
        Reconciliation(
            name="holds_every_active_listener",
            description="Rows against the songs of active listeners in user_song_interactions:",
            others={"interactions": Input(USER_SONG_INTERACTIONS)},
            expected=lambda stored: by_day(_expected_rows(stored["interactions"].read()), "day", F.sum("rows")),
            found=lambda stored: stored.own.rows,
        ),
    ],
)
