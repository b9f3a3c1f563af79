"""Contracts: what is generated from them, and that they describe what the producers really write."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from music_platform.orchestration.table_schema import table_schema
from music_platform.tables.bronze import BRONZE, FAULTS
from music_platform.tables.catalogue import GOLD_TABLES, TABLES
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.columns import count_column, key_column, text_column, time_column
from music_platform.tables.contract import (
    Cadence,
    Column,
    ColumnType,
    Layer,
    Personal,
    Rule,
    TableContract,
    column_rules,
)
from music_platform.tables.events import EVENT_CONTRACTS, EventContract
from music_platform.tables.events.listen_events import LISTEN_EVENTS
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.schemas import arrow_schema, fingerprint, spark_schema
from music_platform.tables.silver import SILVER

EVENTS = pytest.mark.parametrize("event", EVENT_CONTRACTS.values(), ids=lambda event: event.name)


def test_contracts_are_sound() -> None:
    assert {contract.path: faults for contract in TABLES.values() if (faults := [*_faults_of(contract)])} == {}


def _faults_of(contract: TableContract) -> Iterator[str]:
    """What breaks the rules that hold for every contract, in words: a fault of a column that many tables share is told once."""
    names = [column.name for column in contract.columns]
    if len(set(names)) != len(names):
        yield "two columns have one name"
    if contract.column(contract.partition_column).type is not ColumnType.TIMESTAMP:
        yield "the partition column is no timestamp"
    if strangers := {*contract.sort_columns, *contract.unique_columns} - set(names):
        yield f"it is sorted or unique by what it lacks: {strangers}"
    if not contract.unique_columns:
        yield "nothing identifies a row"
    rules = [rule.name for rule in contract.rules]
    if len(set(rules)) != len(rules):
        yield "two rules have one name"
    if any("," in rule for rule in rules):
        yield "a rule has a comma in its name, by which quarantine joins them"
    for described in (contract, *contract.columns, *contract.rules):
        if not described.description.endswith("."):
            yield f"{described.name} is not described by a sentence"


def test_contracts_of_gold_are_sound() -> None:
    assert {
        table.contract.path: faults for table in GOLD_TABLES.values() if (faults := [*_faults_of_gold(table)])
    } == {}


def _faults_of_gold(table: GoldTable) -> Iterator[str]:
    contract = table.contract
    if contract.layer is not Layer.GOLD:
        yield "its layer is another"
    if not contract.sort_columns:
        yield "it is not sorted"
    rules = [rule.name for rule in (*column_rules(contract.columns), *contract.rules)]
    if len(set(rules)) != len(rules):
        yield "two rules have one name"
    if contract.name.startswith("dim_") and (contract.cadence, contract.partition_column) != (Cadence.DAILY, "day"):
        yield "a dimension is made by the day"
    if not contract.name.startswith(("dim_", "fact_")):  # an aggregate
        if contract.cadence is not Cadence.DAILY and not table.reads_manifests:
            yield "an aggregate is made by the day"
        if contract.unique_columns[0] != contract.partition_column:
            yield "an aggregate is identified by its day first, since many days are checked at once"


_DIRECT = {
    "user_id", "userId", "first_name", "firstName", "last_name", "lastName", "_raw", "raw", "_rescued", "_fault_detail",
    "detail", "reason",
}  # fmt: skip
_QUASI = {
    "zip", "city", "state", "state_name", "latitude", "lat", "longitude", "lon", "location", "location_key", "user_agent",
    "userAgent", "device", "operating_system", "browser", "gender", "registered_at", "registration",
}  # fmt: skip
_LINK = {"user_key", "user_version_key", "session_key", "session_id", "sessionId", "event_id"}


def test_what_a_column_says_of_a_listener_goes_by_its_name() -> None:
    others = {  # of tables in which a name means something else
        ("gold/dim_artists", "location"): Personal.NONE,
        ("gold/dim_artists", "latitude"): Personal.NONE,  # the artist's place
        ("gold/dim_artists", "longitude"): Personal.NONE,
        (COLLECTOR_ERRORS.path, "tag"): Personal.DIRECT,  # of a record that nothing is known of
    }
    kinds = ((_DIRECT, Personal.DIRECT), (_QUASI, Personal.QUASI), (_LINK, Personal.LINK))
    by_name = {name: personal for names, personal in kinds for name in names}
    wanted = {
        (path, column.name): others.get((path, column.name), by_name.get(column.name, Personal.NONE))
        for path, contract in TABLES.items()
        for column in contract.columns
    }
    found = {(path, column.name): column.personal for path, contract in TABLES.items() for column in contract.columns}
    assert {column: found[column] for column in found if found[column] is not wanted[column]} == {}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Column(name="new", type=ColumnType.STRING, description=""),  # pyright: ignore[reportCallIssue]
        lambda: text_column("new", ""),  # pyright: ignore[reportCallIssue]
        lambda: time_column("new", ""),  # pyright: ignore[reportCallIssue]
        lambda: key_column("new", ""),  # pyright: ignore[reportCallIssue]
    ],
    ids=["column", "text", "time", "key"],
)
def test_a_column_cannot_be_made_without_saying_what_it_says_of_a_listener(make: Callable[[], Column]) -> None:
    with pytest.raises(TypeError, match="personal"):
        make()
    assert count_column("new", "").personal is Personal.NONE  # how many says nothing of who


def test_schemas_have_the_contract_s_columns_in_order() -> None:
    wrong = []
    for contract in TABLES.values():
        names, nullable = zip(*((column.name, column.nullable) for column in contract.columns), strict=True)
        schema = table_schema(contract).columns
        in_dagster = [column.name for column in schema], [column.constraints.nullable for column in schema]
        if in_dagster != ([*names], [*nullable]):
            wrong.append(f"{contract.path} in Dagster")
        if arrow_schema(contract.columns).names != [*names]:
            wrong.append(f"{contract.path} in Arrow")
        if spark_schema(contract.columns).names != [*names]:
            wrong.append(f"{contract.path} in Spark")
    assert wrong == []


def test_types_in_each_schema() -> None:
    columns = tuple(
        Column(name=str(column_type), type=column_type, description="", personal=Personal.NONE)
        for column_type in ColumnType
    )
    assert arrow_schema(columns).types == [
        pa.string(), pa.int64(), pa.int32(), pa.float32(), pa.float64(), pa.list_(pa.float32()), pa.bool_(),
        pa.timestamp("us", tz="UTC"),
    ]  # fmt: skip
    assert [field.dataType.simpleString() for field in spark_schema(columns)] == [
        "string", "bigint", "int", "float", "double", "array<float>", "boolean", "timestamp",
    ]  # fmt: skip


def test_rules_that_a_column_implies() -> None:
    column = Column(
        name="level", type=ColumnType.STRING, description="", allowed=("free", "paid"), pattern="^[a-z]+", minimum=1, maximum=2.5,
        personal=Personal.NONE,
    )  # fmt: skip
    assert {rule.name: rule.condition for rule in column_rules((column,))}.keys() == {
        "level_present", "level_allowed", "level_pattern", "level_range",
    }  # fmt: skip
    assert column_rules((text_column("tag", "", nullable=True, personal=Personal.NONE),)) == ()
    allowed = column_rules((replace(column, nullable=True, pattern=None, minimum=None, maximum=None),))
    assert [rule.condition for rule in allowed] == ["level IS NULL OR level IN ('free', 'paid')"]
    status = Column(name="status", type=ColumnType.INTEGER, description="", allowed=(200, 404), personal=Personal.NONE)
    numbers = column_rules((status,))
    assert numbers[1].condition == "status IS NULL OR status IN (200, 404)"


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(KeyError, match="silver/listen_events has no column 'nothing'"):
        SILVER["listen_events"].column("nothing")


def test_the_fingerprint_changes_with_columns_and_rules_alone() -> None:
    contract = SILVER["listen_events"]
    first, *others = contract.columns
    same = [
        replace(contract, description="Another."),
        replace(contract, columns=(replace(first, description="Another."), *others)),
    ]
    changed = [
        replace(contract, columns=(replace(first, nullable=True), *others)),
        replace(contract, columns=(replace(first, pattern="another"), *others)),
        replace(contract, columns=(*others, first)),
        replace(contract, columns=tuple(others)),
        replace(contract, rules=contract.rules[1:]),
        replace(contract, rules=(*contract.rules, Rule(name="new", condition="true", description=""))),
    ]
    assert {fingerprint(other) for other in same} == {fingerprint(contract)}
    prints = {fingerprint(other) for other in changed}
    assert len(prints) == len(changed)
    assert fingerprint(contract) not in prints


@EVENTS
def test_layers_follow_from_the_event_type(event: EventContract) -> None:
    bronze, silver, quarantine = BRONZE[event.name], SILVER[event.name], QUARANTINE[event.name]
    assert tuple(column.name for column in bronze.columns)[: len(event.keys)] == event.keys
    assert all(column.nullable for column in bronze.columns[: len(event.keys)])
    assert bronze.column("_fault").allowed == tuple(FAULTS)
    assert {field.column for field in event.fields} <= set(silver.columns)
    assert silver.column("event_id") == quarantine.column("event_id")
    names = [rule.name for rule in silver.rules]
    assert names[0] == "line_readable"
    assert names[-1] == "event_in_landed_hour"
    assert {rule.name for rule in event.rules} <= set(names)
    for field in event.fields:
        assert (f"{field.column.name}_present" in names) == (not field.column.nullable)


def test_keys_and_columns_have_other_names_where_that_is_clearer() -> None:
    columns = {field.key: field.column.name for field in LISTEN_EVENTS.fields}
    assert columns["sessionId"] == "session_id"
    assert columns["ts"] == "event_time"
    assert columns["lon"] == "longitude"
    assert all(name == name.lower() for name in columns.values())


@EVENTS
def test_the_real_producer_writes_these_keys_in_this_order(event: EventContract, sample_folder: Path) -> None:
    with lzma.open(sample_folder / "eventsim" / f"{event.name}.jsonl.xz") as file:
        records = [json.loads(line) for line in file.read().split(b"\n")[:5000] if line]
    seen: set[str] = set()
    required = {field.key for field in event.fields if not field.column.nullable}
    for record in records:
        seen |= set(record)
        assert required <= set(record)
        assert list(record) == [key for key in event.keys if key in record]
    assert seen == set(event.keys) - {"tag", "location"}
