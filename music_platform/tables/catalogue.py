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


def _collected() -> dict[str, GoldTable | ModelTable]:
    """The ``TABLE`` of each module of gold/ and recommendations/, by its path; a table comes after those that it is "
    "made from."""
    names = [
        f"{room.__name__}.{name}"
        for room in (gold, recommendations)
        for name in sorted(module.name for module in pkgutil.iter_modules(room.__path__))
    ]
    modules = [import_module(name) for name in names]
    tables = [module.TABLE for module in modules if hasattr(module, "TABLE")]
    by_path = {table.contract.path: table for table in tables}
    inputs = {path: [wanted.contract.path for wanted in table.inputs.values()] for path, table in by_path.items()}
    return {path: by_path[path] for path in TopologicalSorter(inputs).static_order() if path in by_path}


DERIVED_TABLES: dict[str, GoldTable | ModelTable] = _collected()
GOLD_TABLES: dict[str, GoldTable] = {
    path: table for path, table in DERIVED_TABLES.items() if isinstance(table, GoldTable)
}
"""Those that a transform makes, recommendations among them."""
MODEL_TABLES: dict[str, ModelTable] = {
    path: table for path, table in DERIVED_TABLES.items() if isinstance(table, ModelTable)
}
_DERIVED = [table.contract for table in DERIVED_TABLES.values()]
GOLD: dict[str, TableContract] = {contract.name: contract for contract in _DERIVED if contract.layer is Layer.GOLD}
RECOMMENDATIONS: dict[str, TableContract] = {
    contract.name: contract for contract in _DERIVED if contract.layer is Layer.RECOMMENDATIONS
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
