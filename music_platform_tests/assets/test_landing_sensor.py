"""The landing sensor on a lake and a Dagster instance: what it requests, reports and survives, and what the tables hold then."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import PRIORITY_TAG
from dagster._core.test_utils import freeze_time
from pydantic import SecretStr

from music_platform.definitions import build_definitions
from music_platform.errors import LakeUnreachableError
from music_platform.lake.landing_layout import errors_key
from music_platform.landing.watch.cursor import LandingCursor
from music_platform.orchestration.automation.landing_sensor import LandingWatch, landing_sensor
from music_platform.orchestration.automation.run_tags import RANGE_END, RANGE_START
from music_platform.orchestration.checks.whole_days import WHOLE_DAYS_CHECK
from music_platform.partitions import hour_of_key
from music_platform.settings import Settings
from music_platform.tables.catalogue import made_tables
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform_tests.assets.execution import execute
from music_platform_tests.assets.local_platform import LocalPlatform, good_record, gzip_lines

_NOW = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
_HOURS = ["2026-11-03-05:00", "2026-11-03-06:00", "2026-11-03-07:00"]
_DAY = "2026-11-03"


class Sensed:
    """A platform whose sensor is evaluated as Dagster's daemon does it: the memory is kept with the requests."""

    def __init__(self, settings: Settings) -> None:
        self.platform = LocalPlatform(settings)
        self.sensor = landing_sensor(settings)
        self.repository = build_definitions(settings).get_repository_def()
        self.cursor: str | None = None
        self.last_run_key: str | None = None
        self.now = _NOW

    def evaluate(self) -> dg.SensorResult:
        """A tick's result, which nobody recorded yet."""
        context = dg.build_sensor_context(
            instance=self.platform.instance, cursor=self.cursor, repository_def=self.repository
        )
        with freeze_time(self.now):
            found = self.sensor.evaluate_tick(context)
        return dg.SensorResult(
            run_requests=found.run_requests,
            skip_reason=found.skip_message,
            cursor=found.cursor,
            asset_events=list(found.asset_events),
        )

    def record(self, result: dg.SensorResult) -> list[dg.RunRequest]:
        self.cursor = result.cursor
        for event in result.asset_events:
            self.platform.instance.report_runless_asset_event(event)
        return list(result.run_requests or [])

    def run(self, requests: list[dg.RunRequest]) -> None:
        """Carry requests out; one whose key was used is dropped."""
        job = self.platform.definitions.resolve_job_def("hourly_spine")
        for request in requests:
            key = {"dagster/run_key": request.run_key or ""}
            if not self.platform.instance.get_runs(dg.RunsFilter(tags=key)):
                tags = {**request.tags, **key}
                assert execute(job, self.platform.instance, request.partition_key, tags=tags).success

    def tick(self) -> list[dg.RunRequest]:
        """A tick whose requests are carried out."""
        requests = self.record(self.evaluate())
        self.run(requests)
        return requests

    def land(self, hour: str, chunk: int, **changes: object) -> Path:
        key = self.platform.land_records("listen_events", hour, [good_record("listen_events", hour, **changes)])
        path = Path(self.platform.settings.lake, key)
        path = path.rename(path.with_name(f"{path.name[:11]}{chunk:032x}.json.gz"))
        self.set_age(path, timedelta(minutes=5))
        return path

    def set_age(self, path: Path, age: timedelta) -> None:
        written = (self.now - age).timestamp()
        os.utime(path, (written, written))


def _range_of(request: dg.RunRequest) -> tuple[str, str]:
    partition = request.partition_key or ""
    return request.tags.get(RANGE_START, partition), request.tags.get(RANGE_END, partition)


def make_day(platform: LocalPlatform) -> None:
    """The daily tables of the hours that there are."""
    result = platform.run_day(_DAY)
    failed = {found.check_name for found in result.get_asset_check_evaluations() if not found.passed}
    assert failed <= {WHOLE_DAYS_CHECK}  # the day has few hours


@pytest.fixture
def sensed(local_settings: Callable[..., Settings]) -> Sensed:
    return Sensed(local_settings())


def test_hours_in_a_row_are_one_range_run_and_a_single_one_a_partition(sensed: Sensed) -> None:
    for hour in _HOURS[:2]:
        sensed.land(hour, 1)
    sensed.land("2026-11-01-05:00", 1)
    requests = sensed.evaluate().run_requests or []
    # The hours between were never handled and are empty: they are run as well.
    assert [_range_of(request) for request in requests] == [
        ("2026-11-01-05:00", "2026-11-02-04:00"),
        ("2026-11-02-05:00", "2026-11-03-04:00"),
        ("2026-11-03-05:00", "2026-11-03-06:00"),
    ]


