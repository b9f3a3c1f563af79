"""Closed hours are complete or named; partitions left failed are named; both as checks that a job runs by the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from music_platform.definitions import build_definitions
from music_platform.lake.landing_layout import LANDED_KINDS
from music_platform.orchestration.checks.completeness import check_closed_hours, hours_looked_at
from music_platform.orchestration.checks.platform import find_failed_partitions
from music_platform.orchestration.checks.unread import UNREAD_CHECK
from music_platform.partitions import hour_of_key
from music_platform.settings import Settings
from music_platform_tests.assets.execution import execute
from music_platform_tests.assets.local_platform import (
    EMPTY_HOUR,
    HOUR,
    NEXT_HOUR,
    LocalPlatform,
    evaluations,
    good_record,
    milliseconds,
)

EVENT_TYPE = "auth_events"
SPINE = [f"{layer}/{EVENT_TYPE}" for layer in ("bronze", "silver", "quarantine")]
_GRACE = timedelta(seconds=Settings.model_fields["hour_grace_seconds"].default)


def closing(hour: str) -> datetime:
    return hour_of_key(hour) + timedelta(hours=1) + _GRACE


@pytest.fixture
def made(platform: LocalPlatform) -> LocalPlatform:
    """An hour with two events that is made, and two after it with none."""
    platform.land_records(
        EVENT_TYPE, HOUR, [good_record(EVENT_TYPE), good_record(EVENT_TYPE, ts=milliseconds(HOUR, minute=50))]
    )
    platform.run(HOUR, tables=SPINE)
    return platform


def test_an_hour_is_closed_from_its_end_and_grace_on(platform: LocalPlatform) -> None:
    before, at = closing(HOUR) - timedelta(seconds=1), closing(HOUR)
    assert HOUR not in hours_looked_at(before, platform.lake)[0]
    assert hours_looked_at(before, platform.lake)[1][0] == HOUR
    assert hours_looked_at(at, platform.lake)[0][-1] == HOUR
    assert hours_looked_at(at, platform.lake)[1] == [NEXT_HOUR]
    assert len(hours_looked_at(at, platform.lake)[0]) == platform.settings.completeness_hours


def test_nothing_landed_is_complete(platform: LocalPlatform) -> None:
    outcome = check_closed_hours(EVENT_TYPE, closing(HOUR), platform.lake)
    assert outcome.passed
    assert "watermark" not in outcome.numbers


def test_a_complete_hour_passes_and_tells_objects_and_watermark(made: LocalPlatform) -> None:
    outcome = check_closed_hours(EVENT_TYPE, closing(HOUR), made.lake)
    assert outcome.passed
    latest = hour_of_key(HOUR) + timedelta(minutes=50)
    assert outcome.numbers == {
        "objects_seen": 1,
        "closed_hours": 1,
        "incomplete_hours": 0,
        "watermark": latest.timestamp(),
        "lag_seconds": 1200.0,
    }
    assert "events up to 2026-11-01 05:50:00 UTC" in outcome.description


def test_an_open_hour_may_be_incomplete(made: LocalPlatform) -> None:
    made.land_records(EVENT_TYPE, NEXT_HOUR, [good_record(EVENT_TYPE, NEXT_HOUR)])
    assert check_closed_hours(EVENT_TYPE, closing(HOUR), made.lake).passed


def test_a_closed_hour_that_landed_and_was_not_made_is_named(made: LocalPlatform) -> None:
    made.land_records(EVENT_TYPE, NEXT_HOUR, [good_record(EVENT_TYPE, NEXT_HOUR)])
    outcome = check_closed_hours(EVENT_TYPE, closing(NEXT_HOUR), made.lake)
    assert not outcome.passed
    assert f"partition {NEXT_HOUR}: not in bronze/auth_events, silver/auth_events" in outcome.description
    assert outcome.numbers["incomplete_hours"] == 1


def test_an_hour_without_events_must_be_explicitly_empty(made: LocalPlatform) -> None:
    outcome = check_closed_hours(EVENT_TYPE, closing(EMPTY_HOUR), made.lake)
    assert not outcome.passed
    assert "(0 objects landed)" in outcome.description
    made.run(NEXT_HOUR, EMPTY_HOUR, tables=SPINE)
    assert check_closed_hours(EVENT_TYPE, closing(EMPTY_HOUR), made.lake).passed


def test_a_layer_that_is_missing_and_an_object_that_came_late_are_named(made: LocalPlatform) -> None:
    made.lake.store.delete([f"silver/{EVENT_TYPE}/date=2026-11-01/hour=05/_SUCCESS"])
    late = made.land_records(EVENT_TYPE, HOUR, [good_record(EVENT_TYPE, itemInSession=9)])
    outcome = check_closed_hours(EVENT_TYPE, closing(HOUR), made.lake)
    assert "not in silver/auth_events (2 objects landed)" in outcome.description
    assert f"1 landed objects are not in bronze/{EVENT_TYPE}, such as '{late}'" in outcome.description


def test_a_partition_left_failed_is_named_until_it_is_made(platform: LocalPlatform) -> None:
    assets = [dg.AssetKey(table.split("/")) for table in SPINE]
    assert find_failed_partitions(platform.instance, assets).passed
    key = platform.land_records(EVENT_TYPE, HOUR, [good_record(EVENT_TYPE)])
    run = platform.run(HOUR, tables=["silver/auth_events"], raise_on_error=False)  # bronze is not there
    assert not run.success
    outcome = find_failed_partitions(platform.instance, assets)
    assert not outcome.passed
    assert f"silver/{EVENT_TYPE} {HOUR} (run {run.run_id[:8]} failed)" in outcome.description
    platform.run(HOUR, tables=SPINE)
    assert find_failed_partitions(platform.instance, assets).passed
    assert platform.lake.store.get(key)


def test_the_job_runs_every_check_by_the_clock(platform: LocalPlatform) -> None:
    result = execute(platform.definitions.resolve_job_def("clock_checks"), platform.instance)
    found = evaluations(result)
    assert len(found) == 4 + 4 + 6 + 1
    assert {name for name, evaluation in found.items() if not evaluation.passed} == {
        f"landing/{event_type} freshness_check"
        for event_type in ("auth_events", "listen_events", "page_view_events", "status_change_events")
    }
    assert datetime.now(UTC) > closing(HOUR)


def test_runs_of_tables_hold_no_checks_by_the_clock(platform: LocalPlatform) -> None:
    definitions = build_definitions(platform.settings)
    by_the_clock = ("complete", "left_failed", "freshness", UNREAD_CHECK)
    for job in ("hourly_spine", "daily_tier"):
        steps = {node.name for node in definitions.resolve_job_def(job).nodes}
        assert not [step for step in steps if any(part in step for part in by_the_clock)]


def test_landed_objects_that_no_partition_reads_fail_a_check_by_the_clock(made: LocalPlatform) -> None:
    """On the assets of their kind; those of no kind on the platform as a whole."""
    clock_checks = made.definitions.resolve_job_def("clock_checks")

    def unread() -> dict[str, dg.AssetCheckEvaluation]:
        found = evaluations(execute(clock_checks, made.instance))
        return {name: found[name] for name in found if name.endswith(f" {UNREAD_CHECK}")}

    assets = {*(f"landing/{kind}" for kind in LANDED_KINDS), "operations/partitions"}
    before = unread()
    assert {name.split(" ")[0] for name in before} == assets
    assert all(evaluation.passed for evaluation in before.values())
    name = f"{'0' * 32}.json.gz"
    for key in (
        f"landing/{EVENT_TYPE}/dt=2026-11-01/hour=5/2026110105_{name}",
        f"landing/skip_events/dt=2026-11-01/hour=05/2026110105_{name}",
        f"errors/dt=2024-05-01/2024050110_{name}",
    ):
        made.lake.store.put(key, b"12345")
    failed = {name.split(" ")[0]: evaluation for name, evaluation in unread().items() if not evaluation.passed}
    assert set(failed) == {f"landing/{EVENT_TYPE}", "landing/collector_errors", "operations/partitions"}
    assert "skip_events" in (failed["operations/partitions"].description or "")
    for evaluation in failed.values():
        assert evaluation.severity is dg.AssetCheckSeverity.ERROR
        assert evaluation.metadata["unread_objects"].value == 1
