"""Versions of listeners: a slowly changing dimension of type 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import (
    DAY,
    DAY_IS_WHOLE,
    LOCATION_KEY,
    UNKNOWN,
    UNKNOWN_KEY,
    USER_KEY,
    key_column,
    time_column,
)
from music_platform.tables.contract import Cadence, Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.events.listen_events import LISTEN_EVENTS
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold_table import GoldTable, silver
from music_platform.tables.reconciliations import Numbers, Reconciliation, Stored, by_day, nothing, resolves
from music_platform.tables.snapshots import BEGINNING, CITY, PLACE, STATE, or_unknown, snapshot, unknown_member
from music_platform.tables.transforms.keys import (
    digest,
    digest_of_key,
    key_of_digest,
    location_digest,
    surrogate_key,
    user_key,
)

_USER_ID, _FIRST_NAME, _LAST_NAME, _REGISTERED_AT = LISTEN_EVENTS.columns(
    "user_id", "first_name", "last_name", "registered_at"
)

EVENT_TYPES = ("page_view_events", "listen_events", "auth_events", "status_change_events")
"""The event types that it is made from."""

DIM_USERS = TableContract(
    layer=Layer.GOLD,
    name="dim_users",
    description="Versions of listeners (slowly changing dimension, type 2, to the instant). A day's partition holds the "
    "versions that were open when the day began and those that started in it; the whole history is the closed versions of "
    "all days and the open ones of the last.",
    columns=(
        replace(USER_KEY, description="Listener, the same in all versions; all zeros for the unknown member."),
        key_column("user_version_key", "This version: listener and `valid_from`.", personal=Personal.LINK),
        replace(_USER_ID, description="Listener by the producer's number; null for the unknown member.", nullable=True),
        _FIRST_NAME,
        _LAST_NAME,
        Column(
            name="gender", type=ColumnType.STRING, description="Gender as registered.", allowed=("F", "M", UNKNOWN),
            personal=Personal.QUASI,
        ),
        replace(_REGISTERED_AT, description="When the listener registered, as the version's first event says.",
                nullable=True),
        Column(name="level", type=ColumnType.STRING, description="Subscription level while the version is valid.",
               allowed=("free", "paid", UNKNOWN), personal=Personal.NONE),
        replace(LOCATION_KEY, description="Place of the listener in dim_locations."),
        CITY,
        STATE,
        time_column("valid_from", "First instant of the version; the first event seen of a listener for the first version, "
                     "1900-01-01 for the unknown member.", personal=Personal.NONE),
        time_column("valid_to", "First instant after the version: `valid_from` of the next one; null while it is open.",
                     nullable=True, personal=Personal.NONE),
        Column(name="is_current", type=ColumnType.BOOLEAN, description="Whether the version is open at the day's end.",
               personal=Personal.NONE),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        Rule(name="valid_for_some_time", condition="valid_to IS NULL OR valid_to > valid_from",
             description="A version is valid for more than no time."),
        Rule(name="current_while_open", condition="is_current = (valid_to IS NULL)",
             description="A version is current exactly while it is open."),
        Rule(
            name="valid_on_day",
            condition="valid_from < day + INTERVAL 1 DAY AND (valid_to IS NULL OR valid_to >= day) "
            "AND (valid_to IS NULL OR valid_to < day + INTERVAL 1 DAY)",
            description="A version started before the day's end, and was still open when the day began.",
        ),
        Rule(
            name="unknown_exactly_without_user_id",
            condition=f"(user_id IS NULL) = (user_key = '{UNKNOWN_KEY}')",
            description="Only the unknown member has no number.",
        ),
        DAY_IS_WHOLE,
    ),
    sort_columns=("user_key", "valid_from"),
    unique_columns=("user_version_key",),
)  # fmt: skip

_USER_ATTRIBUTES = ("first_name", "last_name", "gender", "registered_at", "level", "city", "state")
_TRACKED_ATTRIBUTES = ("first_name", "last_name", "gender", "level", "_location")
_USER_WINDOWS = 64


def dim_users(
    previous: DataFrame | None,
    page_views: DataFrame,
    listens: DataFrame,
    auths: DataFrame,
    status_changes: DataFrame,
    day: str,
) -> DataFrame:
    """Versions of users that were open when the day began, and those that started in it; and the unknown member.

    Every event of a known user observes the user's attributes at its time. A version lasts from an observation that differs
    from the one before until the next such observation. A status change observes the new level. Of several observations of a
    user at one instant, one counts: the last status change, else the last event, by position in the session and event_id.
    """
    events = [_observations(frame, F.col("level"), is_status_change=False) for frame in (page_views, listens, auths)]
    observations = _observations(status_changes, F.col("new_level"), is_status_change=True)
    for other in events:
        observations = observations.union(other)
    if previous is not None:
        observations = observations.union(_open_versions(previous))
    # One number represents the compared columns: the engine scans all rows again for each column that it looks back to.
    observations = observations.withColumn("_state", digest(*(F.col(name) for name in _TRACKED_ATTRIBUTES)))

    # Many users per window: for the embedded engine a window costs more than its rows.
    observations = observations.withColumn("_users", F.pmod("user_id", F.lit(_USER_WINDOWS)))
    by_instant = Window.partitionBy("_users").orderBy(
        "user_id", "event_time", "_is_status_change", "item_in_session", "event_id"
    )
    by_time = Window.partitionBy("_users").orderBy("user_id", "event_time")
    following = {"_next_user": F.lead("user_id").over(by_instant), "_next_time": F.lead("event_time").over(by_instant)}
    is_last_of_user = F.col("_next_user").isNull() | (F.col("_next_user") != F.col("user_id"))
    followed = observations.withColumns(following)
    counted = followed.filter(is_last_of_user | (F.col("_next_time") != F.col("event_time"))).drop(*following)
    before = {"_previous_user": F.lag("user_id").over(by_time), "_previous_state": F.lag("_state").over(by_time)}
    is_first_of_user = F.col("_previous_user").isNull() | (F.col("_previous_user") != F.col("user_id"))
    differs = is_first_of_user | (F.col("_previous_state") != F.col("_state"))
    versions = counted.withColumns(before).filter(differs).withColumns({
        "_next_user": F.lead("user_id").over(by_time),
        "_next_time": F.lead("event_time").over(by_time),
    })  # fmt: skip
    is_followed = F.col("_next_user") == F.col("user_id")
    versions = versions.withColumn("valid_to", F.when(is_followed, F.col("_next_time")))
    described = versions.select(
        user_key(F.col("user_id")).alias("user_key"),
        surrogate_key(F.col("user_id"), F.unix_micros("event_time")).alias("user_version_key"),
        "user_id",
        *_USER_ATTRIBUTES,
        key_of_digest(F.col("_location")).alias("location_key"),
        F.col("event_time").alias("valid_from"),
        "valid_to",
        F.col("valid_to").isNull().alias("is_current"),
    )
    unknown = unknown_member(listens.sparkSession, DIM_USERS, day, {"valid_from": BEGINNING, "is_current": True})
    return snapshot(described, DIM_USERS, day).union(unknown)


def as_of(facts: DataFrame, users: DataFrame, columns: Sequence[str] = ("user_version_key",)) -> DataFrame:
    """Facts (with user_key and event_time) with columns of the user's version that was valid at the event; none is lost.

    ``users`` are the partitions of dim_users of the facts' days, one or many. The added columns are null where those hold no
    valid version; name only columns that the facts do not have.
    """
    versions = users.select(
        F.col("user_key").alias("_user_key"),
        F.col("day").alias("_day"),
        F.col("valid_from").alias("_valid_from"),
        F.col("valid_to").alias("_valid_to"),
        *columns,
    )
    is_valid = (F.col("user_key") == F.col("_user_key")) & (F.date_trunc("DAY", "event_time") == F.col("_day"))
    is_valid = is_valid & (F.col("event_time") >= F.col("_valid_from"))
    is_valid = is_valid & (F.col("_valid_to").isNull() | (F.col("event_time") < F.col("_valid_to")))
    return facts.join(versions, is_valid, "left").drop("_user_key", "_day", "_valid_from", "_valid_to")


def _observations(events: DataFrame, level: SparkColumn, *, is_status_change: bool) -> DataFrame:
    """The attributes in the events of known users, and the columns that order observations of the same instant."""
    return events.filter(F.col("user_id").isNotNull()).select(
        "user_id",
        "event_time",
        F.lit(is_status_change).alias("_is_status_change"),
        "item_in_session",
        "event_id",
        "first_name",
        "last_name",
        "gender",
        "registered_at",
        level.alias("level"),
        or_unknown("city"),
        or_unknown("state"),
        # The key's number while the observations are sorted: the key itself is a text of twice the size and costly to make.
        location_digest(*(F.col(name) for name in PLACE)).alias("_location"),
    )


def _open_versions(previous: DataFrame) -> DataFrame:
    """The versions that were open at the previous day's end, as observations of the time when they started."""
    return previous.filter(F.col("is_current") & F.col("user_id").isNotNull()).select(
        "user_id",
        F.col("valid_from").alias("event_time"),
        F.lit(False).alias("_is_status_change"),
        F.lit(0).alias("item_in_session"),
        F.lit("").alias("event_id"),
        *_USER_ATTRIBUTES,
        digest_of_key(F.col("location_key")).alias("_location"),
    )


