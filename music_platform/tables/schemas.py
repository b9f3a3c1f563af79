"""Schemas that follow from a contract: Spark's and Arrow's, constraints in words, and the contract's fingerprint.

Nothing is decided here; every name and type comes from the contract.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa

from music_platform.tables.contract import Column, ColumnType, TableContract

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

_ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    ColumnType.STRING: pa.string(),
    ColumnType.LONG: pa.int64(),
    ColumnType.INTEGER: pa.int32(),
    ColumnType.FLOAT: pa.float32(),
    ColumnType.DOUBLE: pa.float64(),
    ColumnType.FLOATS: pa.list_(pa.float32()),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
}


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """The Arrow schema of columns, as Parquet files hold it; nullability is the checks' matter."""
    return pa.schema([pa.field(column.name, _ARROW_TYPES[column.type]) for column in columns])


def spark_schema(columns: Iterable[Column]) -> StructType:
    """The same as Spark's schema; not as DDL text, which PySpark would send to the engine for parsing each time."""
    from pyspark.sql.pandas.types import from_arrow_schema  # Arrow's schemas are needed where Spark is not installed

    return from_arrow_schema(arrow_schema(columns))


def describe_column(column: Column) -> str:
    """The column's description with its unit."""
    return f"{column.description} ({column.unit})" if column.unit else column.description


def other_constraints(column: Column) -> list[str]:
    """The constraints on the column's values beside type and nullability, in words."""
    constraints = []
    if column.allowed:
        constraints.append(f"one of {', '.join(str(value) for value in column.allowed)}")
    if column.pattern:
        constraints.append(f"matches {column.pattern}")
    if column.minimum is not None:
        constraints.append(f">= {column.minimum:g}")
    if column.maximum is not None:
        constraints.append(f"<= {column.maximum:g}")
    if column.is_not_blank:
        constraints.append("not blank")
    if column.max_length is not None:
        constraints.append(f"at most {column.max_length:,} characters")
    return constraints


def fingerprint(contract: TableContract) -> str:
    """16 hex digits that change when a column or a rule of the table changes; the table's code version."""
    text = repr([(column.name, str(column.type), column.nullable, column.allowed, column.pattern, column.minimum,
                  column.maximum) for column in contract.columns])  # fmt: skip
    text += repr([(column.name, column.is_not_blank, column.max_length) for column in contract.columns
                  if column.is_not_blank or column.max_length is not None])  # fmt: skip
    text += repr([(rule.name, rule.condition) for rule in contract.rules])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
