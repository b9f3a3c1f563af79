"""What Dagster sees of the platform, by the same description as the committed snapshot; loading it touches nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from music_platform.definitions import build_definitions
from music_platform.orchestration.assets.not_enabled import NOT_ENABLED
from music_platform.settings import Settings
from music_platform.tables.catalogue import TABLES, made_tables
from music_platform_tests.assets.definitions_snapshot import describe_definitions
from music_platform_tests.places import REPOSITORY

_LOAD_AND_WATCH = """
import json, sys

touched = []

def watch(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "os.mkdir", "os.remove"):
        touched.append(f"{event} {arguments[:2]}")
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        touched.append(f"open {arguments[0]}")

sys.addaudithook(watch)
import music_platform.definitions
print(json.dumps({"touched": touched, "modules": sorted(sys.modules)}))
"""


def test_the_snapshot_has_every_table_with_its_checks() -> None:
    described = describe_definitions()
    tables = made_tables(is_served=False)
    assert set(tables) <= set(described["assets"])
    for table in tables:
        assert f"{table} contract" in described["checks"]
        assert described["assets"][table]["partitions"] is not None
        assert described["assets"][table]["columns"]
    assert all(asset["description"] and asset["owners"] and asset["group"] for asset in described["assets"].values())


def test_what_druid_alone_reads_is_made_where_druid_serves() -> None:
    only_served = {"gold/pipeline", "recommendations/recommendations_by_name", "recommendations/similar_songs_by_name"}
    found = {}
    for is_served in (False, True):
        settings = Settings(lake="/lake", druid_enabled=is_served)
        repository = build_definitions(settings).get_repository_def()
        found[is_served] = {key.to_user_string() for key in repository.asset_graph.executable_asset_keys}
        checked = {key.asset_key.to_user_string() for key in repository.asset_checks_defs_by_key}
        assert set(made_tables(is_served=is_served)) <= found[is_served] & checked
    assert (found[True] - found[False]) & set(TABLES) == only_served


@pytest.mark.parametrize(
    ("enabled", "waiting"),
    [
        ((), {"druid", "superset"}),
        (("druid",), {"superset"}),
        (("druid", "superset"), set()),
    ],
)
def test_the_whole_line_is_in_the_graph_and_what_is_not_enabled_is_not_executable(
    enabled: tuple[str, ...], waiting: set[str]
) -> None:
    whole = _repository("druid", "superset").asset_graph
    repository = _repository(*enabled)
    graph = repository.asset_graph
    assert graph.get_all_asset_keys() == whole.get_all_asset_keys()
    not_enabled = {key for key in graph.get_all_asset_keys() if NOT_ENABLED in graph.get(key).tags}
    assert {graph.get(key).tags[NOT_ENABLED] for key in not_enabled} == waiting
    for key in not_enabled:
        shown, executable = graph.get(key), whole.get(key)
        assert not shown.is_executable
        assert executable.is_executable
        assert (shown.description or "").startswith(f"`./run music-platform {shown.tags[NOT_ENABLED]} up`")
        assert (shown.description or "").endswith(executable.description or "never")
        assert (shown.parent_keys, shown.group_name, shown.kinds) == (
            executable.parent_keys, executable.group_name, executable.kinds,
        )  # fmt: skip
        assert shown.partitions_def == executable.partitions_def
        assert shown.partition_mappings == executable.partition_mappings
        assert "cadence" not in shown.tags
        assert shown.automation_condition is None
        assert shown.freshness_policy is None
        assert not graph.get_check_keys_for_assets({key})
    for job in repository.get_all_jobs():
        assert not not_enabled.intersection(job.asset_layer.executable_asset_keys)
    for cadence in ("hourly", "daily"):
        selected = dg.AssetSelection.tag("cadence", cadence).resolve(graph)
        assert selected
        assert not selected & not_enabled


def _repository(*enabled: str) -> dg.RepositoryDefinition:
    settings = Settings(lake="/lake", druid_enabled="druid" in enabled, superset_enabled="superset" in enabled)
    return build_definitions(settings).get_repository_def()


def test_every_table_is_kept_fresh_and_the_daily_ones_follow_the_hours() -> None:
    assets = describe_definitions()["assets"]
    partitioned = {
        key: asset
        for key, asset in assets.items()
        if asset["partitions"] is not None and NOT_ENABLED not in asset["tags"]
    }
    assert all(asset["freshness"] for asset in partitioned.values())
    daily = {key for key, asset in partitioned.items() if asset["tags"]["cadence"] == "daily"}
    assert daily
    assert {key for key, asset in assets.items() if asset["automation"]} == daily


def test_runs_of_one_cadence_share_a_pool_so_that_none_work_on_one_partition() -> None:
    repository = build_definitions(Settings(lake="/lake", druid_enabled=True)).get_repository_def()
    tables = [found for found in repository.assets_defs_by_key.values() if found.is_executable]
    pools = {key.to_user_string(): found.op.pool for found in tables for key in found.keys if found.keys}
    assert {table: pools[table] for table in TABLES} == {
        table: f"{contract.cadence}_tables" for table, contract in TABLES.items()
    }


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[str]], Path]:
    """What a fresh process touched and imported while it loaded the definitions, and the lake that it was given."""
    lake = tmp_path_factory.mktemp("untouched") / "lake"
    result = subprocess.run(
        [sys.executable, "-c", _LOAD_AND_WATCH],
        env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "MUSIC_PLATFORM_LAKE": str(lake)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout.splitlines()[-1]), lake


def test_loading_connects_to_nothing_and_writes_nothing(loaded: tuple[dict[str, list[str]], Path]) -> None:
    found, lake = loaded
    assert found["touched"] == []
    assert not lake.exists()


def test_loading_starts_no_engine(loaded: tuple[dict[str, list[str]], Path]) -> None:
    found, _ = loaded
    heavy = {"pysail", "ua_parser", "faker", "zipcodes", "polars", "moto", "music_platform.eventsim.generator"}
    assert heavy & set(found["modules"]) == set()


def test_a_backfill_over_all_tiers_has_roots_of_one_partitioning() -> None:
    """Dagster maps a backfill's hours to the days of what is made of them, if nothing that is made begins with days."""
    graph = _repository("druid").asset_graph
    made = {key for key in graph.executable_asset_keys if graph.get(key).is_partitioned}
    roots = {key for key in made if not (set(graph.get(key).parent_keys) - {key}) & made}
    assert {key.to_user_string() for key in roots if graph.get(key).tags["cadence"] != "hourly"} == set()
    assert {key.path[0] for key in roots} == {"bronze", "quarantine"}
