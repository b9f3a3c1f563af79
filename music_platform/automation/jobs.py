"""Jobs over the asset graph; each names a selection and adds nothing to it."""

import dagster as dg

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
