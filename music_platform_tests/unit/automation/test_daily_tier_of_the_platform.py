"""The daily tier's sensor over the platform's own tables: what landed hours request, in how many runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from music_platform.automation.daily_tier import SENSOR
from music_platform.automation.run_tags import PARTITION, RANGE_END, RANGE_START
from music_platform.contracts.aggregates import TOP_SONGS
from music_platform.contracts.table import Cadence
from music_platform.contracts.tables import TABLES
from music_platform.definitions import build_definitions
from music_platform.druid.datasources import DATASOURCES
from music_platform.partitions import hours_of_day
from music_platform.settings import Settings

HOURLY = [table for table in TABLES.values() if table.cadence is Cadence.HOURLY]
DAILY = [table for table in TABLES.values() if table.cadence is Cadence.DAILY]


def day(offset: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days=offset):%Y-%m-%d}"


@pytest.fixture
def repository(tmp_path: Path) -> dg.RepositoryDefinition:
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
    settings = Settings(lake=str(tmp_path), start=start, daily_quiet_seconds=0)
    return build_definitions(settings).get_repository_def()


def report(instance: dg.DagsterInstance, tables: list[list[str]], partitions: list[str]) -> None:
    for table in tables:
        for partition in partitions:
            instance.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey(table), partition=partition))


def sense(
    repository: dg.RepositoryDefinition, instance: dg.DagsterInstance, cursor: str | None
) -> tuple[list[tuple[str, str, set[str]]], str | None]:
    """What a tick requests (first day, last day, tables), and the next tick's cursor."""
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=repository, sensor_name=SENSOR
    ) as context:
        tick = repository.get_sensor_def(SENSOR).evaluate_tick(context)
    requested = []
    for request in tick.run_requests or []:
        first, last = (request.tags.get(PARTITION) or request.tags.get(tag, "") for tag in (RANGE_START, RANGE_END))
        requested.append((first, last, {key.to_user_string() for key in request.asset_selection or ()}))
    return requested, tick.cursor


def test_landed_days_are_one_run_of_every_daily_table(repository: dg.RepositoryDefinition) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        _, cursor = sense(repository, instance, None)
        for offset in (-3, -2):
            report(instance, [table.asset_key for table in HOURLY], hours_of_day(day(offset)))
        requested, cursor = sense(repository, instance, cursor)
        assert requested == [(day(-3), day(-2), {table.path for table in DAILY})]


def test_a_table_waits_for_what_its_check_compares_it_with(repository: dg.RepositoryDefinition) -> None:
    """A run of an hour ends with the facts: dimensions, made from silver, are not made before the plays can be."""
    facts = [table for table in HOURLY if table.path.startswith("gold/")]
    with dg.DagsterInstance.ephemeral() as instance:
        _, cursor = sense(repository, instance, None)
        report(instance, [table.asset_key for table in HOURLY if table not in facts], hours_of_day(day(-2)))
        requested, cursor = sense(repository, instance, cursor)
        assert {table for _, _, tables in requested for table in tables} & {"gold/dim_users", "gold/dim_songs"} == set()
        report(instance, [table.asset_key for table in facts], hours_of_day(day(-2)))
        requested, cursor = sense(repository, instance, cursor)
        assert {(first, last) for first, last, _ in requested} == {(day(-2), day(-2))}
        assert {"gold/dim_users", "gold/dim_songs", "gold/fact_plays"} <= set().union(*(told[2] for told in requested))


@pytest.fixture
def served_repository(tmp_path: Path) -> dg.RepositoryDefinition:
    """The platform whose gold is served from Druid; none runs, as nothing is materialized."""
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
    settings = Settings(lake=str(tmp_path), start=start, daily_quiet_seconds=0, druid_enabled=True)
    return build_definitions(settings).get_repository_def()


def test_an_hour_in_the_hourly_job_is_an_hour_of_its_datasources(served_repository: dg.RepositoryDefinition) -> None:
    """The hourly datasources have no condition: the landing sensor's job makes them in the run that makes their gold."""
    graph = served_repository.asset_graph
    made = set(served_repository.get_job("hourly_spine").asset_layer.executable_asset_keys)
    for datasource in DATASOURCES.values():
        key = dg.AssetKey(datasource.asset_key)
        if datasource.contract.cadence is Cadence.HOURLY:
            assert {key, dg.AssetKey(datasource.contract.asset_key)} <= made
            assert graph.get(key).automation_condition is None
        else:
            assert key not in made


def test_a_day_of_gold_requests_its_datasources(served_repository: dg.RepositoryDefinition) -> None:
    """A day that is made anew by hand, such as a table's after a mended rule, requests the datasource that serves it."""
    daily = [source for source in DATASOURCES.values() if source.contract.cadence is Cadence.DAILY]
    wanted, other = day(-3), day(-5)
    with dg.DagsterInstance.ephemeral() as instance:
        for one in (other, wanted):
            report(instance, [table.asset_key for table in HOURLY], hours_of_day(one))
            report(instance, [table.asset_key for table in DAILY], [one])
            report(instance, [source.asset_key for source in daily], [one])
        _, cursor = sense(served_repository, instance, None)
        report(instance, [TOP_SONGS.asset_key], [wanted])
        requested, _ = sense(served_repository, instance, cursor)
    assert [(first, last) for first, last, _ in requested] == [(wanted, wanted)]
    assert {table for table in requested[0][2] if table.startswith("druid/")} == {"druid/top_songs"}
