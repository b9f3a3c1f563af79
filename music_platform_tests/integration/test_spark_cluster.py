"""Apache Spark with executors in processes of their own: the same tables as the embedded engine's, also when one is killed.

Master, two workers and their executors are those of Spark's `local-cluster`: real processes that talk over loopback. What
talks to Spark is a process of its own (this module, run as a script), because a Python process has one Spark session.
"""

from __future__ import annotations

import gzip
import json
import lzma
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from music_platform.cli import server_examinations
from music_platform.cli.finding import State
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import landed_key
from music_platform.lake.manifest import read_manifest
from music_platform.lake.spark import SparkEngine
from music_platform.partitions import hour_of_key, key_of_hour, keys_in_range
from music_platform.settings import Settings
from music_platform.tables.bronze import BRONZE
from music_platform.tables.silver import SILVER
from music_platform_tests.integration.conftest import RunningSpark, running_spark
from music_platform_tests.places import REPOSITORY
from music_platform_tests.spine import build_spine

_MODULE = "music_platform_tests.integration.test_spark_cluster"
_EVENT_TYPES = ("listen_events", "auth_events")
_HOURS = keys_in_range("2026-11-05-00:00", "2026-11-05-07:00")
_EXECUTOR = "CoarseGrainedExecutorBackend"
_EXECUTORS = 2
_RUN_SECONDS = 500
_START_SECONDS = 120


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSpark]:
    """Two executors of one core each."""
    options = {
        "spark_executor_memory": "768m",
        "spark_default_parallelism": "4",
        "spark_executor_extraJavaOptions": "-XX:TieredStopAtLevel=1",
    }
    with running_spark(tmp_path_factory.mktemp("cluster"), f"local-cluster[{_EXECUTORS},1,1024]", **options) as server:
        yield server


@pytest.fixture(scope="module")
def on_this_machine(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The tables that the embedded engine makes."""
    lake = Lake(Settings(lake=str(tmp_path_factory.mktemp("embedded") / "lake")))
    _land(lake, sample_folder)
    build_spine(lake, SparkEngine(), _HOURS, event_types=_EVENT_TYPES)
    return lake


def _land(lake: Lake, sample: Path) -> None:
    for event_type in _EVENT_TYPES:
        lines: defaultdict[str, list[bytes]] = defaultdict(list)
        for line in lzma.decompress((sample / "eventsim" / f"{event_type}.jsonl.xz").read_bytes()).splitlines(
            keepends=True
        ):
            lines[key_of_hour(datetime.fromtimestamp(json.loads(line)["ts"] // 1000, UTC))].append(line)
        for hour in _HOURS:
            content = gzip.compress(b"".join(lines[hour]), mtime=0)
            lake.store.put(landed_key(event_type, hour_of_key(hour), f"{0:032x}"), content)


def _versions(lake: Lake) -> dict[str, tuple[str, int]]:
    """The data version, which is the content of the files, and the rows of every partition that was made."""
    found: dict[str, tuple[str, int]] = {}
    for contracts in (BRONZE, SILVER):
        for contract in map(contracts.__getitem__, _EVENT_TYPES):
            for hour in _HOURS:
                entry = read_manifest(lake.store, contract, hour)
                assert entry is not None
                found[f"{contract.path} {hour}"] = (entry[0].data_version, entry[0].rows)
    return found


def _executors(server: RunningSpark) -> list[psutil.Process]:
    processes = psutil.Process(server.process).children(recursive=True)
    return [process for process in processes if process.name() == "java" and _EXECUTOR in " ".join(process.cmdline())]


def _waited_for_executors(server: RunningSpark) -> list[psutil.Process]:
    deadline = time.monotonic() + _START_SECONDS
    while len(found := _executors(server)) < _EXECUTORS:
        assert time.monotonic() < deadline, server.log.read_text()[-3000:]
        time.sleep(0.2)
    return found


def _start(url: str, lake: Lake, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", _MODULE, url, lake.location], cwd=REPOSITORY, stdout=output, stderr=subprocess.STDOUT
        )


def _end(run: subprocess.Popen[bytes], log: Path) -> None:
    try:
        ended = run.wait(timeout=_RUN_SECONDS)
    finally:
        run.kill()
    assert ended == 0, log.read_text(errors="replace")[-5000:]


def test_two_executors_make_the_same_tables(
    cluster: RunningSpark, on_this_machine: Lake, sample_folder: Path, tmp_path: Path
) -> None:
    _waited_for_executors(cluster)
    lake = Lake(Settings(lake=str(tmp_path / "lake")))
    _land(lake, sample_folder)
    _end(_start(cluster.url, lake, tmp_path / "log.txt"), tmp_path / "log.txt")
    versions = _versions(lake)
    assert versions == _versions(on_this_machine)
    assert sum(rows for _, rows in versions.values()) > 0


def test_an_executor_killed_while_it_writes_changes_no_table(
    cluster: RunningSpark, on_this_machine: Lake, sample_folder: Path, tmp_path: Path
) -> None:
    victim = _waited_for_executors(cluster)[0]
    lost_before = cluster.log.read_text(errors="replace").count("Lost executor")
    lake, log = Lake(Settings(lake=str(tmp_path / "lake"))), tmp_path / "log.txt"
    _land(lake, sample_folder)
    run = _start(cluster.url, lake, log)
    try:
        # The first file of a table that is not published yet: its pass is under way on both executors.
        while not any((Path(lake.location) / BRONZE[_EVENT_TYPES[0]].path).rglob("part-*.parquet")):
            assert run.poll() is None, log.read_text(errors="replace")[-5000:]
            time.sleep(0.02)
        victim.kill()
    finally:
        _end(run, log)
    assert cluster.log.read_text(errors="replace").count("Lost executor") > lost_before
    assert _versions(lake) == _versions(on_this_machine)
    assert len(_waited_for_executors(cluster)) == _EXECUTORS  # another took its place


def test_doctor_sees_the_release_of_the_executors(cluster: RunningSpark, tmp_path: Path) -> None:
    """In a process of its own, for this one may have the embedded engine's session."""
    (tmp_path / "lake").mkdir()
    command = (
        "import sys; from music_platform_tests.integration import test_spark_cluster as t; t.examine(*sys.argv[1:])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", command, cluster.url, str(tmp_path / "lake")],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=_RUN_SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "Spark 4." in ended.stdout
    assert "its workers write and remove objects of the lake, and it reads Parquet there" in ended.stdout


def examine(url: str, location: str) -> None:
    findings = server_examinations.engine(Settings(lake=location, spark_remote=url))
    sys.stdout.write("\n".join(finding.found for finding in findings))
    sys.exit(any(finding.state is not State.OK for finding in findings))


if __name__ == "__main__":
    build_spine(Lake(Settings(lake=sys.argv[2])), SparkEngine(remote=sys.argv[1]), _HOURS, event_types=_EVENT_TYPES)
