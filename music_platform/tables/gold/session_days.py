"""The events of each session on a day: the parts that fact_sessions combines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import LOCATION_KEY, SESSION_KEY, USER_KEY, count_column, text_column, time_column
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.events.listen_events import LISTEN_EVENTS
from music_platform.tables.frames import columns_of
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.reconciliations import (
    Input,
    Numbers,
    Reconciliation,
    Stored,
    adds_up_to_plays,
    by_day,
    rows_by_day,
)
from music_platform.tables.transforms.numbers import event_order, level_of

TIME_ORDER = Rule(
    name="ends_after_it_starts", condition="ended_at >= started_at", description="A session ends after it starts."
)

MEASURES = (
    count_column("page_views", "Page views, songs included."),
    count_column("pages", "Page views other than songs."),
    count_column("songs", "Songs started."),
    count_column("skips", "Songs skipped."),
    Column(name="played_seconds", type=ColumnType.DOUBLE, description="Listened, where it is known.", unit="seconds",
           minimum=0, personal=Personal.NONE),
    count_column("errors", "Views of the page Error, or with status 404."),
    Column(name="is_converted", type=ColumnType.BOOLEAN, description="Whether Submit Upgrade was reached.",
           personal=Personal.NONE),
    Column(name="is_downgraded", type=ColumnType.BOOLEAN, description="Whether Submit Downgrade was reached.",
           personal=Personal.NONE),
    Column(name="is_cancelled", type=ColumnType.BOOLEAN, description="Whether Cancellation Confirmation was reached.",
           personal=Personal.NONE),
)  # fmt: skip

ENDS = (
    *LISTEN_EVENTS.columns("session_id"),
    replace(USER_KEY, description="Listener in dim_users, as soon as the session knows it; else the unknown member."),
    LOCATION_KEY,
    time_column("started_at", "First event.", personal=Personal.NONE),
    time_column("ended_at", "Last event so far.", personal=Personal.NONE),
    text_column("entry_page", "Page of the first event.", personal=Personal.NONE),
    text_column("exit_page", "Page of the last event.", personal=Personal.NONE),
    text_column("level_at_start", "Level at the first event.", allowed=("free", "paid"), personal=Personal.NONE),
    text_column("level_at_end", "Level at the last event.", allowed=("free", "paid"), personal=Personal.NONE),
)

SESSION_DAYS = TableContract(
    layer=Layer.GOLD,
    name="session_days",
    description="What each session did on a day: parts from which sessions across midnight are put together without a look "
    "at history.",
    columns=(SESSION_KEY, *ENDS, *MEASURES),
    partition_column="started_at",
    cadence=Cadence.DAILY,
    rules=(TIME_ORDER,),
    sort_columns=("started_at", "session_key"),
    unique_columns=("started_at", "session_key"),
)

PAGE_REACHED = {
    "is_converted": "Submit Upgrade",
    "is_downgraded": "Submit Downgrade",
    "is_cancelled": "Cancellation Confirmation",
}


def session_days(page_views: DataFrame, plays: DataFrame) -> DataFrame:
    """The events of each session on each of the days, from fact_page_views and fact_plays.

    A play is a moment of its session as well, on the page NextSong: the view of that page may be missing.
    """
    shared = ("session_key", "session_id", "user_key", "location_key", "event_time", "item_in_session", "level")
    of_views = {"page": "string", "status": "int"}
    of_plays = {"song_key": "string", "is_skipped": "boolean", "played_seconds": "double"}
    views = page_views.select(*shared, *of_views, *_nulls(of_plays))
    songs = plays.select(*shared, *_nulls(of_views), *of_plays)
    events = views.unionByName(songs).withColumns({
        "day": F.to_date("event_time"),
        "order": event_order(F.col("event_time"), F.col("item_in_session"), F.col("level")),
        "page_or_song": F.coalesce("page", F.lit("NextSong")),
    })  # fmt: skip
    sessions = events.groupBy("session_key", "day").agg(
        F.min("session_id").alias("session_id"),
        F.max("user_key").alias("user_key"),  # the unknown member's key is the least
        F.min("location_key").alias("location_key"),
        F.min("event_time").alias("started_at"),
        F.max("event_time").alias("ended_at"),
        F.min_by("page_or_song", "order").alias("entry_page"),
        F.max_by("page_or_song", "order").alias("exit_page"),
        level_of(F.min("order")).alias("level_at_start"),
        level_of(F.max("order")).alias("level_at_end"),
        F.count("page").alias("page_views"),
        F.count_if(F.col("page") != "NextSong").alias("pages"),
        F.count("song_key").alias("songs"),
        F.count_if(F.col("is_skipped")).alias("skips"),
        _rounded_sum("played_seconds").alias("played_seconds"),
        F.count_if((F.col("page") == "Error") | (F.col("status") == 404)).alias("errors"),
        *((F.count_if(F.col("page") == page) > 0).alias(name) for name, page in PAGE_REACHED.items()),
    )
    return columns_of(sessions, SESSION_DAYS)


def _nulls(types: Mapping[str, str]) -> list[SparkColumn]:
    return [F.lit(None).cast(type_name).alias(name) for name, type_name in types.items()]


def _rounded_sum(name: str) -> SparkColumn:
    """Engines add in different orders; their sums agree to the microsecond."""
    return F.round(F.coalesce(F.sum(name), F.lit(0.0)), 6)


def _sessions_of_events(stored: Stored) -> Numbers:
    events = [stored[name].read().select("event_time", "session_key") for name in ("page_views", "plays")]
    return by_day(events[0].unionByName(events[1]), "event_time", F.count_distinct(F.col("session_key")))


_PAGE_VIEWS, _PLAYS = {"page_views": Input(FACT_PAGE_VIEWS)}, {"plays": Input(FACT_PLAYS)}
TABLE = GoldTable(
    SESSION_DAYS,
    lambda frames: session_days(frames["page_views"], frames["plays"]),
    _PAGE_VIEWS | _PLAYS,
    reconciliations=[
        Reconciliation(
            name="holds_every_session",
            description="Sessions against the distinct ones of fact_page_views and fact_plays:",
            others=_PAGE_VIEWS | _PLAYS,
            expected=_sessions_of_events,
            found=lambda stored: stored.own.rows,
        ),
        Reconciliation(
            name="adds_up_to_fact_page_views",
            description="Sum of page_views against the page views of the day:",
            others=_PAGE_VIEWS,
            expected=lambda stored: rows_by_day(stored["page_views"]),
            found=lambda stored: by_day(stored.own.read(), "started_at", F.sum("page_views")),
        ),
        adds_up_to_plays("songs", FACT_PLAYS),
    ],
)
