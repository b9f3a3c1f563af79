"""Assets of a service that is not enabled here: in the graph with the way to enable them, and not executable.

The graph shows the whole line on every machine. A run, a schedule or a selection by cadence has only what can be made here.
"""

from collections.abc import Iterable

import dagster as dg

NOT_ENABLED = "not_enabled"
"""The tag of such an asset, in place of its cadence: the service that it waits for."""

DRUID = "druid"
SUPERSET = "superset"
_ENABLED_BY = {
    DRUID: "`./run music-platform druid up` and a new start of `./run dev` enable this asset; on a server "
    "`MUSIC_PLATFORM_DRUID_ENABLED=true` does.",
    SUPERSET: "`./run music-platform superset up`, beside a Druid that is up, and a new start of `./run dev` enable this asset; "
    "on a server `MUSIC_PLATFORM_SUPERSET_ENABLED=true` does.",
}


def not_enabled(assets: Iterable[dg.AssetsDefinition], service: str) -> list[dg.AssetSpec]:
    """The assets as specs without a computation. Dagster keeps showing what earlier runs made of them."""
    return [_as_shown(spec, service) for asset in assets for spec in asset.specs]


def _as_shown(spec: dg.AssetSpec, service: str) -> dg.AssetSpec:
    return spec.replace_attributes(
        description=f"{_ENABLED_BY[service]}\n\n{spec.description}",
        tags={NOT_ENABLED: service},
        metadata={name: value for name, value in spec.metadata.items() if not isinstance(value, dg.UrlMetadataValue)},
        automation_condition=None,
        freshness_policy=None,
    )