def test_the_current_hour_passes_what_waits_in_the_queue(sensed: Sensed) -> None:
    for hour in (*_HOURS, "2026-11-03-08:00", "2026-11-03-09:00"):
        sensed.land(hour, 1)
    current, backlog = sensed.evaluate().run_requests or []
    assert (current.partition_key, current.tags[PRIORITY_TAG]) == ("2026-11-03-09:00", "1")
    assert _range_of(backlog) == (_HOURS[0], "2026-11-03-08:00")
    assert PRIORITY_TAG not in backlog.tags


def test_a_single_hour_is_a_partitions_run(sensed: Sensed) -> None:
    sensed.land(_HOURS[0], 1)
    [request] = sensed.evaluate().run_requests or []
    assert request.partition_key == _HOURS[0]
    assert request.tags["dagster/partition"] == _HOURS[0]


def test_landed_objects_are_reported_as_materializations_of_the_landing_assets(sensed: Sensed) -> None:
    path = sensed.land(_HOURS[0], 1)
    sensed.record(sensed.evaluate())
    key = dg.AssetKey(["landing", "listen_events"])
    event = sensed.platform.instance.get_latest_materialization_event(key)
    assert event is not None
    materialization = event.asset_materialization
    assert materialization is not None
    assert materialization.partition == _HOURS[0]
    assert materialization.metadata["objects"].value == 1
    assert materialization.metadata["bytes"].value == path.stat().st_size
    assert materialization.metadata["newest_object"].value == pytest.approx(path.stat().st_mtime)
    assert sensed.platform.instance.get_latest_materialization_event(dg.AssetKey(["landing", "auth_events"])) is None


def test_error_records_of_the_collector_run_the_hour_in_which_they_came(sensed: Sensed) -> None:
    sensed.land(_HOURS[0], 1)
    sensed.tick()
    records = ["no event", "none either"]
    for chunk, record in enumerate(records):
        key = errors_key(hour_of_key(_HOURS[0]), f"{chunk:032x}")
        sensed.platform.lake.store.put(key, gzip_lines([record.encode()]))
        sensed.set_age(Path(sensed.platform.settings.lake, key), timedelta(minutes=5))
        [request] = sensed.tick()
        assert request.partition_key == _HOURS[0]
        rows = sensed.platform.rows(COLLECTOR_ERRORS.path, _HOURS[0])
        assert {row["raw"] for row in rows} == set(records[: chunk + 1])
    event = sensed.platform.instance.get_latest_materialization_event(dg.AssetKey(["landing", COLLECTOR_ERRORS.name]))
    assert event is not None
    materialization = event.asset_materialization
    assert materialization is not None
    assert (materialization.partition, materialization.metadata["objects"].value) == (_HOURS[0], 2)
    assert sensed.tick() == []


def test_where_nothing_changed_there_is_no_run_and_the_reason_says_what_was_seen(sensed: Sensed) -> None:
    sensed.land(_HOURS[0], 1)
    sensed.tick()
    result = sensed.evaluate()
    assert result.run_requests == []
    assert result.asset_events == []
    assert result.skip_reason is not None
    assert "nothing changed; 1 objects in 120 hours listed" in str(result.skip_reason.skip_message)


def test_an_object_of_a_future_hour_is_reported_until_its_hour_comes(sensed: Sensed) -> None:
    sensed.land("2026-11-03-11:00", 1)
    result = sensed.evaluate()
    assert result.skip_reason is not None
    assert "held until their hour comes: 2026-11-03-11:00" in str(result.skip_reason.skip_message)
    sensed.now += timedelta(hours=2)
    assert [_range_of(request) for request in sensed.evaluate().run_requests or []] == [("2026-11-03-11:00",) * 2]


def test_a_tick_that_was_killed_before_it_was_recorded_is_repeated_with_the_same_key(sensed: Sensed) -> None:
    sensed.land(_HOURS[0], 1)
    first, second = sensed.evaluate(), sensed.evaluate()
    assert [request.run_key for request in first.run_requests or []] == [
        request.run_key for request in second.run_requests or []
    ]
    sensed.run(list(first.run_requests or []))
    sensed.tick()
    assert len(sensed.platform.instance.get_runs()) == 1


