"""Dimensions: versions that tile, members that are never dropped, and days that carry forward to what all events give at once."""

from __future__ import annotations

import json
import lzma
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)
from sample_records import HOUR_LENGTH_MILLISECONDS, lines_of

from music_platform.contracts.dimensions import (
    DIM_ARTISTS,
    DIM_DATETIME,
    DIM_LOCATIONS,
    DIM_SONGS,
    DIM_USERS,
    DIMENSIONS,
    UNKNOWN,
)
from music_platform.contracts.events import EVENT_CONTRACTS
from music_platform.contracts.schemas import arrow_schema, spark_schema
from music_platform.contracts.table import Cadence, Column, ColumnType, Layer, TableContract, column_rules
from music_platform.contracts.tables import SILVER
from music_platform.landing.reader import LINES_DDL
from music_platform.transforms.bronze import bronze_events
from music_platform.transforms.catalogue_seed import CATALOGUE_DDL, CATALOGUE_SCHEMA, catalogue_tracks, parse_catalogue
from music_platform.transforms.dimensions import (
    BEGINNING,
    as_of,
    dim_artists,
    dim_datetime,
    dim_locations,
    dim_songs,
    dim_users,
    state_name,
)
from music_platform.transforms.keys import UNKNOWN_KEY, artist_key, location_key, song_key, user_key
from music_platform.transforms.silver import DESTINATION_COLUMN, silver_or_quarantine

Row = dict[str, Any]

