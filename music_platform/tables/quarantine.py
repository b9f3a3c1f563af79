"""The quarantine tables, one per event type: rows that broke a rule of silver. transforms/silver.py makes them."""

from __future__ import annotations

from music_platform.tables.columns import EVENT_ID, LINEAGE_COLUMNS, text_column
from music_platform.tables.contract import Layer, Personal, TableContract
from music_platform.tables.events import EVENT_CONTRACTS, EventContract


def quarantine_contract(event: EventContract) -> TableContract:
    """The rows that broke a rule of silver, with the rule and their raw form."""
    return TableContract(
        layer=Layer.QUARANTINE,
        name=event.name,
        description=f"Lines of {event.name} that broke a rule of silver; they return when the rule or the data is mended "
        "and their hour is replayed.",
        columns=(
            text_column("rule", "First rule of silver that the row broke.", personal=Personal.NONE),
            text_column(
                "broken_rules",
                "All of them, separated by commas; of a line at fault those that bind only values that could be read.",
                personal=Personal.NONE,
            ),
            text_column(
                "detail",
                "What exactly: of a line that could not be read the fault, where and what; else each broken rule "
                "with the values, as they came, of the fields that it binds.",
                personal=Personal.DIRECT,
            ),
            text_column(
                "raw",
                "The line as landed, or the record rebuilt from bronze where that gives back every field as it was "
                "written.",
                personal=Personal.DIRECT,
            ),
            EVENT_ID,
            *LINEAGE_COLUMNS,
        ),
        partition_column="landed_hour",
        sort_columns=("_object", "_line_number"),
        unique_columns=("_object", "_line_number"),
    )


QUARANTINE: dict[str, TableContract] = {name: quarantine_contract(event) for name, event in EVENT_CONTRACTS.items()}
