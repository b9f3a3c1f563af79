"""Silver and quarantine: typed, repaired, each event once; each broken rule by its name, and every row accounted for."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from music_platform.landing.reader import LINES_SCHEMA
from music_platform.tables.contract import ColumnType
from music_platform.tables.events import EVENT_CONTRACTS, EventContract, EventField
from music_platform.tables.events.auth_events import AUTH_EVENTS
from music_platform.tables.events.listen_events import LISTEN_EVENTS
from music_platform.tables.events.page_view_events import PAGE_VIEW_EVENTS
from music_platform.tables.events.status_change_events import STATUS_CHANGE_EVENTS
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.schemas import arrow_schema
from music_platform.tables.silver import SILVER, silver_contract
from music_platform.tables.transforms.bronze import bronze_events
from music_platform.tables.transforms.silver import DESTINATION_COLUMN, silver_or_quarantine
from music_platform_tests.unit.tables.sample_records import (
    HOUR,
    HOUR_LENGTH_MILLISECONDS,
    HOUR_MILLISECONDS,
    SONG_KEYS,
    USER_AGENT,
    USER_KEYS,
    good_record,
    lines_of,
    to_line,
)

OTHER_VALUES: dict[ColumnType, Any] = {
    ColumnType.STRING: "another", ColumnType.LONG: 8, ColumnType.DOUBLE: 0.25, ColumnType.BOOLEAN: False,
}  # fmt: skip


def judge(spark: SparkSession, event: EventContract, *batches: pa.RecordBatch) -> list[dict[str, Any]]:
    """The transform's rows for lines, in the order of landing."""
    lines = spark.createDataFrame(pa.Table.from_batches(batches), from_arrow_schema(LINES_SCHEMA))
    table = silver_or_quarantine(bronze_events(lines, event), event).toArrow()
    table = table.sort_by([("landed_hour", "ascending"), ("_object", "ascending"), ("_line_number", "ascending")])
    schema = arrow_schema(
        {column.name: column for column in (*SILVER[event.name].columns, *QUARANTINE[event.name].columns)}.values()
    )
    names = [name for name in table.schema.names if name != DESTINATION_COLUMN]
    assert set(names) == set(schema.names)
    for name in names:
        assert table.schema.field(name).type in (schema.field(name).type, pa.large_string()), name
    return table.to_pylist()


def judge_records(spark: SparkSession, event: EventContract, *records: dict[str, Any]) -> list[dict[str, Any]]:
    return judge(spark, event, lines_of([to_line(record) for record in records]))


def breaches(event: EventContract) -> dict[str, dict[str, Any]]:
    """For each rule of the event type's silver table, what to change in a good record to break it."""
    changes: dict[str, dict[str, Any]] = {
        "line_readable": {"tag": 7},
        "event_in_landed_hour": {"ts": HOUR_MILLISECONDS + HOUR_LENGTH_MILLISECONDS},
        "user_block_whole": {"lastName": None},
        "user_block_exactly_on_success": {"success": False},
        "user_block_exactly_when_known": {"auth": "Guest"},
        "song_block_exactly_on_next_song": {"page": "Home"},
        "place_whole": {"lat": None},
        "place_or_location": dict.fromkeys(("city", "state", "zip", "lon", "lat")),
        "user_agent_of_listener": {"userAgent": None},
    }
    for field in event.fields:
        name, column = field.column.name, field.column
        changes[f"{name}_present"] = {field.key: None}
        changes[f"{name}_allowed"] = {field.key: 999 if field.key_type is ColumnType.LONG else "another"}
        changes[f"{name}_pattern"] = {field.key: "7330"}
        changes[f"{name}_range"] = {
            field.key: 2**62 if column.type is ColumnType.TIMESTAMP else (column.minimum or 0) - 1
        }
        changes[f"{name}_not_blank"] = {field.key: "\u3000"}
        changes[f"{name}_length"] = {field.key: "x" * 20_000}
    return {rule.name: changes[rule.name] for rule in silver_contract(event).rules}


