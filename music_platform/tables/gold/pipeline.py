"""gold/pipeline: the content of the manifests of an hour's tables, for monitoring the pipeline itself.

It describes runs, not listeners, and a rebuild changes it. So it cannot be recomputed from what was landed, and it is made only
if it is served.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from music_platform.partitions import end_of_partition, start_of_partition
from music_platform.tables.bronze import BRONZE
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.columns import count_column, text_column, time_column
from music_platform.tables.contract import Column, ColumnType, Layer, Personal, TableContract
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold.fact_streams import FACT_STREAMS
from music_platform.tables.gold_table import Frames, GoldTable, PublishedPartition
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.reconciliations import Input
from music_platform.tables.schemas import arrow_schema, spark_schema
from music_platform.tables.silver import SILVER

WATCHED: tuple[TableContract, ...] = (
    *BRONZE.values(), *SILVER.values(), *QUARANTINE.values(), COLLECTOR_ERRORS, FACT_STREAMS, FACT_PAGE_VIEWS,
)  # fmt: skip
"""The hourly tables that it describes."""

COLLECTOR = "collector"
"""What stands for the layer of the collector's errors: they are not among the lines that were landed."""

PIPELINE = TableContract(
    layer=Layer.GOLD,
    name="pipeline",
    description="One row an hour and hourly table, in quarantine one for each rule: rows, bytes, and when they were published.",
    columns=(
        time_column(
            "hour_time", "The hour that the table's partition holds: the row's partition.", personal=Personal.NONE
        ),
        Column(
            name="layer",
            type=ColumnType.STRING,
            description=f"Layer of the table; `{COLLECTOR}` for the collector's errors.",
            allowed=(str(Layer.BRONZE), str(Layer.SILVER), str(Layer.QUARANTINE), COLLECTOR, str(Layer.GOLD)),
            personal=Personal.NONE,
        ),
        text_column("table_name", "Name of the table within its layer.", personal=Personal.NONE),
        text_column(
            "rule",
            "First rule that the rows broke, of rows in quarantine; else null.",
            nullable=True,
            personal=Personal.NONE,
        ),
        count_column("row_count", "Rows."),
        count_column("byte_count", "Bytes of the table's files, on the row of the rule with the most rows."),
        Column(
            name="lag_seconds",
            type=ColumnType.DOUBLE,
            description="From when the last of the hour's objects landed, or the hour's end where that is later or no object "
            "is there, to when the partition was last published; zero where that was before.",
            unit="seconds",
            minimum=0,
            personal=Personal.NONE,
        ),
        Column(
            name="arrival_seconds",
            type=ColumnType.DOUBLE,
            description="From the hour's end to when the last of its objects landed, long in a backfill or with late events; "
            "zero where that was before the end, null where no object is there.",
            nullable=True,
            unit="seconds",
            minimum=0,
            personal=Personal.NONE,
        ),
    ),
    partition_column="hour_time",
    sort_columns=("hour_time", "layer", "table_name", "rule"),
    unique_columns=("hour_time", "layer", "table_name", "rule"),
)


def pipeline(frames: Frames) -> DataFrame:
    """The rows of every published partition; a table without a published partition of the hour has none."""
    rows = [row for published in frames.published for row in _rows_of(published)]
    table = pa.Table.from_pylist(rows, arrow_schema(PIPELINE.columns))
    return frames.spark.createDataFrame(
        table, spark_schema(PIPELINE.columns)
    )  # with a schema, since there may be no rows


def _rows_of(published: PublishedPartition) -> Iterator[dict[str, Any]]:
    contract = published.contract
    end = end_of_partition(published.partition)
    lag = published.at - max(end, published.landed or end)
    arrival = None if published.landed is None else max((published.landed - end).total_seconds(), 0.0)
    for number, (rule, count) in enumerate(published.rows_by_rule or [(None, published.rows)]):
        yield {
            "hour_time": start_of_partition(published.partition),
            "layer": COLLECTOR if contract is COLLECTOR_ERRORS else str(contract.layer),
            "table_name": contract.name,
            "rule": rule,
            "row_count": count,
            "byte_count": published.bytes if number == 0 else 0,
            "lag_seconds": max(lag.total_seconds(), 0.0),
            "arrival_seconds": arrival,
        }


TABLE = GoldTable(
    PIPELINE,
    pipeline,
    inputs={contract.path: Input(contract) for contract in WATCHED},
    reads_manifests=True,
    is_made_only_to_be_served=True,
)
