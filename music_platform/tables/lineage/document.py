"""docs/lineage.md: the column lineage as Markdown, with the tables that each table is made from."""

from __future__ import annotations

from collections.abc import Mapping

from music_platform.tables.column_lineage import ColumnSource, TableLineage

_HEAD = """# Lineage

Generated from the transforms by `music-platform lineage --write`; do not edit it. The same is in each asset's metadata as
`dagster/column_lineage`.

A column's sources are what its values are computed from. What only chooses rows (a filter, the condition of a join, the
columns of a grouping) is none. A count of rows comes from the columns that identify them, a rank from what it is ordered by,
and a column of the table itself is that of the day before, which is carried forward. A dash stands for what comes from no
table: the song catalogue, the calendar, the partition's own day.
"""


def render_lineage(lineage: Mapping[str, TableLineage]) -> str:
    """The whole document; ends with a line feed."""
    contents = "\n".join(f"- [{table}](#{table.replace('/', '')})" for table in lineage) + "\n"
    return "\n".join([_HEAD, contents, *(_section(table, columns) for table, columns in lineage.items())])


def _section(table: str, columns: TableLineage) -> str:
    made_from = sorted({source for sources in columns.values() for source, _ in sources} - {table})
    names = ", ".join(f"`{name}`" for name in made_from) or "no table"
    lines = [f"## {table}", "", f"Values from {names}.", "", "| Column | Comes from |", "| --- | --- |"]
    lines += [f"| `{column}` | {_describe(sources, table)} |" for column, sources in columns.items()]
    return "\n".join(lines) + "\n"


def _describe(sources: list[ColumnSource], table: str) -> str:
    """The sources, those of one table together."""
    by_table: dict[str, list[str]] = {}
    for source, column in sources:
        by_table.setdefault(source, []).append(f"`{column}`")
    parts = [
        f"{'the day before' if source == table else source}: {', '.join(columns)}"
        for source, columns in by_table.items()
    ]
    return "; ".join(parts) or "–"
