"""Hours of a day in UTC, with what the calendar says of them."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from functools import reduce

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from music_platform.tables.columns import DATETIME_KEY, DAY, DAY_IS_WHOLE, text_column, time_column
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.gold.fact_streams import FACT_STREAMS
from music_platform.tables.gold_table import Frames, GoldTable
from music_platform.tables.reconciliations import Reconciliation
from music_platform.tables.schemas import arrow_schema, spark_schema


def _calendar_column(name: str, description: str, minimum: int, maximum: int) -> Column:
    return Column(
        name=name,
        type=ColumnType.INTEGER,
        description=description,
        minimum=minimum,
        maximum=maximum,
        personal=Personal.NONE,
    )


DIM_DATETIME = TableContract(
    layer=Layer.GOLD,
    name="dim_datetime",
    description="Hours of a day in UTC, with what the calendar says of them.",
    columns=(
        DATETIME_KEY,
        time_column("hour_time", "Beginning of the hour.", personal=Personal.NONE),
        Column(name="calendar_date", type=ColumnType.STRING, description="Date as YYYY-MM-DD.",
               pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$", personal=Personal.NONE),
        _calendar_column("year", "Year.", 1900, 9999),
        _calendar_column("quarter", "Quarter of the year.", 1, 4),
        _calendar_column("month", "Month.", 1, 12),
        text_column("month_name", "Month in English.", personal=Personal.NONE),
        _calendar_column("day_of_month", "Day of the month.", 1, 31),
        _calendar_column("week_of_year", "Week by ISO 8601: weeks begin on Monday, and the first one holds the year's first "
                         "Thursday.", 1, 53),
        _calendar_column("weekday", "Day of the week, from 1 for Monday to 7 for Sunday.", 1, 7),
        text_column("weekday_name", "Day of the week in English.", personal=Personal.NONE),
        _calendar_column("hour", "Hour of the day.", 0, 23),
        Column(name="is_weekend", type=ColumnType.BOOLEAN, description="Whether the day is a Saturday or a Sunday.",
               personal=Personal.NONE),
        Column(name="is_us_holiday", type=ColumnType.BOOLEAN, description="Whether the day is a federal holiday of the USA, "
               "or the working day on which one that falls on a weekend is observed.", personal=Personal.NONE),
        text_column("holiday_name", "Name of that holiday; null on other days.", nullable=True,
                     personal=Personal.NONE),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        Rule(name="hour_of_day", condition="date_trunc('DAY', hour_time) = day", description="The hour is one of the day."),
        Rule(name="weekend_by_weekday", condition="is_weekend = (weekday >= 6)",
             description="Saturday and Sunday are the weekend."),
        Rule(name="holiday_has_a_name", condition="is_us_holiday = (holiday_name IS NOT NULL)",
             description="A holiday has a name, another day has none."),
        DAY_IS_WHOLE,
    ),
    sort_columns=("hour_time",),
    unique_columns=("datetime_key",),
)  # fmt: skip

_FRIDAY = 5


def dim_datetime(spark: SparkSession, day: str) -> DataFrame:
    """The day's 24 hours. Source of the holidays: the package holidays, federal holidays of the USA."""
    import holidays  # loading it takes a second, which only this table needs

    on = date.fromisoformat(day)
    start = datetime(on.year, on.month, on.day, tzinfo=UTC)
    holiday = holidays.country_holidays("US", years=on.year).get(on)
    of_day = {
        "calendar_date": day,
        "year": on.year,
        "quarter": (on.month + 2) // 3,
        "month": on.month,
        "month_name": calendar.month_name[on.month],
        "day_of_month": on.day,
        "week_of_year": on.isocalendar().week,
        "weekday": on.isoweekday(),
        "weekday_name": calendar.day_name[on.weekday()],
        "is_weekend": on.isoweekday() > _FRIDAY,
        "is_us_holiday": holiday is not None,
        "holiday_name": holiday,
        "day": start,
    }
    first_key = int(f"{on:%Y%m%d}00")
    hours = [
        {"datetime_key": first_key + hour, "hour_time": start + timedelta(hours=hour), "hour": hour}
        for hour in range(24)
    ]
    table = pa.Table.from_pylist([of_day | of_hour for of_hour in hours], arrow_schema(DIM_DATETIME.columns))
    return spark.createDataFrame(table, spark_schema(DIM_DATETIME.columns))


def _hours_of_days(frames: Frames) -> DataFrame:
    return reduce(DataFrame.union, (dim_datetime(frames.spark, day) for day in frames.partitions))


TABLE = GoldTable(
    DIM_DATETIME,
    _hours_of_days,
    follows=FACT_STREAMS,
    reconciliations=[
        Reconciliation(
            name="holds_every_hour",
            description="Hours of the day:",
            expected=lambda stored: dict.fromkeys(stored.own.rows, 24),
            found=lambda stored: stored.own.rows,
        )
    ],
)
