"""The daily tier under Dagster's own daemon: hours become runs by themselves, few, and one at a time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from music_platform.orchestration.automation.run_tags import PARTITION, RANGE_END, RANGE_START
from music_platform_tests.places import REPOSITORY
from music_platform_tests.unit.orchestration.automation.small_tier import EVERY_TABLE, day, hours

pytestmark = pytest.mark.integration

_FOLDER = Path(__file__).parent
_TEMPLATE = REPOSITORY / "deploy" / "local" / "dagster.yaml"
_PATIENCE_SECONDS = 200.0


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance as the local deployment has it, with a daemon that ends with the test."""
    shutil.copy(_TEMPLATE, tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    environment = os.environ | {
        "MUSIC_PLATFORM_LAKE": str(tmp_path / "lake"),
        "MUSIC_PLATFORM_START": f"{datetime.now(UTC) - timedelta(days=30):%Y-%m-%dT00:00}",
        "MUSIC_PLATFORM_DAILY_QUIET_SECONDS": "2",
        "PYTHONPATH": str(REPOSITORY),
    }
    with dg.DagsterInstance.get() as instance, (tmp_path / "daemon.txt").open("wb") as log:
        for offset in (-20, -2):
            land(instance, hours(offset, 24))
        daemon = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("dagster-daemon")),
                "run",
                "-f",
                str(_FOLDER / "daemon_definitions.py"),
            ],
            env=environment,
            cwd=_FOLDER,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield instance
        finally:
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def land(instance: dg.DagsterInstance, partitions: list[str]) -> None:
    for partition in partitions:
        instance.report_runless_asset_event(dg.AssetMaterialization("events", partition=partition))


def wait_for(found: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not found():
        assert time.monotonic() < deadline, f"still no {what} after {_PATIENCE_SECONDS:g} s"
        time.sleep(0.5)


def finished(instance: dg.DagsterInstance, count: int) -> Callable[[], bool]:
    return lambda: [run.is_finished for run in instance.get_runs()].count(True) >= count


def step_span(instance: dg.DagsterInstance, run_id: str) -> tuple[float, float]:
    """When the first step of a run began and its last one ended; a run's own times are noted a moment later."""
    steps = instance.get_run_step_stats(run_id)
    return min(step.start_time or 0.0 for step in steps), max(step.end_time or 0.0 for step in steps)


def told(run: dg.DagsterRun) -> tuple[str, str, set[str]]:
    """A run's first and last day and its tables."""
    first = run.tags.get(PARTITION) or run.tags[RANGE_START]
    last = run.tags.get(PARTITION) or run.tags[RANGE_END]
    return first, last, {key.to_user_string() for key in run.asset_selection or ()}


def test_hours_become_few_runs_one_at_a_time(instance: dg.DagsterInstance) -> None:
    wait_for(finished(instance, 2), "runs of the backlog")
    runs = instance.get_runs()
    assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    # The later day carries forward one that is not there: only what needs no day before is made.
    expected = [(day(-20), day(-20), EVERY_TABLE), (day(-2), day(-2), {"plays", "sessions"})]
    assert sorted(map(told, runs), key=lambda run: run[0]) == expected

    first, second = sorted(step_span(instance, run.run_id) for run in runs)
    assert first[1] <= second[0]  # two may run at once, but one pool lets one run at a time

    land(instance, hours(-20)[:1])  # a late event
    wait_for(finished(instance, 3), "run of the late hour")
    assert told(instance.get_runs()[0]) == (day(-20), day(-20), EVERY_TABLE)
