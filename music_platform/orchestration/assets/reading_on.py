"""What an asset's page says beside its contract: grain, key and readers in words; links to its code, documentation, datasource
and dashboards.

All of it is derived from the declarations of tables, datasources and dashboards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from music_platform.serving.druid.datasources import DATASOURCES, Datasource, Granularity
from music_platform.serving.superset.bundle import DASHBOARDS
from music_platform.serving.superset.model import Dashboard
from music_platform.settings import Settings
from music_platform.tables.catalogue import GOLD_TABLES, RECOMMENDATION_TABLES, TABLES
from music_platform.tables.contract import Cadence, TableContract

_PACKAGE = Path(__file__).parents[2]
_REPOSITORY = _PACKAGE.parent
_DICTIONARY = "docs/data-dictionary.md"
_CODE = {
    "druid": "music_platform/serving/druid/datasources.py",
    "superset": "music_platform/serving/superset/bundle.py",
    "operations": "music_platform/orchestration/assets/operations.py",
}
_PAGES = {"druid": "docs/serving.md", "superset": "docs/dashboards.md", "operations": "docs/operations.md"}


def with_reading_on(
    assets: Iterable[dg.AssetsDefinition | dg.AssetSpec], settings: Settings
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets with their links and, of tables that are made of others and of datasources, grain, key and readers."""

    def apply(spec: dg.AssetSpec) -> dg.AssetSpec:
        path = "/".join(spec.key.path)
        words = _in_words(path)
        spec = spec.merge_attributes(metadata=_links(path, settings))
        return spec if words is None else spec.replace_attributes(description=f"{spec.description}\n\n{words}")

    return list(dg.map_asset_specs(apply, assets))


def readers_of(path: str) -> list[str]:
    """Who reads a table or datasource: tables, datasources and, a table's through its datasource, «dashboard NAME»."""
    return _readers().get(path, [])


def _in_words(path: str) -> str | None:
    if path in GOLD_TABLES or path in RECOMMENDATION_TABLES:
        return f"{_grain(TABLES[path])} {_read_by(path)}"
    name = path.removeprefix("druid/")
    if path.startswith("druid/") and name in DATASOURCES:
        return f"{_grain_of_datasource(DATASOURCES[name])} {_read_by(path)}"
    return None


def _grain(contract: TableContract) -> str:
    partition = "hour" if contract.cadence is Cadence.HOURLY else "day"
    others = [name for name in contract.unique_columns if name != contract.partition_column]
    each = (
        f"one row for each {_listed(others)}, in the partition of its {partition}"
        if others
        else f"one row a {partition}"
    )
    return f"Grain: {each}. Key: {_listed(contract.unique_columns)}."


def _grain_of_datasource(datasource: Datasource) -> str:
    gold = datasource.contract.path
    if datasource.is_rolled_up:
        time = "hour and " if datasource.query_granularity is Granularity.HOUR else ""
        return f"Grain: one row for each {time}{_listed(datasource.columns)} of `{gold}`, rolled up. That is its key."
    key = [column for column in datasource.contract.unique_columns if column != datasource.time_column]
    if not set(key) <= set(datasource.columns):
        return f"Grain: one row a row of `{gold}`, whose key it does not hold."
    return f"Grain: one row a row of `{gold}`. Key: {_listed(('__time', *key))}."


def _read_by(path: str) -> str:
    readers = [reader if reader.startswith("dashboard ") else f"`{reader}`" for reader in readers_of(path)]
    return (
        f"Read by {', '.join(readers)}." if readers else "Read by nothing of the platform: it is for your own queries."
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


@cache
def _readers() -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table in (*GOLD_TABLES.values(), *RECOMMENDATION_TABLES.values()):
        for wanted in table.inputs.values():
            found.setdefault(wanted.contract.path, []).append(table.contract.path)
    for datasource in DATASOURCES.values():
        shown = [f"dashboard {dashboard.title}" for dashboard in _dashboards_of(datasource)]
        found.setdefault(datasource.path, []).extend(shown)
        found.setdefault(datasource.contract.path, []).extend([datasource.path, *shown])
    return {path: list(dict.fromkeys(readers)) for path, readers in found.items()}


def _dashboards_of(datasource: Datasource) -> list[Dashboard]:
    return [
        dashboard
        for dashboard in DASHBOARDS
        if any(chart.dataset.datasource == datasource.name for chart in dashboard.charts)
    ]


def _links(path: str, settings: Settings) -> dict[str, Any]:
    layer, name = path.split("/")
    links: dict[str, Any] = {"dagster/code_references": _code_references(layer, name, settings.ui_source_url)}
    for datasource in DATASOURCES.values():
        if path not in (datasource.path, datasource.contract.path):
            continue
        if settings.druid_enabled:
            links["Druid datasource"] = dg.MetadataValue.url(_datasource_page(datasource, settings))
        if settings.superset_enabled:
            for dashboard in _dashboards_of(datasource):
                links[f"Dashboard {dashboard.title}"] = dg.MetadataValue.url(
                    f"{settings.superset_url}/superset/dashboard/{dashboard.slug}/"
                )
    return links


def _datasource_page(datasource: Datasource, settings: Settings) -> str:
    if settings.druid_url:
        return f"{settings.druid_url}/unified-console.html#datasources/datasource~{datasource.name}"
    # The local Druid has no web console; its router answers with the datasource's segments and sizes.
    return f"{settings.local_druid_router}/druid/coordinator/v1/datasources/{datasource.name}"


def _code_references(layer: str, name: str, source_url: str) -> dg.CodeReferencesMetadataValue:
    """The module that declares the asset, and its documentation: in a browser where the settings say, else on this machine."""
    page = _PAGES.get(layer, _DICTIONARY)
    code = _CODE.get(layer) or f"music_platform/{_declaration_of_table(layer, name)}"
    if source_url:
        anchor = f"#{layer}{name}" if page == _DICTIONARY else ""
        return dg.CodeReferencesMetadataValue(
            code_references=[
                dg.UrlCodeReference(url=f"{source_url}/{code}", label=Path(code).name),
                dg.UrlCodeReference(url=f"{source_url}/{page}{anchor}", label=Path(page).name),
            ]
        )
    return dg.CodeReferencesMetadataValue(
        code_references=[
            dg.LocalFileCodeReference(file_path=str(_REPOSITORY / file), label=Path(file).name)
            for file in (code, page)
            if (_REPOSITORY / file).exists()  # an installed package has no documentation
        ]
    )


def _declaration_of_table(layer: str, name: str) -> str:
    """The module of a table, from the package on: its own, its event type's or its layer's."""
    choices = (f"tables/{layer}/{name}.py", f"tables/events/{name}.py", f"tables/{name}.py")
    return next((choice for choice in choices if (_PACKAGE / choice).exists()), f"tables/{layer}.py")
