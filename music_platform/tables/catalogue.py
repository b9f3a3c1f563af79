"""Every table of the lake, collected: those of the event types, and the modules of gold/."""

from __future__ import annotations

import pkgutil
from graphlib import TopologicalSorter
from importlib import import_module

from music_platform.tables import gold
from music_platform.tables.bronze import BRONZE
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.contract import TableContract
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER


def _collected() -> dict[str, GoldTable]:
    """The ``TABLE`` of each module of gold/, by its path; a table comes after those that it is made from."""
    names = sorted(module.name for module in pkgutil.iter_modules(gold.__path__))
    tables = [import_module(f"{gold.__name__}.{name}").TABLE for name in names]
    by_path = {table.contract.path: table for table in tables}
    inputs = {path: [wanted.contract.path for wanted in table.inputs.values()] for path, table in by_path.items()}
    return {path: by_path[path] for path in TopologicalSorter(inputs).static_order() if path in by_path}


GOLD_TABLES: dict[str, GoldTable] = _collected()
GOLD: dict[str, TableContract] = {table.contract.name: table.contract for table in GOLD_TABLES.values()}

TABLES: dict[str, TableContract] = {
    contract.path: contract
    for contract in (*BRONZE.values(), *SILVER.values(), *QUARANTINE.values(), COLLECTOR_ERRORS, *GOLD.values())
}


def made_gold_tables(*, is_served: bool) -> dict[str, GoldTable]:
    """The tables of gold that are made, by path: all of them where Druid serves gold, else those that have other readers."""
    return {path: table for path, table in GOLD_TABLES.items() if is_served or not table.is_made_only_to_be_served}


def made_tables(*, is_served: bool) -> dict[str, TableContract]:
    """The tables of all layers that are made, by path, as ``made_gold_tables``."""
    gold_tables = made_gold_tables(is_served=is_served)
    return {path: table for path, table in TABLES.items() if path not in GOLD_TABLES or path in gold_tables}
