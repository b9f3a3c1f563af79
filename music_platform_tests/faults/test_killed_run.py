"""Whole runs, engine and orchestrator included, that are killed (SIGKILL) at any moment or meet a failing S3."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from music_platform.lake.lake import Lake
from music_platform.lake.manifest import manifest_key, partition_folder, read_manifest
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.settings import Settings
from music_platform.tables.contract import TableContract
from music_platform_tests.faults.faulty_proxy import Fault, FaultyProxy, Request, passes
from music_platform_tests.faults.killed_runs import HOUR, LINES_OF_AN_OBJECT, TABLES, land, run_hour_on_signal

KILLS = 4


@pytest.mark.parametrize("lake", ["local", pytest.param("s3", marks=pytest.mark.integration)])
def test_a_killed_run_leaves_whole_partitions_and_the_next_run_mends_the_hour(
    lake: str, request: pytest.FixtureRequest, processes: ForkServerContext
) -> None:
    settings: Settings = request.getfixturevalue(f"{lake}_settings")(leftover_grace_seconds=0.0)
    land(settings, 0)
    chance = random.Random(7)
    assert _run(settings, processes) == []
    begun = time.monotonic()
    assert _run(settings, processes) == []
    seconds = time.monotonic() - begun
    killed = 0
    for kill in range(1, KILLS + 1):
        versions_before, rows_before = _versions(settings), _rows(settings)
        land(settings, kill)
        killed += _run(settings, processes, killed_after=chance.uniform(0.3, 0.95) * seconds) is None
        rows = _rows(settings)  # fails where a manifest names what is not there
        for table, version in _versions(settings).items():
            is_old = version == versions_before[table]
            expected = rows_before[table] if is_old else (kill + 1) * _rows_of_an_object(table)
            assert rows[table] == expected, f"{table} after kill {kill}"
    assert killed >= KILLS // 2  # a run that happens to be quick may escape

    assert _run(settings, processes) == []
    assert _rows(settings) == {contract.path: (KILLS + 1) * _rows_of_an_object(contract.path) for contract in TABLES}
    for contract in TABLES:
        assert _keys_in_folder(settings, contract) == _keys_named(settings, contract)


@pytest.mark.integration
def test_a_run_survives_an_s3_that_fails_for_a_while_and_fails_clearly_when_it_fails_for_good(
    s3_settings: Callable[..., Settings], processes: ForkServerContext
) -> None:
    direct = s3_settings()
    land(direct, 0)
    with FaultyProxy(direct.s3_endpoint) as proxy:
        settings = direct.model_copy(update={"s3_endpoint": proxy.endpoint, "s3_retry_seconds": 6.0})
        faults = [Fault.INTERNAL_ERROR, Fault.SLOW_DOWN, Fault.CONNECTION_RESET]

        def every_third(_: Request) -> Fault | None:
            number = len(proxy.requests)
            return None if number % 3 else faults[number // 3 % len(faults)]

        proxy.rule = every_third
        assert _run(settings, processes) == []
        assert {fault for _, fault in proxy.requests} == {None, *faults}
        versions = _versions(direct)
        assert _rows(direct) == {contract.path: _rows_of_an_object(contract.path) for contract in TABLES}

        land(direct, 1)
        proxy.rule = lambda _: Fault.SLOW_DOWN
        begun = time.monotonic()
        failures = _run(settings.model_copy(update={"s3_retry_seconds": 1.0}), processes)
        assert failures
        assert "LakeUnreachableError: cannot list 'landing/listen_events/" in failures[0]
        assert time.monotonic() - begun < 30
        proxy.rule = passes
    assert _versions(direct) == versions


def _run(settings: Settings, processes: ForkServerContext, killed_after: float | None = None) -> list[str] | None:
    """What failed in a run in a process of its own; None where it was killed."""
    ours, theirs = processes.Pipe()
    process = processes.Process(target=run_hour_on_signal, args=(settings, theirs))
    process.start()
    assert ours.recv() == "begins"
    if killed_after is not None:
        time.sleep(killed_after)
        process.kill()
    process.join(120)
    return ours.recv() if ours.poll() else None


def _rows_of_an_object(path: str) -> int:
    return {"bronze": LINES_OF_AN_OBJECT, "silver": LINES_OF_AN_OBJECT - 1, "quarantine": 1}[path.split("/")[0]]


def _versions(settings: Settings) -> dict[str, str]:
    store = ObjectStore.from_settings(settings)
    found = {contract.path: read_manifest(store, contract, HOUR) for contract in TABLES}
    return {path: entry[0].data_version for path, entry in found.items() if entry is not None}


def _rows(settings: Settings) -> dict[str, int]:
    """Rows by the engine, after a look at whether all files are there."""
    lake, spark = Lake(settings), SparkEngine.from_settings(settings)
    return {contract.path: StoredPartitions.open(contract, [HOUR], lake, spark).read().count() for contract in TABLES}


def _keys_in_folder(settings: Settings, contract: TableContract) -> list[str]:
    prefix = partition_folder(contract.path, HOUR)
    if settings.lake.startswith("s3://"):
        return sorted(found.key for found in ObjectStore.from_settings(settings).list(prefix))
    return sorted(f"{prefix}/{path.name}" for path in Path(settings.lake, prefix).iterdir())


def _keys_named(settings: Settings, contract: TableContract) -> list[str]:
    found = read_manifest(ObjectStore.from_settings(settings), contract, HOUR)
    assert found is not None
    return sorted([manifest_key(contract.path, HOUR), *found[0].keys])
