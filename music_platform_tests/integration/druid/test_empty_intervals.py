"""An hour or a day without rows is an interval like any other: the first of a datasource, between others, or after its last row.

Datasources of their own names, as those of the other tests hold rows already.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import pytest

from music_platform.definitions import build_definitions
from music_platform.lake.lake import Lake
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.landing.event_files import EventFile
from music_platform.landing.writer import land_files
from music_platform.orchestration.checks import druid as druid_checks
from music_platform.orchestration.checks.druid import COLUMNS_CHECK, QUERIES_CHECK, ROWS_CHECK, check_datasource
from music_platform.partitions import keys_in_range
from music_platform.serving.druid.client import DruidResource
from music_platform.serving.druid.datasources import DATASOURCES, Datasource
from music_platform.serving.druid.ingestion_spec import interval_of
from music_platform.serving.druid.kept_days import kept_of
from music_platform.serving.druid.queries import QUERIES
from music_platform.serving.druid.replacement import Replacement, counts_by_partition, replace_partitions
from music_platform.settings import Settings
from music_platform.tables.catalogue import TABLES
from music_platform.tables.contract import Cadence
from music_platform_tests.integration.druid.sample_day import ORIGIN
from music_platform_tests.integration.druid.served_gold import RANGE_END, RANGE_START

pytestmark = pytest.mark.timeout(900)

DAY, EMPTY_DAY = "2026-11-03", "2026-11-04"
HOURS = keys_in_range(f"{DAY}-00:00", f"{EMPTY_DAY}-23:00")
FULL, FULL_TOO = f"{DAY}-05:00", f"{DAY}-07:00"
SILENT, BETWEEN, AFTER = f"{DAY}-03:00", f"{DAY}-06:00", f"{DAY}-09:00"
_FIRST_TS = 1_793_664_000_000  # of the day
_HOUR = 3_600_000
_PAGE = {
    "sessionId": 10, "level": "free", "itemInSession": 0, "city": "Troy", "zip": "12180", "state": "NY",
    "userAgent": "Mozilla/5.0 (X11; Linux)", "lon": -73.6, "lat": 42.7, "userId": 7, "lastName": "Doe", "firstName": "Jo",
    "gender": "F", "registration": 1_790_000_000_000, "auth": "Logged In",
}  # fmt: skip
_SONG = {"artist": "An Artist", "song": "A Song", "duration": 200.0}


def lake_of(settings: Settings, folder: Path, hours: Sequence[int]) -> Lake:
    """A lake whose gold has two plays in each of these hours of the first day, and nothing else in two days."""
    changed = settings.model_copy(update={"lake": str(folder / "lake"), "druid_enabled": True})
    lake = Lake(changed)
    times = [_FIRST_TS + hour * _HOUR + minute * 60_000 for hour in hours for minute in (1, 5)]
    listens = [{**_PAGE, **_SONG, "ts": ts} for ts in times]
    pages = [{**listen, "page": "NextSong", "method": "PUT", "status": 200} for listen in listens]
    for name, events in (("listen_events", listens), ("page_view_events", pages)):
        file = folder / name
        file.write_text("".join(f"{json.dumps(event)}\n" for event in events))
        if events:
            land_files(lake.store, [EventFile(file, name)])
    definitions = build_definitions(changed)
    for job, first, last in (("hourly_spine", HOURS[0], HOURS[-1]), ("daily_tier", DAY, EMPTY_DAY)):
        made = definitions.resolve_job_def(job)
        run = made.execute_in_process(
            instance=dg.DagsterInstance.ephemeral(),
            tags={RANGE_START: first, RANGE_END: last},
            asset_selection=[key for key in made.asset_layer.executable_asset_keys if key.path[0] != "druid"],
        )
        assert run.success
    return lake


@dataclass(frozen=True)
class Gold:
    """Two lakes: the hour of the one became empty in the other."""

    full: Lake
    empty: Lake


@pytest.fixture(scope="module")
def gold(druid_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Gold:
    folders = [tmp_path_factory.mktemp(name) for name in ("full", "empty")]
    return Gold(lake_of(druid_settings, folders[0], [5, 7]), lake_of(druid_settings, folders[1], []))


@dataclass(frozen=True)
class Fresh:
    """A datasource that Druid has never heard of, brought in and checked as its asset is."""

    datasource: Datasource
    druid: DruidResource

    def bring(self, lake: Lake, *partitions: str) -> dict[str, int]:
        """Replace the partitions and return what Druid then holds of them; every check must pass."""
        spark = SparkEngine()
        stored = StoredPartitions.open(self.datasource.contract, partitions, lake, spark)
        done = replace_partitions(self.datasource, stored, self.druid, ORIGIN, load_seconds=60.0, log=lambda _: None)
        kept = kept_of(self.datasource, stored).rows
        assert isinstance(done, Replacement) == bool(kept)
        outcomes = check_datasource(self.datasource, partitions, lake, spark, self.druid, "a-run")
        assert {outcome.check: outcome.description for outcome in outcomes if not outcome.passed} == {}
        assert [outcome.check for outcome in outcomes] == [ROWS_CHECK, COLUMNS_CHECK, QUERIES_CHECK]
        found = counts_by_partition(self.datasource, partitions, self.druid, ORIGIN)
        assert found == {partition: kept.get(partition, 0) for partition in stored.rows}
        return found


def fresh(name: str, test: str, druid: DruidResource, monkeypatch: pytest.MonkeyPatch) -> Fresh:
    datasource = replace(DATASOURCES[name], name=f"{name}_{test}")
    queries = {
        query.name: replace(
            query, datasource=datasource.name, template=query.template.replace(f'"{name}"', f'"{datasource.name}"')
        )
        for query in QUERIES.values()
        if query.datasource == name
    }  # fmt: skip
    assert queries
    monkeypatch.setattr(druid_checks, "QUERIES", queries)
    return Fresh(datasource, druid)


@pytest.mark.parametrize("name", ["streams", "page_views"])
def test_hours_without_rows(name: str, gold: Gold, druid: DruidResource, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = fresh(name, "of_hours", druid, monkeypatch)
    assert hours.bring(gold.full, SILENT) == {SILENT: 0}  # the very first of the datasource
    assert set(hours.bring(gold.full, *keys_in_range(SILENT, f"{DAY}-04:00")).values()) == {0}
    assert hours.bring(gold.full, *keys_in_range(SILENT, AFTER))[FULL] > 0
    assert hours.bring(gold.full, AFTER) == {AFTER: 0}  # after full ones
    assert hours.bring(gold.full, BETWEEN) == {BETWEEN: 0}
    assert set(hours.bring(gold.full, *keys_in_range(f"{EMPTY_DAY}-00:00", f"{EMPTY_DAY}-23:00")).values()) == {0}
    assert druid.loaded_percent(hours.datasource.name, interval_of(AFTER, AFTER)) == 100.0

    assert hours.bring(gold.empty, FULL) == {FULL: 0}  # one that had rows
    assert hours.bring(gold.full, FULL_TOO)[FULL_TOO] > 0
    assert hours.bring(gold.empty, FULL_TOO) == {FULL_TOO: 0}  # and the last that had any
    assert hours.bring(gold.empty, SILENT) == {SILENT: 0}
    assert hours.bring(gold.full, FULL)[FULL] > 0


_DAILY = [name for name, datasource in DATASOURCES.items() if datasource.contract.cadence is Cadence.DAILY]


@pytest.mark.parametrize("name", _DAILY)
def test_days_without_events(name: str, gold: Gold, druid: DruidResource, monkeypatch: pytest.MonkeyPatch) -> None:
    assert DATASOURCES[name].contract.path in TABLES
    days = fresh(name, "of_days", druid, monkeypatch)
    days.bring(gold.empty, DAY)
    days.bring(gold.full, DAY, EMPTY_DAY)
    days.bring(gold.empty, DAY, EMPTY_DAY)
