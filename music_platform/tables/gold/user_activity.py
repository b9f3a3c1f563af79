"""The activity of each known listener on a day and up to its end."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import DAY, DAY_IS_WHOLE, USER_KEY, count_column, time_column
from music_platform.tables.contract import Cadence, Layer, Personal, Rule, TableContract
from music_platform.tables.frames import columns_of, moment_of
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.listening import PLAYED_SECONDS
from music_platform.tables.reconciliations import Input, adds_up_to_plays
from music_platform.tables.transforms.numbers import MICRO, event_order, level_of, whole

USER_KEY_OF_A_LISTENER = replace(USER_KEY, description="Listener in dim_users.")

USER_ACTIVITY = TableContract(
    layer=Layer.GOLD,
    name="user_activity",
    description="One row a known listener and day: what they did on the day, and up to its end. Carried forward, so that every "
    "listener since the beginning of history has a row.",
    columns=(
        USER_KEY_OF_A_LISTENER,
        replace(
            FACT_PAGE_VIEWS.column("user_id"),
            nullable=True,
            description="Number of the listener; null as long as none of their page views is known.",
        ),
        replace(
            FACT_PAGE_VIEWS.column("registered_at"),
            nullable=True,
            description="When the listener registered: the earliest moment in their page views; can be after the day. "
            "Null where user_id is.",
        ),
        time_column("first_active_at", "First page view or play.", personal=Personal.NONE),
        time_column("last_active_at", "Last page view or play up to the day's end.", personal=Personal.NONE),
        replace(FACT_PLAYS.column("level"), description="Subscription level at the last event."),
        count_column("day_page_views", "Page views on the day."),
        count_column("day_plays", "Songs started on the day."),
        replace(PLAYED_SECONDS, name="day_played_seconds", description="Listened on the day, where it is known."),
        count_column("plays", "Songs started since the beginning of history."),
        replace(PLAYED_SECONDS, description="Listened since the beginning of history, where it is known."),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        Rule(
            name="first_before_last",
            condition="first_active_at <= last_active_at",
            description="The last event is not before the first.",
        ),
        Rule(
            name="last_before_day_end",
            condition="last_active_at < day + INTERVAL 1 DAY",
            description="The last event lies before the day's end.",
        ),
        Rule(
            name="active_on_the_day",
            condition="(last_active_at >= day) = (day_page_views + day_plays > 0)",
            description="The last event lies on the day exactly where the day has events.",
        ),
        Rule(
            name="day_within_total",
            condition="day_plays <= plays AND day_played_seconds <= played_seconds",
            description="The totals include the day.",
        ),
        Rule(
            name="user_known_whole",
            condition="(user_id IS NULL) = (registered_at IS NULL)",
            description="`user_id` and `registered_at` are known together.",
        ),
    ),
    sort_columns=("user_key",),
    unique_columns=("day", "user_key"),
)


def user_activity(previous: DataFrame | None, plays: DataFrame, page_views: DataFrame, day: str) -> DataFrame:
    """One row per known listener: fact_plays and fact_page_views of the day, added to the day before.

    ``previous`` is this table's partition of the day before, None at the beginning of history. ``day`` is YYYY-MM-DD.
    """
    nothing = F.lit(0).cast("bigint")
    viewed = page_views.where("user_id IS NOT NULL").select(
        "user_key",
        "user_id",
        "registered_at",
        F.col("event_time").alias("first_active_at"),
        F.col("event_time").alias("last_active_at"),
        "level",
        "item_in_session",
        F.lit(1).cast("bigint").alias("day_page_views"),
        nothing.alias("day_plays"),
        nothing.alias("day_microseconds"),
        nothing.alias("plays_before"),
        nothing.alias("microseconds_before"),
    )
    # A play holds neither the listener nor its place in the session; its page view, sorted after it here, does.
    played = plays.select(
        "user_key",
        F.lit(None).cast("bigint").alias("user_id"),
        F.lit(None).cast("timestamp").alias("registered_at"),
        F.col("event_time").alias("first_active_at"),
        F.col("event_time").alias("last_active_at"),
        "level",
        F.lit(-1).alias("item_in_session"),
        nothing.alias("day_page_views"),
        F.lit(1).cast("bigint").alias("day_plays"),
        F.coalesce(whole(F.col("played_seconds"), MICRO), nothing).alias("day_microseconds"),
        nothing.alias("plays_before"),
        nothing.alias("microseconds_before"),
    )
    activity = viewed.unionByName(played)
    if previous is not None:
        before = previous.select(
            "user_key",
            "user_id",
            "registered_at",
            "first_active_at",
            "last_active_at",
            "level",
            F.lit(-1).alias("item_in_session"),
            nothing.alias("day_page_views"),
            nothing.alias("day_plays"),
            nothing.alias("day_microseconds"),
            F.col("plays").alias("plays_before"),
            whole(F.col("played_seconds"), MICRO).alias("microseconds_before"),
        )
        activity = activity.unionByName(before)
    order = event_order(F.col("last_active_at"), F.col("item_in_session"), F.col("level"))
    activity = activity.withColumn("order", order)
    users = activity.groupBy("user_key").agg(
        F.max("user_id").alias("user_id"),
        F.min("registered_at").alias("registered_at"),
        F.min("first_active_at").alias("first_active_at"),
        F.max("last_active_at").alias("last_active_at"),
        level_of(F.max("order")).alias("level"),
        *(F.sum(name).alias(name) for name in ("day_page_views", "day_plays", "day_microseconds")),
        F.sum(F.col("day_plays") + F.col("plays_before")).alias("plays"),
        F.sum(F.col("day_microseconds") + F.col("microseconds_before")).alias("microseconds"),
    )
    users = users.withColumns({
        "day_played_seconds": F.col("day_microseconds") / F.lit(MICRO),
        "played_seconds": F.col("microseconds") / F.lit(MICRO),
        "day": moment_of(day),
    })  # fmt: skip
    return columns_of(users, USER_ACTIVITY)


def is_active_within(days: int) -> SparkColumn:
    """Whether a row of user_activity has an event in the days that end with its own."""
    return F.expr(f"last_active_at >= day - INTERVAL {days - 1} DAYS")


TABLE = GoldTable(
    USER_ACTIVITY,
    lambda frames: user_activity(frames.previous, frames["plays"], frames["page_views"], frames.day),
    {"plays": Input(FACT_PLAYS), "page_views": Input(FACT_PAGE_VIEWS)},
    reconciliations=[adds_up_to_plays("day_plays", FACT_PLAYS)],
    carries_forward=True,
)