@pytest.mark.parametrize("event", EVENT_CONTRACTS.values(), ids=lambda event: event.name)
def test_a_good_record_is_typed(spark: SparkSession, event: EventContract) -> None:
    [row] = judge_records(spark, event, good_record(event, tag="demo"))
    assert row[DESTINATION_COLUMN] == "silver"
    assert row["event_time"] == HOUR + timedelta(minutes=10)
    assert row["user_agent"] == USER_AGENT.strip('"')
    assert (row["device"], row["operating_system"], row["browser"]) == ("Other", "Windows", "Chrome")
    assert row["registered_at"] == datetime.fromtimestamp(1_790_000_000, tz=UTC)
    assert (row["session_id"], row["item_in_session"], row["tag"], row["zip"]) == (7, 3, "demo", "73301")
    assert row["rule"] is row["broken_rules"] is row["detail"] is row["raw"] is None
    if event is STATUS_CHANGE_EVENTS:
        assert (row["previous_level"], row["new_level"]) == ("paid", "free")


@pytest.mark.parametrize("event", EVENT_CONTRACTS.values(), ids=lambda event: event.name)
def test_each_broken_rule_leads_to_quarantine_by_its_name(spark: SparkSession, event: EventContract) -> None:
    changes = breaches(event)
    records = [good_record(event), *(good_record(event, **change) for change in changes.values())]
    good, *broken = judge_records(spark, event, *records)
    assert good[DESTINATION_COLUMN] == "silver"
    for rule, record, row in zip(changes, records[1:], broken, strict=True):
        assert row[DESTINATION_COLUMN] == "quarantine", rule
        assert row["rule"] == rule
        assert row["broken_rules"].split(",")[0] == rule
        assert json.loads(row["raw"]) == record, rule
        assert any(key in row["detail"] for key in changes[rule])
        assert row["detail"].startswith("wrong_type: " if rule == "line_readable" else f"{rule}: ")
    assert broken[list(changes).index("line_readable")]["detail"] == "wrong_type: tag: expected string, found number 7"


def test_a_value_that_could_not_be_read_is_not_listed_as_absent(spark: SparkSession) -> None:
    records = {
        "line_readable": good_record(AUTH_EVENTS, ts="x", userId="5", city=7, registration=[]),
        "line_readable,zip_pattern": good_record(AUTH_EVENTS, level=True, zip="7"),
        "line_readable,session_id_present": good_record(AUTH_EVENTS, firstName=1, sessionId=None),
        "line_readable,user_agent_of_listener": good_record(
            AUTH_EVENTS, userAgent=None, unknown={"city": "x"}, lat="x"
        ),
    }
    rows = judge_records(spark, AUTH_EVENTS, *records.values())
    assert [row["broken_rules"] for row in rows] == list(records)
    for line in (b"broken", b"[]", b'{"city":"\xff"}', b'{"ts":1,"ts":2}'):  # of these nothing at all is known
        [row] = judge(spark, AUTH_EVENTS, lines_of([line]))
        assert (row["rule"], row["broken_rules"]) == ("line_readable", "line_readable")


def test_the_values_at_the_edges_of_a_rule_obey_it(spark: SparkSession) -> None:
    edges = [
        {"ts": HOUR_MILLISECONDS}, {"ts": HOUR_MILLISECONDS + HOUR_LENGTH_MILLISECONDS - 1}, {"lon": -180}, {"lon": 180},
        {"lat": 90}, {"zip": "00000"}, {"itemInSession": 0}, {"sessionId": 1}, {"userId": 0}, {"duration": 0},
        {"duration": 86_400}, {"registration": -2_208_988_800_000}, {"registration": 7_258_118_399_999},
        {"itemInSession": 2**31 - 1},
        {"song": "x" * 1_000}, {"song": "?"}, {"song": "\U0001f600"}, {"city": "\u00a0é"},
        {"registration": HOUR_MILLISECONDS + 10**9}, {"sessionId": 2**63 - 1},
    ]  # fmt: skip
    rows = judge_records(spark, LISTEN_EVENTS, *(good_record(LISTEN_EVENTS, **edge) for edge in edges))
    assert [row["broken_rules"] for row in rows] == [None] * len(edges)


