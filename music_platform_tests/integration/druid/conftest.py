"""A real Druid for the tests of this folder: started once on ports of its own, stopped at their end."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from music_platform.errors import LocalDruidError
from music_platform.local.druid.configuration import LocalConfiguration
from music_platform.local.druid.java import find_java
from music_platform.local.druid.local_druid import LocalDruid
from music_platform.serving.druid.client import DruidResource
from music_platform.settings import Settings
from music_platform_tests.integration.druid.sample_day import DAY, INTERVAL, QUICK_START, SpecFactory
from music_platform_tests.integration.druid.served_gold import Served


@pytest.fixture(scope="session")
def druid_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a local Druid in a new folder, on ports that are free."""
    folder = tmp_path_factory.mktemp("druid")
    for offset in range(20_000, 40_000, 250):
        settings = Settings(
            lake=str(folder / "lake"),
            druid_folder=str(folder / "state"),
            druid_port_offset=offset,
            druid_retry_seconds=180.0,
            druid_task_seconds=180.0,
        )
        if all(map(_is_free, LocalConfiguration(settings).ports.values())):
            return settings
    raise RuntimeError("no free ports for Druid")


@pytest.fixture(scope="session")
def local_druid(druid_settings: Settings) -> Iterator[LocalDruid]:
    """The running Druid. Skips, and says why, where there is no Java that it runs on or its jars cannot be downloaded."""
    try:
        find_java(druid_settings)
    except LocalDruidError as error:
        pytest.skip(str(error))
    druid = LocalDruid(druid_settings)
    try:
        druid.up(java_options=QUICK_START)
    except LocalDruidError as error:
        if "cannot be downloaded" not in str(error):
            raise
        pytest.skip(str(error))
    try:
        yield druid
    finally:
        druid.down()


@pytest.fixture(scope="session")
def served(druid_settings: Settings, local_druid: object, tmp_path_factory: pytest.TempPathFactory) -> Served:
    settings = druid_settings.model_copy(update={"druid_enabled": True})
    return Served(settings, tmp_path_factory.mktemp("served"))


@pytest.fixture
def running_druid(local_druid: LocalDruid) -> LocalDruid:
    """The Druid, up again where the test before left it down."""
    local_druid.up(java_options=QUICK_START)
    return local_druid


@pytest.fixture
def druid(running_druid: LocalDruid, druid_settings: Settings) -> DruidResource:
    return DruidResource(druid_settings)


@pytest.fixture
def plays_file(tmp_path: Path) -> Path:
    """A Parquet file of 1,200 plays of one day, compressed as the lake's files are."""
    rows = 1_200
    table = pa.table(
        {
            "played_at": pa.array([DAY + timedelta(minutes=row) for row in range(rows)], pa.timestamp("us", "UTC")),
            "artist": pa.array([f"artist {row % 7}" for row in range(rows)]),
            "seconds": pa.array([float(row % 300) for row in range(rows)]),
        }
    )
    file = tmp_path / "plays.parquet"
    pq.write_table(table, file, compression="zstd")
    return file


@pytest.fixture
def spec() -> SpecFactory:
    """A factory of specs that replace the day of a datasource by the rows of files."""

    def make(datasource: str, files: list[Path], **others: Any) -> dict[str, Any]:
        source: dict[str, Any] = {"type": "local", "files": [str(file) for file in files]}
        source_format: dict[str, Any] = {"type": "parquet"}
        if not files:
            source = {
                "type": "inline",
                "data": "played_at,artist,seconds",
            }  # Druid takes no empty text, but a header alone
            source_format = {"type": "csv", "findColumnsFromHeader": True}
        data_schema = {
            "dataSource": datasource,
            "timestampSpec": {"column": "played_at", "format": "auto"},
            "dimensionsSpec": {"dimensions": ["artist", {"type": "double", "name": "seconds"}]},
            "granularitySpec": {"segmentGranularity": "DAY", "rollup": False, "intervals": [INTERVAL]},
        }
        return {
            "type": "index_parallel",
            "spec": {
                "dataSchema": data_schema | others,
                "ioConfig": {
                    "type": "index_parallel",
                    "inputSource": source,
                    "inputFormat": source_format,
                    "appendToExisting": False,
                    "dropExisting": True,
                },
                "tuningConfig": {"type": "index_parallel", "maxNumConcurrentSubTasks": 1, "maxParseExceptions": 0},
            },
        }

    return make


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
