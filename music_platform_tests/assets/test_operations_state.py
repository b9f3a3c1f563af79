"""The page that answers whether all is well: of a platform that is, and of one that is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from music_platform.orchestration.assets.operations import STATE, State, look_at
from music_platform.orchestration.automation.jobs import OPERATIONS_STATE
from music_platform.tables.catalogue import TABLES, made_tables
from music_platform.tables.contract import Cadence, Layer
from music_platform_tests.assets.execution import execute
from music_platform_tests.assets.local_platform import HOUR, LocalPlatform, good_record, gzip_lines, to_line

_TABLES = [f"{layer}/listen_events" for layer in ("bronze", "silver", "quarantine")]
_NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def state_of(instance: dg.DagsterInstance, platform: LocalPlatform, *tables: str) -> State:
    graph = platform.definitions.get_repository_def().asset_graph
    return look_at(instance, platform.lake, [TABLES[table] for table in tables], list(graph.asset_check_keys), _NOW)


def answers(metadata: Any) -> dict[str, str]:
    return {name: str(value.value) for name, value in metadata.items() if name.endswith("?")}


def test_a_page_without_faults_says_so_and_names_the_quarantine(platform: LocalPlatform) -> None:
    good = [to_line(good_record("listen_events", HOUR, itemInSession=item)) for item in range(200)]
    platform.land("listen_events", HOUR, gzip_lines([*good, b"broken"]))
    platform.run(HOUR, tables=_TABLES)
    found = state_of(platform.instance, platform, *_TABLES)
    assert found.is_well, found.problems
    said = answers(found.metadata())
    assert said["Is all well?"] == "yes"
    assert said["What is late?"] == "nothing"
    assert said["What is in quarantine?"] == "1 of 201 rows of 2026-11-01 (0.50%)"
    assert list(found.quarantine) == [{"table": "quarantine/listen_events", "rule": "line_readable", "rows": 1}]


def test_a_failed_check_and_a_failed_partition_are_problems(platform: LocalPlatform) -> None:
    platform.land("listen_events", HOUR, gzip_lines([b"broken"]))
    platform.run(HOUR, tables=_TABLES)
    found = state_of(platform.instance, platform, *_TABLES)
    assert [row["what"] for row in found.problems] == ["check quarantine_rate of quarantine/listen_events"]
    assert found.problems[0]["severity"] == "warn"
    failed = platform.run("2026-11-01-06:00", tables=["silver/listen_events"], raise_on_error=False)
    assert not failed.success
    found = state_of(platform.instance, platform, *_TABLES)
    assert "silver/listen_events 2026-11-01-06:00" in {row["what"] for row in found.problems}
    assert answers(found.metadata())["Is all well?"].startswith("no: failed checks and partitions: ")


def test_a_layer_that_stays_behind_bronze_is_late(platform: LocalPlatform) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for table, hours in (("bronze", range(12)), ("silver", range(8)), ("quarantine", range(9))):
            for hour in hours:
                key, partition = dg.AssetKey([table, "listen_events"]), f"2026-11-01-{hour:02d}:00"
                instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
        found = state_of(instance, platform, *_TABLES)
        # The limit is 3 hours: silver's next hour could have been made since 09:00, quarantine's since 10:00.
        assert found.late == []
        instance.report_runless_asset_event(
            dg.AssetMaterialization(dg.AssetKey(["bronze", "listen_events"]), partition="2026-11-01-12:00")
        )
        found = state_of(instance, platform, *_TABLES)
        assert found.late == ["silver (hourly): silver/listen_events is at 2026-11-01-07:00"]
        assert not found.is_well


def test_a_platform_without_data_is_well(platform: LocalPlatform) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        found = state_of(instance, platform, *made_tables(is_served=False))
    assert found.is_well
    assert answers(found.metadata())["What is in quarantine?"] == "nothing was made yet"
    layers = {row["layer"] for row in found.layers}
    assert f"{Layer.GOLD} ({Cadence.DAILY})" in layers


def test_the_job_makes_the_page_with_what_its_runs_took(platform: LocalPlatform) -> None:
    platform.land_records("listen_events", HOUR, [good_record("listen_events", HOUR)])
    platform.run(HOUR, tables=_TABLES)
    result = execute(platform.definitions.resolve_job_def(OPERATIONS_STATE.name), platform.instance)
    [made] = [event for event in result.all_events if event.is_step_materialization]
    assert made.asset_key == STATE
    metadata = made.step_materialization_data.materialization.metadata
    cost = metadata["cost"]
    assert isinstance(cost, dg.TableMetadataValue)
    [job] = [record.data for record in cost.records]
    assert (job["job"], job["runs"], job["failed"]) == ("hourly_spine", 1, 0)
    assert isinstance(job["seconds"], float)
    assert job["seconds"] > 0