def test_numbers_beyond_what_a_column_holds_are_quarantined(spark: SparkSession) -> None:
    """Each is a legal 64 bit integer; none may overflow or stop the hour."""
    changes = [
        {key: value}
        for key in ("ts", "registration")
        for value in (2**63 - 1, -(2**63), 10**17, 10**15, -(10**14), 9_223_372_036_854_775, 9_223_372_036_854_776)
    ]
    changes += [{"itemInSession": 2**31}, {"itemInSession": 2**63 - 1}, {"itemInSession": -(2**31) - 1}]
    records = [good_record(LISTEN_EVENTS, **change) for change in changes]
    *rows, good = judge_records(spark, LISTEN_EVENTS, *records, good_record(LISTEN_EVENTS))
    columns = {"ts": "event_time", "registration": "registered_at", "itemInSession": "item_in_session"}
    for change, record, row in zip(changes, records, rows, strict=True):
        [key] = change
        assert row["rule"] == f"{columns[key]}_range"
        assert f"{columns[key]}_present" not in row["broken_rules"].split(",")
        assert row["detail"].startswith(f"{columns[key]}_range: {key} is {change[key]}")
        assert json.loads(row["raw"]) == record
    assert good[DESTINATION_COLUMN] == "silver"


def test_text_is_repaired_in_text_columns_only(spark: SparkSession) -> None:
    changes = {
        "artist": "Lef\u00c3\u00a8vre", "song": '"It\u0019s \\"here\\""', "city": " Austin ", "lastName": "Bj\u00c3\u00b6rk",
        "firstName": "日本\u0085", "tag": "\u0007a",
    }  # fmt: skip
    repaired, unrepaired = judge_records(
        spark,
        LISTEN_EVENTS,
        good_record(LISTEN_EVENTS, **changes),
        good_record(LISTEN_EVENTS, zip=" 73301", auth='"Guest"'),
    )
    assert repaired["artist"] == "Lefèvre"
    assert repaired["song"] == 'It\'s "here"'
    assert repaired["city"] == "Austin"
    assert (repaired["last_name"], repaired["first_name"], repaired["tag"]) == ("Björk", "日本\u0085", "a")
    assert unrepaired["broken_rules"] == "auth_allowed,zip_pattern"


BLANK_TEXTS = (
    "", " ", "\t\n\r", "\u00a0", "\u3000", "\u200b", "\ufeff", "\u2060", "\u2003\u2009", "\u00ad", "\u200e\u202e",
    "\u0085", "\u0000",
    "\u0007\u001b", "\u009f", '"', '""', '\"\"\"', '" "', '"\\""', '"\u00a0"', "''", "\u201c\u201d",
    "\u00ab\u00bb",
    "\u2800", "\u3164", "\ufe0f",
    "\u00c2\u00a0",  # mojibake of a no-break space
)  # fmt: skip
TEXT_FIELDS = [(event, field) for event in EVENT_CONTRACTS.values() for field in event.fields if field.is_text]


@pytest.mark.parametrize(
    ("event", "field"), TEXT_FIELDS, ids=[f"{event.name}-{field.key}" for event, field in TEXT_FIELDS]
)
def test_a_blank_text_is_quarantined_by_a_rule_of_its_own(
    spark: SparkSession, event: EventContract, field: EventField
) -> None:
    records = [good_record(event, **{field.key: text}) for text in BLANK_TEXTS]
    rows = judge_records(spark, event, *records)
    if field.key == "tag":  # may be absent, and so a blank one is
        assert {(row[DESTINATION_COLUMN], row["tag"]) for row in rows} == {("silver", None)}
        return
    for text, record, row in zip(BLANK_TEXTS, records, rows, strict=True):
        assert row[DESTINATION_COLUMN] == "quarantine", ascii(text)
        assert row["broken_rules"] == f"{field.column.name}_not_blank"
        assert row["detail"].startswith(f'{field.column.name}_not_blank: {field.key} is "')
        assert row["detail"].isprintable()
        assert json.loads(row["raw"]) == record


