"""The real Eventsim sample through the spine: 120,743 landed lines reconcile to the last one.

All 15 days go through what the assets call, without Dagster's event log (which takes most of the time of a long range);
a few hours also through the assets themselves, with the same result.
"""

# pyarrow makes its compute functions when it is imported, so no type checker finds them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import json
import lzma
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from music_platform.lake.partition_sets import StagedPartitions, StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.assets.silver import stage_silver_and_quarantine
from music_platform.orchestration.checks.outcome import CheckOutcome
from music_platform.orchestration.checks.spine import SPINE_STEPS
from music_platform.orchestration.io_managers.landing_io_manager import open_landed
from music_platform.orchestration.io_managers.parquet_io_manager import ParquetLakeIOManager
from music_platform.partitions import key_of_hour, keys_in_range
from music_platform.settings import Settings
from music_platform.tables.bronze import BRONZE
from music_platform.tables.catalogue import made_tables
from music_platform.tables.contract import Cadence
from music_platform.tables.events import EVENT_CONTRACTS
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER
from music_platform.tables.transforms.bronze import bronze_events
from music_platform_tests.assets.local_platform import LocalPlatform, evaluations, gzip_lines, materialized

SOME_HOURS = keys_in_range("2026-11-02-20:00", "2026-11-03-01:00")
# The catalogue of the sample has one song whose title is a pair of quotes. It was played three times.
LINES = {"auth_events": 324, "listen_events": 21_121, "page_view_events": 25_088, "status_change_events": 26}

LandedSample = dict[str, dict[str, list[bytes]]]  # lines by event type and hour


@dataclass
class SampleRun:
    """The platform with all hours made, and what the checks found."""

    platform: LocalPlatform
    hours: dict[str, list[str]]
    outcomes: list[CheckOutcome]

    def silver(self, event_type: str) -> pa.Table:
        return self.table(f"silver/{event_type}")

    def table(self, table: str) -> pa.Table:
        return pa.concat_tables(self.platform.table(table, hour) for hour in self.hours[table.split("/")[1]])


@pytest.fixture(scope="module")
def sample(sample_folder: Path) -> LandedSample:
    by_type: LandedSample = {}
    for event_type in EVENT_CONTRACTS:
        by_hour: defaultdict[str, list[bytes]] = defaultdict(list)
        with lzma.open(sample_folder / "eventsim" / f"{event_type}.jsonl.xz") as file:
            for line in file.read().split(b"\n")[:-1]:
                moment = datetime.fromtimestamp(json.loads(line)["ts"] / 1000, UTC)
                by_hour[key_of_hour(moment.replace(minute=0, second=0, microsecond=0))].append(line)
        by_type[event_type] = dict(by_hour)
    return by_type


def land(sample: LandedSample, folder: Path, hours: Sequence[str] = ()) -> LocalPlatform:
    platform = LocalPlatform(Settings(lake=str(folder)))
    for event_type, by_hour in sample.items():
        for hour in by_hour:
            if hour in hours or not hours:
                platform.land(event_type, hour, gzip_lines(by_hour[hour]))
    return platform


