"""Places that events came from so far."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import DAY, DAY_IS_WHOLE, LOCATION_KEY, UNKNOWN_KEY, text_column, time_column
from music_platform.tables.contract import Cadence, Layer, Personal, Rule, TableContract
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold_table import GoldTable, silver
from music_platform.tables.reconciliations import resolves
from music_platform.tables.snapshots import (
    BEGINNING,
    CITY,
    LATITUDE,
    LONGITUDE,
    PLACE,
    STATE,
    ZIP,
    or_unknown,
    snapshot,
    unknown_member,
)
from music_platform.tables.states import state_name
from music_platform.tables.transforms.keys import location_key

EVENT_TYPES = ("page_view_events", "listen_events", "auth_events", "status_change_events")
"""The event types that it is made from."""

DIM_LOCATIONS = TableContract(
    layer=Layer.GOLD,
    name="dim_locations",
    description="Places that events came from so far.",
    columns=(
        replace(LOCATION_KEY, description="Place: zip, city, state and coordinates; all zeros for the unknown member."),
        ZIP,
        CITY,
        STATE,
        text_column("state_name", "Name of the state or territory, `Unknown` for a code without.",
                     personal=Personal.QUASI),
        replace(LATITUDE, nullable=True),
        replace(LONGITUDE, nullable=True),
        time_column("first_seen_at", "First event from there; 1900-01-01 for the unknown member.",
                     personal=Personal.NONE),
        DAY,
    ),
    partition_column="day",
    cadence=Cadence.DAILY,
    rules=(
        Rule(name="seen_until_day", condition="first_seen_at < day + INTERVAL 1 DAY",
             description="No place is first seen after the snapshot's day."),
        DAY_IS_WHOLE,
    ),
    sort_columns=("state", "city", "zip", "location_key"),
    unique_columns=("location_key",),
)  # fmt: skip


def dim_locations(
    previous: DataFrame | None,
    page_views: DataFrame,
    listens: DataFrame,
    auths: DataFrame,
    status_changes: DataFrame,
    day: str,
) -> DataFrame:
    """The places that events came from so far, known listeners' or not; and the unknown member, for events without a place."""
    first, *others = (frame.select(*PLACE, "event_time") for frame in (page_views, listens, auths, status_changes))
    for other in others:
        first = first.union(other)
    today = first.where(F.col("city").isNotNull()).groupBy(*PLACE).agg(F.min("event_time").alias("first_seen_at"))
    names = ("location_key", *PLACE, "first_seen_at")
    keyed = today.withColumn("location_key", location_key(*(F.col(name) for name in PLACE)))
    seen = keyed.withColumns({name: or_unknown(name) for name in ("zip", "city", "state")}).select(*names)
    if previous is not None:
        seen = seen.union(previous.filter(F.col("location_key") != UNKNOWN_KEY).select(*names))
    places = seen.groupBy("location_key", "zip", "city", "state").agg(
        *(F.min(name).alias(name) for name in ("latitude", "longitude", "first_seen_at"))
    )
    named = places.withColumn("state_name", state_name(F.col("state")))
    unknown = unknown_member(listens.sparkSession, DIM_LOCATIONS, day, {"first_seen_at": BEGINNING})
    return snapshot(named, DIM_LOCATIONS, day).union(unknown)


TABLE = GoldTable(
    DIM_LOCATIONS,
    lambda frames: dim_locations(frames.previous, *(frames[name] for name in EVENT_TYPES), day=frames.day),
    silver(*EVENT_TYPES),
    reconciliations=[
        resolves("page_views", FACT_PAGE_VIEWS, "location_key"),
        resolves("plays", FACT_PLAYS, "location_key"),
    ],
    carries_forward=True,
)
