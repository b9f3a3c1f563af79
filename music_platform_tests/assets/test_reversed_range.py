"""A range that ends before it begins fails in every asset and every check, by every way in, and nothing is published."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from music_platform.definitions import build_definitions
from music_platform.settings import Settings
from music_platform_tests.assets.execution import execute
from music_platform_tests.assets.local_platform import (
    HOUR,
    NEXT_HOUR,
    LocalPlatform,
    good_record,
)

DAYS = ("2026-11-02", "2026-11-01")
HOURS = (NEXT_HOUR, HOUR)
_MATERIALIZE = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "music_platform.definitions"]


def failures(result: dg.JobExecutionResult) -> Iterator[str]:
    for event in result.get_step_failure_events():
        assert event.step_failure_data.error is not None
        yield event.step_failure_data.error.message


def published(platform: LocalPlatform) -> list[str]:
    return [stored.key for stored in platform.lake.store.list("") if not stored.key.startswith("landing/")]


def test_every_asset_refuses_it(tmp_path: Path) -> None:
    settings = Settings(lake=str(tmp_path / "lake"), druid_enabled=True, druid_url="http://127.0.0.1:9")
    platform = LocalPlatform(settings)
    platform.land_records("listen_events", HOUR, [good_record("listen_events")])
    graph = platform.definitions.resolve_asset_graph()
    partitioned = [key for key in graph.executable_asset_keys if graph.get(key).partitions_def is not None]
    assert len(partitioned) > 40
    for key in partitioned:
        is_hourly = isinstance(graph.get(key).partitions_def, dg.HourlyPartitionsDefinition)
        (first, last), run = (HOURS, platform.run) if is_hourly else (DAYS, platform.run_day)
        result = run(first, last, tables=[key.to_user_string()], raise_on_error=False)
        assert not result.success
        told = set(failures(result))
        assert told, key
        assert all(f"the partition range {first}...{last} ends before it begins" in text for text in told), (key, told)
        assert not [event for event in result.all_events if event.is_step_up_for_retry or event.is_step_materialization]
    assert published(platform) == []


@pytest.mark.parametrize(("table", "ends"), [("silver/listen_events", HOURS), ("gold/dim_users", DAYS)])
def test_checks_by_themselves_refuse_it(platform: LocalPlatform, table: str, ends: tuple[str, str]) -> None:
    definitions = build_definitions(platform.settings)
    selection = dg.AssetSelection.checks_for_assets(dg.AssetKey(table.split("/")))
    checks = dg.Definitions.merge(
        definitions, dg.Definitions(jobs=[dg.define_asset_job("checks_alone", selection=selection)])
    )
    result = execute(checks.resolve_job_def("checks_alone"), platform.instance, *ends, raise_on_error=False)
    assert not result.success
    assert all(f"the partition range {ends[0]}...{ends[1]} ends before it begins" in told for told in failures(result))


def test_dagsters_command_fails_by_its_exit_code(tmp_path: Path) -> None:
    settings = Settings(lake=str(tmp_path / "lake"))
    LocalPlatform(settings).land_records("listen_events", HOUR, [good_record("listen_events")])
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "MUSIC_PLATFORM_LAKE": settings.lake, "DAGSTER_HOME": str(home)}

    def materialize(first: str, last: str) -> subprocess.CompletedProcess[str]:
        command = [*_MATERIALIZE, "--select", "bronze/listen_events", "--partition-range", f"{first}...{last}"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    reversed_range = materialize(*HOURS)
    assert reversed_range.returncode != 0
    assert f"the partition range {HOURS[0]}...{HOURS[1]} ends before it begins" in reversed_range.stderr
    assert "published" not in reversed_range.stderr
    assert materialize(HOUR, "2999-01-01-00:00").returncode != 0  # Dagster's own: the end is no partition yet
    assert materialize("2001-01-01-00:00", HOUR).returncode != 0
    assert published(LocalPlatform(settings)) == []
    assert materialize(HOUR, NEXT_HOUR).returncode == 0
