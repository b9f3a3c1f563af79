"""One hour that holds every bad input at once: its good lines reach silver, each bad one is in quarantine with its reason.

The hours beside it hold good lines and nothing at all; all are made in one range run.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest

from music_platform.settings import Settings
from music_platform_tests.assets.local_platform import (
    EMPTY_HOUR,
    HOUR,
    NEXT_HOUR,
    LocalPlatform,
    counts,
    evaluations,
    good_record,
    gzip_lines,
    milliseconds,
    to_line,
)

EVENT_TYPE = "page_view_events"
MEGABYTE = "x" * 1_000_000


@dataclass
class BadHour:
    """What was landed, and what must become of it."""

    platform: LocalPlatform
    run: dg.JobExecutionResult
    bronze_rows: int
    good: list[dict[str, Any]]
    duplicates: int
    bad: Counter[tuple[str, str | None]] = field(default_factory=Counter)  # (rule, fault) of the lines in quarantine

    def quarantined(self, rule: str, fault: str | None = None) -> list[dict[str, Any]]:
        rows = self.platform.rows(f"quarantine/{EVENT_TYPE}", HOUR)
        return [row for row in rows if row["rule"] == rule and (fault is None or row["detail"].startswith(fault))]


def _record(item: int, **changes: Any) -> dict[str, Any]:
    return good_record(EVENT_TYPE, itemInSession=item, **changes)


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> BadHour:
    platform = LocalPlatform(Settings(lake=str(tmp_path_factory.mktemp("bad_hour") / "lake")))
    good = [_record(item) for item in range(100)]
    good += [
        _record(100, song="a\u0085b\u2028c\u2029d", artist="\u0085x"),
        _record(101, song="x" * 1_000, userId=5, registration=1_790_000_000_000),
        _record(102, unknown={"a": [1, 2.5, "\u2028"]}, Level="also unknown"),
        _record(103, tag=None, ts=milliseconds(HOUR, minute=0)),
        _record(104, ts=milliseconds(NEXT_HOUR, minute=0) - 1),
    ]
    bad: list[tuple[bytes, str, str | None]] = [
        (b'{"ts":1793509800000,"sessionId":7,"page":"Ho', "line_readable", "not_json"),
        (b"not JSON at all", "line_readable", "not_json"),
        (to_line(_record(200)).replace(b"Debaser", b"Deb\xffser"), "line_readable", "not_utf8"),
        (b'["an array"]', "line_readable", "not_an_object"),
        (to_line(_record(201))[:-1] + b',"city":"Boston"}', "line_readable", "duplicate_key"),
        (to_line(_record(202, ts="yesterday")), "line_readable", "wrong_type"),
        (to_line(_record(203, sessionId=2**63)), "line_readable", "wrong_type"),
        (to_line(_record(204, lon=1.5)).replace(b"1.5", b"1e999"), "line_readable", "wrong_type"),
        (to_line(_record(205, zip=7)).replace(b"Debaser", MEGABYTE.encode()), "line_readable", "wrong_type"),
        (b'{"unknown":' + b"[" * 5000 + b"]" * 5000 + b"}", "line_readable", "not_json"),
        (to_line(_record(206) | {"level": None}), "level_present", None),
        (to_line(_record(207, sessionId=None, SessionId=7)), "session_id_present", None),
        (to_line(_record(208, userAgent=None)), "user_agent_of_listener", None),
        (to_line(_record(209, status=2**40)), "status_range", None),
        (to_line(_record(210, ts=2**62)), "event_time_range", None),
        (to_line(_record(215, song="\u3000")), "song_not_blank", None),
        (to_line(_record(216, song=MEGABYTE)), "song_length", None),
        (to_line(_record(217)).replace(b'"userId":5,', b'"userId":5.5,'), "line_readable", "wrong_type"),
        (to_line(_record(211, ts=milliseconds(NEXT_HOUR))), "event_in_landed_hour", None),
        (to_line(_record(212, ts=milliseconds(HOUR) - 86_400_000)), "event_in_landed_hour", None),
        (to_line(_record(213, page="Home")), "song_block_exactly_on_next_song", None),
        (b"{}", "event_time_present", None),
    ]
    lines = [to_line(record) for record in good]
    lines[101] = b"\xef\xbb\xbf" + lines[101].replace(b'"userId":5,', b'"userId":5.0,').replace(
        b"1790000000000", b"1.79e12"
    )
    mixed = [line for pair in zip(lines, [entry[0] for entry in bad], strict=False) for line in pair] + lines[
        len(bad) :
    ]
    platform.land(EVENT_TYPE, HOUR, gzip_lines([*mixed, lines[7], b"", b"  ", b"\x0b", b"\xef\xbb\xbf"]), chunk=1)
    platform.land(EVENT_TYPE, HOUR, gzip.compress(b"\r\n".join(lines[:10])), chunk=2)  # the same ten again
    platform.land(EVENT_TYPE, HOUR, gzip_lines(lines), chunk=3)  # the whole object again
    in_truncated = [_record(item) for item in range(1000, 3000)]
    truncated = gzip_lines(map(to_line, in_truncated))
    truncated = truncated[: len(truncated) // 2]
    salvaged = zlib.decompressobj(wbits=31).decompress(truncated).count(b"\n")
    assert 100 < salvaged < 1900
    platform.land(EVENT_TYPE, HOUR, truncated, chunk=4)
    platform.land(EVENT_TYPE, HOUR, b"", chunk=5)
    platform.land(EVENT_TYPE, HOUR, to_line(_record(214)) + b"\n", chunk=6)
    last = _record(300)
    platform.land(EVENT_TYPE, HOUR, gzip_lines([to_line(last)]) + b"junk", chunk=7)
    platform.land_records(EVENT_TYPE, NEXT_HOUR, [_record(item, ts=milliseconds(NEXT_HOUR)) for item in range(5)])

    run = platform.run(
        HOUR, EMPTY_HOUR, tables=[f"{layer}/{EVENT_TYPE}" for layer in ("bronze", "silver", "quarantine")]
    )
    faults = ("truncated_gzip", "empty_object", "not_gzip", "corrupt_gzip")
    return BadHour(
        platform=platform,
        run=run,
        bronze_rows=2 * len(lines) + len(bad) + 1 + 10 + salvaged + 1 + len(faults),
        good=[*good, *in_truncated[:salvaged], last],
        duplicates=1 + 10 + len(lines),
        bad=Counter([(rule, fault) for _, rule, fault in bad] + [("line_readable", fault) for fault in faults]),
    )


def test_every_good_line_is_in_silver_once(hour: BadHour) -> None:
    rows = hour.platform.rows(f"silver/{EVENT_TYPE}", HOUR)
    assert sorted(row["item_in_session"] for row in rows) == sorted(record["itemInSession"] for record in hour.good)
    by_item = {row["item_in_session"]: row for row in rows}
    assert by_item[100]["song"] == "a\u0085b\u2028c\u2029d"
    assert by_item[101]["song"] == "x" * 1_000
    assert (by_item[101]["user_id"], by_item[101]["registered_at"].timestamp()) == (5, 1_790_000_000)
    assert by_item[102]["level"] == "paid"
    rescued = [row for row in hour.platform.rows(f"bronze/{EVENT_TYPE}", HOUR) if row["itemInSession"] == 102]
    assert json.loads(rescued[0]["_rescued"]) == {"unknown": {"a": [1, 2.5, "\u2028"]}, "Level": "also unknown"}


def test_every_bad_line_is_in_quarantine_with_its_reason(hour: BadHour) -> None:
    rows = hour.platform.rows(f"quarantine/{EVENT_TYPE}", HOUR)
    reasons = Counter(
        (row["rule"], row["detail"].split(":")[0] if row["rule"] == "line_readable" else None) for row in rows
    )
    assert reasons == hour.bad
    assert all(row["detail"].startswith(f"{row['rule']}: ") for row in rows if row["rule"] != "line_readable")
    assert all(row["_object"].startswith(f"landing/{EVENT_TYPE}/dt=2026-11-01/hour=05/") for row in rows)


def test_the_reasons_name_column_and_value(hour: BadHour) -> None:
    details = {row["detail"] for row in hour.quarantined("line_readable", "wrong_type")}
    assert details == {
        'wrong_type: ts: expected bigint, found string "yesterday"',
        "wrong_type: sessionId: expected bigint, found number 9223372036854775808",
        "wrong_type: lon: expected double, found number 1e999",
        "wrong_type: zip: expected string, found number 7",
        "wrong_type: userId: expected bigint, found number 5.5",
    }
    [duplicate] = hour.quarantined("line_readable", "duplicate_key")
    assert duplicate["detail"] == 'duplicate_key: "city" more than once'
    [not_utf8] = hour.quarantined("line_readable", "not_utf8")
    assert r"Deb\xffser" in not_utf8["raw"]


def test_the_raw_form_of_what_could_be_read_is_the_record(hour: BadHour) -> None:
    [late] = [row for row in hour.quarantined("event_in_landed_hour") if json.loads(row["raw"])["itemInSession"] == 211]
    assert json.loads(late["raw"]) == _record(211, ts=milliseconds(NEXT_HOUR))
    [wrong_case] = hour.quarantined("session_id_present")
    assert json.loads(wrong_case["raw"]) == _record(207, sessionId=None, SessionId=7)
    [long] = [row for row in hour.quarantined("line_readable", "wrong_type") if "zip" in row["detail"]]
    assert json.loads(long["raw"]) == _record(205, zip=7, song=MEGABYTE)


def test_faults_of_objects_name_the_object_and_keep_what_is_left(hour: BadHour) -> None:
    [empty] = hour.quarantined("line_readable", "empty_object")
    assert empty["_object"].endswith(f"{5:032x}.json.gz")
    assert (empty["raw"], empty["_line_number"]) == ("", 1)
    [not_gzip] = hour.quarantined("line_readable", "not_gzip")
    assert json.loads(not_gzip["raw"]) == _record(214)
    [truncated] = hour.quarantined("line_readable", "truncated_gzip")
    assert "ends within its gzip stream" in truncated["detail"]
    assert to_line(_record(2999)).startswith(truncated["raw"][:10].encode())
    [corrupt] = hour.quarantined("line_readable", "corrupt_gzip")
    assert "4 bytes after the gzip stream" in corrupt["detail"]


def test_counts_reconcile_to_the_last_line(hour: BadHour) -> None:
    assert counts(hour.platform, EVENT_TYPE, HOUR) == {
        "bronze": hour.bronze_rows,
        "silver": len(hour.good),
        "duplicates": hour.duplicates,
        "quarantine": hour.bad.total(),
    }
    assert hour.bronze_rows == len(hour.good) + hour.duplicates + hour.bad.total()


def test_the_other_hours_are_whole(hour: BadHour) -> None:
    assert counts(hour.platform, EVENT_TYPE, NEXT_HOUR) == {
        "bronze": 5, "silver": 5, "duplicates": 0, "quarantine": 0,
    }  # fmt: skip


def test_an_hour_without_objects_is_explicitly_empty(hour: BadHour) -> None:
    for layer in ("bronze", "silver", "quarantine"):
        manifest = hour.platform.manifest(f"{layer}/{EVENT_TYPE}", EMPTY_HOUR)
        assert (manifest.files, manifest.rows, manifest.partition) == ((), 0, EMPTY_HOUR)
    made = {
        event.partition
        for event in hour.run.all_events
        if event.is_step_materialization and event.asset_key == dg.AssetKey(["silver", EVENT_TYPE])
    }
    assert made == {HOUR, NEXT_HOUR, EMPTY_HOUR}


def test_all_checks_pass_but_for_the_warning(hour: BadHour) -> None:
    found = evaluations(hour.run)
    assert len(found) == 7
    rate = found.pop(f"quarantine/{EVENT_TYPE} quarantine_rate")
    assert not rate.passed
    assert rate.severity is dg.AssetCheckSeverity.WARN
    assert f"partition {HOUR}: {hour.bad.total()} of {hour.bronze_rows} rows" in (rate.description or "")
    assert NEXT_HOUR not in (rate.description or "")
    assert {name: evaluation.passed for name, evaluation in found.items()} == dict.fromkeys(found, True)
    assert hour.run.success


def test_nothing_is_left_beside_the_published_files(hour: BadHour) -> None:
    named = {
        key
        for layer in ("bronze", "silver", "quarantine")
        for partition in (HOUR, NEXT_HOUR, EMPTY_HOUR)
        for key in hour.platform.manifest(f"{layer}/{EVENT_TYPE}", partition).keys
    }
    present = {stored.key for stored in hour.platform.lake.store.list("") if stored.key.endswith(".parquet")}
    assert present == named
