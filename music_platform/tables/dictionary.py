"""The data dictionary: every table, column and rule of the contracts as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from music_platform.tables.bronze import FAULTS
from music_platform.tables.catalogue import TABLES
from music_platform.tables.contract import TableContract
from music_platform.tables.schemas import describe_column, other_constraints

_HEAD = """# Data dictionary

Generated from the contracts by `./run regenerate`; do not edit it.

All times are UTC. Hourly tables lie in `<lake>/<layer>/<table>/date=YYYY-MM-DD/hour=HH/`.

What a column says of a listener: `direct` names one, or is a line or part of one as it came in; `quasi` describes one, and
several together single one out; `link` joins rows to one listener, session or event; `none` says nothing of who it is. Only
columns of `none` are shown in Dagster's previews. Texts of `none` are producers' texts all the same: never markup.
"""


def render_dictionary(contracts: Iterable[TableContract] = TABLES.values()) -> str:
    """The whole dictionary; ends with a line feed."""
    parts = [_HEAD]
    contracts = list(contracts)
    parts.append("\n".join(f"- [{contract.path}](#{contract.path.replace('/', '')})" for contract in contracts) + "\n")
    parts += [_table_section(contract) for contract in contracts]
    faults = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in FAULTS.items())
    parts.append(
        f"## Faults of a line\n\nValues of `_fault` in bronze.\n\n| Fault | Meaning |\n| --- | --- |\n{faults}\n"
    )
    return "\n".join(parts)


def _table_section(contract: TableContract) -> str:
    lines = [f"## {contract.path}", "", contract.description, ""]
    order = ", ".join(f"`{name}`" for name in contract.sort_columns) or "order of landing"
    unique = ", ".join(f"`{name}`" for name in contract.unique_columns)
    lines += [
        f"Partitioned {contract.cadence} by `{contract.partition_column}`; sorted by {order}; unique by {unique}.",
        "",
    ]
    lines += ["| Column | Type | Null | Personal | Meaning | Constraints |", "| --- | --- | --- | --- | --- | --- |"]
    for column in contract.columns:
        constraints = "; ".join(other_constraints(column)).replace("|", "\\|")
        meaning = describe_column(column).replace("|", "\\|")
        lines.append(
            f"| `{column.name}` | {column.type} | {'yes' if column.nullable else 'no'} | {column.personal} | {meaning} "
            f"| {constraints} |"
        )
    if contract.rules:
        lines += ["", "Rules; a row that breaks one goes to quarantine:", "", "| Rule | Meaning |", "| --- | --- |"]
        lines += [f"| `{rule.name}` | {rule.description.replace('|', chr(92) + '|')} |" for rule in contract.rules]
    return "\n".join(lines) + "\n"
