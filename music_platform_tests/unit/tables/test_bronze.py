"""Bronze: every line is one row, whatever it holds; good values come through as they are, the rest with its fault."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from music_platform.landing.reader import LINES_SCHEMA
from music_platform.tables.bronze import BRONZE, FAULTS
from music_platform.tables.contract import ColumnType
from music_platform.tables.events import EVENT_CONTRACTS, EventContract
from music_platform.tables.events.auth_events import AUTH_EVENTS
from music_platform.tables.events.listen_events import LISTEN_EVENTS
from music_platform.tables.events.page_view_events import PAGE_VIEW_EVENTS
from music_platform.tables.schemas import arrow_schema
from music_platform.tables.transforms.bronze import LineParser, bronze_events
from music_platform_tests.unit.tables.sample_records import HOUR, good_record, lines_of, to_line

EVENTS = st.sampled_from(list(EVENT_CONTRACTS.values()))
LONGS = st.integers(-(2**63), 2**63 - 1)
_VALUES = {
    ColumnType.STRING: st.text(max_size=12),
    ColumnType.LONG: LONGS,
    ColumnType.DOUBLE: st.floats(allow_nan=False, allow_infinity=False) | LONGS,
    ColumnType.BOOLEAN: st.booleans(),
}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


class FastParser(LineParser):
    """Refuses to read lines one by one."""

    def _parse_line(self, line: bytes) -> dict[str, Any]:
        raise AssertionError(f"Arrow did not read {line!r}")


def parse(event: EventContract, *lines: bytes) -> list[dict[str, Any]]:
    """The rows of lines, of which the block reader refuses at least one."""
    batch = LineParser(event).parse(lines_of(lines))
    batch.validate(full=True)
    return batch.to_pylist()


@st.composite
def good_lines(draw: st.DrawFn, event: EventContract) -> bytes:
    """A line with values of the contract's types, keys in any order, some null or absent, written in various ways."""
    record = {
        field.key: draw(st.none() | _VALUES[field.key_type])
        for field in draw(st.permutations(event.fields))
        if draw(st.booleans())
    }
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", "\t: ")]))
    text = json.dumps(record, ensure_ascii=draw(st.booleans()), separators=separators)
    if separators == (",", ":") and draw(st.booleans()):  # as pandas writes integers beside absent ones
        text = re.sub(r'("(?:ts|userId|status)":-?[0-9]{1,15})(?=[,}])', r"\1.0", text)
    return text.encode() + draw(st.sampled_from([b"", b"\r"]))


@given(data=st.data(), event=EVENTS)
@settings(max_examples=150, deadline=None)
def test_both_ways_of_reading_give_the_same_rows(data: st.DataObject, event: EventContract) -> None:
    lines = data.draw(st.lists(good_lines(event), min_size=1, max_size=5))
    fast = FastParser(event).parse(lines_of(lines))
    one_by_one = LineParser(event).parse(lines_of([*lines, b"broken"]))
    assert one_by_one.column("_fault").to_pylist() == [None] * len(lines) + ["not_json"]
    assert fast.equals(one_by_one.slice(0, len(lines)))
    assert list(map(repr, fast.to_pylist())) == list(map(repr, one_by_one.to_pylist()[:-1]))  # 0.0 and -0.0 differ


@given(event=EVENTS, lines=st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=5))
@settings(deadline=None)
def test_arbitrary_bytes_give_one_row_a_line(event: EventContract, lines: list[bytes]) -> None:
    rows = parse(event, *lines)
    assert [row["_line_number"] for row in rows] == list(range(1, len(lines) + 1))
    for line, row in zip(lines, rows, strict=True):
        assert row["_fault"] in FAULTS or line.strip().startswith(b"{")
        assert (row["_fault"] is None) == (row["_fault_detail"] is None)
        assert row["_fault"] is None or row["_raw"] is not None


