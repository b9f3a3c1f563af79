"""Sorting lines into hours: the fast path must agree with the exact parser on every line, odd ones above all."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from music_platform.landing.event_lines import HOUR_MS, hour_time, sort_block

_ARRIVAL = datetime(2026, 11, 24, 20, 11, 15, 703_999, tzinfo=UTC)
_TS = 1_793_491_201_000
_HOUR = _TS // HOUR_MS


def _sort(*lines: bytes) -> tuple[dict[int, list[bytes]], list[bytes]]:
    block = b"".join(line + b"\n" for line in lines)
    result = sort_block(block, "page_view_events", _ARRIVAL)
    assert result.lines == sum(bool(line.strip()) for line in block.replace(b"\xef\xbb\xbf", b"").split(b"\n"))
    hours = [group.hour for group in result.by_hour]
    assert hours == sorted(hours)
    by_hour: dict[int, list[bytes]] = defaultdict(list)
    for group in result.by_hour:
        assert group.content.endswith(b"\n")
        assert group.lines == group.content.count(b"\n")
        by_hour[group.hour] += group.content[:-1].split(b"\n")
    return dict(by_hour), result.errors


def _expected_hour(line: bytes) -> int | None:
    """What the collector's rules say of one line, in plain Python: its hour, or None for an error."""

    def refuse(_: str) -> None:
        raise ValueError

    try:
        record = json.loads(line.decode(), parse_constant=refuse)
    except ValueError:
        return None
    ts = record.get("ts") if isinstance(record, dict) else None
    if isinstance(ts, bool) or not isinstance(ts, int | float) or not 10**12 <= ts < 10**13:
        return None
    return int(ts) // HOUR_MS


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
_USUAL_TS = st.integers(10**12, 10**13 - 1)
_TS_VALUES = (
    _USUAL_TS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["x", None, True])
)
_RECORDS = st.tuples(
    st.dictionaries(
        st.sampled_from(["t", "s", "ts", "tsx", "a", "", '"ts":', "é", "\u2028"]) | st.text(max_size=3),
        _JSON,
        max_size=3,
    ),
    _TS_VALUES,
    st.dictionaries(st.text(max_size=3), _JSON, max_size=2),
).map(lambda parts: {**parts[0], "ts": parts[1], **parts[2]})


@st.composite
def _lines(draw: st.DrawFn) -> bytes:
    """JSON records in several spellings, some of them damaged."""
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    text = json.dumps(draw(_RECORDS), separators=separators, ensure_ascii=draw(st.booleans()))
    line = text.encode("utf-8", "backslashreplace")
    if draw(st.integers(0, 3)) == 0:
        position = draw(st.integers(0, len(line)))
        other = draw(
            st.binary(max_size=3) | st.sampled_from([b"}{", b"\0", b'"', b"\\", b",", b"0", b'"ts":1793491201000,'])
        )
        line = line[:position] + other + line[position + draw(st.integers(0, 2)) :]
    return line.replace(b"\n", b"").rstrip(b"\r")


@settings(max_examples=400, deadline=None)
@given(st.lists(_lines(), max_size=6))
@example([b'{"ts":1793491201000,"ts":5}'])
@example([b'{"\\u0074s":5,"ts":1793491201000}', b'{"ts":1793491201000,"\\u0074s":5}'])
@example([b'{"a":"\\"ts\\":1793491201000","ts":1793495201000}'])
@example([b'{"a\\"ts":1793491201000,"ts":1793495201000}'])
@example([b'{"ts":1793491201000,"a":01}', b'{"ts":1793491201000,"a":-}', b'{"ts":1793491201000,}'])
@example([b'{"ts":1793491201000}{"ts":1793491201000}', b'{"ts":1793491201000}\0'])
@example(
    [
        b'{"ts":1793491201000,"a":"\xff"}',
        b'{"ts":1793491201000,"a":"\xed\xa0\x80"}',
        b'{"ts":1793491201000,"a":"\xc0\x80"}',
    ]
)
@example([b'{"ts":01793491201000}', b'{"ts":17934912010000}', b'{"ts":179349120100}', b'{"ts":1793491201000.5}'])
def test_every_line_goes_where_the_exact_parser_says(lines: list[bytes]) -> None:
    lines = [line for line in lines if line.strip() and not line.startswith(b"[")]
    expected: dict[int, list[bytes]] = defaultdict(list)
    errors = 0
    for line in lines:
        hour = _expected_hour(line)
        if hour is None:
            errors += 1
        else:
            expected[hour].append(line)
    landed, error_records = _sort(*lines)
    assert landed == expected  # within an hour in the order of the input
    assert len(error_records) == errors


