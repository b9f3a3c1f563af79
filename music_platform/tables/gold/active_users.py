"""How many listeners were active on a day and in the weeks before, exactly."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import DAY, DAY_IS_WHOLE, count_column
from music_platform.tables.contract import Cadence, Layer, Rule, TableContract
from music_platform.tables.frames import columns_of, rows_of_days
from music_platform.tables.gold.user_activity import USER_ACTIVITY, is_active_within
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.reconciliations import Input, Reconciliation, by_day

ACTIVE_USERS = TableContract(
    layer=Layer.GOLD,
    name="active_users",
    description="One row a day: how many listeners were active on it and in the weeks before, exactly.",
    columns=(
        DAY,
        count_column("active_1_day", "Listeners with an event on the day."),
        count_column("active_7_days", "Listeners with an event in the 7 days that end with the day."),
        count_column("active_30_days", "Listeners with an event in the 30 days that end with the day."),
        count_column("users", "Listeners known since the beginning of history."),
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        Rule(
            name="longer_windows_hold_more",
            condition="active_1_day <= active_7_days AND active_7_days <= active_30_days AND active_30_days <= users",
            description="A longer window holds the users of a shorter one.",
        ),
    ),
    sort_columns=("day",),
    unique_columns=("day",),
)


def active_users(user_activity: DataFrame, days: Sequence[str]) -> DataFrame:
    """One row per day, from user_activity's rows of the days, also for a day before the first listener."""
    known = user_activity.select("day", "last_active_at")
    known = known.unionByName(rows_of_days(days, known).withColumn("last_active_at", F.lit(None).cast("timestamp")))
    counts = known.groupBy("day").agg(
        F.count_if(is_active_within(1)).alias("active_1_day"),
        F.count_if(is_active_within(7)).alias("active_7_days"),
        F.count_if(is_active_within(30)).alias("active_30_days"),
        F.count("last_active_at").alias("users"),
    )
    return columns_of(counts, ACTIVE_USERS)


TABLE = GoldTable(
    ACTIVE_USERS,
    lambda frames: active_users(frames["user_activity"], frames.partitions),
    {"user_activity": Input(USER_ACTIVITY)},
    reconciliations=[
        Reconciliation(
            name="reconciles_with_user_activity",
            description="Known users against the rows of user_activity:",
            others={"user_activity": Input(USER_ACTIVITY)},
            expected=lambda stored: stored["user_activity"].rows,
            found=lambda stored: by_day(stored.own.read(), "day", F.sum("users")),
        )
    ],
)
