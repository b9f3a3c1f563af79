"""The event log with kept connections records what Dagster's own does, where Dagster's own finds it."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from music_platform.orchestration.event_log import _MOST_KEPT, KeptConnectionsEventLogStorage
from music_platform_tests.places import REPOSITORY

_TEMPLATE = REPOSITORY / "deploy" / "local" / "dagster.yaml"
_DAYS = dg.StaticPartitionsDefinition(["monday", "tuesday"])


@dg.asset(partitions_def=_DAYS)
def numbers() -> None:
    """An asset with nothing in it."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(_TEMPLATE, tmp_path)
    return tmp_path


def materialize(instance: dg.DagsterInstance, partition: str) -> str:
    result = dg.materialize([numbers], partition_key=partition, instance=instance)
    assert result.success
    return result.run_id


def test_the_template_uses_it_and_dagsters_own_storage_reads_its_files(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.event_log_storage, KeptConnectionsEventLogStorage)
        run_id = materialize(instance, "monday")
        recorded = [entry.dagster_event.event_type_value for entry in instance.all_logs(run_id) if entry.dagster_event]
        assert dg.DagsterEventType.RUN_SUCCESS.value in recorded
    own = SqliteEventLogStorage(str(home / "history" / "runs"))
    read = [entry.dagster_event.event_type_value for entry in own.get_logs_for_run(run_id) if entry.dagster_event]
    assert read == recorded
    assert own.get_materialized_partitions(numbers.key) == {"monday"}


def test_a_deleted_run_is_gone_and_others_stay(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        first, second = materialize(instance, "monday"), materialize(instance, "tuesday")
        instance.delete_run(first)
        assert not instance.has_run(first)
        assert not list((home / "history" / "runs").glob(f"{first}*"))
        assert instance.all_logs(second)
        assert materialize(instance, "monday") != first


def test_only_some_connections_are_kept(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        storage = instance.event_log_storage
        assert isinstance(storage, KeptConnectionsEventLogStorage)
        runs = [materialize(instance, "monday") for _ in range(_MOST_KEPT + 2)]
        assert len(storage._engines) <= _MOST_KEPT
        assert all(instance.all_logs(run_id) for run_id in runs)
