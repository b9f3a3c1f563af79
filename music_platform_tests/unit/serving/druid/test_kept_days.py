"""The days that a datasource keeps: the last published ones of its table, whatever day it is and whatever is brought in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from music_platform.lake.lake import Lake
from music_platform.lake.manifest import partition_folder
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.publish import publish_partition
from music_platform.lake.spark import SparkEngine
from music_platform.lake.writer import WrittenPartition
from music_platform.serving.druid.client import Origin
from music_platform.serving.druid.datasources import DATASOURCES
from music_platform.serving.druid.kept_days import drop_older_days, in_words, kept_of
from music_platform.serving.druid.replacement import replace_partitions
from music_platform.settings import Settings
from music_platform.tables.contract import Cadence

LISTS = DATASOURCES["recommendations"]
DAYS = [f"2020-02-{day}" for day in (26, 27, 28, 29)] + ["2020-03-01"]  # long ago: the clock says nothing


class Druid:
    """What is asked of Druid beside tasks and queries; those it does not have, so that they fail."""

    def __init__(self) -> None:
        self.unused: list[tuple[str, str]] = []

    def mark_unused(self, datasource: str, interval: str) -> int:
        self.unused.append((datasource, interval))
        return 7


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Five empty days of the table, and the folder that a killed run left of the next one."""
    lake = Lake(Settings(lake=str(tmp_path)))
    for day in DAYS:
        publish_partition(lake.store, LISTS.contract, day, WrittenPartition(), run_id="a-run", write_id="a-run")
    lake.store.put(f"{partition_folder(LISTS.contract.path, '2020-03-02')}/part-of-a-killed-run.parquet", b"")
    return lake


def stored(lake: Lake, *days: str) -> StoredPartitions:
    return StoredPartitions.open(LISTS.contract, days, lake, SparkEngine())


def test_of_a_range_the_last_days_are_kept(lake: Lake) -> None:
    assert list(kept_of(LISTS, stored(lake, *DAYS)).manifests) == DAYS[-3:]
    assert list(kept_of(LISTS, stored(lake, *DAYS[1:3])).manifests) == DAYS[2:3]
    assert list(kept_of(replace(LISTS, keeps_days=1), stored(lake, *DAYS)).manifests) == DAYS[-1:]
    assert list(kept_of(replace(LISTS, keeps_days=None), stored(lake, *DAYS)).manifests) == DAYS


def test_everything_before_the_kept_days_goes_out_of_service(lake: Lake) -> None:
    druid = Druid()
    assert drop_older_days(LISTS, stored(lake, DAYS[-2]), druid) == 7  # pyright: ignore[reportArgumentType]
    assert druid.unused == [("recommendations", "1900-01-01T00:00:00.000Z/2020-02-28T00:00:00.000Z")]


def test_nothing_goes_out_of_service_where_all_days_are_kept(lake: Lake) -> None:
    druid = Druid()
    assert drop_older_days(replace(LISTS, keeps_days=None), stored(lake, DAYS[0]), druid) == 0  # pyright: ignore[reportArgumentType]
    assert druid.unused == []


def test_an_old_day_is_made_without_asking_druid(lake: Lake) -> None:
    told: list[str] = []
    done = replace_partitions(
        LISTS,
        stored(lake, DAYS[0]),
        Druid(),  # pyright: ignore[reportArgumentType]
        Origin("a-run", LISTS.path),
        load_seconds=1.0,
        log=told.append,
    )
    assert done is None
    assert told == [f"{LISTS.path} {DAYS[0]}: nothing is served of it, for {in_words(LISTS)}"]
    assert "the last 3 days of recommendations/recommendations_by_name" in told[0]


def test_daily_datasources_alone_keep_a_number_of_days() -> None:
    kept = {name: datasource for name, datasource in DATASOURCES.items() if datasource.keeps_days is not None}
    assert set(kept) == {"recommendations", "similar_songs"}
    for datasource in kept.values():
        assert datasource.contract.cadence is Cadence.DAILY
        assert datasource.keeps_days is not None
        assert datasource.keeps_days >= 1
