"""Silver to gold of one day as a plain Spark job: the platform's transforms between Spark's own Parquet reader and writer.

What a script on Spark does without the platform's IO layer: no manifests, no atomic publishing, nothing carried forward. It
prints its seconds, after a small day to warm up.

    python -m benchmarks.spark_gold_job LAKE WARM_UP_LAKE OUTPUT DAY SPARK_CONNECT_URL
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.catalogue import made_gold_tables
from music_platform.tables.contract import Cadence, Layer, TableContract
from music_platform.tables.gold_table import Frames
from music_platform.tables.schemas import spark_schema


def build(spark: SparkSession, lake: Path, output: Path, day: str) -> None:
    """Every gold table of the day, in the catalogue's order."""
    for table in made_gold_tables(is_served=False).values():
        frames = {
            name: _read(spark, lake if wanted.contract.layer is Layer.SILVER else output, wanted.contract)
            for name, wanted in table.inputs.items()
        }
        made = table.transform(Frames(frames, None, [day], spark, lambda: None))
        _write(made, table.contract, output)


def _read(spark: SparkSession, folder: Path, contract: TableContract) -> DataFrame:
    return spark.read.schema(spark_schema(contract.columns)).parquet(f"{folder}/{contract.path}")


def _write(frame: DataFrame, contract: TableContract, output: Path) -> None:
    """One file an hour or a day, as the platform writes them."""
    folders = {"date": F.to_date(contract.partition_column)}
    if contract.cadence is Cadence.HOURLY:
        folders["hour"] = F.hour(contract.partition_column)
    rows = frame.withColumns(folders).repartition(*folders).sortWithinPartitions(*folders, *contract.sort_columns)
    rows.write.option("compression", "zstd").partitionBy(*folders).parquet(f"{output}/{contract.path}")


def _main(location: str, warm_up: str, output: str, day: str, url: str) -> None:
    spark = SparkSession.builder.remote(url).config("spark.sql.session.timeZone", "UTC").create()
    build(spark, Path(warm_up), Path(output, "warm-up"), day)
    started = time.perf_counter()
    build(spark, Path(location), Path(output, "job"), day)
    print(time.perf_counter() - started)


if __name__ == "__main__":
    _main(*sys.argv[1:])
