"""A range run gives what its hours give one by one, and a second run changes nothing but who ran."""

from __future__ import annotations

from pathlib import Path

import pytest

from music_platform.settings import Settings
from music_platform.tables.catalogue import made_tables
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.contract import Cadence
from music_platform.tables.events import EVENT_CONTRACTS
from music_platform_tests.assets.local_platform import (
    EMPTY_HOUR,
    HOUR,
    NEXT_HOUR,
    LocalPlatform,
    good_record,
    gzip_lines,
    materialized,
    to_line,
)

HOURS = (HOUR, NEXT_HOUR, EMPTY_HOUR)
SOME_TABLES = [table for table in made_tables(is_served=False) if table.endswith("/listen_events")]


def land_some(platform: LocalPlatform) -> None:
    """Every event type in all hours but the empty one: good records, a repeated one, a bad line."""
    for number, partition in enumerate(hour for hour in HOURS if hour != EMPTY_HOUR):
        for event_type in EVENT_CONTRACTS:
            lines = [to_line(good_record(event_type, partition, itemInSession=item)) for item in range(20 + number)]
            platform.land(event_type, partition, gzip_lines([*lines, lines[0], b"broken"]), chunk=1)
            platform.land(event_type, partition, gzip_lines(lines[5:10]), chunk=2)


def test_a_range_gives_what_its_hours_give_one_by_one(tmp_path: Path) -> None:
    one_by_one = LocalPlatform(Settings(lake=str(tmp_path / "one_by_one")))
    as_range = LocalPlatform(Settings(lake=str(tmp_path / "range")))
    in_batches = LocalPlatform(Settings(lake=str(tmp_path / "batches"), batch_rows=30))
    for platform in (one_by_one, as_range, in_batches):
        land_some(platform)
    for partition in HOURS:
        assert one_by_one.run(partition, tables=SOME_TABLES).success
    assert as_range.run(HOURS[0], HOURS[-1], tables=SOME_TABLES).success
    assert in_batches.run(HOURS[0], HOURS[-1], tables=SOME_TABLES).success
    versions = [
        {key: content["data_version"] for key, content in platform.manifests().items()}
        for platform in (one_by_one, as_range, in_batches)
    ]
    assert len(versions[0]) == len(SOME_TABLES) * len(HOURS)
    assert versions[0] == versions[1] == versions[2]


@pytest.mark.parametrize("last", [None, EMPTY_HOUR], ids=["hour", "range"])
def test_a_second_run_changes_only_who_ran(platform: LocalPlatform, last: str | None) -> None:
    land_some(platform)
    first = platform.run(HOUR, last, tables=SOME_TABLES)
    before, files = platform.manifests(), _files(platform)
    second = platform.run(HOUR, last, tables=SOME_TABLES)
    assert platform.manifests() == before
    assert _files(platform) == files
    assert platform.manifest("silver/listen_events", HOUR).run_id == second.run_id != first.run_id


def _files(platform: LocalPlatform) -> dict[str, str]:
    return {stored.key: stored.etag for stored in platform.lake.store.list("") if stored.key.endswith(".parquet")}


def test_a_late_object_rebuilds_its_hour_alone(platform: LocalPlatform) -> None:
    land_some(platform)
    platform.run(HOUR, NEXT_HOUR, tables=SOME_TABLES)
    before = platform.manifests()
    late = good_record("listen_events", HOUR, itemInSession=777)
    platform.land("listen_events", HOUR, gzip_lines([to_line(late)]), chunk=3)
    platform.run(HOUR, NEXT_HOUR, tables=SOME_TABLES)
    changed = {key for key, content in platform.manifests().items() if content != before[key]}
    assert changed == {f"{table}/date=2026-11-01/hour=05/_SUCCESS" for table in SOME_TABLES}
    rows_before = before["silver/listen_events/date=2026-11-01/hour=05/_SUCCESS"]["rows"]
    assert platform.manifest("silver/listen_events", HOUR).rows == rows_before + 1
    assert 777 in platform.table("silver/listen_events", HOUR)["item_in_session"].to_pylist()


def test_silver_alone_publishes_quarantine_too(platform: LocalPlatform) -> None:
    land_some(platform)
    platform.run(HOUR, tables=["bronze/listen_events"])
    result = platform.run(HOUR, tables=["silver/listen_events"])
    assert materialized(result) == {"silver/listen_events", "quarantine/listen_events"}
    assert platform.manifest("quarantine/listen_events", HOUR).rows == 1


def test_the_whole_spine_in_one_run(platform: LocalPlatform) -> None:
    land_some(platform)
    result = platform.run(HOUR)
    hourly = {
        path: contract for path, contract in made_tables(is_served=False).items() if contract.cadence is Cadence.HOURLY
    }
    assert materialized(result) == set(hourly)
    assert platform.manifest(COLLECTOR_ERRORS.path, HOUR).files == ()  # an hour without errors is an empty partition
    for path, contract in hourly.items():
        assert len(platform.manifest(path, HOUR).files) == (path != COLLECTOR_ERRORS.path), path
        if contract.sort_columns:
            order = [tuple(row[name] for name in contract.sort_columns) for row in platform.rows(path, HOUR)]
            assert order == sorted(order), path
