"""What the tests of dimensions share: silver events and their tables, and dimensions made day by day.

A dimension's own oracle and helpers stand beside its tests.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.contract import Column, TableContract, column_rules
from music_platform.tables.events import EVENT_CONTRACTS
from music_platform.tables.schemas import arrow_schema, spark_schema
from music_platform.tables.silver import SILVER
from music_platform.tables.transforms.bronze import bronze_events
from music_platform.tables.transforms.silver import DESTINATION_COLUMN, silver_or_quarantine
from music_platform_tests.unit.tables.sample_records import HOUR_LENGTH_MILLISECONDS, lines_of

Row = dict[str, Any]

EVENT_TYPES = (
    "page_view_events",
    "listen_events",
    "auth_events",
    "status_change_events",
)  # as the transforms take them
FIRST_DAY = datetime(2026, 11, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
AUSTIN = {"zip": "73301", "city": "Austin", "state": "TX", "latitude": 30.2711, "longitude": -97.7437}
BOSTON = {"zip": "02108", "city": "Boston", "state": "MA", "latitude": 42.3576, "longitude": -71.0684}
JANE = {
    "user_id": 5,
    "first_name": "Jane",
    "last_name": "Doe",
    "gender": "F",
    "registered_at": FIRST_DAY - 30 * ONE_DAY,
}
ANONYMOUS = dict.fromkeys(JANE)
_EVENT = {
    "session_id": 7, "item_in_session": 0, "level": "free", "previous_level": "free", "new_level": "paid", "page": "Home",
    "auth": "Logged In", "method": "GET", "status": 200, "success": True, "user_agent": "Chrome", "device": "Other",
    "operating_system": "Windows", "browser": "Chrome", "artist": "Pixies", "song": "Debaser", "duration_seconds": 171.59791,
} | AUSTIN | JANE  # fmt: skip


def key_of(day: datetime) -> str:
    return day.date().isoformat()


def day_of(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def make_event(event_type: str, event_time: datetime, number: int, **changes: Any) -> Row:
    """A silver row with its event type in ``_type``; ``number`` makes the event_id."""
    row = _EVENT | {"event_time": event_time, "event_id": f"{number:032x}"} | changes
    return {name: row.get(name) for name in (column.name for column in SILVER[event_type].columns)} | {
        "_type": event_type
    }


def frames_of(spark: SparkSession, events: Iterable[Row]) -> dict[str, DataFrame]:
    """The silver tables of events."""
    rows: dict[str, list[Row]] = {event_type: [] for event_type in EVENT_TYPES}
    for event in events:
        rows[event["_type"]].append(event)
    return {
        event_type: frame_of(spark, SILVER[event_type].columns, rows_of_type)
        for event_type, rows_of_type in rows.items()
    }


def frame_of(spark: SparkSession, columns: Sequence[Column], rows: pa.Table | list[Row]) -> DataFrame:
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, arrow_schema(columns))
    return spark.createDataFrame(table, spark_schema(columns))


def table_of(frame: DataFrame, contract: TableContract) -> pa.Table:
    """The frame's rows in the contract's schema and order; names, types and every rule of the contract are checked."""
    table = frame.toArrow()
    assert table.schema.names == [column.name for column in contract.columns]
    for column, wanted in zip(contract.columns, arrow_schema(contract.columns).types, strict=True):
        assert table.schema.field(column.name).type in (wanted, pa.large_string()), column.name
    table = table.cast(arrow_schema(contract.columns)).sort_by([(name, "ascending") for name in contract.sort_columns])
    checked = frame_of(frame.sparkSession, contract.columns, table)
    rules = (*column_rules(contract.columns), *contract.rules)
    [broken] = (
        checked.select(
            *(F.count_if(F.expr(f"NOT coalesce({rule.condition}, false)")).alias(rule.name) for rule in rules)
        )
        .toArrow()
        .to_pylist()
    )
    assert not any(broken.values()), broken
    keys = table.select(list(contract.unique_columns)).to_pylist()
    assert len({tuple(key.values()) for key in keys}) == len(keys)
    return table


def carried(
    spark: SparkSession,
    contract: TableContract,
    make: Callable[[DataFrame | None, Mapping[str, DataFrame], str], DataFrame],
    events: Sequence[Row],
    days: int,
) -> list[pa.Table]:
    """The dimension's partitions of so many days, each made from its day's events and the partition before."""
    partitions: list[pa.Table] = []
    for number in range(days):
        day = FIRST_DAY + number * ONE_DAY
        of_day = [event for event in events if day_of(event["event_time"]) == day]
        previous = frame_of(spark, contract.columns, partitions[-1]) if partitions else None
        partitions.append(table_of(make(previous, frames_of(spark, of_day), key_of(day)), contract))
    return partitions


def without_day(rows: Iterable[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "day"} for row in rows]


def real_silver(spark: SparkSession, sample_folder: Path, event_type: str) -> pa.Table:
    """Silver of the real sample."""
    event = EVENT_CONTRACTS[event_type]
    with lzma.open(sample_folder / "eventsim" / f"{event_type}.jsonl.xz") as file:
        lines = file.read().split(b"\n")[:-1]
    hours = [json.loads(line)["ts"] // HOUR_LENGTH_MILLISECONDS * HOUR_LENGTH_MILLISECONDS * 1000 for line in lines]
    batch = lines_of(lines)
    position = batch.schema.get_field_index("landed_hour")
    batch = batch.set_column(position, batch.schema.field(position), pa.array(hours, pa.timestamp("us", tz="UTC")))
    frame = spark.createDataFrame(pa.Table.from_batches([batch]))
    silver = silver_or_quarantine(bronze_events(frame, event), event)
    names = [column.name for column in SILVER[event_type].columns]
    table = silver.filter(F.col(DESTINATION_COLUMN) == "silver").select(*names).toArrow()
    assert len(lines) == table.num_rows
    return table.cast(arrow_schema(SILVER[event_type].columns))
