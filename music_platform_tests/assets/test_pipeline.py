"""gold/pipeline: rows, bytes and lag of an hour's tables as their manifests say, and quarantine rule by rule."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from music_platform.lake.landing_layout import errors_key
from music_platform.lake.manifest import read_manifest
from music_platform.partitions import hour_of_key
from music_platform.settings import Settings
from music_platform.tables.events import EVENT_TYPES
from music_platform.tables.gold.pipeline import PIPELINE, WATCHED
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

LANDED = hour_of_key(HOUR) + timedelta(hours=1, minutes=10)
_TABLES = [contract.path for contract in WATCHED]


def _rows(platform: LocalPlatform, partition: str) -> dict[tuple[str, str, str | None], dict[str, Any]]:
    """By layer, table and rule."""
    found = read_manifest(platform.lake.store, PIPELINE, partition)
    assert found is not None
    rows = [row for key in found[0].keys for row in pq.read_table(platform.lake.store.open(key)).to_pylist()]
    assert rows == sorted(rows, key=lambda row: (row["layer"], row["table_name"], row["rule"] or "~"))
    by_key = {(row["layer"], row["table_name"], row["rule"]): row for row in rows}
    assert len(by_key) == len(rows)
    return by_key


def test_an_hours_manifests_become_rows(tmp_path: Path) -> None:
    platform = LocalPlatform(Settings(lake=str(tmp_path / "lake"), druid_enabled=True))
    good = [to_line(good_record("listen_events", userId=number)) for number in range(1, 6)]
    bad = [b"{", b"[1]", to_line(good_record("listen_events", level="gold"))]
    platform.land("listen_events", HOUR, gzip_lines([*good, *bad]))
    error = to_line({"message": "x", "__tag": "eventsim.auth_events", "__time": "2026-11-01T05:10:00.000Z"})
    platform.lake.store.put(errors_key(hour_of_key(HOUR), "1" * 32), gzip.compress(error + b"\n"))
    platform.land_records("page_view_events", NEXT_HOUR, [good_record("page_view_events", NEXT_HOUR)])
    for landed in (tmp_path / "lake").rglob("*.json.gz"):
        os.utime(landed, (LANDED.timestamp(), LANDED.timestamp()))
    platform.run(HOUR, EMPTY_HOUR, tables=[*_TABLES, PIPELINE.path])

    rows = _rows(platform, HOUR)
    counts = {key: row["row_count"] for key, row in rows.items() if row["row_count"]}
    assert counts == {
        ("bronze", "listen_events", None): 8, ("silver", "listen_events", None): 5, ("gold", "fact_streams", None): 5,
        ("quarantine", "listen_events", "line_readable"): 2, ("quarantine", "listen_events", "level_allowed"): 1,
        ("collector", "collector_errors", "json_object"): 1,
    }  # fmt: skip
    for contract in WATCHED:
        manifest = platform.manifest(contract.path, HOUR)
        own = [row for row in rows.values() if row["table_name"] == contract.name
               and row["layer"] in (contract.layer, "collector")]  # fmt: skip
        assert sum(row["row_count"] for row in own) == manifest.rows
        assert sum(row["byte_count"] for row in own) == manifest.bytes
        lag = datetime.fromisoformat(manifest.created_at) - LANDED
        assert {row["lag_seconds"] for row in own} == {lag.total_seconds()}
        assert {row["arrival_seconds"] for row in own} == {600.0}
        assert {row["hour_time"] for row in own} == {datetime(2026, 11, 1, 5, tzinfo=UTC)}
    assert {key[:2] for key, row in _rows(platform, NEXT_HOUR).items() if row["row_count"]} == {
        ("bronze", "page_view_events"), ("silver", "page_view_events"), ("gold", "fact_page_views"),
    }  # fmt: skip
    empty = _rows(platform, EMPTY_HOUR)
    assert len(empty) == len(WATCHED) == 3 * len(EVENT_TYPES) + 3
    assert sum(row["row_count"] for row in empty.values()) == 0
    assert {row["arrival_seconds"] for row in empty.values()} == {None}
    ended = hour_of_key(EMPTY_HOUR) + timedelta(hours=1)
    published = datetime.fromisoformat(platform.manifest(WATCHED[0].path, EMPTY_HOUR).created_at)
    assert published - ended in {timedelta(seconds=row["lag_seconds"]) for row in empty.values()}


def test_a_backfill_has_the_lag_of_its_run_and_arrives_late(tmp_path: Path) -> None:
    platform = LocalPlatform(Settings(lake=str(tmp_path / "lake"), druid_enabled=True))
    platform.land_records("auth_events", HOUR, [good_record("auth_events")])  # just now, of an hour that is long over
    platform.run(HOUR, tables=["bronze/auth_events", PIPELINE.path])
    [row] = _rows(platform, HOUR).values()
    age = (datetime.now(UTC) - hour_of_key(HOUR)).total_seconds()
    assert row["lag_seconds"] < 3600 < row["arrival_seconds"] < age


def test_a_table_that_was_never_published_has_no_row(tmp_path: Path) -> None:
    platform = LocalPlatform(Settings(lake=str(tmp_path / "lake"), druid_enabled=True))
    platform.land_records("auth_events", HOUR, [good_record("auth_events")])
    platform.run(HOUR, tables=["bronze/auth_events"])
    platform.run(HOUR, tables=[PIPELINE.path])
    assert set(_rows(platform, HOUR)) == {("bronze", "auth_events", None)}


def test_an_hour_of_which_nothing_was_published_is_published_as_empty(tmp_path: Path) -> None:
    platform = LocalPlatform(Settings(lake=str(tmp_path / "lake"), druid_enabled=True))
    result = platform.run(HOUR, tables=[PIPELINE.path])
    assert _rows(platform, HOUR) == {}
    assert evaluations(result)[f"{PIPELINE.path} contract"].passed
