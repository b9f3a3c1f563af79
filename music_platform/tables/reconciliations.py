"""Reconciliations: numbers of a table's partitions that must agree with those of others; and the kinds that several tables
share.

A reconciliation compares two numbers of each partition that were computed in different ways.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.partitions import day_of_key
from music_platform.tables.contract import TableContract

Numbers = Mapping[str, int]
"""A number for each partition; a partition that is lacking has zero."""


@dataclass(frozen=True)
class Input:
    """An input of another table. A daily table reads the same day of it, and so many days around."""

    contract: TableContract
    days_before: int = 0
    days_after: int = 0


class Partitions(Protocol):
    """Stored partitions of a table, as ``lake.partition_sets.StoredPartitions`` holds them."""

    @property
    def contract(self) -> TableContract: ...

    @property
    def rows(self) -> Mapping[str, int]:
        """The rows of each partition, by its manifest."""
        ...

    def read(self) -> DataFrame: ...


@dataclass(frozen=True)
class Stored:
    """A table's partitions and, by name, those of the others that it is compared with."""

    own: Partitions
    others: Mapping[str, Partitions]

    def __getitem__(self, name: str) -> Partitions:
        return self.others[name]


@dataclass(frozen=True)
class Reconciliation:
    """``expected`` and ``found`` must agree in each partition; both receive the table and the ``others``.

    If they do not, downstream tables are not made, unless ``is_blocking`` is false, which only warns.
    """

    name: str
    description: str
    expected: Callable[[Stored], Numbers]
    found: Callable[[Stored], Numbers]
    others: Mapping[str, Input] = field(default_factory=dict)
    is_blocking: bool = True


def rows_by_day(stored: Partitions) -> Numbers:
    """An hourly table's rows, by its manifests, added up by day."""
    rows: dict[str, int] = {}
    for partition, number in stored.rows.items():
        day = day_of_key(partition)
        rows[day] = rows.get(day, 0) + number
    return rows


def by_day(frame: DataFrame, moment: str, number: SparkColumn) -> Numbers:
    """An aggregate of a frame's rows by the day of a moment."""
    made = (
        frame.groupBy(F.date_format(moment, "yyyy-MM-dd").alias("day"))
        .agg(number.cast("bigint").alias("number"))
        .toArrow()
    )
    return {row["day"]: row["number"] or 0 for row in made.to_pylist()}


def nothing(stored: Stored) -> Numbers:  # noqa: ARG001 (every expectation receives what is stored)
    return {}


def _unresolved(facts: str, key: str) -> Callable[[Stored], Numbers]:
    """The facts' keys, each once a day, that the dimension's partition of the day lacks."""

    def count(stored: Stored) -> Numbers:
        wanted = stored[facts].read().select(F.date_trunc("DAY", "event_time").alias("day"), key).distinct()
        lacking = wanted.join(stored.own.read().select("day", key).distinct(), ["day", key], "left_anti")
        return by_day(lacking, "day", F.count(F.lit(1)))

    return count


def resolves(facts: str, contract: TableContract, key: str) -> Reconciliation:
    return Reconciliation(
        name=f"resolves_{key}_of_{contract.name}",
        description=f"Keys of {contract.name} without a member:",
        others={facts: Input(contract)},
        expected=nothing,
        found=_unresolved(facts, key),
    )


def holds_every_row(of: str, contract: TableContract) -> Reconciliation:
    return Reconciliation(
        name=f"reconciles_with_{of}",
        description=f"Rows against those of {contract.path}:",
        others={of: Input(contract)},
        expected=lambda stored: (
            stored[of].rows if stored.own.contract.cadence is contract.cadence else rows_by_day(stored[of])
        ),
        found=lambda stored: stored.own.rows,
    )


def adds_up_to_plays(column: str, plays: TableContract) -> Reconciliation:
    return Reconciliation(
        name="adds_up_to_fact_plays",
        description=f"Sum of {column} against the plays of the day:",
        others={"plays": Input(plays)},
        expected=lambda stored: stored["plays"].rows,
        found=lambda stored: by_day(stored.own.read(), stored.own.contract.partition_column, F.sum(column)),
    )
