"""What known listeners did on the way from free to paid and back."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import DAY, DAY_IS_WHOLE, count_column, text_column
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.frames import columns_of, rows_of_days
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold_table import GoldTable, silver
from music_platform.tables.reconciliations import Input, Reconciliation, by_day
from music_platform.tables.transforms.keys import session_key_of_event

# The stages of the level funnel, in their order.
STAGES: dict[str, str] = {
    "active_free": "page views at level free",
    "upgrade_page": "views of the page Upgrade",
    "submit_upgrade": "views of the page Submit Upgrade",
    "became_paid": "status changes from free to paid",
    "active_paid": "page views at level paid",
    "downgrade_page": "views of the page Downgrade",
    "submit_downgrade": "views of the page Submit Downgrade",
    "became_free": "status changes from paid to free",
    "cancel": "views of the page Cancel",
    "cancelled": "views of the page Cancellation Confirmation",
}

STAGE_OF_PAGE = {
    "Upgrade": "upgrade_page",
    "Submit Upgrade": "submit_upgrade",
    "Downgrade": "downgrade_page",
    "Submit Downgrade": "submit_downgrade",
    "Cancel": "cancel",
    "Cancellation Confirmation": "cancelled",
}

STAGE_OF_LEVEL = {"free": "active_free", "paid": "active_paid"}
STAGE_OF_PREVIOUS_LEVEL = {"free": "became_paid", "paid": "became_free"}

LEVEL_FUNNEL = TableContract(
    layer=Layer.GOLD,
    name="level_funnel",
    description="What known listeners did on the way from free to paid and back; every stage has a row each day. Stages: "
    + "; ".join(f"`{stage}`, {description}" for stage, description in STAGES.items())
    + ".",
    columns=(
        DAY,
        text_column("stage", "Stage of the funnel.", allowed=tuple(STAGES), personal=Personal.NONE),
        Column(
            name="stage_order",
            type=ColumnType.LONG,
            description="Place of the stage in the funnel.",
            minimum=1,
            maximum=len(STAGES),
            personal=Personal.NONE,
        ),
        count_column("users", "Distinct listeners."),
        count_column("sessions", "Distinct sessions."),
        count_column("events", "Page views or status changes."),
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        DAY_IS_WHOLE,
        Rule(
            name="each_has_events",
            condition="users <= events AND sessions <= events AND (users = 0) = (events = 0) AND (sessions = 0) = (events = 0)",
            description="Users and sessions have events, and events have both.",
        ),
    ),
    sort_columns=("stage_order",),
    unique_columns=("day", "stage"),
)


def level_funnel(page_views: DataFrame, status_changes: DataFrame, days: Sequence[str]) -> DataFrame:
    """Known listeners at each stage between free and paid, from fact_page_views and silver's status changes of the days.

    Users are counted by user_id, sessions by session_key. Every stage has a row for each of the days.
    """
    # Most page views belong only to the stage of their level; a page of the funnel adds a second stage.
    views = page_views.where("user_id IS NOT NULL").select(
        F.to_date("event_time").alias("day"),
        F.explode(F.array(_mapped("level", STAGE_OF_LEVEL), _mapped("page", STAGE_OF_PAGE))).alias("stage"),
        "user_id",
        "session_key",
    )
    changes = status_changes.select(
        F.to_date("event_time").alias("day"),
        _mapped("previous_level", STAGE_OF_PREVIOUS_LEVEL).alias("stage"),
        "user_id",
        session_key_of_event().alias("session_key"),
    )
    events = views.where("stage IS NOT NULL").unionByName(changes).withColumn("events", F.lit(1))
    stages = rows_of_days(days, page_views).select(
        F.to_date("day").alias("day"),
        F.explode(F.array(*(F.lit(stage) for stage in STAGES))).alias("stage"),
        F.lit(None).cast("bigint").alias("user_id"),
        F.lit(None).cast("string").alias("session_key"),
        F.lit(0).alias("events"),
    )
    counts = (
        events.unionByName(stages)
        .groupBy("day", "stage")
        .agg(
            F.count_distinct("user_id").alias("users"),
            F.count_distinct("session_key").alias("sessions"),
            F.sum("events").alias("events"),
        )
    )
    place = F.array_position(F.array(*(F.lit(stage) for stage in STAGES)), F.col("stage"))
    placed = counts.withColumns({"stage_order": place.cast("bigint"), "day": F.col("day").cast("timestamp")})
    return columns_of(placed, LEVEL_FUNNEL)


def _mapped(column: str, values: dict[str, str]) -> SparkColumn:
    """The value that the column's value represents, null if it represents none."""
    mapped = F.lit(None).cast("string")
    for value, meaning in values.items():
        mapped = F.when(F.col(column) == value, meaning).otherwise(mapped)
    return mapped


def _known(frame: DataFrame) -> DataFrame:
    return frame.where(F.col("user_id").isNotNull())


TABLE = GoldTable(
    LEVEL_FUNNEL,
    lambda frames: level_funnel(frames["page_views"], frames["status_change_events"], frames.partitions),
    {"page_views": Input(FACT_PAGE_VIEWS)} | silver("status_change_events"),
    reconciliations=[
        Reconciliation(
            name="adds_up_to_fact_page_views",
            description="Events at level free and paid against the page views of known listeners:",
            others={"page_views": Input(FACT_PAGE_VIEWS)},
            expected=lambda stored: by_day(_known(stored["page_views"].read()), "event_time", F.count(F.lit(1))),
            found=lambda stored: by_day(
                stored.own.read().where("stage IN ('active_free', 'active_paid')"), "day", F.sum("events")
            ),
        )
    ],
)
