"""Pruning deletes old runs and changes nothing of what Dagster says of partitions, assets and checks."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from music_platform.orchestration.automation.retention import prune_runs, retention_job
from music_platform_tests.places import REPOSITORY

_TEMPLATE = REPOSITORY / "deploy" / "local" / "dagster.yaml"
_DAYS = dg.StaticPartitionsDefinition(["monday", "tuesday", "wednesday", "thursday"])
_FAILS = "fails"


@dg.asset(partitions_def=_DAYS)
def numbers(context: dg.AssetExecutionContext) -> None:
    if context.run.tags.get(_FAILS):
        raise dg.Failure("as the test wants it", allow_retries=False)


@dg.asset
def total() -> None:
    """An asset without partitions."""


@dg.asset_check(asset=numbers)
def is_counted() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(_TEMPLATE, tmp_path)
    with dg.DagsterInstance.get() as instance:
        yield instance


def run(instance: dg.DagsterInstance, partition: str, **tags: str) -> str:
    return dg.materialize(
        [numbers, is_counted], partition_key=partition, instance=instance, tags=tags, raise_on_error=False
    ).run_id


def told(instance: dg.DagsterInstance) -> dict[str, Any]:
    """What Dagster says: the partitions' status, each partition's latest event, the check's latest result."""
    cached = get_and_update_asset_status_cache_value(instance, numbers.key, _DAYS)
    assert cached is not None
    check = dg.AssetCheckKey(numbers.key, "is_counted")
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key([check])[check]
    return {
        "materialized": set(cached.deserialize_materialized_partition_subsets(_DAYS).get_partition_keys()),
        "failed": set(cached.deserialize_failed_partition_subsets(_DAYS).get_partition_keys()),
        "latest": {
            partition: records[0].run_id
            for partition in _DAYS.get_partition_keys()
            if (
                records := instance.fetch_materializations(
                    dg.AssetRecordsFilter(numbers.key, asset_partitions=[partition]), limit=1
                ).records
            )
        },
        "total": getattr(instance.get_latest_materialization_event(total.key), "run_id", None),
        "check": (latest.run_id, latest.status, instance.has_run(latest.run_id)),
    }


def test_only_runs_that_no_partition_and_no_check_rests_on_are_deleted(instance: dg.DagsterInstance) -> None:
    superseded = [run(instance, "monday"), run(instance, "tuesday"), dg.materialize([total], instance=instance).run_id]
    in_force = [
        run(instance, "monday"),
        run(instance, "tuesday"),
        dg.materialize([total], instance=instance).run_id,
        run(instance, "wednesday", **{_FAILS: "yes"}),
        run(instance, "thursday"),
    ]
    before = told(instance)
    assert (before["materialized"], before["failed"]) == ({"monday", "tuesday", "thursday"}, {"wednesday"})

    pruned = prune_runs(instance, [dg.AssetCheckKey(numbers.key, "is_counted")], datetime.now(UTC) + timedelta(hours=1))

    assert pruned == len(superseded)
    assert [instance.has_run(run_id) for run_id in superseded] == [False] * len(superseded)
    assert [instance.has_run(run_id) for run_id in in_force] == [True] * len(in_force)
    assert all(instance.all_logs(run_id) for run_id in in_force)
    assert told(instance) == before


def test_the_job_keeps_what_is_young(instance: dg.DagsterInstance) -> None:
    old_and_young = [run(instance, "monday") for _ in range(3)]
    definitions = dg.Definitions(
        assets=[numbers], asset_checks=[is_counted], jobs=[retention_job(30, is_counted.check_keys)]
    )
    result = definitions.resolve_job_def("retention").execute_in_process(instance=instance)
    assert result.success
    assert all(instance.has_run(run_id) for run_id in old_and_young)
