"""Every table of the lake, collected: those of the event types, and the modules of gold/ and recommendations/."""

from __future__ import annotations

import pkgutil
from graphlib import TopologicalSorter
from importlib import import_module

from music_platform.tables import gold, recommendations
from music_platform.tables.bronze import BRONZE
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.contract import Layer, TableContract
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.model_table import ModelTable
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER


def _collected() -> dict[str, DerivedTable]:
    """The ``TABLE`` of each module of gold/ and recommendations/, by its path; a table comes after its inputs."""
    names = [
        f"{room.__name__}.{module.name}"
        for room in (gold, recommendations)
        for module in pkgutil.iter_modules(room.__path__)
    ]
    modules = [import_module(name) for name in sorted(names)]
    by_path: dict[str, DerivedTable] = {
        module.TABLE.contract.path: module.TABLE for module in modules if hasattr(module, "TABLE")
    }
    inputs = {path: [wanted.contract.path for wanted in table.inputs.values()] for path, table in by_path.items()}
    return {path: by_path[path] for path in TopologicalSorter(inputs).static_order() if path in by_path}


DerivedTable = GoldTable | ModelTable
"""A table that is made of other tables, by a transform of frames or around the model."""

_DERIVED_TABLES = _collected()
GOLD_TABLES: dict[str, GoldTable] = {
    path: table
    for path, table in _DERIVED_TABLES.items()
    if table.contract.layer is Layer.GOLD and isinstance(table, GoldTable)
}
RECOMMENDATION_TABLES: dict[str, DerivedTable] = {
    path: table for path, table in _DERIVED_TABLES.items() if table.contract.layer is Layer.RECOMMENDATIONS
}
GOLD: dict[str, TableContract] = {table.contract.name: table.contract for table in GOLD_TABLES.values()}
RECOMMENDATIONS: dict[str, TableContract] = {
    table.contract.name: table.contract for table in RECOMMENDATION_TABLES.values()
}

TABLES: dict[str, TableContract] = {
    contract.path: contract
    for contract in (
        *BRONZE.values(),
        *SILVER.values(),
        *QUARANTINE.values(),
        COLLECTOR_ERRORS,
        *GOLD.values(),
        *RECOMMENDATIONS.values(),
    )
}


def made_gold_tables(*, is_served: bool) -> dict[str, GoldTable]:
    """The tables of gold that are made, by path: all of them where Druid serves gold, else those that have other readers."""
    return {path: table for path, table in GOLD_TABLES.items() if is_served or not table.is_made_only_to_be_served}


def made_recommendation_tables(*, is_served: bool) -> dict[str, DerivedTable]:
    """The tables of the recommendations that are made, by path, as ``made_gold_tables``."""
    tables = RECOMMENDATION_TABLES.items()
    return {path: table for path, table in tables if is_served or not table.is_made_only_to_be_served}


def made_derived_tables(*, is_served: bool) -> list[DerivedTable]:
    """The tables of gold and of the recommendations that are made; each after its inputs."""
    recommended = made_recommendation_tables(is_served=is_served)
    return [*made_gold_tables(is_served=is_served).values(), *recommended.values()]


def made_tables(*, is_served: bool) -> dict[str, TableContract]:
    """The tables of all layers that are made, by path, as ``made_gold_tables``."""
    made = {table.contract.path for table in made_derived_tables(is_served=is_served)}
    return {path: contract for path, contract in TABLES.items() if path not in _DERIVED_TABLES or path in made}
