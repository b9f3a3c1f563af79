"""The bronze, silver and quarantine tables, made from the event types; and every table of the lake by its path.

Contracts only; the transforms that fill these tables stand in music_platform.transforms.
"""

from music_platform.contracts.aggregates import AGGREGATES
from music_platform.contracts.collector_errors import COLLECTOR_ERRORS
from music_platform.contracts.columns import EVENT_ID, LINEAGE_COLUMNS, USER_AGENT_COLUMNS, text_column
from music_platform.contracts.dimensions import DIMENSIONS
from music_platform.contracts.events import EVENT_CONTRACTS, EventContract
from music_platform.contracts.facts import FACTS
from music_platform.contracts.table import Column, ColumnType, Layer, Personal, Rule, TableContract

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
    Column(
        name="_rescued",
        type=ColumnType.STRING,
        nullable=True,
        description="Fields that the contract does not know, and values of a wrong type, as a JSON object.",
        personal=Personal.DIRECT,
    ),
    Column(
        name="_raw",
        type=ColumnType.STRING,
        nullable=True,
        description="The line as it was landed, where it is at fault (bytes that are not UTF-8 read `\\xNN`), or where a number "
        "is written in another way than its value is, such as `3e9`, `-1.0` or `181.50`.",
        personal=Personal.DIRECT,
    ),
    Column(
        name="_fault",
        type=ColumnType.STRING,
        nullable=True,
        allowed=tuple(FAULTS),
        description="What is wrong with the line, null for a good one.",
        personal=Personal.NONE,
    ),
    Column(
        name="_fault_detail",
        type=ColumnType.STRING,
        nullable=True,
        description="Where and what exactly: the column, the type expected and found, or the parser's message.",
        personal=Personal.DIRECT,
    ),
)

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
            Column(
                name="detail",
                type=ColumnType.STRING,
                description="What exactly: of a line that could not be read the fault, where and what; else each broken rule "
                "with the values, as they came, of the fields that it binds.",
                personal=Personal.DIRECT,
            ),
            Column(
                name="raw",
                type=ColumnType.STRING,
                description="The line as landed, or the record rebuilt from bronze where that gives back every field as it was "
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


BRONZE: dict[str, TableContract] = {name: bronze_contract(event) for name, event in EVENT_CONTRACTS.items()}
MADE_OF_LANDED: dict[str, TableContract] = {**BRONZE, COLLECTOR_ERRORS.name: COLLECTOR_ERRORS}
"""The tables that are made of landed objects, by the kind of the objects."""
SILVER: dict[str, TableContract] = {name: silver_contract(event) for name, event in EVENT_CONTRACTS.items()}
QUARANTINE: dict[str, TableContract] = {name: quarantine_contract(event) for name, event in EVENT_CONTRACTS.items()}

GOLD: dict[str, TableContract] = {contract.name: contract for contract in (*FACTS, *DIMENSIONS, *AGGREGATES)}

TABLES: dict[str, TableContract] = {
    contract.path: contract
    for contract in (*BRONZE.values(), *SILVER.values(), *QUARANTINE.values(), COLLECTOR_ERRORS, *GOLD.values())
}