def test_what_a_row_broke_is_shown_with_its_values(spark: SparkSession) -> None:
    changes = {
        "song_not_blank: song is \"\\u00a0\"": {"song": "\u00a0"},
        f'song_length: song is "{"é" * 79}… (20,000 characters)': {"song": "é" * 20_000},
        "registered_at_range: registration is 9999999999999": {"registration": 9_999_999_999_999},
        "item_in_session_range: itemInSession is 2147483648": {"itemInSession": 2**31},
        "latitude_range: lat is 95.5": {"lat": 95.5},
        "longitude_range: lon is -1e+300": {"lon": -1e300},
        "latitude_range: lat is 96.0": {"lat": 96.0},
        "level_allowed: level is \"Paid\"": {"level": "Paid"},
        "session_id_present: sessionId is absent; state_pattern: state is \"Texas\"": {"sessionId": None, "state": "Texas"},
        "user_agent_of_listener: userAgent is absent, userId is 5": {"userAgent": None},
        "event_in_landed_hour: ts is 1793512800000 (2026-11-01 06:00:00 UTC)": {
            "ts": HOUR_MILLISECONDS + HOUR_LENGTH_MILLISECONDS
        },
        "duration_seconds_range: duration is -0.25": {"duration": -0.25},
    }  # fmt: skip
    rows = judge_records(spark, LISTEN_EVENTS, *(good_record(LISTEN_EVENTS, **change) for change in changes.values()))
    assert [row["detail"] for row in rows] == list(changes)
    [incomplete] = judge_records(spark, AUTH_EVENTS, good_record(AUTH_EVENTS, lastName=None, gender=None))
    assert incomplete["detail"].startswith(
        'user_block_whole: userId is 5, lastName is absent, firstName is "Jane", gender is absent,'
    )


NUMBERS_AS_THEY_STAND = (  # rule, key, text, and what stands behind it in the detail
    ("item_in_session_range", "itemInSession", "3e9", ""), ("item_in_session_range", "itemInSession", "-1.0", ""),
    ("item_in_session_range", "itemInSession", "2147483648.000", ""), ("session_id_range", "sessionId", "-7E0", ""),
    ("user_id_range", "userId", "-5.0", ""), ("registered_at_range", "registration", "8.9e15", ""),
    ("duration_seconds_range", "duration", "86400.50", ""), ("duration_seconds_range", "duration", "-1", ""),
    ("latitude_range", "lat", "95", ""), ("latitude_range", "lat", "95.50", ""), ("latitude_range", "lat", "9.55E1", ""),
    ("latitude_range", "lat", "95.50000000000000000001", ""), ("longitude_range", "lon", "-1e300", ""),
    ("longitude_range", "lon", "-181.0", ""),
    ("event_in_landed_hour", "ts", "1793512800000.0", " (2026-11-01 06:00:00 UTC)"),
    ("event_in_landed_hour", "ts", "1.7935128e12", " (2026-11-01 06:00:00 UTC)"),
)  # fmt: skip


@pytest.mark.parametrize("is_slow", [False, True], ids=["in blocks", "one by one"])
def test_a_number_is_shown_as_it_stands_in_the_line(spark: SparkSession, is_slow: bool) -> None:
    lines = [_with_number(LISTEN_EVENTS, key, text) for _, key, text, _ in NUMBERS_AS_THEY_STAND]
    rows = judge(spark, LISTEN_EVENTS, lines_of([*lines, *([b"broken"] if is_slow else [])]))
    for (rule, key, text, behind), line, row in zip(NUMBERS_AS_THEY_STAND, lines, rows, strict=False):
        assert (row["broken_rules"], row["detail"]) == (rule, f"{rule}: {key} is {text}{behind}")
        if text != "-181.0":  # what is written canonically is rebuilt from the values
            assert row["raw"] == line.decode()


def test_rules_of_several_fields_show_their_numbers_as_they_stand(spark: SparkSession) -> None:
    line = _with_number(PAGE_VIEW_EVENTS, "duration", "181.50", page="Home")
    status = _with_number(PAGE_VIEW_EVENTS, "status", "5.00e2")
    user = _with_number(PAGE_VIEW_EVENTS, "userId", "5.0", lastName=None)
    rows = judge(spark, PAGE_VIEW_EVENTS, lines_of([line, status, user]))
    assert rows[0]["detail"].endswith("duration is 181.50")
    assert rows[1]["detail"] == "status_allowed: status is 5.00e2"
    assert "userId is 5.0, lastName is absent" in rows[2]["detail"]
    [beyond] = judge(spark, PAGE_VIEW_EVENTS, lines_of([_with_number(PAGE_VIEW_EVENTS, "lat", "95." + "50" * 500)]))
    assert beyond["detail"] == f"latitude_range: lat is {('95.' + '50' * 500)[:80]}… (1,003 characters)"


