"""The daily reconciliation: whatever landing holds and the tables were not made of is requested, whatever its age."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time

from music_platform.definitions import build_definitions
from music_platform.lake.landing_layout import errors_key
from music_platform.landing.landed_partitions import declare_expired
from music_platform.orchestration.automation.landing_reconcile import Reconciliation, landing_reconcile
from music_platform.orchestration.automation.landing_requests import data_versions_of_landing
from music_platform.partitions import hour_of_key
from music_platform.settings import Settings
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform_tests.assets.local_platform import LocalPlatform, good_record

_OLD, _NEXT, _LATER = "2026-02-01-05:00", "2026-02-01-06:00", "2026-03-01-05:00"
_BRONZE = ["bronze/listen_events"]


class Reconciled:
    """A platform that is reconciled some days after its objects were written."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        folder.mkdir()
        # A schedule opens its instance by reference, which an ephemeral one has not.
        self.platform = LocalPlatform(settings, instance=dg.DagsterInstance.local_temp(str(folder)))
        self.schedule = landing_reconcile(settings)
        self.repository = build_definitions(settings).get_repository_def()
        self.now = datetime.now(UTC) + timedelta(days=2)

    def land(self, hour: str, chunk: int = 1) -> Path:
        key = self.platform.land("listen_events", hour, b"", chunk=chunk)
        return Path(self.platform.settings.lake, key)

    def reconcile(self) -> tuple[list[str], str]:
        """The hours requested, a range by its first; and the reason where there are none."""
        # A context that is not left keeps Dagster's own memory of its instance, which all later tests would meet.
        context = dg.build_schedule_context(
            instance=self.platform.instance, repository_def=self.repository, scheduled_execution_time=self.now
        )
        with freeze_time(self.now), context:
            found = self.schedule.evaluate_tick(context)
        requests = found.run_requests or []
        return [
            request.partition_key or request.tags["dagster/asset_partition_range_start"] for request in requests
        ], found.skip_message or ""


@pytest.fixture
def reconciled(local_settings: Callable[..., Settings], tmp_path: Path) -> Reconciled:
    return Reconciled(local_settings(), tmp_path / "instance")


def test_error_records_that_no_table_was_made_of_are_found(reconciled: Reconciled) -> None:
    key = errors_key(hour_of_key(_OLD), f"{1:032x}")
    reconciled.platform.lake.store.put(key, b"")
    assert reconciled.reconcile()[0] == [_OLD]
    reconciled.platform.run(_OLD, tables=[COLLECTOR_ERRORS.path])
    assert reconciled.reconcile()[0] == []


def test_objects_that_no_table_was_made_of_are_found_at_any_age(reconciled: Reconciled) -> None:
    for hour in (_OLD, _NEXT, _LATER):
        reconciled.land(hour)
    assert reconciled.reconcile()[0] == [_OLD, _LATER]


def test_hours_in_order_are_compared_once_and_requested_never(reconciled: Reconciled) -> None:
    reconciled.land(_OLD)
    reconciled.platform.run(_OLD, tables=_BRONZE)
    assert reconciled.reconcile() == ([], "1 objects in 24 hours compared")
    known = data_versions_of_landing(reconciled.platform.instance)
    assert set(known["listen_events"]) == {_OLD}
    # What was verified is not read again: a manifest that cannot be read would be an error.
    manifest = Path(reconciled.platform.settings.lake, "bronze/listen_events/date=2026-02-01/hour=05/_SUCCESS")
    manifest.write_text("damaged")
    assert reconciled.reconcile()[0] == []


@pytest.mark.parametrize("chunk", [1, 2], ids=["rewritten", "added"])
def test_what_changed_after_the_tables_were_made_is_found(reconciled: Reconciled, chunk: int) -> None:
    reconciled.land(_OLD)
    reconciled.platform.run(_OLD, tables=_BRONZE)
    reconciled.reconcile()
    reconciled.platform.land_records("listen_events", _OLD, [good_record("listen_events", _OLD)])
    if chunk == 1:
        reconciled.land(_OLD).write_bytes(b"other")
    assert reconciled.reconcile()[0] == [_OLD]
    reconciled.platform.run(_OLD, tables=_BRONZE)
    assert reconciled.reconcile()[0] == []


@pytest.mark.parametrize("is_verified_before", [False, True], ids=["never_reported", "verified_before"])
@pytest.mark.parametrize("others", [0, 1], ids=["the_only_object", "one_of_two"])
def test_an_hour_whose_object_is_gone_is_named_and_not_run(
    reconciled: Reconciled, others: int, is_verified_before: bool
) -> None:
    records = [good_record("listen_events", _OLD)]
    path = Path(reconciled.platform.settings.lake, reconciled.platform.land_records("listen_events", _OLD, records))
    for chunk in range(others):
        reconciled.land(_OLD, chunk + 2)
    reconciled.platform.run(_OLD, tables=_BRONZE)
    if is_verified_before:
        reconciled.reconcile()
    path.unlink()
    for _ in range(2):  # it is named each time, and never taken for verified
        requested, reason = reconciled.reconcile()
        assert requested == []
        assert "NOT RUN: 1 hours lack 1 landed objects that their tables were made from" in reason
        assert path.name in reason
        assert _OLD in reason
    reconciled.land(_OLD, 9)
    assert reconciled.reconcile()[0] == []


