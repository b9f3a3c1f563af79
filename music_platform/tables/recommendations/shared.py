"""Columns, rules and checks that several tables of the recommendations share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import share_column
from music_platform.tables.contract import Column, ColumnType, Personal, TableContract
from music_platform.tables.reconciliations import Input, Numbers, Reconciliation, Stored, by_day, nothing

LIST_LENGTH = 50
"""Songs in a whole list."""
SHOWN_RANKS = 10
"""Songs of a list that dashboards show."""
ACTIVE_DAYS = 30
"""A listener has lists for so many days from the last play on, its own day among them."""

IS_ACTIVE = f"last_played_at >= day - INTERVAL {ACTIVE_DAYS - 1} DAY"
"""Of user_song_interactions: the row shows that its listener is active."""


def rank_column(name: str, description: str, last: int | None = None) -> Column:
    """A place in an order, from 1."""
    return Column(
        name=name, type=ColumnType.INTEGER, description=description, minimum=1, maximum=last, personal=Personal.NONE
    )


def score_column(description: str, *, minimum: float | None = None, name: str = "score") -> Column:
    """A number that orders songs."""
    return Column(name=name, type=ColumnType.DOUBLE, description=description, minimum=minimum, personal=Personal.NONE)


def weight_column(description: str) -> Column:
    """A weight of popularity in the blend."""
    return share_column("weight", description)


def ranks_have_no_hole(owner: str | None = None) -> Reconciliation:
    """The ranks of each ``owner``'s list are 1, 2, 3 and so on; without an owner there is one list a day."""
    keys = ["day"] if owner is None else ["day", owner]

    def with_hole(rows: DataFrame) -> DataFrame:
        lists = rows.groupBy(*keys).agg(
            F.count(F.lit(1)).alias("songs"), F.count_distinct("rank").alias("ranks"), F.max("rank").alias("last")
        )
        return lists.where("ranks <> songs OR last <> songs")

    return Reconciliation(
        name="ranks_have_no_hole",
        description="Lists whose ranks have a hole or come twice:",
        expected=nothing,
        found=lambda stored: by_day(with_hole(stored.own.read()), "day", F.count(F.lit(1))),
    )


def scores_fall(owner: str | None = None, *, score: str = "score") -> Reconciliation:
    """Within each ``owner``'s list no score is above the one of the rank before."""
    keys = ["day"] if owner is None else ["day", owner]

    def rising(rows: DataFrame) -> DataFrame:
        window = Window.partitionBy(*keys).orderBy("rank")
        return rows.withColumn("before", F.lag(score).over(window)).where(f"before < {score}")

    return Reconciliation(
        name="scores_fall",
        description=f"Songs with a higher {score} than the one of the rank before:",
        expected=nothing,
        found=lambda stored: by_day(rising(stored.own.read()), "day", F.count(F.lit(1))),
    )


def holds_the_first_ranks(contract: TableContract, columns: Sequence[str]) -> Reconciliation:
    """In these columns, the rows are exactly those of another table up to the last rank that is shown."""
    keys = ["day", *columns]

    def differing(stored: Stored) -> Numbers:
        own = stored.own.read().select(keys)
        theirs = stored["ranks"].read().where(F.col("rank") <= SHOWN_RANKS).select(keys)
        rows = own.join(theirs, keys, "left_anti").union(theirs.join(own, keys, "left_anti"))
        return by_day(rows, "day", F.count(F.lit(1)))

    return Reconciliation(
        name=f"reconciles_with_{contract.name}",
        description=f"Rows that are here alone or in {contract.path} alone, up to rank {SHOWN_RANKS}:",
        others={"ranks": Input(contract)},
        expected=nothing,
        found=differing,
    )


def names_are_those_of(dimension: TableContract, columns: Mapping[str, str], *, of: str = "") -> Reconciliation:
    """These columns hold together what the dimension's do, by whose names they are given."""

    def lacking(stored: Stored) -> Numbers:
        members = stored["members"].read()
        known = members.select("day", *(members[theirs].alias(own) for own, theirs in columns.items())).distinct()
        named = stored.own.read().select("day", *columns).distinct()
        return by_day(named.join(known, ["day", *columns], "left_anti"), "day", F.count(F.lit(1)))

    return Reconciliation(
        name=f"{of}names_are_those_of_{dimension.name}",
        description=f"Names that {dimension.path} does not give to the key:",
        others={"members": Input(dimension)},
        expected=nothing,
        found=lacking,
    )