def test_a_good_line_with_such_a_number_is_a_good_row(spark: SparkSession) -> None:
    lines = [_with_number(LISTEN_EVENTS, "duration", text) for text in ("171.59791", "171.597910", "1.7159791e2")]
    rows = judge(spark, LISTEN_EVENTS, lines_of(lines))
    assert [row[DESTINATION_COLUMN] for row in rows] == ["silver", "duplicate", "duplicate"]
    assert rows[0]["raw"] is rows[0]["detail"] is None


def _with_number(event: EventContract, key: str, text: str, **changes: Any) -> bytes:
    """A good record's line with a number written in a certain way."""
    return to_line(good_record(event, **changes, **{key: "THE NUMBER"})).replace(b'"THE NUMBER"', text.encode())


ANY_VALUE = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6) | st.sampled_from(["", "\u3000", "x" * 5_000, 10**13, 2**31, -1, 1e308, [], {}])
)  # fmt: skip


@given(event=st.sampled_from(list(EVENT_CONTRACTS.values())), data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_quarantined_row_names_what_it_broke_and_shows_it(
    spark: SparkSession, event: EventContract, data: st.DataObject
) -> None:
    changes = data.draw(
        st.lists(
            st.dictionaries(st.sampled_from(event.keys), ANY_VALUE, min_size=1, max_size=2), min_size=5, max_size=15
        )
    )
    rows = judge_records(spark, event, *(good_record(event, **change) for change in changes))
    for change, row in zip(changes, rows, strict=True):
        if row[DESTINATION_COLUMN] != "quarantine":
            continue
        assert row["detail"].strip()
        assert any(key in row["detail"] for key in change)
        if not row["detail"].startswith("wrong_type"):
            for rule, told in zip(row["broken_rules"].split(","), row["detail"].split("; "), strict=False):
                assert told.startswith(f"{rule}: ")


@pytest.mark.parametrize("event", EVENT_CONTRACTS.values(), ids=lambda event: event.name)
def test_event_id_differs_where_any_field_differs(spark: SparkSession, event: EventContract) -> None:
    record = good_record(event, tag="demo", location="Austin-Round Rock, TX")
    records = [record]
    for field in event.fields:
        changed = OTHER_VALUES[field.key_type]
        changed = record[field.key] + 1 if field.key_type is ColumnType.LONG else changed
        records += [record | {field.key: changed}, {key: value for key, value in record.items() if key != field.key}]
        if field.key_type is ColumnType.STRING:
            records += [record | {field.key: text} for text in ("", "\u0000", "\u001f", " ")]
        elif field.key_type is not ColumnType.BOOLEAN:
            records.append(record | {field.key: 0})
    records += [record | {"unknown": value} for value in (None, 1, 1.5, "", {"a": 1}, {"a": 2})]
    identities = [row["event_id"] for row in judge_records(spark, event, *records)]
    twice = [identity for identity, times in Counter(identities).items() if times > 1]
    assert twice == []


def test_event_id_of_text_that_looks_like_several_fields(spark: SparkSession) -> None:
    records = [
        good_record(LISTEN_EVENTS, city="a", zip="b\u001fc"),
        good_record(LISTEN_EVENTS, city="a\u001fb", zip="c"),
        good_record(LISTEN_EVENTS, city="\u0000", zip=None),
        good_record(LISTEN_EVENTS, city=None, zip="\u0000"),
        good_record(LISTEN_EVENTS, city=None, zip=None),
        good_record(LISTEN_EVENTS, lon=1.5, lat=None),
        good_record(LISTEN_EVENTS, lon=None, lat=1.5),
    ]
    assert len({row["event_id"] for row in judge_records(spark, LISTEN_EVENTS, *records)}) == len(records)


def test_event_id_is_that_of_the_record_and_not_of_its_spelling(spark: SparkSession) -> None:
    record = good_record(LISTEN_EVENTS, artist="é", lon=0.0)
    spellings = [
        to_line(record),
        json.dumps(record).encode(),
        json.dumps(dict(reversed(record.items())), indent=None, separators=(" , ", " : ")).encode(),
        to_line(record | {"lon": 0}),
        to_line(record).replace(b'"lon":0.0', b'"lon":-0.0'),
        to_line(record).replace(b'"userId":5', b'"userId":5.0').replace(b"1790000000000", b"1.79e12"),
        to_line(record | {"tag": None}),
    ]
    rows = judge(spark, LISTEN_EVENTS, *(lines_of([line], object_key=str(at)) for at, line in enumerate(spellings)))
    assert len({row["event_id"] for row in rows}) == 1
    assert [row[DESTINATION_COLUMN] for row in rows] == ["silver"] + ["duplicate"] * (len(rows) - 1)


def test_event_id_differs_by_event_type(spark: SparkSession) -> None:
    line = b'{"ts":1}'
    identities = {judge(spark, event, lines_of([line]))[0]["event_id"] for event in EVENT_CONTRACTS.values()}
    assert len(identities) == len(EVENT_CONTRACTS)


def test_event_id_never_changes(spark: SparkSession) -> None:
    """Readers keep event ids; whoever changes how they are made breaks this on purpose, with a new transform version."""
    [row] = judge_records(spark, LISTEN_EVENTS, good_record(LISTEN_EVENTS, city=None, artist="Björk"))
    assert row["event_id"] == "8cee57608aad62ac8f5ee27823b55bfe"


def test_the_first_landed_of_equal_events_stays(spark: SparkSession) -> None:
    first, second = to_line(good_record(AUTH_EVENTS)), to_line(good_record(AUTH_EVENTS, itemInSession=4))
    rows = judge(
        spark,
        AUTH_EVENTS,
        lines_of([second, first, second], object_key="b"),
        lines_of([first, first], object_key="a"),
    )
    assert [(row["_object"], row["_line_number"], row[DESTINATION_COLUMN]) for row in rows] == [
        ("a", 1, "silver"), ("a", 2, "duplicate"), ("b", 1, "silver"), ("b", 2, "duplicate"), ("b", 3, "duplicate"),
    ]  # fmt: skip


def test_equal_events_of_two_hours_are_none_of_each_other_s_duplicates(spark: SparkSession) -> None:
    line = to_line(good_record(AUTH_EVENTS))
    right, wrong = judge(
        spark, AUTH_EVENTS, lines_of([line]), lines_of([line], hour=HOUR + timedelta(hours=1), object_key="later")
    )
    assert right[DESTINATION_COLUMN] == "silver"
    assert (wrong[DESTINATION_COLUMN], wrong["rule"]) == ("quarantine", "event_in_landed_hour")
    assert wrong["event_id"] == right["event_id"]


def test_lines_at_fault_are_no_duplicates(spark: SparkSession) -> None:
    wrong_type = to_line(good_record(AUTH_EVENTS) | {"success": "yes"})
    rows = judge(spark, AUTH_EVENTS, *(lines_of([b"broken", b"broken", wrong_type], object_key=key) for key in "ab"))
    assert [row[DESTINATION_COLUMN] for row in rows] == ["quarantine"] * 6
    assert len({row["event_id"] for row in rows}) == 6
    assert [row["raw"] for row in rows] == ["broken", "broken", wrong_type.decode()] * 2
    assert rows[0]["detail"].startswith("not_json: Expecting value")


def test_repeated_rows_that_break_a_rule_are_duplicates_too(spark: SparkSession) -> None:
    record = good_record(AUTH_EVENTS, level="gold")
    rows = judge_records(spark, AUTH_EVENTS, record, record)
    assert [row[DESTINATION_COLUMN] for row in rows] == ["quarantine", "duplicate"]


def test_the_raw_form_holds_what_the_contract_does_not_know(spark: SparkSession) -> None:
    records = [
        good_record(AUTH_EVENTS, level="gold", unknown={"a": [1, "é\u0085", None]}, Level="x"),
        good_record(AUTH_EVENTS, level="gold", city='"\\\u0019\n', tag="\u0000"),
        {"unknown": 1},
        {},
        good_record(PAGE_VIEW_EVENTS, level=None) | {"lon": 1e-7, "lat": 12345678.25},
    ]
    rows = judge_records(spark, AUTH_EVENTS, *records)
    assert [json.loads(row["raw"]) for row in rows] == records


def test_page_views_of_anonymous_listeners_and_other_pages(spark: SparkSession) -> None:
    anonymous = dict.fromkeys(("userId", "lastName", "firstName", "gender", "registration"))
    no_song: dict[str, Any] = dict.fromkeys(SONG_KEYS)
    rows = judge_records(
        spark,
        PAGE_VIEW_EVENTS,
        good_record(PAGE_VIEW_EVENTS, page="Home", **no_song),
        good_record(PAGE_VIEW_EVENTS, page="Home", auth="Guest", **anonymous, **no_song),
        good_record(PAGE_VIEW_EVENTS, page="Home", auth="Logged In", **anonymous, **no_song),
        good_record(PAGE_VIEW_EVENTS, page="NextSong", **no_song),
        good_record(PAGE_VIEW_EVENTS, duration=None),
    )
    assert [row["rule"] for row in rows] == [
        None, None, "user_block_exactly_when_known", "song_block_exactly_on_next_song", "song_block_exactly_on_next_song",
    ]  # fmt: skip


kinds_of_lines = st.sampled_from(["good", "same", "broken", "rule", "late", "unknown", "wrong_type"])


@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_rows_in_are_silver_and_duplicates_and_quarantine(spark: SparkSession, data: st.DataObject) -> None:
    event = data.draw(st.sampled_from(list(EVENT_CONTRACTS.values())))
    objects = data.draw(st.lists(st.lists(kinds_of_lines, min_size=1, max_size=8), min_size=1, max_size=4))
    lines: dict[str, bytes] = {
        "same": to_line(good_record(event, sessionId=1000)),
        "broken": b'{"ts":',
        "rule": to_line(good_record(event, gender="X")),
        "late": to_line(good_record(event, ts=HOUR_MILLISECONDS - 1)),
        "unknown": to_line(good_record(event, sessionId=1001, unknown=1)),
        "wrong_type": to_line(good_record(event, zip=7)),
    }
    wanted: Counter[str] = Counter()
    seen: set[str] = set()
    batches = []
    for at, kinds in enumerate(objects):
        made = []
        for kind in kinds:
            made.append(lines.get(kind) or to_line(good_record(event, userId=sum(wanted.values()))))
            if kind in seen and kind not in ("good", "broken", "wrong_type"):
                wanted["duplicate"] += 1
            else:
                wanted["silver" if kind in ("good", "same", "unknown") else "quarantine"] += 1
            seen.add(kind)
        batches.append(lines_of(made, object_key=f"object-{at}"))
    rows = judge(spark, event, *batches)
    assert Counter(row[DESTINATION_COLUMN] for row in rows) == wanted
    assert len(rows) == sum(batch.num_rows for batch in batches)
    in_silver = [row["event_id"] for row in rows if row[DESTINATION_COLUMN] == "silver"]
    assert len(set(in_silver)) == len(in_silver)


def test_no_row_gives_no_row(spark: SparkSession) -> None:
    assert judge(spark, AUTH_EVENTS, lines_of([])) == []


@pytest.mark.parametrize("event", EVENT_CONTRACTS.values(), ids=lambda event: event.name)
def test_a_metropolitan_area_stands_for_zip_and_coordinates(spark: SparkSession, event: EventContract) -> None:
    area = {"zip": None, "lat": None, "lon": None, "city": "New York-Newark-Jersey City", "state": "NY",
            "location": "New York-Newark-Jersey City, NY-NJ-PA"}  # fmt: skip
    without_place = area | {"city": None, "state": None, "location": "Somewhere"}
    found, unknown, older = judge_records(
        spark, event, good_record(event, **area), good_record(event, **without_place), good_record(event)
    )
    assert [row[DESTINATION_COLUMN] for row in (found, unknown, older)] == ["silver"] * 3
    assert (found["zip"], found["latitude"], found["longitude"]) == (None, None, None)
    assert (found["city"], found["state"], found["location"]) == (area["city"], area["state"], area["location"])
    assert (unknown["city"], unknown["location"]) == (None, "Somewhere")
    assert len({row["event_id"] for row in (found, unknown, older)}) == 3


def test_a_listener_who_is_logged_out_may_have_neither_place_nor_device(spark: SparkSession) -> None:
    absent = dict.fromkeys(("city", "state", "zip", "lon", "lat", "userAgent", *USER_KEYS, *SONG_KEYS))
    [row] = judge_records(
        spark, PAGE_VIEW_EVENTS, good_record(PAGE_VIEW_EVENTS, **absent, page="Home", auth="Logged Out")
    )
    assert row[DESTINATION_COLUMN] == "silver"
    assert (row["device"], row["operating_system"], row["browser"]) == ("Unknown",) * 3
