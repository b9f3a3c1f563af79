"""The songs that are popular: what a listener gets of whom nothing is known."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import DAY, DAY_IS_WHOLE, SONG_KEY, count_column
from music_platform.tables.contract import Cadence, Layer, TableContract
from music_platform.tables.frames import columns_of
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.recommendations.shared import rank_column, ranks_have_no_hole, score_column, scores_fall
from music_platform.tables.recommendations.song_factors import SONG_FACTORS
from music_platform.tables.reconciliations import Input

POPULAR_RANKS = 1000

POPULAR_SONGS = TableContract(
    layer=Layer.RECOMMENDATIONS,
    name="popular_songs",
    description=f"The first {POPULAR_RANKS} songs by the sum of their listeners' scores, of those that lists may "
    "hold: the recommendations of a listener of whom nothing is known.",
    columns=(
        rank_column("rank", "Place by score; of equal ones the lesser key comes first.", POPULAR_RANKS),
        SONG_KEY,
        score_column("Sum of the scores of its listeners.", minimum=0),
        count_column("listeners", "Listeners with a score for the song."),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(DAY_IS_WHOLE,),
    sort_columns=("rank",),
    unique_columns=("day", "song_key"),
)


def popular_songs(songs: DataFrame) -> DataFrame:
    """The leading songs of each day of song_factors."""
    order = Window.partitionBy("day").orderBy(F.desc("score"), "song_key")
    ranked = songs.where("is_offered").withColumn("rank", F.row_number().over(order))
    return columns_of(ranked.where(F.col("rank") <= POPULAR_RANKS), POPULAR_SONGS)


TABLE = GoldTable(
    POPULAR_SONGS,
    lambda frames: popular_songs(frames["songs"]),
    {"songs": Input(SONG_FACTORS)},
    reconciliations=[ranks_have_no_hole(), scores_fall()],
)