def test_lines_come_out_byte_for_byte_and_only_line_feeds_separate_them() -> None:
    line = '{"ts":1793491201000,"song":"a\x85b\u2028c\u00a0 \\u0019 \\" Lef\\u00c3\\u00a8vre Björk 日本"}'.encode()
    assert _sort(line, b'{"ts": 1793491201000, "spaces" : 1e-7}') == (
        {_HOUR: [line, b'{"ts": 1793491201000, "spaces" : 1e-7}']},
        [],
    )


def test_a_late_line_goes_to_its_own_hour_and_order_is_kept() -> None:
    lines = [b'{"ts":%d,"n":%d}' % (_TS + hours * HOUR_MS, n) for n, hours in enumerate([0, 0, 1, -40, 1, 0, 2])]
    landed, errors = _sort(*lines)
    assert not errors
    assert landed == {
        _HOUR - 40: [lines[3]],
        _HOUR: [lines[0], lines[1], lines[5]],
        _HOUR + 1: [lines[2], lines[4]],
        _HOUR + 2: [lines[6]],
    }


def test_hours_begin_at_whole_hours() -> None:
    landed, _ = _sort(
        b'{"ts":1793491199999}', b'{"ts":1793491200000}', b'{"ts":1000000000000}', b'{"ts":9999999999999}'
    )
    assert [f"{hour_time(hour):%Y-%m-%dT%H}" for hour in landed] == [
        "2001-09-09T01", "2026-10-31T23", "2026-11-01T00", "2286-11-20T17",
    ]  # fmt: skip


def _origin(record: bytes) -> dict[str, Any]:
    """What came in, of an error record whose other fields are as they must be."""
    parsed = json.loads(record)
    assert parsed.pop("__reason") == (
        "json_object" if set(parsed) == {"message", "__tag", "__time"} else "ts_epoch_milliseconds"
    )
    assert parsed.pop("__tag") == "eventsim.page_view_events"
    assert parsed.pop("__time") == "2026-11-24T20:11:15.703Z"
    return parsed


@pytest.mark.parametrize(
    "line",
    [b"null", b"42", b"not json", b'{"ts":', b'{"a":NaN,"ts":1793491201000}',
     b'{"ts":1793491201000,"a":"raw\ttab"}', b"[]", b"[" * 100_000, b'"quote \\" and \\\\"', b"{'ts':1793491201000}"],
    ids=lambda line: repr(line[:20]),
)  # fmt: skip
def test_a_line_that_is_no_record_is_kept_as_text(line: bytes) -> None:
    landed, errors = _sort(line)
    assert not landed
    assert [_origin(error) for error in errors] == [{"message": line.decode()}]


def test_bytes_that_are_no_utf8_stay_as_they_are() -> None:
    _, errors = _sort(b'{"ts":1793491201000,"page":"bad \xff\xfe"}')
    assert errors[0].startswith(
        b'{"message":"{\\"ts\\":1793491201000,\\"page\\":\\"bad \xff\xfe\\"}","__reason":"json_object","__tag":'
    )


@pytest.mark.parametrize(
    "line",
    [b"{}", b' { } ', b'{"page":"no ts"}', b'{"ts":1793491201}', b'{"ts":"1793491201000"}', b'{"ts":null,"f":1e-7}',
     b'{"ts":true}', b'{"ts":[1793491201000]}', b'{"ts":1e400}', b'{"ts":-1793491201000}', b'{"ts":10000000000000}'],
)  # fmt: skip
def test_a_record_without_usable_ts_is_kept_with_two_more_fields(line: bytes) -> None:
    landed, errors = _sort(line)
    assert not landed
    assert [_origin(error) for error in errors] == [json.loads(line)]


@pytest.mark.parametrize(
    "text",
    ["1793494799999.9999999999", "1.7934947999999999999999e12", "1793494799999.9e0", "17934947999999999999999e-10"],
)
def test_the_fraction_of_ts_is_cut_off_exactly(text: str) -> None:
    """As floats, these are the first millisecond of the next hour."""
    line = b'{"ts":%b}' % text.encode()
    assert _sort(line)[0] == {_HOUR: [line]}
    assert _sort(b"[%b]" % line)[0] == {_HOUR: [line]}


