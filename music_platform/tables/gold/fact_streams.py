"""One row a listen: keys of every dimension, and the columns that analyses filter on.

Keys are computed from the row itself, so no look-up can lose one.
"""

from __future__ import annotations

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window, WindowSpec
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import (
    ARTIST_KEY,
    DATETIME_KEY,
    EVENT_ID,
    LOCATION_KEY,
    SESSION_KEY,
    SONG_KEY,
    USER_AGENT_COLUMNS,
    USER_KEY,
    text_column,
)
from music_platform.tables.contract import Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.events.listen_events import LISTEN_EVENTS
from music_platform.tables.frames import columns_of
from music_platform.tables.gold_table import GoldTable, silver
from music_platform.tables.reconciliations import holds_every_row
from music_platform.tables.silver import SILVER
from music_platform.tables.transforms.keys import artist_key, digest, session_columns, with_keys
from music_platform.tables.transforms.numbers import hour_number

_SECONDS_OF_A_DAY = 86_400
PLACE = LISTEN_EVENTS.columns("city", "state", "latitude", "longitude")
STATE_NAME = text_column(
    "state_name",
    "Name of the state, `Unknown` for a code without and where no state is known.",
    personal=Personal.QUASI,
)

PLAYED_SECONDS = Column(
    name="played_seconds",
    type=ColumnType.DOUBLE,
    nullable=True,
    description="Time until the session's next event, at most the song's length. Null where no later event of the session is "
    "known: in the hourly fact where it lies in another hour, in the daily tier only at the session's end.",
    unit="seconds",
    minimum=0,
    maximum=_SECONDS_OF_A_DAY,
    personal=Personal.NONE,
)

IS_SKIPPED = Column(
    name="is_skipped",
    type=ColumnType.BOOLEAN,
    nullable=True,
    description="Whether the session went on before the song's last whole second; null where played_seconds is.",
    personal=Personal.NONE,
)

PLAYED_WITHIN_DURATION = Rule(
    name="played_within_duration",
    condition="played_seconds IS NULL OR played_seconds <= duration_seconds",
    description="No song is played for longer than it lasts.",
)

SKIP_KNOWN_WITH_SECONDS = Rule(
    name="skip_known_with_seconds",
    condition="(played_seconds IS NULL) = (is_skipped IS NULL)",
    description="`is_skipped` is known exactly where `played_seconds` is.",
)

FACT_STREAMS = TableContract(
    layer=Layer.GOLD,
    name="fact_streams",
    description="One row a listen: keys of every dimension, and the columns that analyses filter on.",
    columns=(
        EVENT_ID, *LISTEN_EVENTS.columns("event_time"), USER_KEY, SONG_KEY, ARTIST_KEY, LOCATION_KEY, SESSION_KEY,
        DATETIME_KEY, *LISTEN_EVENTS.columns("session_id", "item_in_session", "level", "user_id", "first_name",
        "last_name", "gender", "registered_at", "artist", "song", "duration_seconds"), PLAYED_SECONDS, IS_SKIPPED, *PLACE,
        STATE_NAME, *USER_AGENT_COLUMNS,
    ),
    partition_column="event_time",
    rules=(PLAYED_WITHIN_DURATION, SKIP_KNOWN_WITH_SECONDS),
    sort_columns=("event_time", "event_id"),
    unique_columns=("event_id",),
)  # fmt: skip


def fact_streams(listens: DataFrame, page_views: DataFrame) -> DataFrame:
    """One row per listen, from silver's listens and page views of the same hours.

    ``played_seconds`` counts until the next event of the session within the hour; null if that is in another hour.
    """
    keyed = with_keys(listens).withColumn("artist_key", artist_key(F.col("artist")))
    next_events = _next_events_of_the_hour(listens, page_views)
    streams = keyed.join(next_events, "event_id", "left").withColumn("played_seconds", seconds_until_next_event())
    return columns_of(streams.withColumn("is_skipped", is_skipped()), FACT_STREAMS)


def _next_events_of_the_hour(listens: DataFrame, page_views: DataFrame) -> DataFrame:
    """(event_id, next_event_time) of each listen after which its session goes on within the hour."""
    # The number behind the session's key: the engine sorts numbers faster than texts.
    session = digest(*session_columns()).alias("session")
    columns = (session, "event_time", "item_in_session")
    events = page_views.select(*columns, F.lit(None).cast("string").alias("event_id"))
    events = events.unionByName(listens.select(*columns, "event_id"))
    # A whole hour per window: for the embedded engine a window costs more than its rows.
    events = events.withColumn("hour", hour_number(F.col("event_time")))
    # Null sorts first: a listen follows the page view of the same item, so that the next event is the next item's.
    return followed(events, Window.partitionBy("hour").orderBy("session", "event_time", "item_in_session", "event_id"))


def followed(events: DataFrame, in_order: WindowSpec) -> DataFrame:
    """(event_id, next_event_time) of those with an event_id that another row of their session follows in the order."""
    events = events.withColumns({
        "next_event_time": F.lead("event_time").over(in_order),
        "next_session": F.lead("session").over(in_order),
    })  # fmt: skip
    goes_on = F.col("next_session") == F.col("session")
    return events.where(F.col("event_id").isNotNull() & goes_on).select("event_id", "next_event_time")


def seconds_until_next_event() -> SparkColumn:
    """At most the song's; null where no event comes next."""
    seconds = (F.unix_micros("next_event_time") - F.unix_micros("event_time")) / F.lit(1e6)
    return F.least(seconds, F.when(seconds.isNotNull(), F.col("duration_seconds")))


def is_skipped() -> SparkColumn:
    # Eventsim continues after a song's whole seconds, so a played song may lack its last fraction.
    return F.col("played_seconds") < F.floor("duration_seconds")


TABLE = GoldTable(
    FACT_STREAMS,
    lambda frames: fact_streams(frames["listen_events"], frames["page_view_events"]),
    silver("listen_events", "page_view_events"),
    reconciliations=[holds_every_row("silver", SILVER["listen_events"])],
)
