"""Compares every partition of every gold table with what the oracle says, to the last digit."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pytest

from music_platform.partitions import hours_of_day
from music_platform.tables.catalogue import GOLD_TABLES
from music_platform.tables.contract import Cadence, ColumnType, TableContract
from music_platform.tables.schemas import arrow_schema
from music_platform_tests.assets.gold_oracle import ORACLES
from music_platform_tests.assets.gold_oracle.history import History
from music_platform_tests.assets.local_platform import LocalPlatform

_WITHIN = {"score": 1e-8}
"""Columns that the platform promises to so much: scores are rounded to the billionth on every day that carries them."""


def require_equal(platform: LocalPlatform, history: History) -> None:
    """Every gold table of all the days, partition by partition."""
    recomputed = [table.contract for table in GOLD_TABLES.values() if not table.reads_manifests]
    assert set(ORACLES) == {table.path for table in recomputed}
    for table in recomputed:
        wanted = ORACLES[table.path](history)
        for partition in _partitions(table, history.days):
            length = pd.Timedelta(hours=1) if table.cadence is Cadence.HOURLY else pd.Timedelta(days=1)
            start = pd.to_datetime(
                partition[:13], format="%Y-%m-%d-%H" if len(partition) > 10 else "%Y-%m-%d", utc=True
            )
            moments = wanted[table.partition_column] if len(wanted) else pd.Series(dtype="datetime64[ns, UTC]")
            own = wanted[(moments >= start) & (moments < start + length)]
            _require_equal_rows(table, partition, platform.table(table.path, partition), _table_of(own, table))


def _partitions(table: TableContract, days: Sequence[str]) -> list[str]:
    return [hour for day in days for hour in hours_of_day(day)] if table.cadence is Cadence.HOURLY else list(days)


def _table_of(frame: pd.DataFrame, contract: TableContract) -> pa.Table:
    """A frame in a contract's schema; a nullable column that it lacks is null."""
    schema = arrow_schema(contract.columns)
    if frame.empty:
        return schema.empty_table()
    arrays = []
    for column, wanted in zip(contract.columns, schema.types, strict=True):
        if column.nullable and column.name not in frame:
            arrays.append(pa.nulls(len(frame), wanted))
            continue
        values = frame[column.name]
        if column.type is ColumnType.TIMESTAMP:
            values = pd.to_datetime(values, utc=True)
        arrays.append(pa.Array.from_pandas(values, type=wanted))
    return pa.Table.from_arrays(arrays, schema=schema)


def _require_equal_rows(contract: TableContract, partition: str, found: pa.Table, wanted: pa.Table) -> None:
    order = [(name, "ascending") for name in contract.unique_columns]
    assert found.schema.equals(wanted.schema), f"{contract.path} {partition}"
    pairs = (found.sort_by(order).to_pylist(), wanted.sort_by(order).to_pylist())
    for rows in pairs:
        for row in rows:
            row |= {name: pytest.approx(row[name], abs=_WITHIN[name]) for name in _WITHIN if name in row}
    found_rows, wanted_rows = pairs
    keys = [[tuple(row[name] for name in contract.unique_columns) for row in rows] for rows in pairs]
    assert keys[0] == keys[1], f"{contract.path} {partition} has not the rows it should have"
    for found_row, wanted_row in zip(found_rows, wanted_rows, strict=True):
        differing = {name: (found_row[name], value) for name, value in wanted_row.items() if found_row[name] != value}
        assert not differing, f"{contract.path} {partition}, {wanted_row}: found and wanted differ in {differing}"
