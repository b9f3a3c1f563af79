"""What the landing sensor learns from Dagster's runs: which of the hours that it gave up were made by somebody else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import dagster as dg
import pytest

from music_platform.landing.watch.cursor import FailedHour
from music_platform.orchestration.automation.landing_requests import hours_remade
from music_platform.orchestration.automation.run_tags import PARTITION, RANGE_END, RANGE_START

_FAILED_AT = 1_790_000_000.0  # long before the runs that the tests record
_LEFT = FailedHour(attempts=4, failed_at=_FAILED_AT, is_left=True)
_HOURS = [f"2026-11-01-0{hour}:00" for hour in range(5)]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def record(instance: dg.DagsterInstance, tags: Mapping[str, str], status: dg.DagsterRunStatus) -> dg.RunRecord:
    run = instance.add_run(dg.DagsterRun(job_name="hourly_spine", status=status, tags=tags))
    return instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))[0]


def test_an_hour_is_remade_by_a_run_of_it_or_of_a_range_that_holds_it(instance: dg.DagsterInstance) -> None:
    record(instance, {PARTITION: _HOURS[0]}, dg.DagsterRunStatus.SUCCESS)
    record(instance, {RANGE_START: _HOURS[2], RANGE_END: _HOURS[3]}, dg.DagsterRunStatus.SUCCESS)
    assert hours_remade(instance, dict.fromkeys(_HOURS, _LEFT)) == {_HOURS[0], _HOURS[2], _HOURS[3]}


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.STARTED]
)
def test_a_run_that_did_not_succeed_remakes_nothing(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> None:
    record(instance, {PARTITION: _HOURS[0]}, status)
    assert hours_remade(instance, {_HOURS[0]: _LEFT}) == set()


def test_only_a_run_after_the_failure_counts(instance: dg.DagsterInstance) -> None:
    created = record(instance, {PARTITION: _HOURS[0]}, dg.DagsterRunStatus.SUCCESS).create_timestamp.timestamp()
    later = FailedHour(attempts=4, failed_at=created + 1, is_left=True)
    # Of two hours that are left, the older failure has runs read which the younger one must not take for its own.
    assert hours_remade(instance, {_HOURS[0]: later, _HOURS[1]: _LEFT}) == set()


def test_hours_that_the_sensor_tries_again_itself_and_runs_of_days_are_left_alone(instance: dg.DagsterInstance) -> None:
    for tags in (
        {PARTITION: _HOURS[0]},
        {PARTITION: "2026-11-01"},
        {RANGE_START: "2026-11-01", RANGE_END: "2026-11-02"},
        {},
    ):
        record(instance, tags, dg.DagsterRunStatus.SUCCESS)
    retried = FailedHour(attempts=1, failed_at=_FAILED_AT, is_left=False)
    assert hours_remade(instance, {_HOURS[0]: retried, _HOURS[1]: _LEFT}) == set()
