"""Fixtures that several integration tests share: the command on an empty lake, a lake's store, and Apache Spark."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark
import pytest
from typer.testing import CliRunner

from music_platform.lake.object_store import ObjectStore
from music_platform.settings import Settings, current_settings
from music_platform_tests.places import REPOSITORY

SPARK_START_SECONDS = 90.0


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """A runner of the command on an empty lake and an instance in this test's folder."""
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(REPOSITORY / "deploy" / "local" / "dagster.yaml", home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("MUSIC_PLATFORM_LAKE", str(tmp_path / "lake"))
    # Not those that somebody started in the folder of the call.
    monkeypatch.setenv("MUSIC_PLATFORM_DRUID_FOLDER", str(tmp_path / "druid"))
    monkeypatch.setenv("MUSIC_PLATFORM_SUPERSET_HOME", str(tmp_path / "superset"))
    current_settings.cache_clear()
    yield CliRunner()
    current_settings.cache_clear()


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    return ObjectStore.from_settings(settings)


@dataclass(frozen=True)
class RunningSpark:
    """Spark's Connect server: its url, its process, and the file of its log."""

    url: str
    process: int
    log: Path


@pytest.fixture(scope="module")
def spark_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Spark's Connect server, all in one process."""
    with running_spark(tmp_path_factory.mktemp("spark"), "local[2]") as server:
        yield server.url


@contextmanager
def running_spark(folder: Path, master: str, **properties: str) -> Generator[RunningSpark]:
    """Spark's Connect server, started from the PySpark wheel; ``properties`` are further ones, with _ for each dot."""
    if shutil.which("java") is None:
        pytest.skip("Apache Spark needs Java 17 or later, and there is no java on the PATH")
    home = Path(pyspark.__file__).parent
    [connect_jar] = (home / "jars").glob("spark-connect_*.jar")
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": "0",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",  # a short life: compile soon rather than well
        "spark.checkpoint.dir": str(folder / "checkpoints"),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    } | {name.replace("_", "."): value for name, value in properties.items()}
    log = folder / "log.txt"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(home / "bin" / "spark-submit"), "--master", master,
             "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
             *(part for name, value in settings.items() for part in ("--conf", f"{name}={value}")), str(connect_jar)],
            env=os.environ | {"SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable},
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield RunningSpark(f"sc://{_wait_for_address(server, log)}", server.pid, log)
    finally:
        server.terminate()
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for_address(server: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + SPARK_START_SECONDS
    while time.monotonic() < deadline:
        output = log.read_text(errors="replace")
        if started := re.search(r"Spark Connect server started at: (\S+:\d+)", output):
            return started[1]
        if server.poll() is not None:
            raise RuntimeError(f"Spark ended with {server.returncode}: {output[-3000:]}")
        time.sleep(0.1)
    raise RuntimeError(
        f"Spark does not listen after {SPARK_START_SECONDS} s: {log.read_text(errors='replace')[-3000:]}"
    )
