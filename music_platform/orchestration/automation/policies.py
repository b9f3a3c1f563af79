"""What every asset gets beside its spec: a freshness policy and, on daily tables, the automation condition."""

from collections.abc import Iterable
from datetime import timedelta

import dagster as dg

from music_platform.orchestration.automation.daily_tier import follows_the_hours
from music_platform.settings import Settings
from music_platform.tables.contract import Cadence

# Events arrive at all hours, and a day's tables are rebuilt many times a day: a day without an update is too long.
HOURLY_FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=3), warn_window=timedelta(hours=2))
DAILY_FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26), warn_window=timedelta(hours=13))


def with_policies(
    assets: Iterable[dg.AssetsDefinition | dg.AssetSpec], settings: Settings
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets with their freshness policies and, of the daily cadence, the automation condition."""
    follows = follows_the_hours(settings)

    def apply(spec: dg.AssetSpec) -> dg.AssetSpec:
        if spec.tags.get("cadence") == Cadence.DAILY:
            spec = dg.apply_freshness_policy(spec, DAILY_FRESHNESS)
            return spec.replace_attributes(automation_condition=follows)
        return dg.apply_freshness_policy(spec, HOURLY_FRESHNESS)

    return list(dg.map_asset_specs(apply, assets))
