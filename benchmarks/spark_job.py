"""Landing to silver as a plain Spark job: the platform's transforms between Spark's own text reader and its own writer.

What a script on Spark does without the platform's IO layer: no manifests, no atomic publishing, no damaged objects, no numbers
of lines. It prints its seconds, after one hour to warm up, and the rows of silver.

    python -m benchmarks.spark_job LAKE OUTPUT FIRST_HOUR LAST_HOUR SPARK_CONNECT_URL
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import list_landing
from music_platform.partitions import keys_in_range
from music_platform.settings import Settings
from music_platform.tables.bronze import BRONZE
from music_platform.tables.events import EVENT_CONTRACTS, EventContract
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.schemas import spark_schema
from music_platform.tables.silver import SILVER
from music_platform.tables.transforms import silver as transform
from music_platform.tables.transforms.bronze import bronze_events


def build(spark: SparkSession, lake: Lake, output: Path, partitions: Sequence[str]) -> int:
    """Bronze, silver and quarantine of every event type; gives the rows of silver."""
    rows = 0
    for event in EVENT_CONTRACTS.values():
        bronze = output / "bronze" / event.name
        _write(bronze_events(_lines(spark, lake, event, partitions), event), bronze, "landed_hour")
        stored = spark.read.schema(spark_schema(BRONZE[event.name].columns)).parquet(str(bronze))
        judged = transform.silver_or_quarantine(stored, event).cache()
        for layer, contract in ((transform.SILVER, SILVER[event.name]), (transform.QUARANTINE, QUARANTINE[event.name])):
            destination = judged.where(F.col(transform.DESTINATION_COLUMN) == layer)
            columns = [column.name for column in contract.columns]
            _write(
                destination.select(*columns),
                output / layer / event.name,
                contract.partition_column,
                contract.sort_columns,
            )
        rows += judged.where(F.col(transform.DESTINATION_COLUMN) == transform.SILVER).count()
        judged.unpersist()
    return rows


def _lines(spark: SparkSession, lake: Lake, event: EventContract, partitions: Sequence[str]) -> DataFrame:
    objects = [
        found for folder in list_landing(lake.store, event.name, partitions).values() for found in folder.objects
    ]
    lines = spark.read.text([lake.store.url(found.key) for found in objects])
    landed_hour = F.to_timestamp(
        F.regexp_extract("_object", r"/(dt=\d{4}-\d\d-\d\d/hour=\d\d)/", 1), "'dt='yyyy-MM-dd'/hour='HH"
    )
    return lines.select(
        F.concat(F.col("value").cast("binary"), F.lit("\n").cast("binary")).alias("line"),
        *(F.lit(None).cast("string").alias(name) for name in ("_fault", "_fault_detail")),
        F.input_file_name().alias("_object"),
        F.monotonically_increasing_id().alias("_line_number"),
    ).withColumn("landed_hour", landed_hour)


def _write(frame: DataFrame, folder: Path, partition_column: str, order: Sequence[str] = ()) -> None:
    """One file an hour, as the platform writes them."""
    folders = frame.withColumns({"date": F.to_date(partition_column), "hour": F.hour(partition_column)})
    rows = folders.repartition("date", "hour").sortWithinPartitions("date", "hour", *order)
    rows.write.mode("append").option("compression", "zstd").partitionBy("date", "hour").parquet(str(folder))


def _main(location: str, output: str, first: str, last: str, url: str) -> None:
    spark = SparkSession.builder.remote(url).config("spark.sql.session.timeZone", "UTC").create()
    lake = Lake(Settings(lake=location))
    build(spark, lake, Path(output, "warm-up"), [first])
    started = time.perf_counter()
    rows = build(spark, lake, Path(output, "job"), keys_in_range(first, last))
    print(rows, time.perf_counter() - started)


if __name__ == "__main__":
    _main(*sys.argv[1:])
