"""The facts of gold: streams and page views by the hour, plays and sessions by the day.

Each fact keeps every row of its source: keys are computed from the row itself, so no look-up can lose one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.contract import TableContract
from music_platform.tables.facts import FACT_PAGE_VIEWS, FACT_PLAYS, FACT_SESSIONS, FACT_STREAMS, SESSION_DAYS
from music_platform.tables.transforms.dimensions import state_name
from music_platform.tables.transforms.keys import (
    SESSION_COLUMNS,
    artist_key,
    datetime_key,
    digest,
    location_key,
    session_key,
    song_key,
    user_key,
)
from music_platform.tables.transforms.numbers import event_order, hour_number, level_of

DAYS_AFTER_THE_START = 2  # in which a session may go on; the longest seen last some hours

_PAGE_REACHED = {
    "is_converted": "Submit Upgrade",
    "is_downgraded": "Submit Downgrade",
    "is_cancelled": "Cancellation Confirmation",
}

# How a column of a session so far and that of its next day are put together.
_PUT_TOGETHER: dict[str, Callable[[Column, Column], Column]] = {
    "session_id": F.least,
    "user_key": F.greatest,  # the unknown member's key is the least
    "location_key": F.least,
    **dict.fromkeys(("ended_at", "exit_page", "level_at_end"), lambda _, later: later),
    **dict.fromkeys(("page_views", "pages", "songs", "skips", "errors"), lambda so_far, later: so_far + later),
    "played_seconds": lambda so_far, later: F.round(so_far + later, 6),
    **dict.fromkeys(_PAGE_REACHED, lambda so_far, later: so_far | later),
}


def fact_streams(listens: DataFrame, page_views: DataFrame) -> DataFrame:
    """Silver's listens and page views of the same hours to one row a listen.

    ``played_seconds`` lasts until the next event of the session within the hour; null where that lies in another one.
    """
    keyed = _with_keys(listens).withColumn("artist_key", artist_key(F.col("artist")))
    next_events = _next_events_of_the_hour(listens, page_views)
    streams = keyed.join(next_events, "event_id", "left").withColumn("played_seconds", _seconds_until_next_event())
    return streams.withColumn("is_skipped", _is_skipped()).select(*_names(FACT_STREAMS))


def fact_page_views(page_views: DataFrame) -> DataFrame:
    """Silver's page views with their keys."""
    return _with_keys(page_views).select(*_names(FACT_PAGE_VIEWS))


def fact_plays(streams: DataFrame, page_views: DataFrame, days: Sequence[str]) -> DataFrame:
    """The days' streams with the seconds played up to the session's next event, in whatever hour.

    ``streams`` and ``page_views`` are fact_streams and fact_page_views of the days and of the day after each: a session goes
    on after midnight. A stream whose next event lies in its own hour has its seconds already.
    """
    plays = streams.join(_next_events_of_later_hours(streams, page_views), "event_id", "left")
    # The same whether one day is made or many: a range has days at hand that a day's own run has not.
    end_of_next_day = F.date_add(F.to_date("event_time"), 2).cast("timestamp")
    plays = plays.withColumn(
        "next_event_time", F.when(F.col("next_event_time") < end_of_next_day, F.col("next_event_time"))
    )
    plays = plays.withColumn("played_seconds", F.coalesce("played_seconds", _seconds_until_next_event()))
    plays = plays.withColumn("is_skipped", _is_skipped())
    return plays.where(_is_of(days, F.col("event_time"))).select(*_names(FACT_PLAYS))


