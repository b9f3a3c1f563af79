"""What an asset's page leads to, and what its description says of grain, key and readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from music_platform.definitions import build_definitions
from music_platform.orchestration.assets.reading_on import readers_of
from music_platform.serving.druid.datasources import DATASOURCES
from music_platform.settings import Settings
from music_platform.tables.catalogue import GOLD_TABLES, RECOMMENDATION_TABLES, TABLES

_DASHBOARDS = "http://127.0.0.1:8088/superset/dashboard"


def specs(**settings: Any) -> dict[str, dg.AssetSpec]:
    definitions = build_definitions(Settings(lake="/lake", **settings))
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


@pytest.fixture(scope="module")
def served() -> dict[str, dg.AssetSpec]:
    return specs(druid_enabled=True, superset_enabled=True)


def references(spec: dg.AssetSpec) -> list[Any]:
    return spec.metadata["dagster/code_references"].code_references


def links(spec: dg.AssetSpec) -> dict[str, str]:
    """The links on a page by their names."""
    return {name: value.value for name, value in spec.metadata.items() if isinstance(value, dg.UrlMetadataValue)}


def test_every_asset_leads_to_its_declaration_and_its_documentation(served: dict[str, dg.AssetSpec]) -> None:
    for path, spec in served.items():
        code, page = (Path(reference.file_path) for reference in references(spec))
        assert code.suffix == ".py"
        assert code.is_file(), path
        assert page.suffix == ".md"
        assert page.is_file(), path
    for path in (*GOLD_TABLES, *RECOMMENDATION_TABLES):
        assert references(served[path])[0].file_path.endswith(f"/tables/{path}.py")


def test_where_the_code_is_browsed_links_lead_there() -> None:
    found = specs(ui_source_url="https://example.org/platform/blob/v1")
    assert [reference.url for reference in references(found["gold/top_songs"])] == [
        "https://example.org/platform/blob/v1/music_platform/tables/gold/top_songs.py",
        "https://example.org/platform/blob/v1/docs/data-dictionary.md#goldtop_songs",
    ]


def test_a_served_table_and_its_datasource_lead_to_druid_and_to_the_dashboards(
    served: dict[str, dg.AssetSpec],
) -> None:
    for path in ("gold/level_funnel", "druid/funnel"):
        found = links(served[path])
        assert found["Druid datasource"] == "http://127.0.0.1:8888/druid/coordinator/v1/datasources/funnel"
        assert found["Dashboard Conversion"] == f"{_DASHBOARDS}/conversion/"
    assert links(served["gold/dim_users"]) == {}
    elsewhere = specs(druid_enabled=True, druid_url="https://druid.example:8443")["druid/funnel"]
    assert links(elsewhere) == {
        "Druid datasource": "https://druid.example:8443/unified-console.html#datasources/datasource~funnel"
    }


def test_nothing_leads_to_a_service_that_is_not_enabled() -> None:
    found = specs()
    assert {path for path, spec in found.items() if links(spec)} == set()


def test_descriptions_say_grain_key_and_readers(served: dict[str, dg.AssetSpec]) -> None:
    for path in (*GOLD_TABLES, *RECOMMENDATION_TABLES, *(datasource.path for datasource in DATASOURCES.values())):
        description = served[path].description or ""
        assert "\n\nGrain: one row" in description, path
        assert "Read by " in description, path
    songs = served["gold/top_songs"].description or ""
    assert "one row for each `song_key`, in the partition of its day. Key: `day`, `song_key`." in songs
    assert "Read by `druid/top_songs`, dashboard " in songs
    assert "Grain: one row a day. Key: `day`." in (served["gold/login_success"].description or "")
    assert "one row for each hour and `page`" in (served["druid/page_views"].description or "")
    assert "whose key it does not hold" in (served["druid/streams"].description or "")


def test_readers_are_those_that_are_declared() -> None:
    assert readers_of("gold/session_days") == ["gold/fact_sessions"]
    assert "druid/funnel" in readers_of("gold/level_funnel")
    assert "dashboard Conversion" in readers_of("gold/level_funnel")
    assert readers_of("gold/user_song_interactions") == [
        path
        for path, table in RECOMMENDATION_TABLES.items()
        if TABLES["gold/user_song_interactions"] in [wanted.contract for wanted in table.inputs.values()]
    ]
