"""What aggregates of plays measure: plays, listeners, seconds and skips.

Seconds are summed as whole microseconds: such sums do not depend on the order of addition, so that a rebuild, the other engine
and the totals carried forward agree to the last digit.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import count_column
from music_platform.tables.contract import Column, ColumnType, Personal, Rule
from music_platform.tables.transforms.numbers import MICRO, whole

PLAYED_SECONDS = Column(
    name="played_seconds",
    type=ColumnType.DOUBLE,
    description="Listened, where it is known.",
    unit="seconds",
    minimum=0,
    personal=Personal.NONE,
)

PLAYS = count_column("plays", "Songs started.")
LISTENERS = count_column("listeners", "Distinct listeners.")
SKIPS = count_column("skips", "Plays that were skipped.")

SKIPS_AMONG_PLAYS = Rule(
    name="skips_among_plays", condition="skips <= plays", description="No more plays were skipped than there were."
)

LISTENERS_AMONG_PLAYS = Rule(
    name="listeners_among_plays",
    condition="listeners >= 1 AND listeners <= plays",
    description="There are listeners, and each has played.",
)


def listening(plays: DataFrame, *by: str) -> DataFrame:
    """Plays, listeners, seconds and skips of fact_plays by these columns: texts, dates and numbers.

    Grouping by a timestamp beside another column costs the embedded engine twice as much.
    """
    sums = plays.groupBy(*by).agg(
        F.count(F.lit(1)).alias("plays"),
        F.count_distinct("user_key").alias("listeners"),
        F.coalesce(F.sum(whole(F.col("played_seconds"), MICRO)), F.lit(0)).alias("microseconds"),
        F.count_if(F.col("is_skipped")).alias("skips"),
    )
    return sums.withColumn("played_seconds", F.col("microseconds") / F.lit(MICRO))
