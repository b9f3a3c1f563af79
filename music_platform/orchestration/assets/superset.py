"""The Superset asset: the dashboards, imported as one bundle.

serving/superset decides what they show and how they get into Superset; this module makes an asset of that.
"""

import time
from typing import Any

import dagster as dg

from music_platform.orchestration.assets.tables import OWNERS
from music_platform.orchestration.automation.dashboards import follows_the_bundle
from music_platform.serving.superset.bundle import DASHBOARDS, bundle_files
from music_platform.serving.superset.client import SupersetResource
from music_platform.serving.superset.connection import database_uri
from music_platform.serving.superset.datasets import DATASETS
from music_platform.serving.superset.publishing import bundle_digest, publish
from music_platform.settings import Settings

DASHBOARDS_KEY = dg.AssetKey(["superset", "dashboards"])


def dashboards_asset(settings: Settings) -> dg.AssetsDefinition:
    """The one asset of Superset. It has no partitions: a chart queries Druid when somebody opens it."""

    @dg.asset(
        key=DASHBOARDS_KEY,
        description="The dashboards as code in Superset: imported, their columns read from Druid, open to viewers.",
        group_name="superset",
        kinds={"superset"},
        owners=OWNERS,
        code_version=bundle_digest(),
        deps=[dg.AssetKey(["druid", dataset.datasource]) for dataset in DATASETS],
        metadata={
            dashboard.title: dg.MetadataValue.url(f"{settings.superset_url}/superset/dashboard/{dashboard.slug}/")
            for dashboard in DASHBOARDS
        },
        automation_condition=follows_the_bundle(),
    )
    def import_dashboards(
        context: dg.AssetExecutionContext, superset: dg.ResourceParam[SupersetResource]
    ) -> dg.MaterializeResult[Any]:
        files = bundle_files(database_uri(settings))
        started = time.monotonic()
        without_rows = publish(superset, files)
        if without_rows:
            context.log.warning(
                f"Druid has no row of these datasources, whose charts are empty: {', '.join(without_rows)}"
            )
        return dg.MaterializeResult(
            metadata={
                "dashboards": len(DASHBOARDS),
                "charts": sum(len(dashboard.charts) for dashboard in DASHBOARDS),
                "datasets": len(DATASETS),
                "datasources_without_rows": ", ".join(without_rows),
                "seconds": round(time.monotonic() - started, 2),
            }
        )

    return import_dashboards