@pytest.fixture(scope="module")
def made(sample: LandedSample, tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    platform = land(sample, tmp_path_factory.mktemp("sample") / "lake")
    spark, outcomes = SparkEngine(), []
    io_manager = ParquetLakeIOManager(platform.lake, spark)
    hours_of = {event_type: sorted(by_hour) for event_type, by_hour in sample.items()}
    for event_type, event in EVENT_CONTRACTS.items():
        hours = hours_of[event_type]
        landed = open_landed(event_type, hours, platform.lake, spark)
        staged = StagedPartitions.begin(BRONZE[event_type], "bronze", landed.sources())
        staged.write(bronze_events(landed.read(), event), hours, platform.lake)
        io_manager.publish(staged, hours, "run")

        bronze = StoredPartitions.open(BRONZE[event_type], hours, platform.lake, spark)
        silver = StagedPartitions.begin(SILVER[event_type], "silver", bronze.sources())
        quarantine = StagedPartitions(QUARANTINE[event_type], silver.write_id, bronze.sources())
        stage_silver_and_quarantine(event, bronze, hours, silver, quarantine)
        io_manager.publish(silver, hours, "run")
        io_manager.publish(quarantine, hours, "run")
        for step in SPINE_STEPS:
            if step.event_type == event_type:
                outcomes += step.check(hours, platform.lake, spark)
    return SampleRun(platform, hours_of, outcomes)


def test_every_line_is_accounted_for_hour_by_hour(sample: LandedSample, made: SampleRun) -> None:
    lines = {
        event_type: Counter({hour: len(lines) for hour, lines in by_hour.items()})
        for event_type, by_hour in sample.items()
    }
    assert {event_type: by_hour.total() for event_type, by_hour in lines.items()} == LINES
    assert sum(LINES.values()) == 46_559
    for event_type, by_hour in lines.items():
        for hour in by_hour:
            silver = made.platform.manifest(f"silver/{event_type}", hour)
            quarantine = made.platform.manifest(f"quarantine/{event_type}", hour)
            assert made.platform.manifest(f"bronze/{event_type}", hour).rows == by_hour[hour]
            assert silver.rows + silver.counts.get("duplicates", 0) + quarantine.rows == by_hour[hour]


def test_all_of_the_sample_is_good(made: SampleRun) -> None:
    assert len(made.outcomes) == 28
    assert [outcome for outcome in made.outcomes if not outcome.passed] == []
    told = {
        outcome.table: outcome.description for outcome in made.outcomes if outcome.check == "reconciles_with_bronze"
    }
    assert told == {
        f"silver/{event_type}": f"{rows:,} bronze rows = {rows:,} silver + 0 duplicates + 0 quarantined"
        for event_type, rows in LINES.items()
    }


def test_the_assets_make_the_same(sample: LandedSample, made: SampleRun, tmp_path: Path) -> None:
    platform = land(sample, tmp_path / "lake", SOME_HOURS)
    result = platform.run(SOME_HOURS[0], SOME_HOURS[-1])
    assert result.success
    tables = made_tables(is_served=False)
    assert materialized(result) == {path for path, contract in tables.items() if contract.cadence is Cadence.HOURLY}
    assert [name for name, evaluation in evaluations(result).items() if not evaluation.passed] == []
    for table in (contract.path for layer in (BRONZE, SILVER, QUARANTINE) for contract in layer.values()):
        for hour in set(SOME_HOURS) & set(made.hours[table.split("/")[1]]):
            assert platform.manifest(table, hour).data_version == made.platform.manifest(table, hour).data_version


def test_text_of_the_sample_is_repaired(made: SampleRun) -> None:
    listens = made.silver("listen_events")
    bronze = made.table("bronze/listen_events")
    for column in ("artist", "song"):
        assert pc.any(pc.match_substring_regex(bronze[column], "[\u00c2-\u00f4][\u0080-\u00bf]")).as_py()
        assert not pc.any(pc.match_substring_regex(listens[column], "[\u0000-\u0008\u000e-\u001f]")).as_py()
        assert not pc.any(pc.match_substring_regex(listens[column], '^".*"$')).as_py()
        assert not pc.any(pc.match_substring_regex(listens[column], "\u00c3[\u0080-\u00bf]")).as_py()
    assert pc.any(pc.equal(listens["device"], "iPhone")).as_py()
    assert not pc.any(pc.starts_with(listens["user_agent"], '"')).as_py()


def test_listens_have_their_page_views(made: SampleRun) -> None:
    keys = ("session_id", "item_in_session", "event_time", "user_id", "artist", "song", "duration_seconds")
    views = made.silver("page_view_events")
    songs = views.filter(pc.equal(views["page"], "NextSong")).select(keys)
    listens = made.silver("listen_events").select(keys)
    order = [(key, "ascending") for key in keys]
    assert songs.sort_by(order).equals(listens.sort_by(order))
