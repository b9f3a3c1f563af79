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

from music_platform.tables.contract import ColumnType
from music_platform.tables.events import EARLIEST_MILLISECONDS, LATEST_MILLISECONDS, EventContract, EventField
from music_platform.tables.silver import silver_contract

_LONGEST_VALUE_SHOWN = 80


def describe_breaches(event: EventContract, broken_rules: Column, record: Column) -> Column:
    """Of rules (names with commas between them) that a record (JSON text) breaks: each, with the values; null for null."""
    fields = {rule.name: _fields_bound(event, rule.condition) for rule in silver_contract(event).rules}

    def describe(broken_rules: pa.Array, records: pa.Array) -> pa.Array:
        if broken_rules.null_count == len(broken_rules):
            return pa.nulls(len(broken_rules), pa.string())
        texts = [
            None if names is None or record is None else _describe(names.split(","), json.loads(record), fields)
            for names, record in zip(broken_rules.to_pylist(), records.to_pylist(), strict=True)
        ]
        return pa.array(texts, pa.string())

    return cast("Any", F.arrow_udf)(describe, StringType())(broken_rules, record)  # PySpark's stub lacks this form


def _fields_bound(event: EventContract, condition: str) -> tuple[EventField, ...]:
    words = set(re.findall(r"\w+", condition))
    return tuple(field for field in event.fields if field.column.name in words or f"_record.{field.key}" in condition)


def _describe(rules: list[str], record: dict[str, Any], fields: dict[str, tuple[EventField, ...]]) -> str:
    return "; ".join(f"{rule}: {', '.join(_value(field, record) for field in fields[rule])}" for rule in rules)


def _value(field: EventField, record: dict[str, Any]) -> str:
    value = record.get(field.key)
    if value is None:
        return f"{field.key} is absent"
    text = json.dumps(value, ensure_ascii=False)
    if not text.isprintable():  # nothing is to be invisible
        text = json.dumps(value)
    if len(text) > _LONGEST_VALUE_SHOWN:
        text = f"{text[:_LONGEST_VALUE_SHOWN]}… ({len(str(value)):,} characters)"
    is_moment = field.column.type is ColumnType.TIMESTAMP and EARLIEST_MILLISECONDS <= value <= LATEST_MILLISECONDS
    moment = f" ({datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC)" if is_moment else ""
    return f"{field.key} is {text}{moment}"
