"""An object that comes when its hour is beyond the sensor's window: in the end every table is that of a full recomputation."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.test_utils import freeze_time

from music_platform.definitions import build_definitions
from music_platform.eventsim import GeneratorOptions, generate_files
from music_platform.landing.event_files import EventFile
from music_platform.landing.writer import land_files
from music_platform.orchestration.automation.daily_tier import SENSOR
from music_platform.orchestration.automation.landing_reconcile import SCHEDULE_NAME
from music_platform.orchestration.automation.landing_sensor import SENSOR_NAME
from music_platform.orchestration.automation.run_tags import RANGE_END, RANGE_START
from music_platform.partitions import hours_of_day
from music_platform.settings import Settings
from music_platform.tables.catalogue import made_tables
from music_platform_tests.assets.execution import execute
from music_platform_tests.assets.local_platform import LocalPlatform

_TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
_DAYS = [f"{_TODAY - timedelta(days=ago):%Y-%m-%d}" for ago in (4, 3)]


class Scheduled:
    """A platform whose sensors and schedules are evaluated as Dagster's daemon does it, and their runs carried out."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.platform = LocalPlatform(settings, instance=instance)
        self.repository = build_definitions(settings).get_repository_def()
        self.cursor: str | None = None

    def run(self, request: dg.RunRequest, job: str) -> None:
        result = execute(
            self.repository.get_job(job),
            self.platform.instance,
            request.partition_key,
            tables=[key.to_user_string() for key in request.asset_selection or ()],
            tags=request.tags,
        )
        assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())

    def run_range(self, job: str, first: str, last: str) -> None:
        self.run(dg.RunRequest(tags={RANGE_START: first, RANGE_END: last}), job)

    def reconcile(self) -> list[dg.RunRequest]:
        """What the reconciliation requests when it comes the next time, two days from now."""
        context = dg.build_schedule_context(instance=self.platform.instance, repository_def=self.repository)
        with freeze_time(datetime.now(UTC) + timedelta(days=2)), context:
            return list(self.repository.get_schedule_def(SCHEDULE_NAME).evaluate_tick(context).run_requests or [])

    def sense(self, sensor: str, cursor: str | None) -> tuple[list[dg.RunRequest], str | None]:
        context = dg.build_sensor_context(
            instance=self.platform.instance, cursor=cursor, repository_def=self.repository, sensor_name=sensor
        )
        with context:
            tick = self.repository.get_sensor_def(sensor).evaluate_tick(context)
        return list(tick.run_requests or []), tick.cursor

    def follow(self) -> list[dg.RunRequest]:
        """Carry out what the daily tier's sensor requests, until it requests nothing."""
        carried_out: list[dg.RunRequest] = []
        while True:
            requests, self.cursor = self.sense(SENSOR, self.cursor)
            if not requests:
                return carried_out
            for request in requests:
                self.run(request, "daily_tier")
            carried_out += requests


def test_an_object_older_than_the_window_changes_every_table_that_it_should(
    local_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    automation = {"daily_quiet_seconds": 0.0, "landing_window_hours": 24, "start": _TODAY - timedelta(days=4)}
    # A schedule opens its instance by reference, which an ephemeral one has not.
    scheduled = Scheduled(local_settings(**automation), dg.DagsterInstance.local_temp(str(tmp_path)))
    platform = scheduled.platform
    late = _land(platform, tmp_path / "generated")
    hour = f"{_DAYS[0]}-{late.parent.name.removeprefix('hour=')}:00"
    held_back = tmp_path / "held back"
    shutil.move(late, held_back)
    scheduled.sense(SENSOR, None)
    scheduled.run_range("hourly_spine", hours_of_day(_DAYS[0])[0], hours_of_day(_DAYS[-1])[-1])
    scheduled.run_range("daily_tier", _DAYS[0], _DAYS[-1])
    assert scheduled.reconcile() == []
    _, scheduled.cursor = scheduled.sense(SENSOR, None)
    assert scheduled.follow() == []
    before = platform.data_versions()

    shutil.move(held_back, late)
    requests, _ = scheduled.sense(SENSOR_NAME, None)
    assert hour not in {request.tags.get(RANGE_START, request.partition_key) for request in requests}
    [request] = scheduled.reconcile()
    assert request.partition_key == hour
    scheduled.run(request, "hourly_spine")
    carried_out = scheduled.follow()
    assert carried_out

    whole = Scheduled(local_settings(**automation), dg.DagsterInstance.ephemeral())
    shutil.copytree(Path(platform.settings.lake, "landing"), Path(whole.platform.settings.lake, "landing"))
    whole.run_range("hourly_spine", hours_of_day(_DAYS[0])[0], hours_of_day(_DAYS[-1])[-1])
    whole.run_range("daily_tier", _DAYS[0], _DAYS[-1])
    found = platform.data_versions()
    assert {table for table, _ in found} == set(made_tables(is_served=False))
    assert found == whole.platform.data_versions()
    changed = {(table, partition) for table, partition in found if found[table, partition] != before[table, partition]}
    assert {
        ("gold/fact_plays", _DAYS[0]),
        ("gold/user_song_interactions", _DAYS[-1]),
    } <= changed  # carried to the last day
    assert ("gold/fact_plays", _DAYS[-1]) not in changed


def _land(platform: LocalPlatform, folder: Path) -> Path:
    """Land some listeners' events of the days; returns the object of the first day with the most listens."""
    options = GeneratorOptions(users=40, seed=7, start=_TODAY - timedelta(days=4), end=_TODAY - timedelta(days=2))
    made = generate_files(options, folder)
    land_files(platform.lake.store, [EventFile(path, name) for name, path in made.files.items()])
    first_day = Path(platform.settings.lake, "landing", "listen_events", f"dt={_DAYS[0]}")
    return max(first_day.glob("*/*"), key=lambda path: path.stat().st_size)
