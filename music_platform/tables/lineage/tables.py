"""The column lineage of every table that is made from others, by running its transform on frames of no data."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from music_platform.tables.bronze import BRONZE
from music_platform.tables.catalogue import GOLD_TABLES, RECOMMENDATION_TABLES
from music_platform.tables.column_lineage import TableLineage
from music_platform.tables.contract import TableContract
from music_platform.tables.events import EVENT_CONTRACTS, EventContract
from music_platform.tables.gold_table import Frames, GoldTable
from music_platform.tables.lineage.plans import column_sources
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.schemas import spark_schema
from music_platform.tables.silver import SILVER
from music_platform.tables.transforms.silver import silver_or_quarantine

_ANY_DAY = "2026-01-01"


def derive_lineage(spark: SparkSession) -> dict[str, TableLineage]:
    """By table of silver, quarantine, gold and recommendations: its columns, in order, and the source columns of each."""
    lineage: dict[str, TableLineage] = {}
    for name, event in EVENT_CONTRACTS.items():
        lineage |= _of_silver_and_quarantine(event, SILVER[name], QUARANTINE[name], spark)
    for path, table in (GOLD_TABLES | RECOMMENDATION_TABLES).items():
        lineage[path] = _of_gold(table, spark) if isinstance(table, GoldTable) else table.lineage
    return lineage


def _of_gold(table: GoldTable, spark: SparkSession) -> TableLineage:
    inputs = {name: wanted.contract for name, wanted in table.inputs.items()}
    frames = Frames(
        {name: _frame_of(contract, spark) for name, contract in inputs.items()},
        _frame_of(table.contract, spark) if table.carries_forward else None,
        [_ANY_DAY],
        spark,
        lambda: None,
    )
    return _lineage(table.transform(frames), table.contract, [*inputs.values(), table.contract])


def _of_silver_and_quarantine(
    event: EventContract, silver: TableContract, quarantine: TableContract, spark: SparkSession
) -> dict[str, TableLineage]:
    bronze = BRONZE[event.name]
    frame = silver_or_quarantine(_frame_of(bronze, spark), event)
    return {contract.path: _lineage(frame, contract, [bronze]) for contract in (silver, quarantine)}


def _frame_of(contract: TableContract, spark: SparkSession) -> DataFrame:
    """The table as a transform receives it, but with the table's name in place of the path."""
    return spark.read.schema(spark_schema(contract.columns)).parquet(contract.path)


def _lineage(frame: DataFrame, contract: TableContract, read: list[TableContract]) -> TableLineage:
    sources = column_sources(frame, {table.path: table for table in read})
    return {column.name: sorted(sources[column.name]) for column in contract.columns}
