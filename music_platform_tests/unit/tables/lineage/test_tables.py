"""The lineage that the transforms give: complete, kept by its file, carried by every asset of silver and gold."""

from __future__ import annotations

import dagster as dg
import pytest
from pyspark.sql import SparkSession

from music_platform.definitions import build_definitions
from music_platform.settings import Settings
from music_platform.tables.catalogue import TABLES
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.column_lineage import TableLineage, column_lineage
from music_platform.tables.contract import Layer
from music_platform.tables.lineage.tables import derive_lineage

# What comes from no table: the partition's own day, the calendar, the song catalogue, settings, names of what is judged.
_WITHOUT_SOURCE = {
    "day", "track_id", "release", "year", "is_in_catalogue", "artist_id", "location", "parameters", "model",
}  # fmt: skip
_WITHOUT_INPUT_ROWS = {"gold/dim_datetime", "gold/pipeline"}
_COORDINATES_OF_ARTISTS = {("gold/dim_artists", "latitude"), ("gold/dim_artists", "longitude")}


@pytest.fixture(scope="module")
def derived(spark: SparkSession) -> dict[str, TableLineage]:
    return derive_lineage(spark)


def test_the_file_keeps_what_was_derived(derived: dict[str, TableLineage]) -> None:
    assert column_lineage() == derived


def test_every_column_has_a_source_but_those_that_come_from_no_table(derived: dict[str, TableLineage]) -> None:
    without = {(table, column) for table, columns in derived.items() for column, found in columns.items() if not found}
    without -= {(table, column) for table, column in without if table in _WITHOUT_INPUT_ROWS}
    assert {column for _, column in without - _COORDINATES_OF_ARTISTS} <= _WITHOUT_SOURCE


def test_every_source_is_a_column_of_a_table(derived: dict[str, TableLineage]) -> None:
    sources = {source for columns in derived.values() for found in columns.values() for source in found}
    assert sources
    for table, column in sources:
        assert TABLES[table].column(column)


def test_every_asset_of_silver_quarantine_and_gold_carries_its_lineage() -> None:
    definitions = build_definitions(Settings(lake="/lake", druid_enabled=True))
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    for contract in TABLES.values():
        lineage = specs[contract.path].metadata.get("dagster/column_lineage")
        if contract.layer is Layer.BRONZE or contract is COLLECTOR_ERRORS:  # made of landed objects
            assert lineage is None
            continue
        assert isinstance(lineage, dg.TableColumnLineage)
        assert list(lineage.deps_by_column) == [column.name for column in contract.columns]
        parents = {dep.asset_key for deps in lineage.deps_by_column.values() for dep in deps}
        assert parents <= {dep.asset_key for dep in specs[contract.path].deps}
