"""What exactly a row in quarantine broke: each rule with the values of the fields that it binds, as they came.

In the engine's Python workers, so that both engines write numbers alike. Which rules a row breaks is silver's matter.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, cast

import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)
from pyspark.sql.types import StringType

from music_platform.contracts.events import EARLIEST_MILLISECONDS, LATEST_MILLISECONDS, EventContract, EventField
from music_platform.contracts.table import ColumnType, Rule
from music_platform.contracts.tables import silver_contract
from music_platform.exact_json import WrittenNumber, json_text, read_json
from music_platform.landing.event_lines import refuse_constant

_LONGEST_VALUE_SHOWN = 80


def describe_breaches(event: EventContract, broken_rules: Column, record: Column, is_as_landed: Column) -> Column:
    """Of rules (names with commas between them) that a record (JSON text) breaks: each, with the values; null for null.

    ``is_as_landed`` tells whether the record is the line itself, whose numbers are shown as they stand in it. In a record
    that was rebuilt they are written as the engine writes them, and are shown canonically.
    """
    fields = {rule.name: fields_bound(event, rule) for rule in silver_contract(event).rules}

    def describe(broken_rules: pa.Array, records: pa.Array, are_as_landed: pa.Array) -> pa.Array:
        if broken_rules.null_count == len(broken_rules):
            return pa.nulls(len(broken_rules), pa.string())
        texts = [
            None
            if names is None or record is None
            else _describe(names.split(","), _read(record, is_as_landed), fields)
            for names, record, is_as_landed in zip(
                broken_rules.to_pylist(), records.to_pylist(), are_as_landed.to_pylist(), strict=True
            )
        ]
        return pa.array(texts, pa.string())

    # PySpark's stub lacks this form.
    return cast("Any", F.arrow_udf)(describe, StringType())(broken_rules, record, is_as_landed)


def _read(record: str, is_as_landed: bool) -> dict[str, Any]:
    return read_json(record, refuse_constant=refuse_constant) if is_as_landed else json.loads(record)


def fields_bound(event: EventContract, rule: Rule) -> tuple[EventField, ...]:
    """The fields that a rule of the event type's silver table binds, in the order of the record."""
    words = set(re.findall(r"\w+", rule.condition))
    return tuple(
        field for field in event.fields if field.column.name in words or f"_record.{field.key}" in rule.condition
    )


def _describe(rules: list[str], record: dict[str, Any], fields: dict[str, tuple[EventField, ...]]) -> str:
    return "; ".join(f"{rule}: {', '.join(_value(field, record) for field in fields[rule])}" for rule in rules)


def _value(field: EventField, record: dict[str, Any]) -> str:
    value = record.get(field.key)
    if value is None:
        return f"{field.key} is absent"
    text = json_text(value)
    if not text.isprintable():  # nothing is to be invisible
        text = json.dumps(value)
    if len(text) > _LONGEST_VALUE_SHOWN:
        characters = len(value) if isinstance(value, str) else len(text)
        text = f"{text[:_LONGEST_VALUE_SHOWN]}… ({characters:,} characters)"
    return f"{field.key} is {text}{_moment(value) if field.column.type is ColumnType.TIMESTAMP else ''}"


def _moment(milliseconds: int | WrittenNumber) -> str:
    value = milliseconds.as_integer() if isinstance(milliseconds, WrittenNumber) else milliseconds
    if value is None or not EARLIEST_MILLISECONDS <= value <= LATEST_MILLISECONDS:
        return ""
    return f" ({datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC)"
