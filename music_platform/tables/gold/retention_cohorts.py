"""Listeners by the week in which they registered, and how many of them are still active."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import DAY, DAY_IS_WHOLE, count_column, share_column, time_column
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.frames import columns_of
from music_platform.tables.gold.active_users import ACTIVE_USERS
from music_platform.tables.gold.user_activity import USER_ACTIVITY, is_active_within
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.reconciliations import Input, Reconciliation, by_day

RETENTION_COHORTS = TableContract(
    layer=Layer.GOLD,
    name="retention_cohorts",
    description="Listeners by the week in which they registered, and how many of them are still active.",
    columns=(
        DAY,
        time_column("registration_week", "Monday on which the week of registration begins; null for listeners whose "
                    "registration is not known.", nullable=True, personal=Personal.NONE),
        Column(
            name="weeks_since_registration",
            type=ColumnType.LONG,
            nullable=True,
            description="Calendar weeks from registration_week to the day's own; null where it is. Negative where the "
            "producer dates a registration after the listener's events: those listeners are kept, so that cohorts add up.",
            unit="weeks",
            personal=Personal.NONE,
        ),
        count_column("users", "Listeners of the cohort known by the day's end."),
        count_column("active_users", "Those with an event in the 7 days that end with the day."),
        share_column("retention", "active_users / users."),
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        Rule(
            name="active_among_users",
            condition="users >= 1 AND active_users <= users",
            description="A cohort has users, and no more of them are active.",
        ),
        Rule(
            name="week_begins_on_monday",
            condition="registration_week IS NULL OR date_trunc('WEEK', registration_week) = registration_week",
            description="`registration_week` is a Monday's first moment.",
        ),
        Rule(
            name="weeks_known_with_registration",
            condition="(registration_week IS NULL) = (weeks_since_registration IS NULL)",
            description="`weeks_since_registration` is known exactly where `registration_week` is.",
        ),
    ),
    sort_columns=("registration_week",),
    unique_columns=("day", "registration_week"),
)  # fmt: skip


def retention_cohorts(user_activity: DataFrame) -> DataFrame:
    """The users of each day's user_activity by week of registration, and how many were active in the 7 days before."""
    users = user_activity.withColumn("registration_week", F.date_trunc("WEEK", "registered_at"))
    cohorts = users.groupBy("day", "registration_week").agg(
        F.count(F.lit(1)).alias("users"), F.count_if(is_active_within(7)).alias("active_users")
    )
    days_since = F.datediff(F.col("day").cast("date"), F.col("registration_week").cast("date"))
    cohorts = cohorts.withColumns({
        "weeks_since_registration": F.floor(days_since / F.lit(7.0)),
        "retention": F.col("active_users") / F.col("users"),
    })  # fmt: skip
    return columns_of(cohorts, RETENTION_COHORTS)


TABLE = GoldTable(
    RETENTION_COHORTS,
    lambda frames: retention_cohorts(frames["user_activity"]),
    {"user_activity": Input(USER_ACTIVITY)},
    reconciliations=[
        Reconciliation(
            name="adds_up_to_active_users",
            description="Users of all cohorts against all users:",
            others={"active_users": Input(ACTIVE_USERS)},
            expected=lambda stored: by_day(stored["active_users"].read(), "day", F.sum("users")),
            found=lambda stored: by_day(stored.own.read(), "day", F.sum("users")),
        )
    ],
)
