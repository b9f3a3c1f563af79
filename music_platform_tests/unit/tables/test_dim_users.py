"""Users: versions that tile, carry forward to what all events give at once, and are found by facts."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import UNKNOWN
from music_platform.tables.gold.dim_users import DIM_USERS, as_of, dim_users
from music_platform.tables.silver import SILVER
from music_platform.tables.snapshots import BEGINNING
from music_platform.tables.transforms.keys import UNKNOWN_KEY, user_key
from music_platform_tests.unit.tables.dimension_frames import (
    ANONYMOUS,
    AUSTIN,
    BOSTON,
    EVENT_TYPES,
    FIRST_DAY,
    JANE,
    ONE_DAY,
    Row,
    carried,
    frame_of,
    frames_of,
    key_of,
    make_event,
    real_silver,
    table_of,
    without_day,
)

TRACKED = ("first_name", "last_name", "gender", "level", *AUSTIN)


def make_users(previous: DataFrame | None, events: Mapping[str, DataFrame], day: str) -> DataFrame:
    page_views, listens, auths, status_changes = (events[event_type] for event_type in EVENT_TYPES)
    return dim_users(previous, page_views, listens, auths, status_changes, day)


def versions_of(events: Iterable[Row]) -> list[Row]:
    """The plain statement of dim_users over all events at once: each version with its time."""
    by_user: defaultdict[int, defaultdict[datetime, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for event in events:
        if event["user_id"] is not None:
            by_user[event["user_id"]][event["event_time"]].append(event)
    versions: list[Row] = []
    for instants in by_user.values():
        latest: Row | None = None
        for moment, observed in sorted(instants.items()):
            counting = max(
                observed,
                key=lambda event: (
                    event["_type"] == "status_change_events", event["item_in_session"], event["event_id"],
                ),
            )  # fmt: skip
            version = counting | {"level": counting.get("level") or counting.get("new_level")}
            if latest is not None and all(version[name] == latest[name] for name in TRACKED):
                continue
            if latest is not None:
                latest["valid_to"] = moment
            latest = {name: version[name] for name in (*JANE, "level", *AUSTIN)}
            latest |= {"valid_from": moment, "valid_to": None}
            versions.append(latest)
    return versions


def comparable_versions(versions: Iterable[Row]) -> list[Row]:
    """What the oracle and dim_users both have of known users, in one order."""
    names = (*JANE, "level", "city", "state", "valid_from", "valid_to")
    known = [{name: version[name] for name in names} for version in versions if version["user_id"] is not None]
    return sorted(known, key=lambda version: (version["user_id"], version["valid_from"]))


def versions_on(day: datetime, events: Iterable[Row]) -> list[Row]:
    """What the partition of a day is to hold."""
    known = versions_of(event for event in events if event["event_time"] < day + ONE_DAY)
    return comparable_versions(
        version for version in known if version["valid_to"] is None or version["valid_to"] >= day
    )


def random_events(randomness: random.Random, *, users: int, days: int, events: int) -> list[Row]:
    """Events in no order, at few instants, so that many coincide, some at midnight; of users who change in every way."""
    hours = [0, 0, 6, 12, 23]
    made: list[Row] = []
    for number in range(events):
        event_type = randomness.choice(EVENT_TYPES)
        moment = FIRST_DAY + randomness.randrange(days) * ONE_DAY + timedelta(hours=randomness.choice(hours))
        moment += timedelta(microseconds=randomness.choice([0, 0, 1]))
        user_id = randomness.randrange(users)
        levels = ["free", "paid"] if user_id % 2 else ["free"]
        previous_level = randomness.choice(["free", "paid"])
        user = JANE | {
            "user_id": user_id,
            "first_name": randomness.choice(["Jane", "Jane", "Joan"]),
            "last_name": randomness.choice(["Doe", "Doe", "Do\u00e9"]) if user_id % 3 else "Doe",
            "gender": randomness.choice(["F", "F", "M"]) if user_id % 5 == 0 else "F",
            "registered_at": FIRST_DAY - timedelta(seconds=user_id),
        }
        if event_type in ("page_view_events", "auth_events") and randomness.random() < 0.1:
            user = ANONYMOUS
        place = randomness.choice([AUSTIN, AUSTIN, BOSTON, BOSTON | {"latitude": 42.357601}])
        made.append(
            make_event(
                event_type, moment, randomness.getrandbits(120) * 2**8 + number % 256,
                item_in_session=randomness.randrange(3), level=randomness.choice(levels), previous_level=previous_level,
                new_level={"free": "paid", "paid": "free"}[previous_level], **user, **place,
            )
        )  # fmt: skip
    randomness.shuffle(made)
    return made


def assert_versions_tile(partitions: Sequence[pa.Table]) -> None:
    """Within each day and from each to the next: no gap, no overlap, one open version of each user."""
    open_before: dict[str, datetime] = {}
    for partition in partitions:
        by_user: defaultdict[str, list[Row]] = defaultdict(list)
        for row in partition.to_pylist():
            by_user[row["user_key"]].append(row)
        assert open_before.keys() <= by_user.keys()
        for key, versions in by_user.items():
            if key in open_before:
                assert versions[0]["valid_from"] == open_before[key]
            for version, following in pairwise(versions):
                assert version["valid_to"] == following["valid_from"]
            assert [version["is_current"] for version in versions] == [False] * (len(versions) - 1) + [True]
            open_before[key] = versions[-1]["valid_from"]


@pytest.mark.parametrize("seed", range(4))
def test_days_that_carry_users_forward_equal_a_recomputation_of_all_events(spark: SparkSession, seed: int) -> None:
    randomness = random.Random(seed)
    days = 4
    events = random_events(randomness, users=40, days=days, events=(60, 400, 1200, 2400)[seed])
    partitions = carried(spark, DIM_USERS, make_users, events, days)
    for number, partition in enumerate(partitions):
        assert comparable_versions(partition.to_pylist()) == versions_on(FIRST_DAY + number * ONE_DAY, events)
    assert_versions_tile(partitions)
    history = [row for table in partitions[:-1] for row in table.to_pylist() if not row["is_current"]]
    history += partitions[-1].to_pylist()
    assert comparable_versions(history) == comparable_versions(versions_of(events))
    known = [row for row in history if row["user_id"] is not None]
    assert len({row["user_version_key"] for row in known}) == len(known)

    randomness.shuffle(events)  # nor does the order of rows matter
    assert carried(spark, DIM_USERS, make_users, events, days) == partitions


def test_a_late_event_changes_the_days_from_its_own_on(spark: SparkSession) -> None:
    events = random_events(random.Random(11), users=10, days=3, events=120)
    late = [make_event("listen_events", FIRST_DAY + ONE_DAY + timedelta(hours=8), 2**100 + user_id, level="paid",
                       **JANE | {"user_id": user_id}) for user_id in range(0, 12)]  # fmt: skip
    before = carried(spark, DIM_USERS, make_users, events, 3)
    after = carried(spark, DIM_USERS, make_users, [*events, *late], 3)
    assert after[0] == before[0]
    assert after[1] != before[1]
    for number, partition in enumerate(after):
        assert comparable_versions(partition.to_pylist()) == versions_on(FIRST_DAY + number * ONE_DAY, [*events, *late])
    assert_versions_tile(after)


def test_a_status_change_makes_the_new_level_valid_from_its_own_time(spark: SparkSession) -> None:
    noon = FIRST_DAY + timedelta(hours=12)
    events = [
        make_event("page_view_events", noon - timedelta(hours=1), 1, level="free"),
        make_event("page_view_events", noon, 9, level="free", item_in_session=5),  # the page of the upgrade itself
        make_event("status_change_events", noon, 2, item_in_session=5, previous_level="free", new_level="paid"),
        make_event("listen_events", noon, 8, level="free", item_in_session=6),
        make_event("listen_events", noon + timedelta(seconds=1), 3, level="paid"),
    ]
    [partition] = carried(spark, DIM_USERS, make_users, events, 1)
    assert [(row["level"], row["valid_from"], row["valid_to"]) for row in partition.to_pylist() if row["user_id"] == 5] == [
        ("free", noon - timedelta(hours=1), noon), ("paid", noon, None),
    ]  # fmt: skip


def test_the_last_of_several_events_at_one_instant_counts(spark: SparkSession) -> None:
    events = [
        make_event("listen_events", FIRST_DAY, 1, level="paid", item_in_session=3),
        make_event("listen_events", FIRST_DAY, 9, level="free", item_in_session=2),
        make_event("listen_events", FIRST_DAY + timedelta(hours=1), 2, level="free", item_in_session=1),
        make_event("page_view_events", FIRST_DAY + timedelta(hours=1), 3, level="paid", item_in_session=1),
    ]
    [partition] = carried(spark, DIM_USERS, make_users, events, 1)
    assert [row["level"] for row in partition.to_pylist() if row["user_id"] == 5] == ["paid"]


def test_a_version_that_ends_at_midnight_is_closed_on_the_day_that_begins_then(spark: SparkSession) -> None:
    events = [
        make_event("listen_events", FIRST_DAY + timedelta(hours=1), 1, level="free"),
        make_event("listen_events", FIRST_DAY + ONE_DAY, 2, level="paid"),
    ]
    first, second, third = carried(spark, DIM_USERS, make_users, events, 3)
    levels = [[row["level"] for row in table.to_pylist() if row["user_id"] == 5] for table in (first, second, third)]
    assert levels == [["free"], ["free", "paid"], ["paid"]]


def test_without_events_there_is_the_unknown_member_alone(spark: SparkSession) -> None:
    first, second = carried(spark, DIM_USERS, make_users, [], 2)
    [unknown] = second.to_pylist()
    assert without_day([unknown]) == without_day(first.to_pylist())
    assert unknown == {
        "user_key": UNKNOWN_KEY, "user_version_key": UNKNOWN_KEY, "user_id": None, "first_name": UNKNOWN, "last_name": UNKNOWN,
        "gender": UNKNOWN, "registered_at": None, "level": UNKNOWN, "location_key": UNKNOWN_KEY, "city": UNKNOWN,
        "state": UNKNOWN, "valid_from": BEGINNING, "valid_to": None, "is_current": True, "day": FIRST_DAY + ONE_DAY,
    }  # fmt: skip


def test_anonymous_events_make_no_user(spark: SparkSession) -> None:
    events = [
        make_event("page_view_events", FIRST_DAY, 1, auth="Guest", **ANONYMOUS),
        make_event("auth_events", FIRST_DAY, 2, success=False, **ANONYMOUS),
    ]
    [partition] = carried(spark, DIM_USERS, make_users, events, 1)
    assert partition.num_rows == 1


def test_facts_find_the_version_of_their_time_and_none_is_lost(spark: SparkSession) -> None:
    days = 3
    events = random_events(random.Random(7), users=20, days=days, events=500)
    partitions = carried(spark, DIM_USERS, make_users, events, days)
    users = frame_of(spark, DIM_USERS.columns, pa.concat_tables(partitions))
    frames = frames_of(spark, events)
    facts = None
    for event_type in EVENT_TYPES:
        rows = frames[event_type].select(
            user_key(F.col("user_id")).alias("user_key"),
            "event_time",
            "event_id",
            F.col("user_id").alias("fact_user_id"),
        )
        facts = rows if facts is None else facts.union(rows)
    assert facts is not None
    stranger = facts.limit(1).withColumn("user_key", F.lit("f" * 16)).withColumn("event_id", F.lit("stranger"))
    found = as_of(facts.union(stranger), users, ("user_version_key", "user_id", "level")).toArrow().to_pylist()
    assert Counter(row["event_id"] for row in found) == Counter([*(event["event_id"] for event in events), "stranger"])
    versions = versions_of(events)
    for row in found:
        if row["event_id"] == "stranger":
            assert (row["user_version_key"], row["level"]) == (None, None)
        elif row["fact_user_id"] is None:
            assert (row["user_version_key"], row["level"]) == (UNKNOWN_KEY, UNKNOWN)
        else:
            [level] = [
                version["level"] for version in versions
                if version["user_id"] == row["fact_user_id"] and version["valid_from"] <= row["event_time"]
                and (version["valid_to"] is None or row["event_time"] < version["valid_to"])
            ]  # fmt: skip
            assert (row["level"], row["user_id"]) == (level, row["fact_user_id"])


def test_real_users_change_level_exactly_at_their_status_changes(spark: SparkSession, sample_folder: Path) -> None:
    silver = {event_type: real_silver(spark, sample_folder, event_type) for event_type in EVENT_TYPES}
    partitions: list[pa.Table] = []
    for number in range(5):
        day = FIRST_DAY + number * ONE_DAY
        of_day = {}
        for event_type, table in silver.items():
            in_day = (pc.field("event_time") >= day) & (pc.field("event_time") < day + ONE_DAY)
            of_day[event_type] = frame_of(spark, SILVER[event_type].columns, table.filter(in_day))
        previous = frame_of(spark, DIM_USERS.columns, partitions[-1]) if partitions else None
        partitions.append(table_of(make_users(previous, of_day, key_of(day)), DIM_USERS))
    assert_versions_tile(partitions)
    ended = {(row["user_id"], row["valid_to"]) for table in partitions for row in table.to_pylist() if row["valid_to"]}
    changes = {(row["user_id"], row["event_time"]) for row in silver["status_change_events"].to_pylist()}
    assert ended == changes
    assert len(changes) == 26
    known = {user for table in silver.values() for user in table.column("user_id").to_pylist()}
    assert {row["user_id"] for row in partitions[-1].to_pylist()} == known
