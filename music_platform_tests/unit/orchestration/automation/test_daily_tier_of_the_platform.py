"""The daily tier's sensor over the platform's own tables: what landed hours request, in how many runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from music_platform.definitions import build_definitions
from music_platform.orchestration.automation.daily_tier import SENSOR
from music_platform.orchestration.automation.run_tags import PARTITION, RANGE_END, RANGE_START
from music_platform.partitions import hours_of_day
from music_platform.serving.druid.datasources import DATASOURCES
from music_platform.settings import Settings
from music_platform.tables.catalogue import made_tables
from music_platform.tables.contract import Cadence

_TABLES = made_tables(is_served=False).values()
HOURLY = [table for table in _TABLES if table.cadence is Cadence.HOURLY]
DAILY = [table for table in _TABLES if table.cadence is Cadence.DAILY]
DAILY_WHERE_SERVED = [table for table in made_tables(is_served=True).values() if table.cadence is Cadence.DAILY]


def day(offset: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days=offset):%Y-%m-%d}"


@pytest.fixture
def repository(tmp_path: Path) -> dg.RepositoryDefinition:
    return build_definitions(settings_of(tmp_path)).get_repository_def()


@pytest.fixture
def served_repository(tmp_path: Path) -> dg.RepositoryDefinition:
    """The platform that is served from Druid; loading it asks no Druid."""
    return build_definitions(settings_of(tmp_path).model_copy(update={"druid_enabled": True})).get_repository_def()


def settings_of(folder: Path) -> Settings:
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
    return Settings(lake=str(folder), start=start, daily_quiet_seconds=0)


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


def test_daily_datasources_are_requested_with_the_gold_that_they_serve(
    served_repository: dg.RepositoryDefinition,
) -> None:
    datasources = {each.path for each in DATASOURCES.values() if each.contract.cadence is Cadence.DAILY}
    with dg.DagsterInstance.ephemeral() as instance:
        _, cursor = sense(served_repository, instance, None)
        report(instance, [table.asset_key for table in HOURLY], hours_of_day(day(-2)))
        requested, cursor = sense(served_repository, instance, cursor)
        assert requested == [(day(-2), day(-2), {table.path for table in DAILY_WHERE_SERVED} | datasources)]


def test_a_daily_datasource_follows_its_gold_alone(served_repository: dg.RepositoryDefinition) -> None:
    """Gold that somebody made by hand, say with a new transform, is brought into Druid as well."""
    gold = [table.asset_key for table in DAILY_WHERE_SERVED]
    datasources = [each.asset_key for each in DATASOURCES.values() if each.contract.cadence is Cadence.DAILY]
    with dg.DagsterInstance.ephemeral() as instance:
        report(instance, [table.asset_key for table in HOURLY], hours_of_day(day(-2)))
        report(instance, [*gold, *datasources], [day(-2)])
        _, cursor = sense(served_repository, instance, None)
        report(instance, [["gold", "top_songs"]], [day(-2)])
        requested, cursor = sense(served_repository, instance, cursor)
        [(first, last, tables)] = requested
        assert (first, last) == (day(-2), day(-2))
        assert tables == {"druid/top_songs"}


def test_hourly_datasources_are_made_in_the_run_of_their_hour(served_repository: dg.RepositoryDefinition) -> None:
    hourly = {each.path for each in DATASOURCES.values() if each.contract.cadence is Cadence.HOURLY}
    made = served_repository.get_job("hourly_spine").asset_layer.executable_asset_keys
    assert hourly <= {key.to_user_string() for key in made}