def test_a_memory_that_cannot_be_read_runs_the_window_anew_under_other_keys(sensed: Sensed) -> None:
    sensed.land(_HOURS[0], 1)
    [first] = sensed.tick()
    sensed.cursor = '{"version":0}'
    watch = LandingWatch(sensed.platform.settings)
    context = dg.build_sensor_context(instance=sensed.platform.instance, cursor=sensed.cursor)
    context._last_run_key = first.run_key
    [again] = watch.tick(context, sensed.now).run_requests or []
    assert again.partition_key == _HOURS[0]
    assert again.run_key != first.run_key


def test_a_sensor_without_a_memory_runs_only_what_was_not_made(sensed: Sensed) -> None:
    for hour in (_HOURS[0], _HOURS[2]):
        sensed.land(hour, 1)
    sensed.platform.run(_HOURS[0], _HOURS[2])  # by hand, the empty hour between them included
    assert sensed.tick() == []
    assert set(LandingCursor.from_json(sensed.cursor or "").handled) == set(_HOURS)
    sensed.land(_HOURS[0], 2, sessionId=2)
    assert [_range_of(request) for request in sensed.tick()] == [(_HOURS[0], _HOURS[0])]


@pytest.mark.parametrize("hour", [_HOURS[0], _HOURS[1]], ids=["with objects", "empty"])
@pytest.mark.parametrize("table", ["bronze/listen_events", "gold/fact_streams"])
def test_a_sensor_without_a_memory_runs_an_hour_that_is_half_made(sensed: Sensed, hour: str, table: str) -> None:
    for landed in (_HOURS[0], _HOURS[2]):
        sensed.land(landed, 1)
    sensed.platform.run(_HOURS[0], _HOURS[2])
    date, time = hour[:10], hour[11:13]
    Path(sensed.platform.settings.lake, table, f"date={date}", f"hour={time}", "_SUCCESS").unlink()
    assert [_range_of(request) for request in sensed.tick()] == [(hour, hour)]


def test_a_sensor_without_a_memory_runs_an_hour_whose_objects_changed(sensed: Sensed) -> None:
    sensed.land(_HOURS[0], 1)
    sensed.platform.run(_HOURS[0])
    sensed.land(_HOURS[0], 1, sessionId=2)
    assert [_range_of(request) for request in sensed.tick()] == [(_HOURS[0], _HOURS[0])]


def test_a_store_that_does_not_answer_fails_the_tick_soon(local_settings: Callable[..., Settings]) -> None:
    settings = local_settings(
        lake="s3://bucket/lake",
        s3_endpoint="http://127.0.0.1:1",  # nothing listens there
        s3_access_key_id="key",
        s3_secret_access_key=SecretStr("secret"),
        s3_retry_seconds=1.0,
    )
    context = dg.build_sensor_context(instance=dg.DagsterInstance.ephemeral())
    with pytest.raises(LakeUnreachableError, match="cannot list 'landing/"):
        LandingWatch(settings).tick(context, _NOW)


def test_after_everything_the_tables_are_those_of_a_full_recomputation(
    sensed: Sensed, local_settings: Callable[..., Settings]
) -> None:
    first = sensed.land(_HOURS[0], 1)
    sensed.tick()
    make_day(sensed.platform)
    # The same second, a late hour, the same object again, one rewritten, the clock set back, and a lost tick.
    second = sensed.land(_HOURS[0], 2, sessionId=2)
    os.utime(second, (first.stat().st_mtime, first.stat().st_mtime))
    sensed.land("2026-11-03-02:00", 1, sessionId=3)
    sensed.evaluate()
    sensed.tick()
    shutil.copy2(first, first.with_suffix(".copy"))
    first.with_suffix(".copy").replace(first)
    sensed.now -= timedelta(minutes=20)
    sensed.tick()
    sensed.land(_HOURS[1], 1, sessionId=4)
    sensed.tick()
    sensed.now += timedelta(minutes=30)
    sensed.land(_HOURS[1], 1, sessionId=5)
    sensed.tick()
    sensed.now += timedelta(minutes=5)
    assert sensed.tick() == []
    assert LandingCursor.from_json(sensed.cursor or "").waiting == {}
    make_day(sensed.platform)

    whole = LocalPlatform(local_settings())
    shutil.copytree(Path(sensed.platform.settings.lake, "landing"), Path(whole.settings.lake, "landing"))
    whole.run("2026-11-03-02:00", _HOURS[1])
    make_day(whole)
    found = sensed.platform.data_versions()
    assert {table for table, _ in found} == set(made_tables(is_served=False))
    assert found == whole.data_versions()