EVENT_TYPES = (
    "page_view_events",
    "listen_events",
    "auth_events",
    "status_change_events",
)  # as the transforms take them
FIRST_DAY = datetime(2026, 11, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
AUSTIN = {"zip": "73301", "city": "Austin", "state": "TX", "latitude": 30.2711, "longitude": -97.7437}
BOSTON = {"zip": "02108", "city": "Boston", "state": "MA", "latitude": 42.3576, "longitude": -71.0684}
JANE = {
    "user_id": 5,
    "first_name": "Jane",
    "last_name": "Doe",
    "gender": "F",
    "registered_at": FIRST_DAY - 30 * ONE_DAY,
}
ANONYMOUS = dict.fromkeys(JANE)
_EVENT = {
    "session_id": 7, "item_in_session": 0, "level": "free", "previous_level": "free", "new_level": "paid", "page": "Home",
    "auth": "Logged In", "method": "GET", "status": 200, "success": True, "user_agent": "Chrome", "device": "Other",
    "operating_system": "Windows", "browser": "Chrome", "artist": "Pixies", "song": "Debaser", "duration_seconds": 171.59791,
} | AUSTIN | JANE  # fmt: skip
TRACKED = ("first_name", "last_name", "gender", "level", *AUSTIN)


def key_of(day: datetime) -> str:
    return day.date().isoformat()


def day_of(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def make_event(event_type: str, event_time: datetime, number: int, **changes: Any) -> Row:
    """A silver row with its event type in ``_type``; ``number`` makes the event_id."""
    row = _EVENT | {"event_time": event_time, "event_id": f"{number:032x}"} | changes
    return {name: row.get(name) for name in (column.name for column in SILVER[event_type].columns)} | {
        "_type": event_type
    }


def frames_of(spark: SparkSession, events: Iterable[Row]) -> dict[str, DataFrame]:
    """The silver tables of events."""
    rows: dict[str, list[Row]] = {event_type: [] for event_type in EVENT_TYPES}
    for event in events:
        rows[event["_type"]].append(event)
    return {
        event_type: frame_of(spark, SILVER[event_type].columns, rows_of_type)
        for event_type, rows_of_type in rows.items()
    }


def frame_of(spark: SparkSession, columns: Sequence[Column], rows: pa.Table | list[Row]) -> DataFrame:
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, arrow_schema(columns))
    return spark.createDataFrame(table, spark_schema(columns))


def table_of(frame: DataFrame, contract: TableContract) -> pa.Table:
    """The frame's rows in the contract's schema and order; names, types and every rule of the contract are checked."""
    table = frame.toArrow()
    assert table.schema.names == [column.name for column in contract.columns]
    for column, wanted in zip(contract.columns, arrow_schema(contract.columns).types, strict=True):
        assert table.schema.field(column.name).type in (wanted, pa.large_string()), column.name
    table = table.cast(arrow_schema(contract.columns)).sort_by([(name, "ascending") for name in contract.sort_columns])
    checked = frame_of(frame.sparkSession, contract.columns, table)
    rules = (*column_rules(contract.columns), *contract.rules)
    [broken] = (
        checked.select(
            *(F.count_if(F.expr(f"NOT coalesce({rule.condition}, false)")).alias(rule.name) for rule in rules)
        )
        .toArrow()
        .to_pylist()
    )
    assert not any(broken.values()), broken
    keys = table.select(list(contract.unique_columns)).to_pylist()
    assert len({tuple(key.values()) for key in keys}) == len(keys)
    return table


def carried(
    spark: SparkSession,
    contract: TableContract,
    make: Callable[[DataFrame | None, Mapping[str, DataFrame], str], DataFrame],
    events: Sequence[Row],
    days: int,
) -> list[pa.Table]:
    """The dimension's partitions of so many days, each made from its day's events and the partition before."""
    partitions: list[pa.Table] = []
    for number in range(days):
        day = FIRST_DAY + number * ONE_DAY
        of_day = [event for event in events if day_of(event["event_time"]) == day]
        previous = frame_of(spark, contract.columns, partitions[-1]) if partitions else None
        partitions.append(table_of(make(previous, frames_of(spark, of_day), key_of(day)), contract))
    return partitions


def make_users(previous: DataFrame | None, events: Mapping[str, DataFrame], day: str) -> DataFrame:
    page_views, listens, auths, status_changes = (events[event_type] for event_type in EVENT_TYPES)
    return dim_users(previous, page_views, listens, auths, status_changes, day)


def make_locations(previous: DataFrame | None, events: Mapping[str, DataFrame], day: str) -> DataFrame:
    page_views, listens, auths, status_changes = (events[event_type] for event_type in EVENT_TYPES)
    return dim_locations(previous, page_views, listens, auths, status_changes, day)


def without_day(rows: Iterable[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "day"} for row in rows]


def real_silver(spark: SparkSession, shared_folder: Path, event_type: str) -> pa.Table:
    """Silver of the real sample."""
    event = EVENT_CONTRACTS[event_type]
    with lzma.open(shared_folder / "eventsim" / "sample" / f"{event_type}.jsonl.xz") as file:
        lines = file.read().split(b"\n")[:-1]
    hours = [json.loads(line)["ts"] // HOUR_LENGTH_MILLISECONDS * HOUR_LENGTH_MILLISECONDS * 1000 for line in lines]
    batch = lines_of(lines)
    position = batch.schema.get_field_index("landed_hour")
    batch = batch.set_column(position, batch.schema.field(position), pa.array(hours, pa.timestamp("us", tz="UTC")))
    frame = spark.createDataFrame(pa.Table.from_batches([batch]), LINES_DDL)
    silver = silver_or_quarantine(bronze_events(frame, event), event)
    names = [column.name for column in SILVER[event_type].columns]
    table = silver.filter(F.col(DESTINATION_COLUMN) == "silver").select(*names).toArrow()
    assert table.num_rows == len(lines)
    return table.cast(arrow_schema(SILVER[event_type].columns))


@pytest.mark.parametrize("contract", DIMENSIONS, ids=lambda contract: contract.path)
def test_a_contract_is_sound(contract: TableContract) -> None:
    names = [column.name for column in contract.columns]
    assert len(set(names)) == len(names)
    assert (contract.layer, contract.cadence, contract.partition_column) == (Layer.GOLD, Cadence.DAILY, "day")
    assert contract.column("day").type is ColumnType.TIMESTAMP
    assert {*contract.sort_columns, *contract.unique_columns} <= set(names)
    for described in (contract, *contract.columns, *contract.rules):
        assert described.description.endswith("."), described


# Users


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


def test_real_users_change_level_exactly_at_their_status_changes(spark: SparkSession, shared_folder: Path) -> None:
    silver = {event_type: real_silver(spark, shared_folder, event_type) for event_type in EVENT_TYPES}
    partitions: list[pa.Table] = []
    for number in range(15):
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
    assert len(changes) > 50
    known = {user for table in silver.values() for user in table.column("user_id").to_pylist()}
    assert {row["user_id"] for row in partitions[-1].to_pylist()} == known


# Songs and artists


def catalogue_of(spark: SparkSession, *tracks: Row) -> DataFrame:
    rows = [
        {"duration": "200.0", "year": "0", "artist_latitude": "0.0", "artist_longitude": "0.0"} | track
        for track in tracks
    ]
    return spark.createDataFrame(pa.Table.from_pylist(rows, CATALOGUE_SCHEMA), CATALOGUE_DDL)


def track(artist: str, title: str, duration: float, track_id: str, **others: str) -> Row:
    return {"artist_name": artist, "title": title, "duration": str(duration), "track_id": track_id} | others


def play(number: int, artist: str, song: str, duration: float, event_time: datetime = FIRST_DAY) -> Row:
    return make_event("listen_events", event_time, number, artist=artist, song=song, duration_seconds=duration)


def songs_of(
    spark: SparkSession,
    plays: Sequence[Row],
    catalogue: DataFrame | None,
    previous: pa.Table | None = None,
    day: datetime = FIRST_DAY,
) -> pa.Table:
    before = None if previous is None else frame_of(spark, DIM_SONGS.columns, previous)
    return table_of(dim_songs(before, frames_of(spark, plays)["listen_events"], catalogue, key_of(day)), DIM_SONGS)


def artists_of(
    spark: SparkSession,
    plays: Sequence[Row],
    catalogue: DataFrame | None,
    previous: pa.Table | None = None,
    day: datetime = FIRST_DAY,
) -> pa.Table:
    before = None if previous is None else frame_of(spark, DIM_ARTISTS.columns, previous)
    return table_of(dim_artists(before, frames_of(spark, plays)["listen_events"], catalogue, key_of(day)), DIM_ARTISTS)


def keys_of_plays(spark: SparkSession, plays: Sequence[Row]) -> list[Row]:
    """The keys that facts compute for plays."""
    return (
        frames_of(spark, plays)["listen_events"]
        .select(
            song_key(F.col("artist"), F.col("song"), F.col("duration_seconds")).alias("song_key"),
            artist_key(F.col("artist")).alias("artist_key"),
            "event_id",
        )
        .toArrow()
        .to_pylist()
    )


def test_a_played_song_is_the_track_of_the_nearest_length(spark: SparkSession) -> None:
    catalogue = catalogue_of(
        spark,
        track("Eminem", "The Way I Am", 289.30567, "TRA"),
        track("Eminem", "The Way I Am", 291.10812, "TRB", release="The Marshall Mathers LP", year="2000"),
        track("Eminem", "The Way I Am", 292.0, "TRC"),
        track("Eminem", "Stan", 404.0, "TRD"),
    )
    plays = [
        play(1, "Eminem", "The Way I Am", 291.10812),  # TRB to the millisecond
        play(2, "Eminem", "The Way I Am", 291.4),  # TRB by 0.3 s, TRC by 0.6 s
        play(3, "Eminem", "The Way I Am", 293.0),  # TRC by just one second
        play(4, "Eminem", "The Way I Am", 293.001),  # none
        play(5, "Eminem", "Stan!", 404.0),  # none
        play(6, "Dido", "Stan", 404.0),  # none
    ]
    rows = songs_of(spark, plays, catalogue).to_pylist()
    by_key = {row["song_key"]: row for row in rows}
    keys = {int(row["event_id"], 16): row for row in keys_of_plays(spark, plays)}
    assert {number: by_key[key["song_key"]]["track_id"] for number, key in keys.items()} == {
        1: "TRB", 2: "TRB", 3: "TRC", 4: None, 5: None, 6: None,
    }  # fmt: skip
    assert all(by_key[key["song_key"]]["artist_key"] == key["artist_key"] for key in keys.values())
    first = by_key[keys[1]["song_key"]]
    assert (first["release"], first["year"], first["is_in_catalogue"], first["plays"]) == (
        "The Marshall Mathers LP",
        2000,
        True,
        1,
    )
    assert by_key[keys[2]["song_key"]]["duration_seconds"] == 291.4
    unplayed = [row for row in rows if row["plays"] == 0 and row["is_in_catalogue"]]
    assert {row["track_id"] for row in unplayed} == {"TRA", "TRD"}
    assert {(row["first_played_at"], row["year"], row["release"]) for row in unplayed} == {(None, None, None)}
    assert len(rows) == len(plays) + len(unplayed) + 1


def test_equally_near_tracks_are_told_apart_by_track_id(spark: SparkSession) -> None:
    catalogue = catalogue_of(
        spark,
        track("A", "Song", 101.0, "TRB"),
        track("A", "Song", 100.0, "TRC"),
        track("B", "Song", 100.0, "TRZ", release="A"),
        track("B", "Song", 100.0001, "TRY", release="B"),  # the same to the millisecond: one song
    )
    rows = songs_of(spark, [play(1, "A", "Song", 100.5)], catalogue).to_pylist()
    assert {row["track_id"]: row["plays"] for row in rows} == {"TRB": 1, "TRC": 0, "TRY": 0, None: 0}


def test_texts_of_the_catalogue_are_repaired_as_those_of_events_are(spark: SparkSession) -> None:
    catalogue = catalogue_of(
        spark,
        track("Lefèvre", 'Say "yes"', 100.0, "TRA"),
        track("Lef\u00c3\u00a8vre", '"Say \\"no\\""', 100.0, "TRB"),
        track("Ladytron", "It\u0019s", 100.0, "TRC"),
    )
    plays = [
        play(1, "Lefèvre", 'Say "yes"', 100.0), play(2, "Lefèvre", 'Say "no"', 100.0), play(3, "Ladytron", "It's", 100.0),
    ]  # fmt: skip
    rows = songs_of(spark, plays, catalogue).to_pylist()
    assert {row["track_id"]: row["plays"] for row in rows} == {"TRA": 1, "TRB": 1, "TRC": 1, None: 0}


def test_plays_add_up_over_the_days_and_the_catalogue_is_the_present_one(spark: SparkSession) -> None:
    second_day = FIRST_DAY + ONE_DAY
    first_plays = [
        play(number, "Pixies", "Debaser", 171.59791, FIRST_DAY + timedelta(hours=number)) for number in (2, 1)
    ]
    second_plays = [play(3, "Pixies", "Debaser", 171.5979, second_day), play(4, "Pixies", "Tame", 116.0, second_day)]
    catalogue = catalogue_of(
        spark, track("Pixies", "Debaser", 171.59791, "TRA"), track("Pixies", "Gouge Away", 165.0, "TRB")
    )

    first = songs_of(spark, first_plays, None)
    second = songs_of(spark, second_plays, catalogue, first, second_day)
    third = songs_of(spark, [], None, second, second_day + ONE_DAY)

    [debaser] = [row for row in first.to_pylist() if row["title"] == "Debaser"]
    assert (debaser["plays"], debaser["is_in_catalogue"], debaser["track_id"]) == (2, False, None)
    by_title = {row["title"]: row for row in second.to_pylist()}
    assert by_title.keys() == {"Debaser", "Tame", "Gouge Away", UNKNOWN}
    debaser = by_title["Debaser"]
    assert (debaser["plays"], debaser["is_in_catalogue"], debaser["track_id"]) == (3, True, "TRA")
    assert (debaser["first_played_at"], debaser["last_played_at"]) == (FIRST_DAY + timedelta(hours=1), second_day)
    assert debaser["duration_seconds"] == 171.5979
    assert {row["title"]: row["track_id"] for row in third.to_pylist()} == {
        "Debaser": None,
        "Tame": None,
        UNKNOWN: None,
    }
    rebuilt = songs_of(spark, second_plays[::-1], catalogue, songs_of(spark, first_plays[::-1], catalogue), second_day)
    assert rebuilt == second


def test_the_unknown_song_and_artist_have_a_row(spark: SparkSession) -> None:
    [song] = songs_of(spark, [], None).to_pylist()
    assert song == {
        "song_key": UNKNOWN_KEY, "artist_key": UNKNOWN_KEY, "title": UNKNOWN, "artist": UNKNOWN, "duration_seconds": None,
        "track_id": None, "release": None, "year": None, "is_in_catalogue": False, "first_played_at": None,
        "last_played_at": None, "plays": 0, "day": FIRST_DAY,
    }  # fmt: skip
    [artist] = artists_of(spark, [], None).to_pylist()
    assert (artist["artist_key"], artist["artist"], artist["artist_id"], artist["plays"]) == (
        UNKNOWN_KEY,
        UNKNOWN,
        None,
        0,
    )
    named_so = songs_of(spark, [play(1, UNKNOWN, UNKNOWN, 1.0)], None).to_pylist()
    assert {row["plays"] for row in named_so} == {0, 1}


def test_a_catalogue_of_few_columns_is_enough(spark: SparkSession) -> None:
    given = catalogue_of(
        spark, track("Pixies", "Debaser", 171.0, "TRA"), {"artist_name": "Pixies", "title": "", "duration": ""}
    )
    songs = songs_of(spark, [], given.select("title", "artist_name", "duration")).to_pylist()
    assert {(row["title"], row["duration_seconds"], row["is_in_catalogue"], row["track_id"]) for row in songs} == {
        ("Debaser", 171.0, True, None), ("", None, True, None), (UNKNOWN, None, False, None),
    }  # fmt: skip


def test_artists_are_described_by_the_catalogue(spark: SparkSession) -> None:
    catalogue = catalogue_of(
        spark,
        track("Pixies", "Debaser", 171.0, "TRA", artist_id="AR1"),
        track("Pixies", "Tame", 116.0, "TRB", artist_id="AR3", artist_location="Boston, MA"),
        track("Pixies", "Hey", 211.0, "TRC", artist_id="AR4", artist_location="Boston", artist_latitude="42.36",
              artist_longitude="-71.06"),
        track("Pixies", "No", 211.0, "TRD", artist_id="AR5", artist_location="Nowhere", artist_latitude="4e9",
              artist_longitude="nan"),
        track("Lefèvre", "Soul Coaxing", 200.0, "TRE", artist_id="AR6", artist_latitude="0.0", artist_longitude="2.35"),
    )  # fmt: skip
    second_day = FIRST_DAY + ONE_DAY
    first = artists_of(spark, [play(1, "Pixies", "Debaser", 171.0), play(2, "Dido", "Stan", 404.0)], catalogue)
    plays = [play(3, "Pixies", "Anything", 1.0, second_day)]
    second = artists_of(spark, plays, catalogue, first, second_day).to_pylist()
    by_name = {row["artist"]: row for row in second}
    assert by_name.keys() == {"Pixies", "Dido", "Lefèvre", UNKNOWN}
    [key] = {row["artist_key"] for row in keys_of_plays(spark, plays)}
    assert by_name["Pixies"] == {
        "artist_key": key, "artist": "Pixies", "artist_id": "AR4", "location": "Boston", "latitude": 42.36,
        "longitude": -71.06, "is_in_catalogue": True, "first_played_at": FIRST_DAY, "last_played_at": second_day, "plays": 2,
        "day": second_day,
    }  # fmt: skip
    assert (by_name["Dido"]["is_in_catalogue"], by_name["Dido"]["artist_id"], by_name["Dido"]["plays"]) == (
        False,
        None,
        1,
    )
    lefevre = by_name["Lefèvre"]
    assert (lefevre["location"], lefevre["latitude"], lefevre["longitude"]) == (None, 0.0, 2.35)
    assert (lefevre["plays"], lefevre["first_played_at"]) == (0, None)


def test_real_plays_find_their_tracks(spark: SparkSession, shared_folder: Path) -> None:
    with lzma.open(shared_folder / "eventsim" / "songs.csv.xz") as file:
        seed = parse_catalogue(file.read().decode("utf-8"), "songs.csv.xz")
    catalogue = spark.createDataFrame(seed, CATALOGUE_DDL)
    listens = real_silver(spark, shared_folder, "listen_events")
    frame = frame_of(spark, SILVER["listen_events"].columns, listens)
    last_day = day_of(max(listens.column("event_time").to_pylist()))
    rows = table_of(dim_songs(None, frame, catalogue, key_of(last_day)), DIM_SONGS).to_pylist()
    by_key = {row["song_key"]: row for row in rows}
    key = song_key(F.col("artist"), F.col("song"), F.col("duration_seconds")).alias("song_key")
    events = frame.select(key, "artist", "song", "duration_seconds").toArrow().to_pylist()

    assert Counter(event["song_key"] for event in events) == {
        key: row["plays"] for key, row in by_key.items() if row["plays"]
    }
    matched = sum(row["plays"] for row in rows if row["is_in_catalogue"])
    assert matched / len(events) > 0.998
    tracks = Counter(row["track_id"] for row in rows if row["track_id"])
    assert set(tracks.values()) == {1}
    known = {row["track_id"] for row in seed.to_pylist()}
    assert len(known - tracks.keys()) == 1  # two tracks agree in artist, title and length
    assert tracks.keys() <= known

    by_name: defaultdict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    for row in catalogue_tracks(catalogue).toArrow().to_pylist():
        by_name[row["artist"], row["title"]].append((row["duration_seconds"], row["track_id"]))
    ambiguous = 0
    for event in events:
        near = sorted(
            (abs(duration - event["duration_seconds"]), track_id)
            for duration, track_id in by_name[event["artist"], event["song"]]
            if abs(duration - event["duration_seconds"]) <= 1
        )
        assert by_key[event["song_key"]]["track_id"] == (near[0][1] if near else None)
        ambiguous += len(by_name[event["artist"], event["song"]]) > 1
    assert ambiguous > 100

    artists = table_of(dim_artists(None, frame, catalogue, key_of(last_day)), DIM_ARTISTS).to_pylist()
    assert sum(row["plays"] for row in artists) == len(events)
    assert {row["artist_key"] for row in rows} == {row["artist_key"] for row in artists}
    assert len({row["artist"] for row in artists}) == len(artists)


# Locations and hours


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


def test_names_of_states(spark: SparkSession) -> None:
    codes = ["NY", "DC", "PR", "AP", "GU", "ZZ", "ny", "", None]
    frame = spark.createDataFrame(pa.table({"state": pa.array(codes, pa.string())}), "state string")
    names = frame.select(state_name(F.col("state")).alias("name")).toArrow().column("name").to_pylist()
    assert names == ["New York", "District of Columbia", "Puerto Rico", "Armed Forces Pacific", "Guam", *[UNKNOWN] * 4]


def test_every_real_state_has_a_name(spark: SparkSession, shared_folder: Path) -> None:
    text = (shared_folder / "eventsim" / "state_codes.csv").read_text("utf-8-sig")
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
