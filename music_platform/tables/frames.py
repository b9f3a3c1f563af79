"""Small frames and selections that transforms share."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.contract import TableContract


def columns_of(frame: DataFrame, contract: TableContract) -> DataFrame:
    """The contract's columns, in their order."""
    return frame.select(*(column.name for column in contract.columns))


def rows_of_days(days: Sequence[str], frame: DataFrame) -> DataFrame:
    """One row a day, in the session of a frame."""
    rows = frame.sparkSession.createDataFrame([(day,) for day in days], "day string")
    return rows.select(F.col("day").cast("timestamp").alias("day"))


def moment_of(day: str) -> SparkColumn:
    return F.lit(day).cast("timestamp")


def is_of_days(days: Sequence[str], moment: SparkColumn) -> SparkColumn:
    return F.to_date(moment).isin([F.to_date(F.lit(day)) for day in days])