def _breaks_between_versions(stored: Stored) -> Numbers:
    """Versions that do not begin when the user's version before them ends."""
    in_order = Window.partitionBy("day", "user_key").orderBy("valid_from")
    versions = stored.own.read().select(
        "day", "valid_from", "is_current",
        F.lag("valid_to").over(in_order).alias("ended"),
        F.lag("valid_from").over(in_order).alias("before"),
        F.lead("valid_from").over(in_order).alias("after"),
    )  # fmt: skip
    does_not_join = F.col("before").isNotNull() & ~F.coalesce(F.col("ended") == F.col("valid_from"), F.lit(False))
    last_is_not_current = F.col("after").isNull() & ~F.col("is_current")
    return by_day(versions.where(does_not_join | last_is_not_current), "day", F.count(F.lit(1)))


TABLE = GoldTable(
    DIM_USERS,
    lambda frames: dim_users(frames.previous, *(frames[name] for name in EVENT_TYPES), day=frames.day),
    silver(*EVENT_TYPES),
    reconciliations=[
        Reconciliation(
            name="versions_tile",
            description="Gaps and overlaps between a user's versions:",
            expected=nothing,
            found=_breaks_between_versions,
        ),
        resolves("page_views", FACT_PAGE_VIEWS, "user_key"),
        resolves("plays", FACT_PLAYS, "user_key"),
    ],
    carries_forward=True,
)
