"""The column lineage of the tables, read from the file that music_platform.tables.lineage last derived from the transforms.

With the file, definitions load without an engine; a test fails if a transform no longer agrees with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

ColumnSource = tuple[str, str]
"""A table's path and one of its columns."""

TableLineage = dict[str, list[ColumnSource]]
"""The columns of a table, in order, and those that each comes from."""

FILE = Path(__file__).with_name("column_lineage.json")


@lru_cache(maxsize=1)
def column_lineage() -> dict[str, TableLineage]:
    """By the table's path: silver, quarantine and gold; earlier layers are made of no table's columns."""
    plain = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        table: {column: [_parse_source(source) for source in sources] for column, sources in columns.items()}
        for table, columns in plain.items()
    }


def to_json(lineage: Mapping[str, TableLineage]) -> str:
    """The file's content: each source as ``<table>.<column>``, a line for each column; ends with a line feed."""
    tables = []
    for table, columns in lineage.items():
        lines = (
            f'  "{column}": {json.dumps([".".join(source) for source in found])}' for column, found in columns.items()
        )
        tables.append(f' "{table}": {{\n' + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(tables) + "\n}\n"


def _parse_source(text: str) -> ColumnSource:
    table, column = text.rsplit(".", 1)
    return table, column
