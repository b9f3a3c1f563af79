"""When the dashboards are imported: once a datasource holds something, and when their bundle changed."""

from __future__ import annotations

import dagster as dg
import pytest

from music_platform.orchestration.automation.dashboards import follows_the_bundle

DAYS = dg.DailyPartitionsDefinition("2026-11-01", end_date="2026-11-04")
SOURCES = ("streams", "logins")


def definitions(version: str) -> dg.Definitions:
    """Two datasources, and dashboards of a bundle of this version."""

    def source(name: str) -> dg.AssetsDefinition:
        @dg.asset(key=["druid", name], partitions_def=DAYS)
        def filled() -> None: ...

        return filled

    @dg.asset(
        key=["superset", "dashboards"],
        deps=[["druid", name] for name in SOURCES],
        code_version=version,
        automation_condition=follows_the_bundle(),
    )
    def dashboards() -> None: ...

    return dg.Definitions([*map(source, SOURCES), dashboards])


class Platform:
    """An instance, and the sensor's ticks on it."""

    def __init__(self) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor = None

    def tick(self, version: str = "1") -> int:
        result = dg.evaluate_automation_conditions(definitions(version), instance=self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        return result.total_requested

    def fill(self, name: str, day: str = "2026-11-01") -> None:
        self.instance.report_runless_asset_event(dg.AssetMaterialization(["druid", name], partition=day))

    def imported(self) -> None:
        self.instance.report_runless_asset_event(dg.AssetMaterialization(["superset", "dashboards"]))


@pytest.fixture
def platform() -> Platform:
    return Platform()


def test_the_first_import_waits_for_one_datasource_and_not_for_all(platform: Platform) -> None:
    assert platform.tick() == 0
    platform.fill("streams")
    assert platform.tick() == 1
    assert platform.tick() == 0, "an import that failed is not tried for ever"
    platform.imported()
    platform.fill("streams", "2026-11-02")
    assert platform.tick() == 0
    platform.fill("logins")
    assert platform.tick() == 0


def test_a_changed_bundle_is_imported_once_and_new_rows_are_no_reason(platform: Platform) -> None:
    for name in SOURCES:
        platform.fill(name)
    assert platform.tick() == 1
    platform.imported()
    assert platform.tick() == 0
    platform.fill("streams", "2026-11-02")
    assert platform.tick() == 0
    assert platform.tick("2") == 1
    platform.imported()
    assert platform.tick("2") == 0
