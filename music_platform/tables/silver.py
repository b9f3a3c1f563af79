"""The silver tables, one per event type: the valid rows, typed, each event once. transforms/silver.py makes them."""

from __future__ import annotations

from music_platform.tables.columns import EVENT_ID, USER_AGENT_COLUMNS
from music_platform.tables.contract import Column, ColumnType, Layer, Personal, Rule, TableContract
from music_platform.tables.events import EVENT_CONTRACTS, EventContract

_NEW_LEVEL = Column(
    name="new_level", type=ColumnType.STRING, description="Level AFTER the change.", allowed=("free", "paid"),
    personal=Personal.NONE,
)  # fmt: skip

NO_FAULT = Rule(
    name="line_readable",
    condition="_fault IS NULL",
    description="The line could be read: no fault of the line, its fields' types or its object.",
)
IN_LANDED_HOUR = Rule(
    name="event_in_landed_hour",
    condition="date_trunc('HOUR', event_time) = landed_hour",
    description="The event happened in the hour whose folder it was landed in.",
)


def silver_contract(event: EventContract) -> TableContract:
    """The good rows: typed, text repaired, each event once."""
    columns = [EVENT_ID]
    for field in event.fields:
        columns.append(field.column)
        if field.column.name == "previous_level":
            columns.append(_NEW_LEVEL)
        if field.column.name == "user_agent":
            columns.extend(USER_AGENT_COLUMNS)
    field_rules = tuple(rule for field in event.fields for rule in field.rules)
    return TableContract(
        layer=Layer.SILVER,
        name=event.name,
        description=f"{event.description} Typed, text repaired, each event once, rows that break a rule in quarantine.",
        columns=tuple(columns),
        rules=(NO_FAULT, *field_rules, *event.rules, IN_LANDED_HOUR),
        partition_column="event_time",
        sort_columns=("event_time", "event_id"),
        unique_columns=("event_id",),
    )


SILVER: dict[str, TableContract] = {name: silver_contract(event) for name, event in EVENT_CONTRACTS.items()}
