"""The files that run the platform on one machine: Dagster accepts them, and they agree with the settings."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.run_coordinator import QueuedRunCoordinator

from music_platform.settings import Settings
from music_platform_tests.places import REPOSITORY


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(REPOSITORY / "deploy" / "local" / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as loaded:
        yield loaded


def test_only_runs_whose_process_died_are_retried(instance: dg.DagsterInstance) -> None:
    assert instance.run_retries_enabled
    assert instance.run_retries_max_retries > 0
    assert not instance.run_retries_retry_on_asset_or_op_failure


def test_runs_are_queued_within_limits(instance: dg.DagsterInstance) -> None:
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 2
    assert isinstance(instance.run_coordinator, QueuedRunCoordinator)
    assert instance.run_coordinator.dequeue_interval_seconds == 1
    assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] > 0


def test_no_run_outlives_the_grace_of_the_files_it_has_yet_to_publish(instance: dg.DagsterInstance) -> None:
    settings = instance.run_monitoring_settings
    longest = settings["max_runtime_seconds"] + settings["poll_interval_seconds"] + settings["cancel_timeout_seconds"]
    assert longest < Settings.model_fields["leftover_grace_seconds"].default


def test_workspace_names_the_definitions() -> None:
    [location] = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text())["load_from"]
    assert location == {"python_module": "music_platform.definitions"}
