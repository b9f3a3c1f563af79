"""quarantine/collector_errors: every error record is a row, counts reconcile, and what is an event by now is landed again."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from music_platform.cli.main import app
from music_platform.lake.landing_layout import errors_key, parse_errors_key, parse_key
from music_platform.lake.spark import SparkEngine
from music_platform.landing.replay import ReplaySummary, replay_error_records
from music_platform.orchestration.checks.spine import check_collector_errors
from music_platform.partitions import hour_of_key, key_of_hour, keys_in_range
from music_platform.settings import Settings, current_settings
from music_platform.tables.events import EVENT_TYPES
from music_platform_tests.assets.local_platform import (
    EMPTY_HOUR,
    HOUR,
    NEXT_HOUR,
    LocalPlatform,
    evaluations,
    good_record,
    gzip_lines,
    to_line,
)
from music_platform_tests.places import REPOSITORY

TABLE = "quarantine/collector_errors"
_ORIGIN = {"__tag": "eventsim.auth_events", "__time": "2026-11-01T05:10:00.000Z"}


def _error(fields: dict[str, object], **origin: str) -> bytes:
    return to_line({**fields, **_ORIGIN, **origin})


def _refused() -> list[bytes]:
    """Error records of each kind; the last three are events after all."""
    event = to_line(good_record("auth_events")).decode()
    other_hour = good_record("auth_events", NEXT_HOUR)
    return [
        _error({"message": "not json", "__reason": "json_object"}),
        _error({"ts": 1, "page": "Home"}),
        _error({"message": event}, __tag="eventsim.skip_events"),
        b"no error record",
        _error({"message": event}),
        _error({"message": f"[{event},\n{event}]"}),
        _error(other_hour),
    ]


def _put_errors(platform: LocalPlatform, partition: str, content: bytes, chunk: int = 1) -> str:
    key = errors_key(hour_of_key(partition), f"{chunk:032x}")
    platform.lake.store.put(key, content)
    return key


def test_events_without_room_are_landed_by_the_run_itself(platform: LocalPlatform) -> None:
    event = to_line(good_record("auth_events"))
    unbuffered = _error({"message": event.decode(), "__reason": "not_buffered"})
    _put_errors(platform, HOUR, gzip_lines([*_refused(), unbuffered]))
    before = {found.key for found in platform.lake.store.list("landing")}
    for _ in range(2):  # twice changes nothing
        platform.run(HOUR, tables=[TABLE])
        [key] = {found.key for found in platform.lake.store.list("landing")} - before
        place = parse_key(key)
        assert place is not None
        assert (place[0], key_of_hour(place[1])) == ("auth_events", HOUR)
        assert gzip.decompress(platform.lake.store.get(key) or b"").strip() == event.strip()
    assert platform.rows(TABLE, HOUR)[-1]["reason"] == "not_buffered"


def test_every_error_record_is_a_row_with_its_rule_and_origin(platform: LocalPlatform) -> None:
    key = _put_errors(platform, HOUR, gzip_lines(_refused()))
    cut = _put_errors(platform, HOUR, gzip_lines([_refused()[0]] * 40)[:-4], chunk=2)
    _put_errors(platform, NEXT_HOUR, gzip_lines(_refused()[:1]))
    result = platform.run(HOUR, EMPTY_HOUR, tables=[TABLE])
    assert {name: found.passed for name, found in evaluations(result).items()} == {
        f"{TABLE} contract": True, f"{TABLE} reconciles_with_landing": True, f"{TABLE} has_all_landed_objects": True,
    }  # fmt: skip
    rows = platform.rows(TABLE, HOUR)
    assert [(row["_line_number"], row["rule"]) for row in rows if row["_object"] == key] == [
        (1, "json_object"), (2, "ts_epoch_milliseconds"), (3, "tag_known"), (4, "error_record_readable"),
        (5, "accepted_by_collector"), (6, "accepted_by_collector"), (7, "accepted_by_collector"),
    ]  # fmt: skip
    first = rows[0]
    assert (first["raw"], first["tag"], first["reason"]) == ("not json", "eventsim.auth_events", "json_object")
    assert first["collected_at"].isoformat() == "2026-11-01T05:10:00+00:00"
    assert rows[3]["raw"] == "no error record"
    assert "truncated_gzip" in next(row["detail"] for row in rows if row["_object"] == cut and "gzip" in row["detail"])
    assert len(rows) == 7 + 40 + 1
    assert platform.manifest(TABLE, NEXT_HOUR).rows == 1
    assert platform.manifest(TABLE, EMPTY_HOUR).rows == 0


def test_what_came_later_or_is_not_read_is_a_warning_and_what_changed_a_failure(platform: LocalPlatform) -> None:
    key = _put_errors(platform, HOUR, gzip_lines(_refused()))
    platform.run(HOUR, tables=[TABLE])
    platform.lake.store.put(key, gzip_lines(_refused()[:2]))
    late = _put_errors(platform, HOUR, gzip_lines(_refused()), chunk=2)
    platform.lake.store.put("errors/dt=2026-11-01/stranger", b"")

    found = {outcome.check: outcome for outcome in check_collector_errors([HOUR], platform.lake, SparkEngine())}
    assert found["contract"].passed
    assert not found["reconciles_with_landing"].passed
    assert f"'{key}' was rewritten after quarantine read it" in found["reconciles_with_landing"].description
    assert "2 landed lines, 7 quarantine rows" in found["reconciles_with_landing"].description
    warning = found["has_all_landed_objects"]
    assert (warning.passed, warning.is_blocking) == (False, False)
    assert late in warning.description
    assert "errors/dt=2026-11-01/stranger" in warning.description


def test_replay_lands_the_events_once(platform: LocalPlatform) -> None:
    key = _put_errors(platform, HOUR, gzip_lines(_refused()))
    store = platform.lake.store
    first = replay_error_records(store, [key])
    hours = {"auth_events": {hour_of_key(HOUR), hour_of_key(NEXT_HOUR)}}
    assert first == ReplaySummary(records=7, events=3, objects_written=2, hours=hours)
    landed = {found.key: store.get(found.key) for found in store.list("landing")}
    assert replay_error_records(store, [key]) == ReplaySummary(records=7, events=3, objects_unchanged=2)
    assert {found.key: store.get(found.key) for found in store.list("landing")} == landed
    assert {parse_key(name) for name in landed} == {("auth_events", hour) for hour in hours["auth_events"]}
    platform.run(HOUR, NEXT_HOUR, tables=["bronze/auth_events", "silver/auth_events", "quarantine/auth_events"])
    silver = platform.manifest("silver/auth_events", HOUR)
    assert (silver.rows, silver.counts["duplicates"]) == (1, 2)  # the same event came in three times
    assert platform.manifest("silver/auth_events", NEXT_HOUR).rows == 1
    assert platform.manifest("quarantine/auth_events", HOUR).rows == 0


@pytest.fixture
def commands(platform: LocalPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The command on the platform's lake."""
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(REPOSITORY / "deploy" / "local" / "dagster.yaml", home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("MUSIC_PLATFORM_LAKE", platform.settings.lake)
    current_settings.cache_clear()
    return CliRunner()


def test_the_command_lists_shows_and_replays_them(platform: LocalPlatform, commands: CliRunner) -> None:
    _put_errors(platform, HOUR, gzip_lines(_refused()))
    platform.run(HOUR, tables=[TABLE])
    listed = commands.invoke(app, ["quarantine", "list", "--event-type", "collector_errors"])
    assert listed.exit_code == 0, listed.output
    assert "7 rows in quarantine" in listed.output
    assert "accepted_by_collector" in listed.output
    shown = commands.invoke(app, ["quarantine", "show", "--rule", "tag_known", "--json"])
    [row] = [json.loads(line) for line in shown.output.splitlines()]
    assert row["tag"] == "eventsim.skip_events"
    text = commands.invoke(app, ["quarantine", "show", "--event-type", "collector_errors", "--limit", "1"])
    assert "rules  json_object" in text.output

    replayed = commands.invoke(app, ["quarantine", "replay", "--event-type", "collector_errors"])
    assert replayed.exit_code == 0, replayed.output
    assert "3 of 7 error records are events: 2 objects landed, 0 were there already" in replayed.output
    assert f"auth_events: {HOUR}...{NEXT_HOUR} (2 partitions); to be materialized" in replayed.output
    again = commands.invoke(app, ["quarantine", "replay", "--rule", "accepted_by_collector"])
    assert "0 objects landed, 2 were there already" in again.output
    assert platform.manifest(TABLE, HOUR).rows == 7
    current_settings.cache_clear()


def test_what_fluentd_wrote_is_read_as_it_is(sample_folder: Path, tmp_path: Path) -> None:
    """Objects of a real Fluentd, landed as they are: bronze has its 1,471 lines, quarantine its 17 error records."""
    platform = LocalPlatform(Settings(lake=str(tmp_path / "lake")))
    lines: Counter[str] = Counter()
    hours: set[str] = set()
    with tarfile.open(sample_folder / "fluentd" / "objects.tar.xz") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None:
                continue
            key, data = member.name.removeprefix("./"), content.read()
            platform.lake.store.put(key, data)
            place, arrival = parse_key(key), parse_errors_key(key)
            assert (place is None) != (arrival is None), key
            if place is None:
                assert arrival == hour_of_key("2026-11-24-20:00")
            elif "2026-10-30" < key_of_hour(place[1]) < "2026-11-05":
                hours.add(key_of_hour(place[1]))
            else:
                lines["beyond"] += gzip.decompress(data).count(b"\n")  # an event of 2030: held until its hour comes
    tables = [f"bronze/{event_type}" for event_type in EVENT_TYPES]
    partitions = keys_in_range(min(hours), max(hours))
    bronze = platform.run(partitions[0], partitions[-1], tables=tables)
    errors = platform.run("2026-11-24-20:00", tables=[TABLE])
    for result in (bronze, errors):
        assert [name for name, found in evaluations(result).items() if not found.passed] == []
    for event_type in EVENT_TYPES:
        lines[event_type] += sum(platform.manifest(f"bronze/{event_type}", hour).rows for hour in partitions)
    lines["page_view_events"] += lines.pop("beyond")
    assert lines == {"auth_events": 13, "listen_events": 646, "page_view_events": 812, "status_change_events": 0}
    rows = platform.rows(TABLE, "2026-11-24-20:00")
    assert len(rows) == 17
    assert Counter(row["rule"] for row in rows) == {"json_object": 12, "ts_epoch_milliseconds": 5}
    assert {row["tag"] for row in rows} == {"eventsim.page_view_events"}
    # What Fluentd's own parser and clock refused, the platform refuses too: there is nothing to replay.
    keys = [found.key for found in platform.lake.store.list("errors")]
    assert replay_error_records(platform.lake.store, keys) == ReplaySummary(records=17)
