"""The music-platform status command on real lakes and instances: healthy, lagging, failed, damaged, missing, on S3, under a
running daemon.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from typer.testing import CliRunner

from music_platform.cli import runs
from music_platform.cli.lake_status import lake_status
from music_platform.cli.main import app
from music_platform.errors import MusicPlatformError
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import landed_key
from music_platform.lake.manifest import Manifest, Source, manifest_key
from music_platform.orchestration.runs import open_instance
from music_platform.partitions import hour_of_key, hours_of_day, key_of_hour
from music_platform.settings import Settings, current_settings
from music_platform.tables.catalogue import made_tables
from music_platform.tables.contract import Cadence
from music_platform_tests.integration.command_line import auth_event, land, words

_TICKS_SECONDS = 90.0
_SENSORS = """
import dagster as dg

@dg.job
def nothing():
    pass

@dg.sensor(job=nothing, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def quiet():
    yield dg.SkipReason("nothing new [/bold]")

@dg.sensor(job=nothing, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def broken():
    raise ValueError("the queue is gone")

defs = dg.Definitions(sensors=[quiet, broken])
"""


def last_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)


def events_of(hour: datetime, numbers: range, **changes: object) -> list[str]:
    """Events of an hour, one a second."""
    start = int(hour.timestamp() * 1000)
    return [auth_event(number, ts=start + number * 1000, **changes) for number in numbers]


def hourly_tables() -> list[str]:
    return [contract.path for contract in made_tables(is_served=False).values() if contract.cadence is Cadence.HOURLY]


def told(commands: CliRunner, *options: str) -> tuple[int, dict[str, Any]]:
    result = commands.invoke(app, ["status", "--json", *options])
    return result.exit_code, json.loads(result.stdout)


def layers_of(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{layer['layer']} {layer['cadence']}": layer for layer in report["lake"]["layers"]}


def publish_empty(lake: Lake, table: str, partition: str, sources: tuple[Source, ...] = ()) -> None:
    manifest = Manifest(table, partition, (), "none", "a-run", "2026-11-01T00:00:00+00:00", sources)
    lake.store.put(manifest_key(table, partition), manifest.to_json())


def use_settings(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Give the command the settings of an S3 fixture."""
    for name in ("lake", "s3_endpoint", "s3_region", "s3_access_key_id"):
        monkeypatch.setenv(f"MUSIC_PLATFORM_{name.upper()}", getattr(settings, name))
    monkeypatch.setenv("MUSIC_PLATFORM_S3_SECRET_ACCESS_KEY", settings.s3_secret_access_key.get_secret_value())
    monkeypatch.setenv("MUSIC_PLATFORM_S3_RETRY_SECONDS", "2")
    current_settings.cache_clear()


def test_a_missing_lake_is_reported_and_not_made(commands: CliRunner, tmp_path: Path) -> None:
    result = commands.invoke(app, ["status"])
    assert result.exit_code == 1
    assert f"there is no lake: no folder {tmp_path / 'lake'}" in result.output
    assert "Dagster's daemon is not running" in result.output
    assert "none has ticked on this instance" in result.output
    assert not (tmp_path / "lake").exists()


def test_an_empty_lake_says_that_nothing_has_landed(commands: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    code, report = told(commands)
    assert code == 1
    assert report["problems"] == ["nothing has landed of any hour that is over"]
    assert layers_of(report)["silver hourly"]["last_complete"] is None


def test_without_an_instance_the_lake_is_reported(
    commands: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "lake").mkdir()
    monkeypatch.delenv("DAGSTER_HOME")
    _, report = told(commands)
    assert report["dagster"] is None
    assert "DAGSTER_HOME is not set" in report["warnings"][0]
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "nowhere"))
    code, report = told(commands)
    assert code == 1
    assert any("cannot be opened: there is no such folder" in problem for problem in report["problems"])
    assert report["lake"] is not None


def test_healthy_then_a_late_object_then_one_that_waits_too_long(
    commands: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hour = last_hour()
    key = key_of_hour(hour)
    land(commands, tmp_path, [*events_of(hour, range(20)), *events_of(hour, range(30, 31), zip="123")])
    runs.materialize(open_instance(), current_settings(), hourly_tables(), [key], "materialize")

    code, report = told(commands)
    assert (code, report["healthy"], report["problems"]) == (0, True, [])
    layers = layers_of(report)
    for layer, rows in (("bronze", 21), ("silver", 20), ("quarantine", 1)):
        found = layers[f"{layer} hourly"]
        assert (found["last_complete"], found["rows"]) == (key, rows)
        assert 0 <= found["lag_seconds"] <= 2 * 3600
    assert layers["quarantine hourly"]["quarantine_rate"] == pytest.approx(1 / 21)
    assert layers["landing hourly"]["objects"] == 1
    assert layers["gold hourly"]["last_complete"] == key
    assert layers["gold daily"]["last_complete"] is None
    assert any("4.8% of the rows" in warning for warning in report["warnings"])
    assert (report["lake"]["unprocessed"], report["lake"]["held"]) == ([], [])
    assert report["dagster"]["failed_partitions"] == {}
    shown = commands.invoke(app, ["status", "--tables"])
    assert shown.exit_code == 0
    assert "silver/auth_events" in shown.output
    assert "healthy" in shown.output

    land(commands, tmp_path, events_of(hour, range(40, 42)))
    code, report = told(commands)
    [waiting] = report["lake"]["unprocessed"]
    assert (waiting["hour"], waiting["event_type"], waiting["objects"]) == (key, "auth_events", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*\+00:00", waiting["waiting_since"])
    assert code == 0
    monkeypatch.setenv("MUSIC_PLATFORM_LAG_LIMIT_HOURS", "0.000001")
    current_settings.cache_clear()
    code, report = told(commands)
    assert code == 1
    assert any(f"1 objects of {key}" in problem for problem in report["problems"])


def test_objects_of_hours_to_come_are_held(commands: CliRunner) -> None:
    lake = Lake(current_settings())
    tomorrow = last_hour() + timedelta(days=1)
    next_year = tomorrow + timedelta(days=365)
    for number, hour in enumerate((tomorrow, tomorrow, next_year)):
        lake.store.put(landed_key("auth_events", hour, f"{number:032x}"), b"")
    _, report = told(commands)
    assert [(hour["hour"], hour["objects"]) for hour in report["lake"]["held"]] == [
        (key_of_hour(tomorrow), 2),
        (key_of_hour(next_year), 1),
    ]
    assert any("held until their hour comes: 3 landed objects" in warning for warning in report["warnings"])
    assert report["lake"]["layers"][0]["last_complete"] is None


def test_landed_objects_that_no_table_reads_are_a_problem(
    commands: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Outside an hour's folder, of an unknown type, before the first partition; on a day of any age, and nothing else."""
    monkeypatch.setenv("MUSIC_PLATFORM_START", "2026-01-01T00:00")
    current_settings.cache_clear()
    hour = last_hour()
    land(commands, tmp_path, events_of(hour, range(20)))
    runs.materialize(open_instance(), current_settings(), hourly_tables(), [key_of_hour(hour)], "materialize")
    assert told(commands)[0] == 0
    store, name = Lake(current_settings()).store, f"{'0' * 32}.json.gz"
    misplaced = [
        f"landing/listen_events/dt=2026-02-03/hour=7/2026020307_{name}",
        f"landing/listen_events/dt=2026-02-03/2026020308_{name}",
        f"landing/skip_events/dt=2026-02-03/hour=09/2026020309_{name}",
        landed_key("auth_events", hour_of_key("2020-01-01-00:00"), "0" * 32),
        f"errors/dt=2024-05-01/2024050110_{name}",
    ]
    for key in misplaced:
        store.put(key, b"12345")
    store.put(landed_key("auth_events", hour + timedelta(days=2), "0" * 32), b"")  # held, which is another thing
    code, report = told(commands)
    assert code == 1
    assert len(report["problems"]) == len(report["lake"]["unread"]) == 4
    assert report["lake"]["folders_not_looked_into"] == 0
    assert sum(group["objects"] for group in report["lake"]["unread"]) == len(misplaced)
    assert {key for group in report["lake"]["unread"] for key in group["keys"]} == set(misplaced)
    [early] = [group for group in report["lake"]["unread"] if group["kind"] == "auth_events"]
    assert early == {
        "kind": "auth_events", "reason": "before_start", "objects": 1, "bytes": 5, "keys": [misplaced[3]],
        "first_hour": "2020-01-01-00:00", "last_hour": "2020-01-01-00:00",
    }  # fmt: skip
    shown = commands.invoke(app, ["status"])
    assert shown.exit_code == 1
    for key in misplaced:
        assert f"'{key}'" in words(shown.output)
    assert "set MUSIC_PLATFORM_START=2020-01-01T00:00" in words(shown.output)
    store.delete(misplaced)
    assert told(commands)[0] == 0


def test_a_failed_partition_is_reported_until_it_is_made(commands: CliRunner, tmp_path: Path) -> None:
    hour = last_hour()
    key = key_of_hour(hour)
    land(commands, tmp_path, events_of(hour, range(3)))
    instance = open_instance()
    with pytest.raises(MusicPlatformError, match="bronze/auth_events has no partition"):
        runs.materialize(instance, current_settings(), ["silver/auth_events", "quarantine/auth_events"], [key], "fails")
    code, report = told(commands)
    assert code == 1
    assert report["dagster"]["failed_partitions"] == {"silver/auth_events": [key], "quarantine/auth_events": [key]}
    assert f"silver/auth_events: failed, and not made since: {key}" in report["problems"]

    runs.materialize(instance, current_settings(), hourly_tables(), [key], "succeeds")
    code, report = told(commands)
    assert report["dagster"]["failed_partitions"] == {}
    assert code == 0, report["problems"]


def test_a_lagging_layer_and_a_damaged_manifest_are_reported(commands: CliRunner) -> None:
    lake = Lake(current_settings())
    day = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    first, last = f"{day}-10:00", f"{day}-11:00"
    for table in hourly_tables():
        publish_empty(lake, table, first)
        if table != "silver/auth_events":
            publish_empty(lake, table, last)
    lake.store.put(manifest_key("gold/fact_streams", last), b"{")
    lake.store.put(landed_key("auth_events", hour_of_key(last), "0" * 32), b"")
    code, report = told(commands)
    assert code == 1
    problems = report["problems"]
    assert any(f"manifest '{manifest_key('gold/fact_streams', last)}' cannot be read" in text for text in problems)
    assert any(text.startswith(f"landing: nothing has landed of any hour after {last}") for text in problems)
    assert f"silver: silver/auth_events lags, its last complete partition is {first}" in problems
    assert f"gold, hourly: gold/fact_streams lags, its last complete partition is {first}" in problems
    assert not any(text.startswith("bronze:") for text in problems)
    assert layers_of(report)["silver hourly"]["held_back_by"] == "silver/auth_events"


@pytest.mark.integration
def test_a_lake_on_s3_is_reported(
    commands: CliRunner, monkeypatch: pytest.MonkeyPatch, s3_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = s3_settings()
    use_settings(monkeypatch, settings)
    hour = last_hour()
    land(commands, tmp_path, events_of(hour, range(3)))
    [landed] = list(Lake(settings).store.list("landing"))
    made_from = (Source(landed.key, landed.etag),)
    _, before = told(commands)
    assert [found["hour"] for found in before["lake"]["unprocessed"]] == [key_of_hour(hour)]
    for table in hourly_tables():
        publish_empty(Lake(settings), table, key_of_hour(hour), made_from)
    code, report = told(commands)
    assert code == 0, report["problems"]
    assert report["lake"]["unprocessed"] == []
    assert layers_of(report)["landing hourly"]["bytes"] == landed.size

    monkeypatch.setenv("MUSIC_PLATFORM_LAKE", "s3://no-such-bucket/lake")
    current_settings.cache_clear()
    code, report = told(commands)
    assert (code, report["lake"]) == (1, None)
    assert "there is no bucket 'no-such-bucket'" in report["problems"][0]


@pytest.mark.integration
def test_credentials_that_are_refused_are_reported(
    commands: CliRunner, monkeypatch: pytest.MonkeyPatch, strict_s3_server: Any, s3_settings: Callable[..., Settings]
) -> None:
    lake = f"s3://{strict_s3_server.new_bucket()}/lake"
    use_settings(monkeypatch, s3_settings(lake=lake, s3_endpoint=strict_s3_server.endpoint))
    code, report = told(commands)
    assert (code, report["lake"]) == (1, None)
    assert "403" in report["problems"][0]
    assert "test-secret" not in json.dumps(report)


def test_the_requests_do_not_grow_with_history(commands: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a lake with days of hours in each table, the same objects are asked for however many days there are."""
    lake, now = Lake(current_settings()), datetime.now(UTC)
    requests: list[str] = []

    def counted(made: Callable[..., Any]) -> Callable[..., Any]:
        def request(*arguments: Any, **options: Any) -> Any:
            requests.append(made.__name__)
            return made(*arguments, **options)

        return request

    for name in ("get", "list", "list_with_delimiter"):
        monkeypatch.setattr(obstore, name, counted(getattr(obstore, name)))
    counts = []
    for days_back in (range(10, 12), range(12, 18)):
        for back in days_back:
            day = f"{now - timedelta(days=back):%Y-%m-%d}"
            for table in ("bronze/auth_events", "silver/auth_events", "gold/fact_streams"):
                for key in hours_of_day(day):
                    publish_empty(lake, table, key)
            publish_empty(lake, "gold/fact_plays", day)
            lake.store.put(landed_key("auth_events", hour_of_key(f"{day}-23:00"), "0" * 32), b"")
        requests.clear()
        found = lake_status(lake, now, 72)
        assert found.layers[0].last_complete == f"{now - timedelta(days=10):%Y-%m-%d}-23:00"
        counts.append(len(requests))
    assert counts[0] == counts[1]
    assert counts[0] < 24 * 4


@pytest.fixture
def daemon(commands: CliRunner, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Dagster's own daemon on the test's instance, with one sensor that finds nothing and one that fails."""
    sensors = tmp_path / "sensors.py"
    sensors.write_text(_SENSORS)
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-f", str(sensors)]
    with (tmp_path / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path)
    yield process
    end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.mark.integration
def test_sensors_are_reported_by_what_they_last_said(commands: CliRunner, daemon: subprocess.Popen[bytes]) -> None:
    def last_ticks() -> dict[str, dict[str, Any]]:
        found = told(commands)[1]["dagster"]["automation"]
        return {sensor["name"]: sensor["last_tick"] or {"state": "never"} for sensor in found}

    deadline, ticks = time.monotonic() + _TICKS_SECONDS, last_ticks()
    while {name: tick["state"] for name, tick in ticks.items()} != {"quiet": "skipped", "broken": "failure"}:
        assert time.monotonic() < deadline, ticks
        time.sleep(0.5)
        ticks = last_ticks()
    assert ticks["quiet"]["message"] == "nothing new [/bold]"
    assert "the queue is gone" in ticks["broken"]["message"]
    code, report = told(commands)
    assert code == 1
    assert report["dagster"]["daemon"]["is_running"]
    assert any("sensor broken: its last tick failed" in problem for problem in report["problems"])
    assert "nothing new [/bold]" in commands.invoke(app, ["status"]).output

    end(daemon)
    with open_instance() as instance:
        instance.wipe_daemon_heartbeats()  # else the last one counts for two minutes
    _, report = told(commands)
    assert not report["dagster"]["daemon"]["is_running"]
    assert "Dagster's daemon is not running, with broken, quiet on" in report["problems"]
