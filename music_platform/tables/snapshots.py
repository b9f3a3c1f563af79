"""Daily snapshots of the dimensions: their place columns, the unknown member, and the columns of a day.

The unknown member, whose key is all zeros, is a row of its own wherever a fact or another dimension can lack the real one: its
texts are `Unknown`, its numbers null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import UNKNOWN, UNKNOWN_KEY
from music_platform.tables.contract import ColumnType, TableContract
from music_platform.tables.events.listen_events import LISTEN_EVENTS

BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
"""Since when the unknown member is valid: no event of silver is earlier."""

PLACE = ("zip", "city", "state", "latitude", "longitude")
LATITUDE, LONGITUDE, DURATION = LISTEN_EVENTS.columns("latitude", "longitude", "duration_seconds")
_EVENT_CITY, _EVENT_STATE, _EVENT_ZIP = LISTEN_EVENTS.columns("city", "state", "zip")
CITY = replace(_EVENT_CITY, nullable=False)
STATE = replace(_EVENT_STATE, nullable=False, pattern=f"^([A-Z]{{2}}|{UNKNOWN})$")
ZIP = replace(_EVENT_ZIP, nullable=False, pattern=f"^([0-9]{{5}}|{UNKNOWN})$")


def snapshot(members: DataFrame, contract: TableContract, day: str) -> DataFrame:
    """The members with the day, in the contract's columns."""
    dated = members.withColumn("day", start_of(day))
    return dated.select(*(column.name for column in contract.columns))


def unknown_member(
    spark: SparkSession, contract: TableContract, day: str, others: Mapping[str, bool | int | datetime]
) -> DataFrame:
    """One row: keys all zeros, texts ``Unknown``, null where that is allowed, but for the columns in ``others``."""
    columns = []
    for column in contract.columns:
        value = F.lit(None)
        if column.name == "day":
            value = start_of(day)
        elif column.name in others:
            value = _literal(others[column.name])
        elif column.name.endswith("_key"):
            value = F.lit(UNKNOWN_KEY)
        elif column.type is ColumnType.STRING and not column.nullable:
            value = F.lit(UNKNOWN)
        columns.append(value.cast(str(column.type)).alias(column.name))
    return spark.range(1).select(*columns)


def or_unknown(name: str) -> SparkColumn:
    """The text column of this name, ``Unknown`` where it is null."""
    return F.coalesce(F.col(name), F.lit(UNKNOWN)).alias(name)


def start_of(day: str) -> SparkColumn:
    return _literal(datetime.fromisoformat(day).replace(tzinfo=UTC))


def _literal(value: bool | int | datetime) -> SparkColumn:
    # A timestamp as its number: its text would depend on the time zone.
    return F.timestamp_seconds(F.lit(int(value.timestamp()))) if isinstance(value, datetime) else F.lit(value)
