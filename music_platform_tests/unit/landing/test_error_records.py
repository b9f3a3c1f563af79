"""Error records taken apart and judged: those of the collector, those of `music-platform land`, and what is none."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest

from music_platform.landing.error_records import ErrorRecord, judge, parse_error_record
from music_platform.landing.event_lines import sort_block

_TAG = "eventsim.page_view_events"
_TIME = datetime(2026, 11, 24, 20, 11, 15, 703_000, tzinfo=UTC)
_ORIGIN = b'"__tag":"eventsim.page_view_events","__time":"2026-11-24T20:11:15.703Z"}'
_GOOD = b'{"ts":1793491201000,"page":"Home"}'


@pytest.mark.parametrize(
    ("line", "raw"),
    [
        (b'{"message":"not json",' + _ORIGIN, b"not json"),
        (b'{"message":"",' + _ORIGIN, b""),
        (b'{"message":"{\\"ts\\":1,\\"a\\":\\"b\\\\n\\"}",' + _ORIGIN, b'{"ts":1,"a":"b\\n"}'),
        (b'{"message":"bad \xff\xfe",' + _ORIGIN, b"bad \xff\xfe"),
        (b'{"message":"two\\nlines \\ud800",' + _ORIGIN, b"two\nlines \\ud800"),
        (b'{"ts":"abc","f":1.50,"g":1e400,' + _ORIGIN, b'{"ts":"abc","f":1.50,"g":1e400}'),
        (b'{"message":"x","ts":5,' + _ORIGIN, b'{"message":"x","ts":5}'),
        (b'{"a":"\\",\\"__tag\\":\\"x",' + _ORIGIN, b'{"a":"\\",\\"__tag\\":\\"x"}'),
        (b"{" + _ORIGIN, b"{}"),
    ],
)
def test_what_came_in_is_taken_out_as_it_was(line: bytes, raw: bytes) -> None:
    assert parse_error_record(line) == ErrorRecord(raw, _TAG, None, _TIME)


def test_the_collector_s_reason_is_kept() -> None:
    found = parse_error_record(b'{"message":"x","__reason":"tag_known","__tag":"other","__time":"no time"}')
    assert found == ErrorRecord(b"x", "other", "tag_known", None)
    assert found is not None
    assert found.event_type is None


def test_a_record_whose_only_field_is_message_is_no_raw_line() -> None:
    for line in (b'{"message":"x"}', b'{"message":""}', b'{"message":"1793491201000"}'):
        [landed] = sort_block(line + b"\n", "page_view_events", _TIME).errors
        found = parse_error_record(landed.rstrip(b"\n"))
        assert found is not None
        assert (found.raw, found.reason) == (line, "ts_epoch_milliseconds")
        assert (judge(found).rule, judge(found).detail) == ("ts_epoch_milliseconds", "no ts")
    dumped = (
        b'{"message":"{\\"ts\\":1}","__reason":"ts_epoch_milliseconds",' + _ORIGIN
    )  # as the collector writes records
    found = parse_error_record(dumped)
    assert found is not None
    assert found.raw == b'{"ts":1}'


def test_size_and_digest_of_what_came_in_are_kept() -> None:
    digest = hashlib.sha256(b"abcdef").hexdigest()
    line = b'{"message":"abc","__reason":"json_object","__bytes":6,"__sha256":"%b",' % digest.encode() + _ORIGIN
    found = parse_error_record(line)
    assert found == ErrorRecord(b"abc", _TAG, "json_object", _TIME, 6, digest)
    assert found is not None
    assert found.is_cut
    assert judge(found).rule == "json_object"
    assert judge(found).detail == f"the first 3 of 6 bytes, sha256 {digest}"


@pytest.mark.parametrize(
    ("reason", "rule"),
    [("ts_epoch_milliseconds", "ts_epoch_milliseconds"), ("json_writable", "json_object"), (None, "json_object")],
)
def test_a_cut_record_is_no_event_whatever_its_beginning_holds(reason: str | None, rule: str) -> None:
    found = judge(ErrorRecord(_GOOD, _TAG, reason, _TIME, len(_GOOD) + 1, "0" * 64))
    assert (found.rule, found.events) == (rule, [])
    whole = judge(ErrorRecord(_GOOD, _TAG, reason, _TIME, len(_GOOD), "0" * 64))
    assert whole.rule == "accepted_by_collector"
    assert judge(ErrorRecord(_GOOD, "other", reason, _TIME, len(_GOOD) + 1, "0" * 64)).rule == "tag_known"


@pytest.mark.parametrize(
    "line",
    [b"", b"no json", b"{}", b'{"message":"x"}', b'{"message":"x","__tag":"t"}', _ORIGIN, b'{"message":"\\x",' + _ORIGIN,
     b'{"a":1,"__tag":"\\q","__time":"t"}'],
)  # fmt: skip
def test_other_lines_are_no_error_records(line: bytes) -> None:
    assert parse_error_record(line) is None


@pytest.mark.parametrize("line", [b"no json", b'{"a":1}', b'{"ts":"1793491201000"}', b"1", b'{"ts":1,"b":"\xff"}'])
def test_what_land_refuses_comes_back_and_is_judged_alike(line: bytes) -> None:
    [record] = sort_block(line + b"\n", "page_view_events", _TIME).errors
    found = parse_error_record(record.rstrip(b"\n"))
    assert found is not None
    assert (found.raw, found.tag, found.collected_at) == (line, _TAG, _TIME)
    assert judge(found).rule == found.reason


@pytest.mark.parametrize(
    ("raw", "rule", "detail"),
    [
        (b"not json", "json_object", "Expecting value"),
        (b'{"ts":NaN}', "json_object", "NaN is not JSON"),
        (b'{"ts":1793491201000,"a":"\xff"}', "json_object", "byte 0xff at position 25"),
        (b"42", "json_object", "found 42"),
        (b" \r", "json_object", "a blank line"),
        (b"\xef\xbb\xbf", "json_object", "a blank line"),
        (b'\xef\xbb\xbf{"ts":1793491201000,"a":"\xff"}', "json_object", "byte 0xff at position 25"),
        (b"[]", "json_object", "an empty array"),
        (b'[{"ts":1793491201000},"x"]', "json_object", 'found "x"'),
        (b"[" * 100_000, "json_object", "nested too deeply"),
        (b'{"ts":1793491201}', "ts_epoch_milliseconds", "ts: 1793491201"),
        (b'{"ts":"abc"}', "ts_epoch_milliseconds", 'ts: "abc"'),
        (b'{"ts":1.79e+30}', "ts_epoch_milliseconds", "ts: 1.79e+30"),
        (b'{"ts":9.0071992547409930}', "ts_epoch_milliseconds", "ts: 9.0071992547409930"),
        (b"[1.50]", "json_object", "found 1.50"),
        (b'{"page":"Home"}', "ts_epoch_milliseconds", "no ts"),
        (b'{"ts":1793491201000,"a":"line\nfeed"}', "json_object", "control character"),
    ],
)
def test_a_record_that_is_no_event_breaks_a_rule(raw: bytes, rule: str, detail: str) -> None:
    found = judge(ErrorRecord(raw, _TAG, None, _TIME))
    assert found.rule == rule
    assert detail in (found.detail or "")
    assert found.events == []


@pytest.mark.parametrize(
    "tag", ["eventsim", "eventsim.other", "other.page_view_events", "", "eventsim.page_view_events.x"]
)
def test_a_tag_that_is_no_event_type_goes_before_all_else(tag: str) -> None:
    found = judge(ErrorRecord(_GOOD, tag, None, _TIME))
    assert (found.rule, found.detail, found.events) == ("tag_known", f"tag {json.dumps(tag)}", [])


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        (_GOOD, [_GOOD]),
        (b"\xef\xbb\xbf" + _GOOD, [_GOOD]),
        (b"\xef\xbb\xbf[" + _GOOD + b"," + _GOOD + b"]", [_GOOD, _GOOD]),
        (b'{"ts":1.793491201e12,"userId":49.0}', [b'{"ts":1.793491201e12,"userId":49.0}']),
        (b'{"ts":1793491201000,\r\n "page":"Home"}', [b'{"ts":1793491201000,   "page":"Home"}']),
        (b'[{"ts":1793491201000},\n{"ts":1793494801000}]', [b'{"ts":1793491201000}', b'{"ts":1793494801000}']),
    ],
)
def test_a_record_that_is_an_event_gives_its_lines(raw: bytes, lines: list[bytes]) -> None:
    found = judge(ErrorRecord(raw, _TAG, None, _TIME))
    assert (found.rule, found.detail) == ("accepted_by_collector", None)
    assert [line for group in found.events for line in group.content.splitlines()] == lines