@pytest.mark.parametrize(
    "text", ["999999999999.9999999999", "10000000000000.0", "1e999999999", "1e99999999999999999999", "-1793494799999.5"]
)
def test_a_ts_that_is_out_of_range_however_it_is_written_is_no_event(text: str) -> None:
    by_hour, errors = _sort(b'{"ts":%b}' % text.encode())
    assert (by_hour, len(errors)) == ({}, 1)
    assert _sort(b'{"ts":9999999999999.9999999999}')[1] == []


def test_objects_with_marks_between_them_are_events_by_themselves() -> None:
    mark = "\ufeff".encode()
    one, other, text = (
        b'{"ts":1793491201000}',
        b'{"ts":1793491202000, "a":1.50}',
        b'{"ts":1793491203000,"a":"}\xef\xbb\xbf{"}',
    )
    assert _sort(one + mark + other)[0] == {_HOUR: [one, other]}
    assert _sort(mark + one + b" " + mark + mark + other + mark + text + b"\r")[0] == {_HOUR: [one, other, text]}
    assert _sort(text)[0] == {_HOUR: [text]}
    by_hour, errors = _sort(one + mark + b'{"page":"Home"}')  # one of them is no event
    assert (by_hour, len(errors)) == ({_HOUR: [one]}, 1)
    for broken in (one + mark + b'{"ts":', b'{"a":' + one + mark + other, one + mark + b"[1]", one + b" " + other):
        by_hour, [error] = _sort(broken)
        assert by_hour == {}
        assert b"json_object" in error


def test_ts_may_be_a_number_with_a_fraction() -> None:
    assert _sort(b'{"ts":1793491201000.9}', b'{"ts":1.793491201e12}')[0] == {
        _HOUR: [b'{"ts":1793491201000.9}', b'{"ts":1.793491201e12}']
    }


def test_the_elements_of_an_array_are_taken_one_by_one() -> None:
    line = b'[{"ts":1793491201000, "a":"\\ud800\xc3\xa9"}, 1, {"ts":5}]'
    landed, errors = _sort(line, b'{"ts":1793491201000}')
    assert landed == {_HOUR: [b'{"ts":1793491201000}', b'{"ts":1793491201000, "a":"\\ud800\xc3\xa9"}']}
    assert [_origin(error) for error in errors] == [{"message": "1"}, {"ts": 5}]


@pytest.mark.parametrize(
    "element",
    [b'{"ts":1793491201000,"userId":9007199254740993.0}', b'{"ts":1.793491201e12,"x":1.50}', b'{"ts":1793491201000,"x":1e400}',
     b'{"ts":1793491201000,"x":[{"y":-1e400}, "],"]}'],
)  # fmt: skip
def test_every_digit_of_an_element_stays(element: bytes) -> None:
    landed, errors = _sort(b" [ " + element + b',\t{"ts":1793491201000}] ')
    assert landed == {_HOUR: [element, b'{"ts":1793491201000}']}
    assert not errors


def test_a_carriage_return_before_the_line_feed_goes() -> None:
    assert _sort(b'{"ts":1793491201000}\r', b"\r")[0] == {_HOUR: [b'{"ts":1793491201000}']}


@pytest.mark.parametrize(
    "blank", [b"", b"   ", b"\t", b"\r", b" \r", b"\x0b\x0c", b"\xef\xbb\xbf", b"\xef\xbb\xbf \r", b" \xef\xbb\xbf\t"]
)
def test_blank_lines_are_nothing(blank: bytes) -> None:
    event = b'{"ts":1793491201000}'
    assert _sort(blank, event, blank, blank, event, blank) == ({_HOUR: [event, event]}, [])


def test_a_byte_order_mark_before_a_record_goes() -> None:
    mark = b"\xef\xbb\xbf"
    inside = '{"ts":1793491201000,"a":"\ufeffx\ufeff"}'.encode()
    lines = [
        mark + inside,
        inside,
        mark + mark + inside + b"\r",
        b" " + mark + b" " + inside,
        mark + b"[" + inside + b"]",
    ]
    landed, errors = _sort(*lines, mark + b"broken", mark + b'{"ts":5}')
    assert landed == {_HOUR: [inside, inside, inside, b" " + inside, inside]}
    assert [_origin(error) for error in errors] == [{"message": "broken"}, {"ts": 5}]


def test_an_empty_block_has_nothing() -> None:
    assert _sort() == ({}, [])
