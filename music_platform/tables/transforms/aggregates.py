"""The aggregates of gold, made of the facts by the day.

Seconds are summed as whole microseconds and scores as whole billionths: sums of whole numbers are the same in whatever order
an engine adds them, so that a rebuild, the other engine and the totals carried forward agree to the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.aggregates import (
    ACTIVE_USERS,
    HOURLY_PLAYS,
    LEAST_SCORE,
    LEVEL_FUNNEL,
    LOGIN_SUCCESS,
    PLAY_WEIGHT,
    RETENTION_COHORTS,
    SCORE_HALF_LIFE_DAYS,
    SKIPPED_PLAY_WEIGHT,
    STAGES,
    TOP_ARTISTS,
    TOP_RANKS,
    TOP_SONGS,
    USER_ACTIVITY,
    USER_SONG_INTERACTIONS,
)
from music_platform.tables.columns import UNKNOWN
from music_platform.tables.contract import TableContract
from music_platform.tables.transforms.keys import SESSION_COLUMNS, session_key
from music_platform.tables.transforms.numbers import event_order, hour_number, level_of

_MICRO = 1e6
_NANO = 1e9
_MICROSECONDS_OF_DAY = 86_400e6

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


def user_activity(previous: DataFrame | None, plays: DataFrame, page_views: DataFrame, day: str) -> DataFrame:
    """One row a known listener: what fact_plays and fact_page_views of the day say, added to the day before.

    ``previous`` is this table's partition of the day before, None at the beginning of history. ``day`` reads YYYY-MM-DD.
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
    # A play says neither who the listener is nor its place in the session: its page view does, which comes after it here.
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
        F.coalesce(_whole(F.col("played_seconds"), _MICRO), nothing).alias("day_microseconds"),
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
            _whole(F.col("played_seconds"), _MICRO).alias("microseconds_before"),
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
        "day_played_seconds": F.col("day_microseconds") / F.lit(_MICRO),
        "played_seconds": F.col("microseconds") / F.lit(_MICRO),
        "day": _moment_of(day),
    })  # fmt: skip
    return _columns_of(users, USER_ACTIVITY)


def active_users(user_activity: DataFrame, days: Sequence[str]) -> DataFrame:
    """One row a day of user_activity's rows of the days, also for a day before the first listener."""
    known = user_activity.select("day", "last_active_at")
    known = known.unionByName(_rows_of(days, known).withColumn("last_active_at", F.lit(None).cast("timestamp")))
    counts = known.groupBy("day").agg(
        F.count_if(_is_active_within(1)).alias("active_1_day"),
        F.count_if(_is_active_within(7)).alias("active_7_days"),
        F.count_if(_is_active_within(30)).alias("active_30_days"),
        F.count("last_active_at").alias("users"),
    )
    return _columns_of(counts, ACTIVE_USERS)


def retention_cohorts(user_activity: DataFrame) -> DataFrame:
    """The users of each day's user_activity by week of registration, and how many were active in the 7 days before."""
    users = user_activity.withColumn("registration_week", F.date_trunc("WEEK", "registered_at"))
    cohorts = users.groupBy("day", "registration_week").agg(
        F.count(F.lit(1)).alias("users"), F.count_if(_is_active_within(7)).alias("active_users")
    )
    days_since = F.datediff(F.col("day").cast("date"), F.col("registration_week").cast("date"))
    cohorts = cohorts.withColumns({
        "weeks_since_registration": F.floor(days_since / F.lit(7.0)),
        "retention": F.col("active_users") / F.col("users"),
    })  # fmt: skip
    return _columns_of(cohorts, RETENTION_COHORTS)


def top_songs(plays: DataFrame, songs: DataFrame) -> DataFrame:
    """The songs that lead fact_plays of each day, by plays or by listeners.

    ``songs`` holds song_key, title, artist and day: dim_songs of the days. A song that it lacks keeps its row.
    """
    return _top(plays, songs, "song_key", ["title", "artist"], TOP_SONGS)


def top_artists(plays: DataFrame, artists: DataFrame) -> DataFrame:
    """The artists that lead fact_plays of each day, by plays or by listeners.

    ``artists`` holds artist_key, artist and day: dim_artists of the days. An artist that it lacks keeps its row.
    """
    return _top(plays, artists, "artist_key", ["artist"], TOP_ARTISTS)


