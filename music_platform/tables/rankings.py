"""The tables of a day's leading songs and artists: their contract, ranks and checks."""

from __future__ import annotations

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import DAY, DAY_IS_WHOLE, UNKNOWN, text_column
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.frames import columns_of
from music_platform.tables.listening import (
    LISTENERS,
    LISTENERS_AMONG_PLAYS,
    PLAYED_SECONDS,
    PLAYS,
    SKIPS,
    SKIPS_AMONG_PLAYS,
    listening,
)
from music_platform.tables.reconciliations import Numbers, Reconciliation, Stored, by_day

TOP_RANKS = 1000

_RANKED = Rule(
    name="within_top_ranks",
    condition=f"plays_rank <= {TOP_RANKS} OR listeners_rank <= {TOP_RANKS}",
    description=f"The row is among the first {TOP_RANKS} by plays or by listeners.",
)

ARTIST = text_column("artist", "Name of the artist.", personal=Personal.NONE)


def _rank(name: str, description: str) -> Column:
    return Column(name=name, type=ColumnType.LONG, description=description, minimum=1, personal=Personal.NONE)


def ranking_contract(members: str, key: Column, *names: Column) -> TableContract:
    return TableContract(
        layer=Layer.GOLD,
        name=f"top_{members}",
        description=f"The {TOP_RANKS} {members} of the day with the most plays and the {TOP_RANKS} with the most listeners.",
        columns=(
            DAY,
            _rank("plays_rank", "Place by plays; of equal ones the lesser key comes first."),
            _rank("listeners_rank", "Place by listeners; of equal ones the lesser key comes first."),
            key,
            *names,
            PLAYS,
            LISTENERS,
            PLAYED_SECONDS,
            SKIPS,
        ),
        partition_column="day",
        cadence=Cadence.DAILY,
        rules=(DAY_IS_WHOLE, _RANKED, LISTENERS_AMONG_PLAYS, SKIPS_AMONG_PLAYS),
        sort_columns=("plays_rank",),
        unique_columns=("day", key.name),
    )


def leading_members(
    plays: DataFrame, members: DataFrame, key: str, names: list[str], contract: TableContract
) -> DataFrame:
    """The first by plays and by listeners of each day, with the names that the dimension's members of the day have."""
    counts = listening(plays.withColumn("date", F.to_date("event_time")), "date", key)
    counts = counts.withColumn("day", F.col("date").cast("timestamp"))
    ranked = counts.withColumns({
        f"{measure}_rank": F.row_number().over(Window.partitionBy("day").orderBy(F.desc(measure), key)).cast("bigint")
        for measure in ("plays", "listeners")
    })  # fmt: skip
    leading = ranked.where((F.col("plays_rank") <= TOP_RANKS) | (F.col("listeners_rank") <= TOP_RANKS))
    named = leading.join(members.select("day", key, *names), ["day", key], "left").fillna(UNKNOWN, names)
    return columns_of(named, contract)


def ranks_are_whole() -> Reconciliation:
    def ranked(stored: Stored, number: SparkColumn) -> Numbers:
        return by_day(stored.own.read().where(f"plays_rank <= {TOP_RANKS}"), "day", number)

    return Reconciliation(
        name="ranks_are_whole",
        description="Highest rank by plays against the number of ranks:",
        others={},
        expected=lambda stored: ranked(stored, F.count(F.lit(1))),
        found=lambda stored: ranked(stored, F.max("plays_rank")),
    )
