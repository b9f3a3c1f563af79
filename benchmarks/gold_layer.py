"""Silver to gold as the assets do it, without Dagster around: every table of the catalogue, staged and published.

As a command it prints the seconds that a day took on an engine, after a small day to warm up. A process has one Spark session,
so each engine needs a process of its own.

    python -m benchmarks.gold_layer LAKE DAY WARM_UP_LAKE [SPARK_CONNECT_URL]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter

from music_platform.lake.lake import Lake
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.assets.gold import stage_gold
from music_platform.orchestration.io_managers.parquet_io_manager import ParquetLakeIOManager
from music_platform.partitions import days_around, hours_of_day
from music_platform.settings import Settings
from music_platform.tables.catalogue import made_gold_tables
from music_platform.tables.contract import Cadence
from music_platform.tables.gold_table import GoldTable
from music_platform.tables.reconciliations import Input
from music_platform_tests.spine import RUN_ID, Phases


def build_gold(lake: Lake, spark: SparkEngine, days: Sequence[str], phases: Phases | None = None) -> None:
    """Every gold table of the days, published; a phase is a table.

    The hourly tables are made first, as they are a run of their own, then the daily ones; as many at once as a run's steps.
    The hours of silver that are there are taken, as for the current day.
    """
    phases = phases or Phases()
    for cadence in Cadence:
        tables = [table for table in made_gold_tables(is_served=False).values() if table.contract.cadence is cadence]
        _build_tables(tables, lake, spark, days, phases)


def _build_tables(
    tables: Sequence[GoldTable], lake: Lake, spark: SparkEngine, days: Sequence[str], phases: Phases
) -> None:
    io_manager = ParquetLakeIOManager(lake, spark)

    def make(table: GoldTable) -> None:
        with phases.timed(table.contract.path):
            inputs = {name: _open(wanted, days, lake, spark) for name, wanted in table.inputs.items()}
            keys = list(days)
            if table.contract.cadence is Cadence.HOURLY:
                keys = list(next(iter(inputs.values())).manifests)
            staged = stage_gold(table, keys, inputs, lake, spark, RUN_ID)
            io_manager.publish(staged, keys, RUN_ID)

    by_path = {table.contract.path: table for table in tables}
    order = TopologicalSorter(
        {
            path: [wanted.contract.path for wanted in table.inputs.values() if wanted.contract.path in by_path]
            for path, table in by_path.items()
        }
    )
    order.prepare()
    making: dict[Future[None], str] = {}
    with ThreadPoolExecutor(lake.settings.steps_at_once) as pool:
        while order.is_active():
            making |= {pool.submit(make, by_path[path]): path for path in order.get_ready()}
            for made in wait(making, return_when=FIRST_COMPLETED).done:
                made.result()
                order.done(making.pop(made))


def _open(wanted: Input, days: Sequence[str], lake: Lake, spark: SparkEngine) -> StoredPartitions:
    around = sorted(
        set().union(*(days_around(day, before=wanted.days_before, after=wanted.days_after) for day in days))
    )
    keys = around
    if wanted.contract.cadence is Cadence.HOURLY:
        keys = [hour for day in around for hour in hours_of_day(day)]
    return StoredPartitions.open_published(wanted.contract, keys, lake, spark)


def _main(location: str, day: str, warm_up: str, url: str = "") -> None:
    spark = SparkEngine(remote=url)
    build_gold(Lake(Settings(lake=warm_up)), spark, [day])
    started = time.perf_counter()
    build_gold(Lake(Settings(lake=location)), spark, [day])
    print(time.perf_counter() - started)


if __name__ == "__main__":
    _main(*sys.argv[1:])
