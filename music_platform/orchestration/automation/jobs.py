"""Jobs over the asset graph; each names a selection and adds nothing to it."""

import dagster as dg

from music_platform.lake.landing_layout import LANDED_KINDS
from music_platform.orchestration.assets.operations import STATE
from music_platform.orchestration.checks.platform import OPERATIONS
from music_platform.tables.contract import Layer

HOURLY_SPINE = dg.define_asset_job(
    "hourly_spine",
    selection=dg.AssetSelection.tag("cadence", "hourly") - dg.AssetSelection.groups("landing"),
    description="Materializes the hourly tables from landing on, for an hour or a range of hours.",
)

DAILY_TIER = dg.define_asset_job(
    "daily_tier",
    selection=dg.AssetSelection.tag("cadence", "daily"),
    description="Materializes the daily tables from the hourly ones, for a day or a range of days.",
)

CLOCK_CHECKS = dg.define_asset_job(
    "clock_checks",
    selection=dg.AssetSelection.checks_for_assets(
        *(dg.AssetKey([str(Layer.LANDING), kind]) for kind in LANDED_KINDS), OPERATIONS
    ),
    description="The checks that look at all hours: completeness, objects that nothing reads, freshness of landing, partitions "
    "left failed.",
)

OPERATIONS_STATE = dg.define_asset_job(
    "operations_state",
    selection=dg.AssetSelection.assets(STATE),
    description="Answers whether all is well, what is late, what is in quarantine and what it cost.",
)