@given(event=EVENTS, record=st.dictionaries(st.text(max_size=4) | st.sampled_from(AUTH_EVENTS.keys), ANY_JSON))
@settings(deadline=None)
def test_no_value_of_any_object_is_lost(event: EventContract, record: dict[str, Any]) -> None:
    [row] = parse(event, to_line(record))
    kept = json.loads(row["_rescued"] or "{}")
    for key, value in record.items():
        if key in event.keys and key not in kept:
            assert row[key] == value
            assert value is None or isinstance(value, bool) == isinstance(row[key], bool)
        else:
            assert kept[key] == value
    assert (row["_fault"] == "wrong_type") == bool(set(kept) & set(event.keys))
    if row["_raw"] is not None:
        assert json.loads(row["_raw"]) == record


@given(text=st.text(alphabet=st.characters(categories=["Cs", "Lu"]), min_size=1, max_size=4))
@settings(deadline=None)
def test_lone_surrogates_never_raise(text: str) -> None:
    line = json.dumps({"city": text, text: text}).encode()
    [row] = parse(AUTH_EVENTS, line)
    wanted = json.loads(line)
    is_text = not any("\ud800" <= character <= "\udfff" for character in wanted["city"])
    assert row["_fault"] == (None if is_text else "wrong_type")
    assert row["city"] == (wanted["city"] if is_text else None)
    assert json.loads(row["_rescued"]) | {"city": wanted["city"]} == wanted


