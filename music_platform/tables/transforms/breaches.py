"""The details of a row in quarantine: each broken rule with the original values of the fields that it binds.

Runs in the engine's Python workers, so that both engines write numbers alike. silver.py decides which rules a row breaks.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)
from pyspark.sql.types import StringType, StructField, StructType

from music_platform.exact_json import WrittenNumber, json_text, read_json, refuse_constant
from music_platform.tables.bronze import WRONG_TYPE
from music_platform.tables.contract import ColumnType
from music_platform.tables.events import EventContract, EventField
from music_platform.tables.events.event import EARLIEST_MILLISECONDS, LATEST_MILLISECONDS, fields_bound
from music_platform.tables.silver import NO_FAULT, silver_contract

_LONGEST_VALUE_SHOWN = 80


def breaches(
    event: EventContract,
    broken_rules: Column,
    record: Column,
    is_as_landed: Column,
    fault: Column,
    fault_detail: Column,
) -> Column:
    """A struct of ``broken_rules`` (names with commas between them) and ``detail``, what exactly a row broke; null for null.

    A line at fault has the fault's detail, without the rules that bind an unreadable value, because that value is not absent.
    Other rows have each rule with the values of the record (JSON text). ``is_as_landed`` says whether the record is the line
    itself, whose numbers are shown as they stand in it. In a record that was rebuilt they are written as the engine writes
    them, and are shown canonically.
    """
    fields = {rule.name: fields_bound(event, rule) for rule in silver_contract(event).rules}
    texts = StructType([StructField(name, StringType()) for name in ("broken_rules", "detail")])

    def describe(broken_rules: pa.Array, *others: pa.Array) -> pa.Array:
        names: list[str | None] = [None] * len(broken_rules)
        details: list[str | None] = [None] * len(broken_rules)
        for row in np.flatnonzero(broken_rules.is_valid().to_numpy(zero_copy_only=False)).tolist():
            record, is_as_landed, fault, fault_detail = (column[row].as_py() for column in others)
            rules = broken_rules[row].as_py().split(",")
            if fault is None:
                detail = _describe(rules, _read(record, is_as_landed), fields)
            else:
                rules = [rule for rule in rules if _can_be_judged(rule, fields[rule], fault, fault_detail)]
                detail = f"{fault}: {fault_detail}"
            names[row], details[row] = ",".join(rules), detail
        # Without null structs: engines would read their fields as empty texts.
        return pa.StructArray.from_arrays([pa.array(names, pa.string()), pa.array(details, pa.string())], texts.names)

    # PySpark's stub lacks this form.
    return cast("Any", F.arrow_udf)(describe, texts)(broken_rules, record, is_as_landed, fault, fault_detail)


def _can_be_judged(rule: str, fields: tuple[EventField, ...], fault: str, fault_detail: str) -> bool:
    """Whether a line at fault has the values that a rule binds, or truly lacks them.

    Nothing is known of a line that could not be read at all. For values of a wrong type the fault's detail names the keys.
    """
    if rule == NO_FAULT.name:
        return True
    return fault == WRONG_TYPE and not any(f"; {field.key}: expected " in f"; {fault_detail}" for field in fields)


def _read(record: str, is_as_landed: bool) -> dict[str, Any]:
    return read_json(record, refuse_constant=refuse_constant) if is_as_landed else json.loads(record)


def _describe(rules: list[str], record: dict[str, Any], fields: dict[str, tuple[EventField, ...]]) -> str:
    return "; ".join(f"{rule}: {', '.join(_value(field, record) for field in fields[rule])}" for rule in rules)


def _value(field: EventField, record: dict[str, Any]) -> str:
    value = record.get(field.key)
    if value is None:
        return f"{field.key} is absent"
    moment = _moment(value) if field.column.type is ColumnType.TIMESTAMP else ""
    text = json_text(value)
    if not text.isprintable():  # so that every character is visible
        text = json.dumps(value)
    if len(text) > _LONGEST_VALUE_SHOWN:
        characters = len(value) if isinstance(value, str) else len(text)
        text = f"{text[:_LONGEST_VALUE_SHOWN]}… ({characters:,} characters)"
    return f"{field.key} is {text}{moment}"


def _moment(milliseconds: int | WrittenNumber) -> str:
    value = milliseconds.as_integer() if isinstance(milliseconds, WrittenNumber) else milliseconds
    if value is None or not EARLIEST_MILLISECONDS <= value <= LATEST_MILLISECONDS:
        return ""
    return f" ({datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC)"