def hourly_plays(plays: DataFrame) -> DataFrame:
    """fact_plays by hour, state and level."""
    hours = _listening(plays.withColumn("hour", hour_number(F.col("event_time"))), "hour", "state", "level")
    return _columns_of(hours.withColumn("hour_time", F.timestamp_seconds(F.col("hour") * 3_600)), HOURLY_PLAYS)


def level_funnel(page_views: DataFrame, status_changes: DataFrame, days: Sequence[str]) -> DataFrame:
    """Known listeners at each stage between free and paid, from fact_page_views and silver's status changes of the days.

    A user is counted by user_id, a session by session_key. Every stage has a row for each of the days.
    """
    # Most page views are at the stage of their level alone; a page of the funnel is a second one.
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
        _session_key().alias("session_key"),
    )
    events = views.where("stage IS NOT NULL").unionByName(changes).withColumn("events", F.lit(1))
    stages = _rows_of(days, page_views).select(
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
    return _columns_of(placed, LEVEL_FUNNEL)


def login_success(auths: DataFrame, page_views: DataFrame, days: Sequence[str]) -> DataFrame:
    """One row a day: silver's auth events, without those that fact_page_views of the same days shows to be stale.

    An auth event belongs to the page that follows an attempt. Where that page is itself a Login or Logout with status 307,
    Eventsim looked at a stale previous page and repeated an earlier attempt. An auth event without its page view counts.
    """
    event = ("session_key", "item_in_session", "event_time")
    redirections = page_views.where(F.col("page").isin("Login", "Logout") & (F.col("status") == 307))
    stale = redirections.select(*event).distinct().withColumn("is_stale", F.lit(True))
    judged = auths.withColumn("session_key", _session_key()).select(*event, "success").join(stale, list(event), "left")
    judged = judged.select(
        F.date_trunc("DAY", "event_time").alias("day"),
        F.when(F.col("is_stale"), "overcounted")
        .when(F.col("success"), "success")
        .otherwise("failure")
        .alias("outcome"),
    )
    judged = judged.unionByName(_rows_of(days, auths).withColumn("outcome", F.lit("none")))
    counts = judged.groupBy("day").agg(
        F.count_if(F.col("outcome") == "success").alias("successes"),
        F.count_if(F.col("outcome") == "failure").alias("failures"),
        F.count_if(F.col("outcome") == "overcounted").alias("overcounted"),
    )
    counts = counts.withColumn("attempts", F.col("successes") + F.col("failures"))
    rate = F.when(F.col("attempts") > 0, F.col("successes") / F.col("attempts"))
    return _columns_of(counts.withColumn("success_rate", rate), LOGIN_SUCCESS)


def user_song_interactions(previous: DataFrame | None, plays: DataFrame, day: str) -> DataFrame:
    """One row a listener and song: fact_plays of the day added to the day before, whose score fades by a day.

    ``previous`` is this table's partition of the day before, None at the beginning of history. ``day`` reads YYYY-MM-DD.
    The score counts each play's age up to the day's end, so that the score of a day is the same however it is reached.
    """
    age_days = (F.unix_micros(_moment_of(day)) + F.lit(_MICROSECONDS_OF_DAY) - F.unix_micros("event_time")) / F.lit(
        _MICROSECONDS_OF_DAY
    )
    aged = plays.withColumns({
        "weight": F.when(F.col("is_skipped"), SKIPPED_PLAY_WEIGHT).otherwise(PLAY_WEIGHT),
        "fading": F.pow(F.lit(0.5), age_days / F.lit(float(SCORE_HALF_LIFE_DAYS))),
    })  # fmt: skip
    interactions = aged.select(
        "user_key",
        "song_key",
        F.lit(1).cast("bigint").alias("plays"),
        _whole(F.col("played_seconds"), _MICRO).alias("microseconds"),
        F.when(F.col("is_skipped"), 1).otherwise(0).cast("bigint").alias("skips"),
        F.col("event_time").alias("last_played_at"),
        _whole(F.col("weight") * F.col("fading"), _NANO).alias("billionths"),
    )
    if previous is not None:
        faded = F.col("score") * F.lit(0.5 ** (1 / SCORE_HALF_LIFE_DAYS))
        before = previous.select(
            "user_key",
            "song_key",
            "plays",
            _whole(F.col("played_seconds"), _MICRO).alias("microseconds"),
            "skips",
            "last_played_at",
            _whole(faded, _NANO).alias("billionths"),
        )
        interactions = interactions.unionByName(before)
    pairs = interactions.groupBy("user_key", "song_key").agg(
        F.sum("plays").alias("plays"),
        F.coalesce(F.sum("microseconds"), F.lit(0)).alias("microseconds"),
        F.sum("skips").alias("skips"),
        F.max("last_played_at").alias("last_played_at"),
        F.sum("billionths").alias("billionths"),
    )
    pairs = pairs.withColumns({
        "played_seconds": F.col("microseconds") / F.lit(_MICRO),
        "score": F.col("billionths") / F.lit(_NANO),
        "day": _moment_of(day),
    })  # fmt: skip
    return _columns_of(pairs.where(F.col("score") >= LEAST_SCORE), USER_SONG_INTERACTIONS)


def _top(plays: DataFrame, members: DataFrame, key: str, names: list[str], contract: TableContract) -> DataFrame:
    """The first by plays and by listeners of each day, with the names that the dimension's members of the day have."""
    counts = _listening(plays.withColumn("date", F.to_date("event_time")), "date", key)
    counts = counts.withColumn("day", F.col("date").cast("timestamp"))
    ranked = counts.withColumns({
        f"{measure}_rank": F.row_number().over(Window.partitionBy("day").orderBy(F.desc(measure), key)).cast("bigint")
        for measure in ("plays", "listeners")
    })  # fmt: skip
    leading = ranked.where((F.col("plays_rank") <= TOP_RANKS) | (F.col("listeners_rank") <= TOP_RANKS))
    named = leading.join(members.select("day", key, *names), ["day", key], "left").fillna(UNKNOWN, names)
    return _columns_of(named, contract)


def _listening(plays: DataFrame, *by: str) -> DataFrame:
    """Plays, listeners, seconds and skips of fact_plays by these columns: texts, dates and numbers.

    The embedded engine groups by a timestamp beside another column at twice the cost.
    """
    sums = plays.groupBy(*by).agg(
        F.count(F.lit(1)).alias("plays"),
        F.count_distinct("user_key").alias("listeners"),
        F.coalesce(F.sum(_whole(F.col("played_seconds"), _MICRO)), F.lit(0)).alias("microseconds"),
        F.count_if(F.col("is_skipped")).alias("skips"),
    )
    return sums.withColumn("played_seconds", F.col("microseconds") / F.lit(_MICRO))


def _is_active_within(days: int) -> Column:
    """Whether a row of user_activity has an event in the days that end with its own."""
    return F.expr(f"last_active_at >= day - INTERVAL {days - 1} DAYS")


def _mapped(column: str, values: dict[str, str]) -> Column:
    """The value that the column's stands for, null where it stands for none."""
    mapped = F.lit(None).cast("string")
    for value, meaning in values.items():
        mapped = F.when(F.col(column) == value, meaning).otherwise(mapped)
    return mapped


def _session_key() -> Column:
    return session_key(*(F.col(name) for name in SESSION_COLUMNS))


def _whole(value: Column, parts: float) -> Column:
    """The value in whole parts of its unit, to the nearest. Not ``round``, in which engines differ on halves."""
    return F.floor(value * F.lit(parts) + F.lit(0.5))


def _moment_of(day: str) -> Column:
    return F.lit(day).cast("timestamp")


def _rows_of(days: Sequence[str], frame: DataFrame) -> DataFrame:
    """One row a day, in the session of a frame."""
    rows = frame.sparkSession.createDataFrame([(day,) for day in days], "day string")
    return rows.select(F.col("day").cast("timestamp").alias("day"))


def _columns_of(frame: DataFrame, contract: TableContract) -> DataFrame:
    """The contract's columns, in their order."""
    return frame.select(*(column.name for column in contract.columns))
