"""Two days of gold in a lake and in Druid, made by the platform's own runs: what the tests of what is served share."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import dagster as dg

from music_platform.definitions import build_definitions
from music_platform.errors import MusicPlatformError
from music_platform.eventsim import GeneratorOptions, generate_files
from music_platform.lake.lake import Lake
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.landing.event_files import EventFile, event_files
from music_platform.landing.writer import land_files
from music_platform.partitions import hours_of_day, keys_in_range
from music_platform.serving.druid.client import DruidResource
from music_platform.serving.druid.datasources import DATASOURCES
from music_platform.serving.druid.kept_days import kept_of
from music_platform.serving.druid.replacement import counts_by_partition
from music_platform.settings import Settings
from music_platform.tables.contract import Cadence
from music_platform_tests.integration.druid.sample_day import ORIGIN
from music_platform_tests.page_logs import page_log

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
DAYS = ("2026-11-01", "2026-11-02")
HOURS = (f"{DAYS[0]}-00:00", f"{DAYS[1]}-23:00")


# What is wrong with a faulty listen, the more frequent first, so that rules can be ranked.
_FAULTS: tuple[dict[str, Any], ...] = (
    *({"duration": -1.0},) * 3,
    *({"sessionId": 0},) * 2,
    {"artist": None},
)


def append_faulty_listens(file: Path, every: int = 40) -> None:
    """Append a copy of every so many listens with one fault: silver stays as it is, and quarantine holds something."""
    listens = [json.loads(line) for line in file.read_text().splitlines()[::every]]
    with file.open("a") as output:
        for listen, fault in zip(listens, cycle(_FAULTS)):
            output.write(f"{json.dumps(listen | fault)}\n")


# A title and a name that would be a link and a request, were they drawn as HTML.
HOSTILE_TITLE, HOSTILE_ARTIST = "<a href=http://127.0.0.1:9/>Win</a>", "<img src=x>"


def append_hostile_listens(file: Path, every: int = 8) -> None:
    """Append a copy of every so many listens with a hostile title and artist: enough to lead the rankings."""
    listens = [json.loads(line) for line in file.read_text().splitlines()[::every]]
    with file.open("a") as output:
        for listen in listens:
            output.write(f"{json.dumps(listen | {'song': HOSTILE_TITLE, 'artist': HOSTILE_ARTIST})}\n")


class Served:
    """Two days in a lake and in Druid, and the runs that brought them there."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.lake, self.druid, self.spark = Lake(settings), DruidResource(settings), SparkEngine()
        self.instance = dg.DagsterInstance.ephemeral()
        self.definitions = build_definitions(settings)
        options = GeneratorOptions(users=80, seed=5, start=datetime(2026, 11, 1, tzinfo=UTC), days=2, growth_rate=0.0)
        made = generate_files(options, folder)
        append_hostile_listens(made.files["listen_events"])
        append_faulty_listens(made.files["listen_events"])
        land_files(self.lake.store, [EventFile(path, name) for name, path in made.files.items()])
        log = folder / "log.json"
        log.write_bytes(page_log(datetime(2026, 11, 1, 5, tzinfo=UTC)))
        land_files(self.lake.store, event_files([log], is_page_log=True))
        self.hourly = self.run("hourly_spine", *HOURS)
        self.daily = self.run("daily_tier", *DAYS)

    def run(
        self, job: str, first: str, last: str, *assets: str, tags: Mapping[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            tags={RANGE_START: first, RANGE_END: last, **(tags or {})},
            asset_selection=[dg.AssetKey(asset.split("/")) for asset in assets] or None,
            raise_on_error=False,
        )

    def busiest_hours(self, day: str) -> list[str]:
        """The hours of a day, those with the most listens first."""
        rows = self.rows("streams", *hours_of_day(day))
        return sorted(rows, key=lambda hour: -rows[hour])

    def rows(self, name: str, *partitions: str) -> dict[str, int]:
        return counts_by_partition(DATASOURCES[name], partitions, self.druid, ORIGIN)

    def stored(self, name: str, *partitions: str) -> StoredPartitions:
        """The lake's partitions that the datasource keeps, of these."""
        datasource = DATASOURCES[name]
        return kept_of(datasource, StoredPartitions.open(datasource.contract, partitions, self.lake, self.spark))

    def wait_until_served(self, seconds: float = 120.0) -> None:
        """Wait until Druid answers with gold's count of every partition; after a start, it knows its datasources late."""
        # Another lake with later days, such as the demo's, may have taken these out of service.
        kept = [datasource.path for datasource in DATASOURCES.values() if datasource.keeps_days is not None]
        assert self.run("daily_tier", *DAYS, *kept).success
        deadline = time.monotonic() + seconds
        for name, datasource in DATASOURCES.items():
            partitions = keys_in_range(*HOURS) if datasource.contract.cadence is Cadence.HOURLY else DAYS
            gold = self.stored(name, *partitions).rows
            while differing := self._differing_counts(name, gold):
                assert time.monotonic() < deadline, (
                    f"{seconds:g} s after its start, Druid serves {name} so: {differing}"
                )
                time.sleep(0.5)

    def _differing_counts(self, name: str, gold: Mapping[str, int]) -> str:
        """Where Druid's counts are not gold's, or why it cannot say; empty when they are."""
        try:
            found = self.rows(name, *gold)
        except MusicPlatformError as error:
            return str(error)
        differing = [key for key in gold if found[key] != gold[key]]
        return ", ".join(f"{key}: {found[key]} rows of {gold[key]}" for key in differing[:3])