@pytest.mark.parametrize(
    ("line", "fault", "detail"),
    [
        (b'{"city":"\xff"}', "not_utf8", "byte 0xff at position 9"),
        (b'{"city":"\xed\xa0\x80"}', "not_utf8", "byte 0xed at position 9"),  # a surrogate in CESU-8
        (b'{"city":', "not_json", "char 8"),
        (b'{"city":"a"} trailing', "not_json", "Extra data"),
        (b'{"city":"a"}{"city":"b"}', "not_json", "Extra data"),
        (b'{"city":"a\tb"}', "not_json", "control character"),
        (b'{"city":"a\x00b"}', "not_json", "control character"),
        (b'{"lon":NaN}', "not_json", "NaN is no JSON value"),
        (b'{"lon":Infinity}', "not_json", "Infinity is no JSON value"),
        (b'{"lon":-Infinity}', "not_json", "-Infinity is no JSON value"),
        (b'{"ts":01}', "not_json", "delimiter"),
        (b'{"unknown":' + b"[" * 200 + b"]" * 200 + b"}", "not_json", "nested more than 100 deep"),
        (b'{"city":' + b'{"a":' * 700 + b"1" + b"}" * 701, "not_json", "nested more than 100 deep"),
        (b"[" * 500_000, "not_json", "nested more than 100 deep"),
        (b'{"city":' + b"[" * 500_000, "not_json", "nested more than 100 deep"),
        (b"null", "not_an_object", "a JSON null"),
        (b"7", "not_an_object", "a JSON number"),
        (b"1e999", "not_an_object", "a JSON number"),
        (b'"text"', "not_an_object", "a JSON string"),
        (b"true", "not_an_object", "a JSON boolean"),
        (b'[{"ts":1}]', "not_an_object", "a JSON array"),
        (b'{"city":"a","zip":"b","city":"a"}', "duplicate_key", '"city" more than once'),
        (b'{"x":1,"city":"a","x":1,"city":"b"}', "duplicate_key", '"city", "x" more than once'),
        (b'{"unknown":{"a":1,"a":2}}', "duplicate_key", '"a" more than once'),
        (rb'{"\ud800":1,"\ud800":2}', "duplicate_key", r'"\ud800" more than once'),
        (b'{"ts":"1"}', "wrong_type", 'ts: expected bigint, found string "1"'),
        (b'{"ts":1.5}', "wrong_type", "ts: expected bigint, found number 1.5"),
        (b'{"ts":1.0000000000000000001}', "wrong_type", "ts: expected bigint, found number 1.0000000000000000001"),
        (b'{"ts":1e-400}', "wrong_type", "ts: expected bigint, found number 1e-400"),
        (
            b'{"ts":1.79e+30}',
            "wrong_type",
            "ts: expected bigint, found number 1.79e+30, beyond 9007199254740992 (2^53)",
        ),
        (b'{"ts":9007199254740993.0}', "wrong_type", "found number 9007199254740993.0, beyond 9007199254740992 (2^53)"),
        (b'{"ts":-9.007199254740993e15}', "wrong_type", "found number -9.007199254740993e15, beyond 9007199254740992"),
        (
            b'{"ts":1e99999999999999999999}',
            "wrong_type",
            "found number 1e99999999999999999999, beyond 9007199254740992",
        ),
        (b'{"ts":true}', "wrong_type", "ts: expected bigint, found boolean true"),
        (b'{"ts":9223372036854775808}', "wrong_type", "ts: expected bigint, found number 9223372036854775808"),
        (b'{"ts":-9223372036854775809}', "wrong_type", "ts: expected bigint, found number -9223372036854775809"),
        (b'{"ts":' + b"9" * 5000 + b"}", "wrong_type", "ts: expected bigint, found number 999"),
        (b'{"lon":1e400}', "wrong_type", "lon: expected double, found number 1e400"),
        (b'{"lon":1' + b"0" * 350 + b"}", "wrong_type", "lon: expected double, found number 1000"),
        (b'{"lon":false}', "wrong_type", "lon: expected double, found boolean false"),
        (b'{"city":7}', "wrong_type", "city: expected string, found number 7"),
        (b'{"city":{"a":[1,{}]}}', "wrong_type", 'city: expected string, found object {"a":[1,{}]}'),
        (b'{"city":["a"]}', "wrong_type", 'city: expected string, found array ["a"]'),
        (rb'{"city":"\ud800"}', "wrong_type", r'city: expected string, found string "\ud800"'),
        (b'{"success":1}', "wrong_type", "success: expected boolean, found number 1"),
        (b'{"success":"true","ts":"x"}', "wrong_type", 'success: expected boolean, found string "true"; ts: expected'),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
)
def test_each_fault_of_a_line_has_its_cause_and_detail(line: bytes, fault: str, detail: str) -> None:
    good = to_line(good_record(AUTH_EVENTS))
    before, row, after = parse(AUTH_EVENTS, good, line, good)
    assert row["_fault"] == fault
    assert detail in row["_fault_detail"]
    assert row["_raw"] == line.decode(errors="backslashreplace")
    assert row["_line_number"] == 2
    assert before["_fault"] is after["_fault"] is None
    assert before["sessionId"] == after["sessionId"] == 7


def test_a_fault_of_the_object_comes_from_the_reader_and_stays() -> None:
    lines = lines_of([to_line(good_record(AUTH_EVENTS)), b'{"ts":1}', b"", b'{"ts":2}'])
    for name in ("empty_object", "not_gzip", "truncated_gzip", "corrupt_gzip", "line_too_long"):
        faults = pa.array([None, name, name, None], pa.string())
        details = pa.array([None, "so it is", "so it is", None], pa.string())
        batch = pa.RecordBatch.from_arrays([lines.column(0), faults, details, *lines.columns[3:]], schema=LINES_SCHEMA)
        rows = LineParser(AUTH_EVENTS).parse(batch).to_pylist()
        assert [row["_fault"] for row in rows] == [None, name, name, None]
        assert [row["_fault_detail"] for row in rows] == [None, "so it is", "so it is", None]
        assert [row["_raw"] for row in rows] == [None, '{"ts":1}', "", None]
        assert [row["ts"] for row in rows][1:] == [None, None, 2]
    told_by_the_parser = {"not_utf8", "not_json", "not_an_object", "duplicate_key", "wrong_type"}
    told_by_the_reader = {"empty_object", "not_gzip", "truncated_gzip", "corrupt_gzip", "line_too_long"}
    assert set(FAULTS) == told_by_the_parser | told_by_the_reader


def test_unknown_fields_are_rescued_and_no_fault() -> None:
    line = (
        b'{"ts":1,"x":{"a":[1,2.5,"\xc3\xa9",null]},"SessionId":7,"TS":2,"":0,"big":1e400,"long":' + b"9" * 5000 + b"}"
    )
    [row] = parse(AUTH_EVENTS, line)
    assert row["_fault"] is None
    assert (row["ts"], row["sessionId"]) == (1, None)  # keys of another case are other keys
    assert '"big":1e400' in row["_rescued"]
    assert f'"long":{"9" * 5000}' in row["_rescued"]
    rescued = json.loads(row["_rescued"].replace("9" * 5000, "9"))
    assert rescued["x"] == {"a": [1, 2.5, "é", None]}
    assert (rescued["SessionId"], rescued["TS"], rescued[""]) == (7, 2, 0)


def test_nulls_are_absent_values() -> None:
    assert parse(AUTH_EVENTS, b'{"ts":null,"city":null,"success":null}', b"{}", b"broken")[:2] == [
        dict.fromkeys(arrow_schema(BRONZE["auth_events"].columns).names)
        | {"_object": "landed-object", "_line_number": number, "landed_hour": HOUR}
        for number in (1, 2)
    ]


@pytest.mark.parametrize("is_fast", [True, False])
@pytest.mark.parametrize(
    "text", ["a\u0085b", "a\u2028b\u2029", "\u0000", "It\u0019s", "\U0001f600", "\ufeff", "\u00a0"]
)
def test_text_comes_through_as_it_is(text: str, is_fast: bool) -> None:
    raw, escaped = to_line({"city": text}), json.dumps({"city": text}).encode()
    lines = [escaped] if text < " " or "\u0019" in text else [raw, escaped]
    lines = lines if is_fast else [*lines, b"broken"]
    rows = (FastParser if is_fast else LineParser)(AUTH_EVENTS).parse(lines_of(lines)).to_pylist()
    assert all(row["city"] == text for row in rows if row["_fault"] is None)
    assert sum(row["_fault"] is not None for row in rows) == (not is_fast)


def test_numbers_keep_their_value() -> None:
    lines = [b'{"ts":-9223372036854775808,"lon":5}', b'{"ts":9223372036854775807,"lon":-0}', b'{"ts":-0,"lon":-0.0}']
    for rows in (FastParser(AUTH_EVENTS).parse(lines_of(lines)).to_pylist(), parse(AUTH_EVENTS, *lines, b"broken")):
        assert [row["ts"] for row in rows][:3] == [-(2**63), 2**63 - 1, 0]
        assert [row["lon"] for row in rows][:3] == [5.0, 0.0, 0.0]
        assert [math.copysign(1, row["lon"]) for row in rows[:3]] == [1, 1, 1]


INTEGER_KEYS = [
    (event, field.key)
    for event in EVENT_CONTRACTS.values()
    for field in event.fields
    if field.key_type is ColumnType.LONG
]


@pytest.mark.parametrize(("event", "key"), INTEGER_KEYS, ids=[f"{event.name}-{key}" for event, key in INTEGER_KEYS])
def test_a_whole_number_is_an_integer_however_it_is_written(event: EventContract, key: str) -> None:
    spellings = {
        "49.0": 49, "4.9e1": 49, "490E-1": 49, "49.000000000000000000000": 49, "1793577600000.0": 1793577600000,
        "1.7935776e12": 1793577600000, "1e2": 100, "1E+2": 100, "-0.0": 0, "0e5": 0, "-4.9e1": -49,
        "9007199254740992.0": 2**53, "-9.007199254740992e15": -(2**53), "9007199254740993": 2**53 + 1,
    }  # fmt: skip
    rows = parse(event, *(b'{"%b":%b}' % (key.encode(), text.encode()) for text in spellings))
    assert [row["_fault"] for row in rows] == [None] * len(rows)
    assert [row[key] for row in rows] == list(spellings.values())


@given(number=st.integers(-(2**53), 2**53), exponent=st.integers(-3, 3))
@settings(deadline=None)
def test_what_other_programs_write_for_an_integer_is_read_back_exactly(number: int, exponent: int) -> None:
    power = f"{number * 10 ** max(exponent, 0)}e{-max(exponent, 0)}"
    [as_float, as_power] = parse(
        AUTH_EVENTS, b'{"ts":%b}' % repr(float(number)).encode(), b'{"ts":%b}' % power.encode()
    )
    assert as_float["ts"] == as_power["ts"] == number


def test_whole_numbers_as_pandas_writes_them_do_not_slow_a_block_down() -> None:
    spelled = b'"userId":49.0,"registration":1793577600000.0,"itemInSession": 7.00,"ts":-0.0'
    lines = [b"{%b}" % spelled, b'{"city":"\\"ts\\":1.0,\\"ts\\":2.0,","ts":5}', b'{"lon":7.0,"ts":6.0}']
    rows = FastParser(AUTH_EVENTS).parse(lines_of(lines)).to_pylist()
    assert [row["ts"] for row in rows] == [0, 5, 6]
    assert (rows[0]["userId"], rows[0]["registration"], rows[0]["itemInSession"]) == (49, 1793577600000, 7)
    assert rows[1]["city"] == '"ts":1.0,"ts":2.0,'
    for event in EVENT_CONTRACTS.values():
        wholes = [to_line({field.key: 3.0}) for field in event.fields if field.key_type is ColumnType.LONG]
        assert FastParser(event).parse(lines_of(wholes)).num_rows == len(wholes)


SPELLINGS = {  # of a double, and whether a line that has it is kept
    "95.5": False, "0.0": False, "-73.98765": False, "300.0": False, "0.0001": False, "1e-05": False, "1e+16": False,
    "40.71427840000001": False, "1234567890123456.0": False, "-1e+300": False,
    "95.50": True, "300": True, "-1": True, "300.00": True, "-0.0": True, "-0": True, "0.00001": True, "1e5": True, "1E+16": True,
    "9.55e1": True, "0.1000000000000000055511": True, "10000000000000000.0": True, "1e300": True,
}  # fmt: skip


@pytest.mark.parametrize("is_fast", [True, False])
@pytest.mark.parametrize("text", SPELLINGS)
def test_a_line_is_kept_where_a_number_is_not_written_as_its_value(text: str, is_fast: bool) -> None:
    spaced = f'{{"lon" : {text} , "city":"\\"lat\\":5,","ts":5}}\r'.encode()
    lines = [b'{"ts":7,"lat":%b}' % text.encode(), spaced, b'{"ts":7,"lat":1.5}', *([] if is_fast else [b"broken"])]
    rows = (FastParser if is_fast else LineParser)(AUTH_EVENTS).parse(lines_of(lines)).to_pylist()
    wanted = [lines[0].decode(), spaced.decode().rstrip("\r")] if SPELLINGS[text] else [None, None]
    assert [row["_raw"] for row in rows[:3]] == [*wanted, None]
    assert [row["_fault"] for row in rows[:3]] == [None] * 3


@pytest.mark.parametrize(("event", "key"), INTEGER_KEYS, ids=[f"{event.name}-{key}" for event, key in INTEGER_KEYS])
def test_a_line_is_kept_where_an_integer_is_written_as_another_number(event: EventContract, key: str) -> None:
    kept = ["49.0", "4.9e1", "490E-1", "-0", "1e2"]
    rows = parse(event, *(b'{"%b":%b}' % (key.encode(), text.encode()) for text in ["49", "0", "-7", *kept]))
    assert [row["_raw"] for row in rows] == [None] * 3 + [f'{{"{key}":{text}}}' for text in kept]


@given(number=st.floats(-1e300, 1e300), places=st.integers(0, 20), style=st.sampled_from("efg"))
@settings(deadline=None)
def test_all_ways_of_reading_keep_the_same_lines(number: float, places: int, style: str) -> None:
    text = f"{number:.{places}{style}}"
    line = b'{"ts":1,"lat":%b}' % text.encode()
    [fast] = FastParser(AUTH_EVENTS).parse(lines_of([line])).to_pylist()
    [one_by_one, _] = parse(AUTH_EVENTS, line, b"broken")
    assert fast == one_by_one
    assert (fast["_raw"] is None) == (text == repr(fast["lat"]))


@pytest.mark.parametrize("event", EVENT_CONTRACTS.values(), ids=lambda event: event.name)
def test_of_a_line_as_the_producers_write_it_nothing_is_kept(event: EventContract) -> None:
    rows = FastParser(event).parse(lines_of([to_line(good_record(event, lat=lat)) for lat in (30.2711, 30.0, 0.1)]))
    assert rows.column("_raw").null_count == 3


def test_numbers_that_the_contract_does_not_know_keep_their_text() -> None:
    [row] = parse(AUTH_EVENTS, b'{"ts":1,"x":1.50,"y":[1.79e+30,9007199254740993.0,-0.0]}')
    assert row["_rescued"] == '{"x":1.50,"y":[1.79e+30,9007199254740993.0,-0.0]}'


def test_records_of_a_megabyte() -> None:
    city = "x" * 1_000_000
    assert FastParser(AUTH_EVENTS).parse(lines_of([to_line({"city": city})])).to_pylist()[0]["city"] == city
    [unknown, wrong, broken] = parse(
        AUTH_EVENTS, to_line({"unknown": city}), to_line({"zip": 7, "city": city}), b'{"city":"' + city.encode()
    )
    assert json.loads(unknown["_rescued"]) == {"unknown": city}
    assert json.loads(wrong["_raw"]) == {"zip": 7, "city": city}
    assert broken["_raw"] == '{"city":"' + city


def test_what_is_kept_of_a_longer_line_at_fault_is_reported() -> None:
    [row] = parse(AUTH_EVENTS, b"x" * 2_000_000)
    assert row["_raw"] == "x" * 1_048_576
    assert "the first 1048576 of its 2000000 characters are kept" in row["_fault_detail"]


def test_windows_line_ends() -> None:
    rows = parse(AUTH_EVENTS, b'{"ts":1}\r', b'{"ts":2}\r\r', b"broken\r")
    assert [row["ts"] for row in rows] == [1, 2, None]
    assert rows[2]["_raw"] == "broken"


def test_one_bad_line_among_many_good_ones() -> None:
    good = [to_line(good_record(PAGE_VIEW_EVENTS, itemInSession=number)) for number in range(5000)]
    lines = [*good[:1234], b"broken", *good[1234:]]
    rows = parse(PAGE_VIEW_EVENTS, *lines)
    assert [row["itemInSession"] for row in rows if row["_fault"] is None] == list(range(5000))
    assert [row["_line_number"] for row in rows if row["_fault"] is not None] == [1235]


def test_objects_that_only_together_look_like_lines() -> None:
    """Each line begins with { and ends with }, and yet they are no records."""
    rows = parse(AUTH_EVENTS, b'{"ts":1},{"ts":2}', b'{"a":{}', b'{"ts":3} {"ts":4}', b'{"ts":5}')
    assert [row["_fault"] for row in rows] == ["not_json", "not_json", "not_json", None]


def test_no_line_no_row() -> None:
    batch = LineParser(LISTEN_EVENTS).parse(lines_of([]))
    assert batch.num_rows == 0
    assert batch.schema.equals(arrow_schema(BRONZE["listen_events"].columns))


@pytest.mark.parametrize("event", EVENT_CONTRACTS.values(), ids=lambda event: event.name)
def test_the_transform_gives_the_contract_s_columns(spark: SparkSession, event: EventContract) -> None:
    lines = [to_line(good_record(event)), b"broken", b'{"unknown":1}']
    table = bronze_events(spark.createDataFrame(pa.Table.from_batches([lines_of(lines)])), event).toArrow()
    wanted = arrow_schema(BRONZE[event.name].columns)
    assert table.schema.names == wanted.names
    rows = table.sort_by("_line_number").cast(wanted).to_pylist()
    assert {key: value for key, value in rows[0].items() if value is not None} == good_record(event) | {
        "_object": "landed-object", "_line_number": 1, "landed_hour": HOUR,
    }  # fmt: skip
    assert [row["_fault"] for row in rows] == [None, "not_json", None]
    assert rows[2]["_rescued"] == '{"unknown":1}'
