"""All definitions together: Dagster loads ``defs``, and tests call ``build_definitions``.

No input or output happens here: a code location must load whether or not the lake can be reached.
"""

from __future__ import annotations

import warnings
from typing import Any

import dagster as dg

from music_platform.lake.lake import Lake
from music_platform.orchestration.assets.bronze import bronze_assets
from music_platform.orchestration.assets.collector_errors import collector_errors_asset
from music_platform.orchestration.assets.druid import druid_assets
from music_platform.orchestration.assets.gold import gold_assets
from music_platform.orchestration.assets.landing import LANDING_IO_MANAGER, landing_assets
from music_platform.orchestration.assets.not_enabled import DRUID, SUPERSET, not_enabled
from music_platform.orchestration.assets.operations import state_asset
from music_platform.orchestration.assets.reading_on import with_reading_on
from music_platform.orchestration.assets.recommendations import recommendation_assets
from music_platform.orchestration.assets.silver import silver_assets
from music_platform.orchestration.assets.superset import DASHBOARDS_KEY, dashboards_asset
from music_platform.orchestration.assets.tables import LAKE_IO_MANAGER
from music_platform.orchestration.automation.alerts import alert_sensors
from music_platform.orchestration.automation.compaction import compaction_job
from music_platform.orchestration.automation.daily_tier import daily_tier_sensor
from music_platform.orchestration.automation.dashboards import dashboards_sensor
from music_platform.orchestration.automation.jobs import CLOCK_CHECKS, DAILY_TIER, HOURLY_SPINE, OPERATIONS_STATE
from music_platform.orchestration.automation.landing_reconcile import landing_reconcile
from music_platform.orchestration.automation.landing_sensor import landing_sensor
from music_platform.orchestration.automation.policies import with_policies
from music_platform.orchestration.automation.retention import retention_job
from music_platform.orchestration.automation.schedules import housekeeping_schedules
from music_platform.orchestration.checks.derived_tables import derived_steps
from music_platform.orchestration.checks.druid import druid_checks
from music_platform.orchestration.checks.platform import clock_checks, operations_asset
from music_platform.orchestration.checks.spine import SPINE_STEPS
from music_platform.orchestration.checks.superset import charts_check
from music_platform.orchestration.executor import executor_of
from music_platform.orchestration.io_managers.landing_io_manager import LandingIOManager
from music_platform.orchestration.io_managers.parquet_io_manager import ParquetLakeIOManager
from music_platform.orchestration.partitions_definitions import daily_partitions, hourly_partitions
from music_platform.orchestration.spark_resource import SparkResource
from music_platform.serving.druid.client import DruidResource
from music_platform.serving.superset.client import SupersetResource
from music_platform.settings import Settings, current_settings
from music_platform.tables.catalogue import (
    GOLD_TABLES,
    RECOMMENDATION_TABLES,
    made_derived_tables,
    made_gold_tables,
    made_recommendation_tables,
    made_tables,
)


def build_definitions(settings: Settings, *, resource_overrides: dict[str, Any] | None = None) -> dg.Definitions:
    """The platform's definitions for these settings; ``resource_overrides`` replaces resources by their keys."""
    # Backfill policies are beta in Dagster 1.13; the pinned release is tested with them.
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    # Freshness policies know an asset's last materialization, but not whether a given hour was materialized.
    warnings.filterwarnings("ignore", category=dg.SupersessionWarning)
    lake = Lake(settings)
    spark = SparkResource.from_settings(settings)
    hours, days = hourly_partitions(settings.start), daily_partitions(settings.start)
    tables = made_tables(is_served=settings.druid_enabled).values()
    assets = [
        *landing_assets(hours),
        *bronze_assets(hours),
        *silver_assets(hours),
        collector_errors_asset(hours),
        *gold_assets(made_gold_tables(is_served=False).values(), hours, days),
        *recommendation_assets(made_recommendation_tables(is_served=False).values(), hours, days),
    ]
    served = _served_assets(hours, days)
    dashboards = dashboards_asset(settings)
    derived = made_derived_tables(is_served=settings.druid_enabled)
    checks = [*(step.to_dagster() for step in (*SPINE_STEPS, *derived_steps(derived))), *clock_checks(tables)]
    shown: list[dg.AssetSpec] = []  # not executable here
    unpartitioned: list[dg.AssetsDefinition | dg.AssetSpec] = [operations_asset()]
    if settings.druid_enabled:
        assets += served
        checks += druid_checks()
    else:
        shown += not_enabled(served, DRUID)
    sensors = [landing_sensor(settings), daily_tier_sensor(), *alert_sensors(settings)]
    if settings.superset_enabled:
        unpartitioned.append(dashboards)
        checks.append(charts_check())
        sensors.append(dashboards_sensor(DASHBOARDS_KEY))
    else:
        shown += not_enabled([dashboards], SUPERSET)
    unpartitioned.append(state_asset(tables, [key for check in checks for key in check.check_keys]))
    all_checks = [*checks, *druid_checks(), charts_check()]  # what is not enabled now keeps its history
    retention = retention_job(settings.run_retention_days, {key for check in all_checks for key in check.check_keys})
    compaction = compaction_job(tables, settings.compaction_days)
    return dg.Definitions(
        assets=with_reading_on([*with_policies(assets, settings), *unpartitioned, *shown], settings),
        asset_checks=checks,
        jobs=[HOURLY_SPINE, DAILY_TIER, CLOCK_CHECKS, OPERATIONS_STATE, retention, compaction],
        schedules=[landing_reconcile(settings), *housekeeping_schedules(retention, compaction)],
        sensors=sensors,
        resources={
            "lake": lake,
            "spark": spark,
            "druid": DruidResource(settings, dg.get_dagster_logger()),
            "superset": SupersetResource.from_settings(settings),
            LAKE_IO_MANAGER: ParquetLakeIOManager(lake, spark.engine),
            LANDING_IO_MANAGER: LandingIOManager(lake, spark.engine),
            **(resource_overrides or {}),
        },
        executor=executor_of(settings),
    )


def _served_assets(hours: dg.PartitionsDefinition, days: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Druid's datasources, and the tables that Druid alone reads."""
    gold = [table for table in GOLD_TABLES.values() if table.is_made_only_to_be_served]
    recommendations = [table for table in RECOMMENDATION_TABLES.values() if table.is_made_only_to_be_served]
    return [
        *gold_assets(gold, hours, days),
        *recommendation_assets(recommendations, hours, days),
        *druid_assets(hours, days),
    ]


defs = build_definitions(current_settings())
