"""The streams of a day with the seconds really played: the measure of listening of the daily tables."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import ARTIST_KEY, EVENT_ID, LOCATION_KEY, SESSION_KEY, SONG_KEY, USER_KEY
from music_platform.tables.contract import Cadence, Layer, TableContract
from music_platform.tables.events.listen_events import LISTEN_EVENTS
from music_platform.tables.frames import columns_of, is_of_days
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold.fact_streams import (
    FACT_STREAMS,
    IS_SKIPPED,
    PLAYED_SECONDS,
    PLAYED_WITHIN_DURATION,
    SKIP_KNOWN_WITH_SECONDS,
    followed,
    is_skipped,
    seconds_until_next_event,
)
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.reconciliations import Input, holds_every_row
from music_platform.tables.transforms.numbers import hour_number

FACT_PLAYS = TableContract(
    layer=Layer.GOLD,
    name="fact_plays",
    description="The day's streams with the seconds really played, also where the session went on in another hour or after "
    "midnight. The daily tier's measure of listening.",
    columns=(
        EVENT_ID, *LISTEN_EVENTS.columns("event_time"), USER_KEY, SONG_KEY, ARTIST_KEY, LOCATION_KEY, SESSION_KEY,
        *LISTEN_EVENTS.columns("session_id", "item_in_session", "level", "state", "duration_seconds"), PLAYED_SECONDS, IS_SKIPPED,
    ),
    partition_column="event_time",
    cadence=Cadence.DAILY,
    rules=(PLAYED_WITHIN_DURATION, SKIP_KNOWN_WITH_SECONDS),
    sort_columns=("event_time", "event_id"),
    unique_columns=("event_id",),
)  # fmt: skip


def fact_plays(streams: DataFrame, page_views: DataFrame, days: Sequence[str]) -> DataFrame:
    """The days' streams with the seconds played up to the session's next event, in whatever hour.

    ``streams`` and ``page_views`` are fact_streams and fact_page_views of the days and of the day after each: a session goes
    on after midnight. A stream whose next event is in its own hour already has its seconds.
    """
    plays = streams.join(_next_events_of_later_hours(streams, page_views), "event_id", "left")
    # The same result whether one day is made or many: a range has days available that a single day's run lacks.
    end_of_next_day = F.date_add(F.to_date("event_time"), 2).cast("timestamp")
    plays = plays.withColumn(
        "next_event_time", F.when(F.col("next_event_time") < end_of_next_day, F.col("next_event_time"))
    )
    plays = plays.withColumn("played_seconds", F.coalesce("played_seconds", seconds_until_next_event()))
    plays = plays.withColumn("is_skipped", is_skipped())
    return columns_of(plays.where(is_of_days(days, F.col("event_time"))), FACT_PLAYS)


def _next_events_of_later_hours(streams: DataFrame, page_views: DataFrame) -> DataFrame:
    """(event_id, next_event_time) of each stream that ends its session's hour, where the session goes on in a later one."""
    ends_the_hour = F.col("played_seconds").isNull()
    columns = (F.col("session_key").alias("session"), "event_time", hour_number(F.col("event_time")).alias("hour"))
    events = page_views.select(*columns, F.lit(None).cast("string").alias("event_id"))
    events = events.unionByName(streams.select(*columns, F.when(ends_the_hour, F.col("event_id")).alias("event_id")))
    hours = events.groupBy("session", "hour").agg(
        F.min("event_time").alias("event_time"), F.max("event_id").alias("event_id")
    )
    # Many sessions to a window, for the same reason as above.
    hours = hours.withColumn("sessions", F.substring("session", 1, 2))
    return followed(hours, Window.partitionBy("sessions").orderBy("session", "hour"))


TABLE = GoldTable(
    FACT_PLAYS,
    lambda frames: fact_plays(frames["streams"], frames["page_views"], frames.partitions),
    {"streams": Input(FACT_STREAMS, days_after=1), "page_views": Input(FACT_PAGE_VIEWS, days_after=1)},
    reconciliations=[holds_every_row("fact_streams", FACT_STREAMS)],
)
