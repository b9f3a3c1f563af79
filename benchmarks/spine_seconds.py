"""The seconds that landing to silver takes on an engine, after an hour to warm up; printed for `benchmarks.landing_to_silver`.

A process has one Spark session, so each engine needs a process of its own.

    python -m benchmarks.spine_seconds LAKE FIRST_HOUR LAST_HOUR [SPARK_CONNECT_URL]
"""

from __future__ import annotations

import sys
import time

from music_platform.lake.lake import Lake
from music_platform.lake.spark import SparkEngine
from music_platform.partitions import keys_in_range
from music_platform.settings import Settings
from music_platform_tests.spine import build_spine


def _main(location: str, first: str, last: str, url: str = "") -> None:
    lake, spark = Lake(Settings(lake=location)), SparkEngine(remote=url)
    build_spine(lake, spark, [first])
    started = time.perf_counter()
    build_spine(lake, spark, keys_in_range(first, last))
    print(time.perf_counter() - started)


if __name__ == "__main__":
    _main(*sys.argv[1:])
