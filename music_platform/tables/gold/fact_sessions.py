"""One row per session, whole even if it ran past midnight."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import SESSION_KEY
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, TableContract
from music_platform.tables.frames import columns_of, is_of_days
from music_platform.tables.gold.session_days import ENDS, MEASURES, PAGE_REACHED, SESSION_DAYS, TIME_ORDER
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.reconciliations import Input, Numbers, Reconciliation, Stored, by_day

FACT_SESSIONS = TableContract(
    layer=Layer.GOLD,
    name="fact_sessions",
    description="One row a session, in the partition of the day on which it started, whole also where it ran past midnight.",
    columns=(
        SESSION_KEY,
        *ENDS,
        Column(name="duration_seconds", type=ColumnType.DOUBLE, description="From the first event to the last.",
               unit="seconds", minimum=0, personal=Personal.NONE),
        *MEASURES,
    ),
    partition_column="started_at",
    cadence=Cadence.DAILY,
    rules=(TIME_ORDER,),
    sort_columns=("started_at", "session_key"),
    unique_columns=("session_key",),
)  # fmt: skip

DAYS_AFTER_THE_START = 2  # in which a session may continue; the longest known last some hours

# How a column of a session so far and that of its next day are put together.
_PUT_TOGETHER: dict[str, Callable[[SparkColumn, SparkColumn], SparkColumn]] = {
    "session_id": F.least,
    "user_key": F.greatest,  # the unknown member's key is the least
    "location_key": F.least,
    **dict.fromkeys(("ended_at", "exit_page", "level_at_end"), lambda _, later: later),
    **dict.fromkeys(("page_views", "pages", "songs", "skips", "errors"), lambda so_far, later: so_far + later),
    "played_seconds": lambda so_far, later: F.round(so_far + later, 6),
    **dict.fromkeys(PAGE_REACHED, lambda so_far, later: so_far | later),
}


def fact_sessions(parts: DataFrame, days: Sequence[str]) -> DataFrame:
    """The sessions that started on the days, put together from session_days of the day before to two days after.

    A session started on a day if it has events then and none on the day before: no session pauses for a day.
    """
    parts = parts.withColumn("day", F.to_date("started_at"))
    day_before = parts.select("session_key", F.date_add("day", 1).alias("day"))
    starts = parts.where(is_of_days(days, F.col("started_at"))).join(day_before, ["session_key", "day"], "left_anti")
    sessions = starts.withColumn("goes_on", F.lit(True))
    for days_later in range(1, DAYS_AFTER_THE_START + 1):
        sessions = _with_part_of_day(sessions, parts, days_later)
    seconds = (F.unix_micros("ended_at") - F.unix_micros("started_at")) / F.lit(1e6)
    return columns_of(sessions.withColumn("duration_seconds", seconds), FACT_SESSIONS)


def _with_part_of_day(sessions: DataFrame, parts: DataFrame, days_later: int) -> DataFrame:
    """The sessions with their part so many days after their start, if they had events on every day until then."""
    part = parts.select(
        "session_key",
        F.date_sub("day", days_later).alias("day"),
        F.lit(True).alias("has_part"),
        *(F.col(name).alias(f"later_{name}") for name in _PUT_TOGETHER),
    )
    joined = sessions.join(part, ["session_key", "day"], "left")
    joined = joined.withColumn("goes_on", F.col("goes_on") & F.col("has_part").isNotNull())
    together = {
        name: F.when(F.col("goes_on"), put_together(F.col(name), F.col(f"later_{name}"))).otherwise(F.col(name))
        for name, put_together in _PUT_TOGETHER.items()
    }
    return joined.withColumns(together).drop("has_part", *(f"later_{name}" for name in _PUT_TOGETHER))


def _sessions_that_began(stored: Stored) -> Numbers:
    """Sessions of a day that did nothing on the day before, by session_days of both."""
    days = stored["session_days"].read().select(F.to_date("started_at").alias("on"), "session_key")
    before = days.select(F.date_add("on", 1).alias("on"), "session_key")
    return by_day(days.join(before, ["on", "session_key"], "left_anti"), "on", F.count(F.lit(1)))


TABLE = GoldTable(
    FACT_SESSIONS,
    lambda frames: fact_sessions(frames["session_days"], frames.partitions),
    {"session_days": Input(SESSION_DAYS, days_before=1, days_after=DAYS_AFTER_THE_START)},
    reconciliations=[
        Reconciliation(
            name="holds_every_session",
            description="Sessions against those that did something on the day and nothing the day before:",
            others={"session_days": Input(SESSION_DAYS, days_before=1)},
            expected=_sessions_that_began,
            found=lambda stored: stored.own.rows,
        )
    ],
)
