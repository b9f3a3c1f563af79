"""Dimensions that need neither versions nor a catalogue: places, carried forward from day to day, and the hours of a day.

Users stand in test_dim_users, songs and artists in test_dim_songs_and_artists.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import UNKNOWN
from music_platform.tables.gold.dim_datetime import DIM_DATETIME, dim_datetime
from music_platform.tables.gold.dim_locations import DIM_LOCATIONS, dim_locations
from music_platform.tables.snapshots import BEGINNING
from music_platform.tables.states import state_name
from music_platform.tables.transforms.keys import UNKNOWN_KEY, location_key
from music_platform_tests.unit.tables.dimension_frames import (
    ANONYMOUS,
    AUSTIN,
    BOSTON,
    EVENT_TYPES,
    FIRST_DAY,
    ONE_DAY,
    carried,
    frames_of,
    make_event,
    table_of,
    without_day,
)


def make_locations(previous: DataFrame | None, events: Mapping[str, DataFrame], day: str) -> DataFrame:
    page_views, listens, auths, status_changes = (events[event_type] for event_type in EVENT_TYPES)
    return dim_locations(previous, page_views, listens, auths, status_changes, day)


def test_places_are_kept_with_the_time_when_they_were_first_seen(spark: SparkSession) -> None:
    events = [
        make_event("page_view_events", FIRST_DAY + timedelta(hours=3), 1, auth="Guest", **ANONYMOUS, **AUSTIN),
        make_event("auth_events", FIRST_DAY + timedelta(hours=2), 2, **AUSTIN),
        make_event("listen_events", FIRST_DAY + ONE_DAY, 3, **AUSTIN | {"latitude": 30.27110000001}),
        make_event("status_change_events", FIRST_DAY + ONE_DAY, 4, **BOSTON),
        make_event("listen_events", FIRST_DAY + 2 * ONE_DAY, 5, **BOSTON | {"state": "ZZ"}),
    ]
    first, second, third = carried(spark, DIM_LOCATIONS, make_locations, events, 3)
    assert [(row["city"], row["state_name"], row["first_seen_at"]) for row in first.to_pylist()] == [
        ("Austin", "Texas", FIRST_DAY + timedelta(hours=2)), (UNKNOWN, UNKNOWN, BEGINNING),
    ]  # fmt: skip
    assert [row["city"] for row in second.to_pylist()] == ["Boston", "Austin", UNKNOWN]
    assert [(row["city"], row["state_name"]) for row in third.to_pylist()] == [
        ("Boston", "Massachusetts"), ("Austin", "Texas"), (UNKNOWN, UNKNOWN), ("Boston", UNKNOWN),
    ]  # fmt: skip
    assert without_day(second.to_pylist())[1:] == without_day(first.to_pylist())
    unknown = third.to_pylist()[2]
    assert (unknown["location_key"], unknown["zip"], unknown["state"], unknown["latitude"]) == (
        UNKNOWN_KEY,
        UNKNOWN,
        UNKNOWN,
        None,
    )
    keys = frames_of(spark, events)["listen_events"].select(location_key(*(F.col(name) for name in AUSTIN))).toArrow()
    assert set(keys.column(0).to_pylist()) <= {row["location_key"] for row in third.to_pylist()}


def test_a_place_without_zip_is_a_place_and_an_event_without_any_is_the_unknown_member_s(spark: SparkSession) -> None:
    area = dict.fromkeys(AUSTIN) | {"city": "New York-Newark-Jersey City", "state": "NY"}
    events = [
        make_event("listen_events", FIRST_DAY, 1, **area),
        make_event("page_view_events", FIRST_DAY, 2, auth="Guest", **ANONYMOUS, **dict.fromkeys(AUSTIN)),
        make_event("listen_events", FIRST_DAY + ONE_DAY, 3, **area | {"state": "NJ"}),
    ]
    first, second = carried(spark, DIM_LOCATIONS, make_locations, events, 2)
    columns = ("zip", "city", "state", "latitude", "longitude")
    assert [tuple(row[name] for name in columns) for row in first.to_pylist()] == [
        (UNKNOWN, area["city"], "NY", None, None), (UNKNOWN, UNKNOWN, UNKNOWN, None, None),
    ]  # fmt: skip
    assert [row["state"] for row in second.to_pylist()] == ["NJ", "NY", UNKNOWN]
    frames = frames_of(spark, events)
    places = [location_key(*(F.col(name) for name in AUSTIN)).alias("key")]
    known = frames["listen_events"].select(*places).toArrow().column(0).to_pylist()
    assert set(known) == {row["location_key"] for row in second.to_pylist()} - {UNKNOWN_KEY}
    assert frames["page_view_events"].select(*places).toArrow().column(0).to_pylist() == [UNKNOWN_KEY]


def test_names_of_states(spark: SparkSession) -> None:
    codes = ["NY", "DC", "PR", "AP", "GU", "ZZ", "ny", "", None]
    frame = spark.createDataFrame(pa.table({"state": pa.array(codes, pa.string())}), "state string")
    names = frame.select(state_name(F.col("state")).alias("name")).toArrow().column("name").to_pylist()
    assert names == ["New York", "District of Columbia", "Puerto Rico", "Armed Forces Pacific", "Guam", *[UNKNOWN] * 4]


def test_every_real_state_has_a_name(spark: SparkSession, sample_folder: Path) -> None:
    text = (sample_folder / "eventsim" / "state_codes.csv").read_text("utf-8-sig")
    codes = [line.split(",")[0].strip() for line in text.splitlines()[1:]]
    frame = spark.createDataFrame(pa.table({"state": codes}), "state string")
    names = frame.select(state_name(F.col("state")).alias("name")).toArrow().column("name").to_pylist()
    assert UNKNOWN not in names
    assert len(set(names)) == len(codes) > 50


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-11-01", ("2026-11-01", 2026, 4, 11, "November", 1, 44, 7, "Sunday", True, False, None)),
        ("2026-11-26", ("2026-11-26", 2026, 4, 11, "November", 26, 48, 4, "Thursday", False, True, "Thanksgiving Day")),
        (
            "2026-07-03",
            ("2026-07-03", 2026, 3, 7, "July", 3, 27, 5, "Friday", False, True, "Independence Day (observed)"),
        ),
        ("2027-01-01", ("2027-01-01", 2027, 1, 1, "January", 1, 53, 5, "Friday", False, True, "New Year's Day")),
        ("2028-02-29", ("2028-02-29", 2028, 1, 2, "February", 29, 9, 2, "Tuesday", False, False, None)),
    ],
)
def test_the_hours_of_a_day(spark: SparkSession, day: str, expected: tuple[Any, ...]) -> None:
    rows = table_of(dim_datetime(spark, day), DIM_DATETIME).to_pylist()
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    assert [row["hour"] for row in rows] == list(range(24))
    assert [row["hour_time"] for row in rows] == [start + timedelta(hours=hour) for hour in range(24)]
    assert [row["datetime_key"] for row in rows] == [int(day.replace("-", "")) * 100 + hour for hour in range(24)]
    names = [
        name for name in (column.name for column in DIM_DATETIME.columns)
        if name not in ("datetime_key", "hour_time", "hour", "day")
    ]  # fmt: skip
    assert {tuple(row[name] for name in names) for row in rows} == {expected}