def test_an_hour_whose_objects_expired_on_purpose_is_in_order(reconciled: Reconciled) -> None:
    records = [good_record("listen_events", _OLD)]
    key = reconciled.platform.land_records("listen_events", _OLD, records)
    reconciled.platform.run(_OLD, tables=_BRONZE)
    reconciled.platform.lake.store.delete([key])
    assert declare_expired(reconciled.platform.lake, "listen_events", _OLD)
    assert reconciled.reconcile() == ([], "0 objects in 24 hours compared")
    reconciled.land(_OLD, 2)  # what comes late all the same is taken in
    assert reconciled.reconcile()[0] == [_OLD]


def test_a_manifest_that_cannot_be_read_is_made_again(reconciled: Reconciled) -> None:
    reconciled.land(_OLD)
    reconciled.platform.run(_OLD, tables=_BRONZE)
    Path(reconciled.platform.settings.lake, "bronze/listen_events/date=2026-02-01/hour=05/_SUCCESS").write_text("{")
    assert reconciled.reconcile()[0] == [_OLD]


def test_objects_that_no_partition_reads_are_named_and_stop_nothing(reconciled: Reconciled) -> None:
    reconciled.land(_OLD)
    store = reconciled.platform.lake.store
    name = f"{'0' * 32}.json.gz"
    for key in (
        f"landing/listen_events/dt=2026-13-40/hour=07/2026134007_{name}",
        f"landing/listen_events/dt=0001-01-01/hour=07/0001010107_{name}",
        f"landing/listen_events/dt=2026-02-01/hour=7/2026020107_{name}",
        f"landing/skip_events/2026020107_{name}",
        f"landing/auth_events/dt=2020-01-01/hour=00/2020010100_{name}",
    ):
        store.put(key, b"12345")
    assert reconciled.reconcile()[0] == [_OLD]
    reconciled.platform.run(_OLD, tables=_BRONZE)
    requested, message = reconciled.reconcile()
    assert requested == []
    assert message.count("NOT READ: ") == 3
    assert "NOT READ: 3 objects (15 bytes) under landing/listen_events/ lie outside the folders of hours" in message
    assert "NOT READ: 1 objects (5 bytes) under landing/ lie in no event type's folder" in message
    assert "set MUSIC_PLATFORM_START=2020-01-01T00:00" in message


def test_what_landed_just_now_is_left_to_the_sensor(reconciled: Reconciled) -> None:
    reconciled.land(_OLD)
    reconciled.now = datetime.now(UTC) + timedelta(minutes=5)
    assert reconciled.reconcile()[0] == []


def test_hours_with_a_run_in_progress_are_left_to_it(reconciled: Reconciled) -> None:
    reconciled.land(_OLD)
    reconciled.platform.instance.add_run(
        dg.DagsterRun(job_name="hourly_spine", status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": _OLD})
    )
    assert reconciled.reconcile()[0] == []


def test_hours_that_have_not_begun_are_reported(reconciled: Reconciled) -> None:
    future = f"{reconciled.now + timedelta(days=9):%Y-%m-%d-%H}:00"
    reconciled.land(future)
    assert reconciled.reconcile() == ([], f"1 objects in 24 hours compared; held until their hour comes: {future}")


def test_error_records_of_an_hour_to_come_are_not_held_but_named(reconciled: Reconciled) -> None:
    key = errors_key(reconciled.now + timedelta(days=9), f"{1:032x}")
    reconciled.platform.lake.store.put(key, b"12345")
    requests, message = reconciled.reconcile()
    assert requests == []
    assert "held" not in message
    assert "NOT READ: 1 objects (5 bytes) under errors/ are error records of hours that have not begun" in message
    assert key in message


def test_what_time_did_not_suffice_for_comes_the_next_time(reconciled: Reconciled) -> None:
    days = [f"2026-02-{day:02}" for day in range(1, 10)]
    for day in days:
        reconciled.land(f"{day}-05:00")
    found, resume_day = [], None
    for _ in range(3):
        seconds = iter(range(1000))
        once = Reconciliation(
            reconciled.platform.lake, reconciled.now, hour_of_key("2026-01-01-00:00"), {}, frozenset(),
            budget_seconds=0.5, clock=lambda seconds=seconds: float(next(seconds)),
        ).run(resume_day)  # fmt: skip
        found += once.lost
        resume_day = once.resume_day
    assert {hour[:10] for hour in found} == set(days)
