"""The bronze tables, one per event type: every landed line is one row. transforms/bronze.py makes them."""

from __future__ import annotations

from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.columns import LINEAGE_COLUMNS, text_column
from music_platform.tables.contract import Column, ColumnType, Layer, Personal, TableContract
from music_platform.tables.events import EVENT_CONTRACTS, EventContract

WRONG_TYPE = "wrong_type"
FAULTS: dict[str, str] = {
    "not_utf8": "The line holds a byte that is not UTF-8.",
    "not_json": "The line is not one JSON value.",
    "not_an_object": "The line is JSON but no object.",
    "duplicate_key": "The object names a key twice.",
    WRONG_TYPE: "A field of the contract has a value of another type.",
    "line_too_long": "The line is longer than the platform reads; its beginning is kept.",
    "empty_object": "The landed object has no byte.",
    "not_gzip": "The landed object is not gzip.",
    "truncated_gzip": "The landed object ends before its gzip stream does.",
    "corrupt_gzip": "The gzip stream of the landed object is damaged.",
}

_FAULT_COLUMNS = (
    text_column(
        "_rescued",
        "Fields that the contract does not know, and values of a wrong type, as a JSON object.",
        nullable=True,
        personal=Personal.DIRECT,
    ),
    text_column(
        "_raw",
        "The line as it was landed, where it is at fault (bytes that are not UTF-8 read `\\xNN`), or where a number "
        "is written in another way than its value is, such as `3e9`, `-1.0` or `181.50`.",
        nullable=True,
        personal=Personal.DIRECT,
    ),
    text_column(
        "_fault",
        "What is wrong with the line, null for a good one.",
        nullable=True,
        allowed=tuple(FAULTS),
        personal=Personal.NONE,
    ),
    text_column(
        "_fault_detail",
        "Where and what exactly: the column, the type expected and found, or the parser's message.",
        nullable=True,
        personal=Personal.DIRECT,
    ),
)


def bronze_contract(event: EventContract) -> TableContract:
    """Every landed line as one row: the record's own keys, nothing repaired, nothing dropped."""
    keys = tuple(
        Column(
            name=field.key,
            type=field.key_type,
            nullable=True,
            description=f"`{field.key}` of the record as it came ({field.column.name} in silver).",
            unit="milliseconds since 1970, UTC" if field.column.type is ColumnType.TIMESTAMP else field.column.unit,
            personal=field.column.personal,
        )
        for field in event.fields
    )
    return TableContract(
        layer=Layer.BRONZE,
        name=event.name,
        description=f"{event.description} Raw: every landed line is one row, in the order of landing.",
        columns=(*keys, *_FAULT_COLUMNS, *LINEAGE_COLUMNS),
        partition_column="landed_hour",
        unique_columns=("_object", "_line_number"),
    )


BRONZE: dict[str, TableContract] = {name: bronze_contract(event) for name, event in EVENT_CONTRACTS.items()}
MADE_OF_LANDED: dict[str, TableContract] = {**BRONZE, COLLECTOR_ERRORS.name: COLLECTOR_ERRORS}
"""The tables that are made of landed objects, by the kind of the objects."""
