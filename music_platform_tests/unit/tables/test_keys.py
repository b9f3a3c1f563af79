"""Keys: the same for equal natural keys and for these alone, whatever the columns' integer types; fixed for all time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.columns import KEY_PATTERN, UNKNOWN_KEY
from music_platform.tables.transforms.keys import (
    artist_key,
    datetime_key,
    digest_of_key,
    duration_milliseconds,
    key_of_digest,
    location_key,
    session_key,
    song_key,
    surrogate_key,
    user_key,
)

_DDL = (
    "number bigint, small int, first string, second string, third string, absent string, "
    "duration double, latitude double, longitude double, event_time timestamp"
)


def values_of(
    spark: SparkSession, key: Callable[..., Column], columns: Sequence[str], rows: Sequence[dict[str, Any]]
) -> list[Any]:
    """The key of these columns for each row, in their order; columns that a row does not name are null."""
    schema = pa.schema(
        [("number", pa.int64()), ("small", pa.int32()), ("first", pa.string()), ("second", pa.string()),
         ("third", pa.string()), ("absent", pa.string()),
         ("duration", pa.float64()), ("latitude", pa.float64()), ("longitude", pa.float64()),
         ("event_time", pa.timestamp("us", tz="UTC"))]
    )  # fmt: skip
    frame = spark.createDataFrame(pa.Table.from_pylist(list(rows), schema), _DDL)
    return frame.select(key(*(F.col(name) for name in columns)).alias("key")).toArrow().column("key").to_pylist()


def test_a_key_is_16_lower_hex_digits(spark: SparkSession) -> None:
    keys = values_of(spark, surrogate_key, ["number"], [{"number": number} for number in range(2000)])
    assert len(set(keys)) == len(keys)
    assert all(re.match(KEY_PATTERN, key) for key in keys)
    assert any(key.startswith("0") for key in keys)  # padded
    assert re.match(KEY_PATTERN, UNKNOWN_KEY)


def test_a_key_tells_the_digest_behind_it(spark: SparkSession) -> None:
    numbers = [0, 1, -1, 2**32, -(2**32), 2**63 - 1, -(2**63), 123_456_789_012_345, -987_654_321_098_765]
    rows = [{"number": number} for number in numbers]
    assert values_of(spark, lambda number: digest_of_key(key_of_digest(number)), ["number"], rows) == numbers
    assert values_of(spark, key_of_digest, ["number"], rows)[:3] == [UNKNOWN_KEY, f"{1:016x}", "f" * 16]


def test_null_empty_and_shifted_texts_differ(spark: SparkSession) -> None:
    texts = [None, "", "a", "b", "ab", "\u0000", " ", "true", "42", "é", "e\u0301"]
    rows = [
        {"first": first, "second": second, "third": third} for first in texts for second in texts for third in texts
    ]
    keys = values_of(spark, surrogate_key, ["first", "second", "third"], rows)
    assert len(set(keys)) == len(texts) ** 3


def test_the_integer_type_does_not_matter(spark: SparkSession) -> None:
    rows = [{"number": number, "small": number} for number in (0, 1, -1, 2**31 - 1, None)]
    assert values_of(spark, surrogate_key, ["small"], rows) == values_of(spark, surrogate_key, ["number"], rows)


def test_keys_are_fixed_for_all_time(spark: SparkSession) -> None:
    """Stored tables hold these keys; each was found equal on Apache Spark."""
    row = {
        "number": 5, "first": "Sigur Rós", "second": "Hoppípolla", "third": "TX", "duration": 268.69506, "latitude": 30.2711,
        "longitude": -97.7437,
    }  # fmt: skip
    keys = {
        "user": (user_key, ["number"]),
        "artist": (artist_key, ["first"]),
        "song": (song_key, ["first", "second", "duration"]),
        "location": (location_key, ["first", "second", "third", "latitude", "longitude"]),
        "session": (session_key, ["number", "absent", "first", "second"]),
    }
    found = {name: values_of(spark, key, columns, [row])[0] for name, (key, columns) in keys.items()}
    assert found == {
        "user": "6b889627fce884b9",
        "artist": "d1067a7db297a484",
        "song": "08340956436200bd",
        "location": "395d0e61667445cf",
        "session": "a587612b909ad99e",
    }


def test_the_unknown_member_stands_for_what_is_missing_alone(spark: SparkSession) -> None:
    assert values_of(spark, user_key, ["number"], [{}, {"number": 0}])[0] == UNKNOWN_KEY
    keys = values_of(
        spark, song_key, ["first", "second", "duration"], [{}, {"first": "", "second": "", "duration": 0.0}]
    )
    assert (keys[0] == UNKNOWN_KEY, keys[1] == UNKNOWN_KEY) == (True, False)
    assert values_of(spark, artist_key, ["first"], [{}, {"first": ""}])[0] == UNKNOWN_KEY


def test_a_song_s_length_counts_to_the_millisecond(spark: SparkSession) -> None:
    durations = [171.59791, 171.5979100001, 171.598, 171.5974, 171.5985, 0.0, -0.0, 0.0005]
    rows = [{"first": "Pixies", "second": "Debaser", "duration": duration} for duration in durations]
    assert values_of(spark, duration_milliseconds, ["duration"], rows) == [
        171598,
        171598,
        171598,
        171597,
        171599,
        0,
        0,
        1,
    ]
    keys = values_of(spark, song_key, ["first", "second", "duration"], rows)
    assert keys[0] == keys[1] == keys[2]
    assert keys[5] == keys[6]
    assert len({keys[0], keys[3], keys[4], keys[5], keys[7]}) == 5


def test_places_are_reported_apart_by_a_millionth_of_a_degree(spark: SparkSession) -> None:
    places = [
        (30.2711, -97.7437), (30.27110000001, -97.7437), (30.271101, -97.7437), (30.2711, 97.7437), (0.0, -0.0), (-0.0, 0.0),
    ]  # fmt: skip
    rows = [
        {"first": "73301", "second": "Austin", "latitude": latitude, "longitude": longitude}
        for latitude, longitude in places
    ]
    keys = values_of(spark, location_key, ["first", "second", "third", "latitude", "longitude"], rows)
    assert keys[0] == keys[1]
    assert keys[4] == keys[5]
    assert len({keys[0], keys[2], keys[3], keys[4]}) == 4


def test_sessions_of_two_producers_differ(spark: SparkSession) -> None:
    rows = [
        {"number": 7, "first": "A", "second": "73301", "third": "Chrome"},
        {"number": 7, "first": "B", "second": "73301", "third": "Chrome"},
        {"number": 7, "first": None, "second": "73301", "third": "Chrome"},
        {"number": 7, "first": "A", "second": "73302", "third": "Chrome"},
        {"number": 7, "first": "A", "second": "73301", "third": "Safari"},
        {"number": 8, "first": "A", "second": "73301", "third": "Chrome"},
    ]
    assert len(set(values_of(spark, session_key, ["number", "first", "second", "third"], rows))) == len(rows)


def test_an_hour_s_key_can_be_read(spark: SparkSession) -> None:
    times = [
        datetime(2026, 11, 1, 5, 59, 59, 999_999, UTC), datetime(1900, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, 23, tzinfo=UTC),
    ]  # fmt: skip
    keys = values_of(spark, datetime_key, ["event_time"], [{"event_time": time} for time in times])
    assert keys == [2026110105, 1900010100, 2199123123]
