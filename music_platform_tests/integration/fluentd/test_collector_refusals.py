"""What is no event becomes an error record by itself, and no more than came in."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter

import pytest

from music_platform.landing.error_records import judge
from music_platform_tests.integration.fluentd.collector import FIRST_TS, Collector, event, packed

pytestmark = pytest.mark.integration


def test_a_record_that_cannot_be_written_is_an_error_record_by_itself(collector: Collector) -> None:
    deep = b'{"ts":%d,"a":%b}' % (FIRST_TS, b"[" * 300 + b"]" * 300)
    deepest = b'{"ts":%d,"a":%b}' % (FIRST_TS, b"[" * 50_000 + b"]" * 50_000)
    lines = [event(number) for number in range(100)]
    collector.append("page_view_events", *lines[:50], b'{"ts":%d,"x":1e400}' % FIRST_TS, deep, deepest, *lines[50:])
    collector.start()
    entries = [{"n": 1}, {"n": float("nan")}, {"n": float("-inf")}, "a text", 5, [6], {"n": 2}]
    records = [{"ts": FIRST_TS, **entry} if isinstance(entry, dict) else entry for entry in entries]
    collector.forward_entries("eventsim.listen_events", [[1, record] for record in records])
    # As one packed stream too.
    collector.forward_entries("eventsim.listen_events", b"".join(packed([1, record]) for record in records[2:5]))
    collector.wait_for_lines("page_view_events", lines)
    collector.wait_for_lines("listen_events", [b'{"ts":%d,"n":%d}' % (FIRST_TS, number) for number in (1, 2)])
    collector.wait_for(lambda: len(collector.errors()) >= 11, "eleven error records")
    found = Counter((record.raw, record.reason) for record in collector.errors())
    minus_infinity = (b'{"ts":%d,"n":-Infinity}' % FIRST_TS, "json_writable")
    assert found == {
        (b'{"ts":%d,"x":Infinity}' % FIRST_TS, "json_writable"): 1,
        (deep, "json_writable"): 1,
        (b'{"ts"=>%d, "a"=>Array}' % FIRST_TS, "json_writable"): 1,
        (b'{"ts":%d,"n":NaN}' % FIRST_TS, "json_writable"): 1,
        minus_infinity: 2,
        (b'"a text"', "json_object"): 2,
        (b"5", "json_object"): 2,
        (b"[6]", "json_object"): 1,
    }
    assert all(not judge(record).events for record in collector.errors() if record.raw != deep)


def test_a_request_becomes_no_more_than_it_was(collector: Collector) -> None:
    """Of an array each element that is no event is an error record of its own, and none holds the whole body."""
    collector.start()
    encoded = [json.dumps({"ts": FIRST_TS + number, "text": "y" * 400}) for number in range(1_000)]
    body = json.dumps(encoded).encode()
    sound = event(1)
    assert collector.post("eventsim.auth_events", body) == 200
    assert (
        collector.post("eventsim.status_change_events", b'[1,%b,[2,"z"],{},{"ts":%d,"n":1e400}]' % (sound, FIRST_TS))
        == 200
    )
    collector.append("page_view_events", b'[1,%b,[2,"z"]]' % sound)
    long_line, long_record = b"x" * 1_000_000, b'{"text":"%b"}' % (b"w" * 100_000)
    collector.append("listen_events", long_line, long_record)
    for event_type in ("status_change_events", "page_view_events"):
        collector.wait_for_lines(event_type, [sound])
    collector.wait_for(lambda: len(collector.errors()) >= 1_008, "1,008 error records")
    found = {record.tag: [] for record in collector.errors()}
    for record in collector.errors():
        found[record.tag].append(record)
    assert [record.raw for record in found["eventsim.auth_events"]] == [json.dumps(text).encode() for text in encoded]
    assert [record.raw for record in found["eventsim.page_view_events"]] == [b"1", b'[2,"z"]']
    assert {record.raw for record in found["eventsim.status_change_events"]} == {
        b"1", b'[2,"z"]', b"{}", b'{"ts":%d,"n":Infinity}' % FIRST_TS,
    }  # fmt: skip
    for cut, whole in zip(found["eventsim.listen_events"], (long_line, long_record), strict=True):
        assert (cut.raw, cut.size, cut.sha256) == (whole[:65_536], len(whole), hashlib.sha256(whole).hexdigest())
        assert cut.is_cut
        assert judge(cut).rule == cut.reason
    stored = sum(
        len(gzip.decompress(collector.store.get(found.key) or b"")) for found in collector.store.list("errors")
    )
    assert stored < 2 * len(body) + 4 * 65_536
    log = collector.log.read_bytes()
    assert len(log) < 20_000
    assert not any(text in log for text in (b"yyyy", b"xxxx", b"wwww"))