def session_days(page_views: DataFrame, plays: DataFrame) -> DataFrame:
    """What each session did on each of the days, from fact_page_views and fact_plays.

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
        *((F.count_if(F.col("page") == page) > 0).alias(name) for name, page in _PAGE_REACHED.items()),
    )
    return sessions.select(*_names(SESSION_DAYS))


def fact_sessions(parts: DataFrame, days: Sequence[str]) -> DataFrame:
    """The sessions that started on the days, put together from session_days of the day before to two days after.

    A session started on a day when it did something then and nothing the day before: no session pauses for a day.
    """
    parts = parts.withColumn("day", F.to_date("started_at"))
    day_before = parts.select("session_key", F.date_add("day", 1).alias("day"))
    starts = parts.where(_is_of(days, F.col("started_at"))).join(day_before, ["session_key", "day"], "left_anti")
    sessions = starts.withColumn("goes_on", F.lit(True))
    for days_later in range(1, DAYS_AFTER_THE_START + 1):
        sessions = _with_part_of_day(sessions, parts, days_later)
    seconds = (F.unix_micros("ended_at") - F.unix_micros("started_at")) / F.lit(1e6)
    return sessions.withColumn("duration_seconds", seconds).select(*_names(FACT_SESSIONS))


def _with_part_of_day(sessions: DataFrame, parts: DataFrame, days_later: int) -> DataFrame:
    """The sessions with what they did so many days after their start, as long as they went on day after day."""
    part = parts.select(
        "session_key",
        F.date_sub("day", days_later).alias("day"),
        F.lit(True).alias("is_there"),
        *(F.col(name).alias(f"later_{name}") for name in _PUT_TOGETHER),
    )
    joined = sessions.join(part, ["session_key", "day"], "left")
    joined = joined.withColumn("goes_on", F.col("goes_on") & F.col("is_there").isNotNull())
    together = {
        name: F.when(F.col("goes_on"), put_together(F.col(name), F.col(f"later_{name}"))).otherwise(F.col(name))
        for name, put_together in _PUT_TOGETHER.items()
    }
    return joined.withColumns(together).drop("is_there", *(f"later_{name}" for name in _PUT_TOGETHER))


def _with_keys(events: DataFrame) -> DataFrame:
    place = location_key(*(F.col(name) for name in ("zip", "city", "state", "latitude", "longitude")))
    return events.withColumns({
        "session_key": session_key(*(F.col(name) for name in SESSION_COLUMNS)),
        "user_key": user_key(F.col("user_id")),
        "song_key": song_key(F.col("artist"), F.col("song"), F.col("duration_seconds")),
        "location_key": place,
        "datetime_key": datetime_key(F.col("event_time")),
        "state_name": state_name(F.col("state")),
    })  # fmt: skip


def _next_events_of_the_hour(listens: DataFrame, page_views: DataFrame) -> DataFrame:
    """(event_id, next_event_time) of each listen after which its session goes on within the hour."""
    # The number behind the session's key: the engine sorts numbers faster than texts.
    session = digest(*(F.col(name) for name in SESSION_COLUMNS)).alias("session")
    columns = (session, "event_time", "item_in_session")
    events = page_views.select(*columns, F.lit(None).cast("string").alias("event_id"))
    events = events.unionByName(listens.select(*columns, "event_id"))
    # A whole hour to a window: the embedded engine pays for each window more than for its rows.
    events = events.withColumn("hour", hour_number(F.col("event_time")))
    # Null comes first: a listen follows the page view that is its twin, so that the next event is the next item's.
    return _followed(events, Window.partitionBy("hour").orderBy("session", "event_time", "item_in_session", "event_id"))


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
    return _followed(hours, Window.partitionBy("sessions").orderBy("session", "hour"))


def _followed(events: DataFrame, in_order: WindowSpec) -> DataFrame:
    """(event_id, next_event_time) of those with an event_id that another row of their session follows in the order."""
    events = events.withColumns({
        "next_event_time": F.lead("event_time").over(in_order),
        "next_session": F.lead("session").over(in_order),
    })  # fmt: skip
    goes_on = F.col("next_session") == F.col("session")
    return events.where(F.col("event_id").isNotNull() & goes_on).select("event_id", "next_event_time")


def _seconds_until_next_event() -> Column:
    """At most the song's; null where no event comes next."""
    seconds = (F.unix_micros("next_event_time") - F.unix_micros("event_time")) / F.lit(1e6)
    return F.least(seconds, F.when(seconds.isNotNull(), F.col("duration_seconds")))


def _is_skipped() -> Column:
    # Eventsim goes on after a song's whole seconds, so a played song may lack its last fraction.
    return F.col("played_seconds") < F.floor("duration_seconds")


def _nulls(types: Mapping[str, str]) -> list[Column]:
    return [F.lit(None).cast(type_name).alias(name) for name, type_name in types.items()]


def _rounded_sum(name: str) -> Column:
    """Engines add in different orders: microseconds are where they agree."""
    return F.round(F.coalesce(F.sum(name), F.lit(0.0)), 6)


def _is_of(days: Sequence[str], moment: Column) -> Column:
    return F.to_date(moment).isin([F.to_date(F.lit(day)) for day in days])


def _names(contract: TableContract) -> list[str]:
    return [column.name for column in contract.columns]
