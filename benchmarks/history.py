"""An hour's run next to 30 days of history beside one next to one day: no step of it may look at the past.

Two lakes hold the same landed day; one has 29 days more, landed and published, and its Dagster instance their events. The same
hours are then materialized and checked, in turn in the one and in the other, in one process. Wanted: a ratio of at most 1.1.

    python -m benchmarks.history
    python -m benchmarks.history --rows 300000           # a larger service; makes nine million rows first
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.landed_events import add_sample_options, land, repeat_before
from benchmarks.measuring import alternate, median_ratio, print_table
from music_platform.lake.lake import Lake
from music_platform.orchestration.automation.jobs import HOURLY_SPINE
from music_platform.settings import Settings
from music_platform_tests.dagster_runs import JobRunner, new_instance

_LONG_DAYS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sample_options(parser, rows=20_000)
    parser.add_argument("--repetitions", type=int, default=15, help="hours run in each lake (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-", dir=options.folder) as folder:
        runners: dict[str, JobRunner] = {}
        for name, days in (("1 day", 1), (f"{_LONG_DAYS} days", _LONG_DAYS)):
            settings = Settings(lake=f"{folder}/{days}/lake")
            lake = Lake(settings)
            hours = land(lake, options.rows, 1, options.events)
            earlier = repeat_before(lake, hours, days - 1, lake)
            runners[name] = JobRunner(settings, new_instance(Path(folder, str(days), "instance")), HOURLY_SPINE.name)
            started = time.perf_counter()
            runners[name].run((earlier or hours)[0], hours[-1])
            print(
                f"{name}: {len(earlier) + len(hours)} hours made in {time.perf_counter() - started:.0f} s", flush=True
            )
        measured = hours[len(hours) // 2]
        for runner in runners.values():
            runner.run(measured)  # the first run of a process opens what later ones have open
        seconds = alternate(
            {name: lambda runner=runner: runner.run(measured) for name, runner in runners.items()}, options.repetitions
        )
    short, long = seconds.values()
    print_table(
        f"One hour's run of the spine, {options.rows:,} events a day, median of {options.repetitions}",
        ["history", "seconds"],
        [[name, f"{statistics.median(times):.2f}"] for name, times in seconds.items()],
    )
    print(f"{_LONG_DAYS} days / 1 day: {median_ratio(long, short):.2f} (wanted: at most 1.1)")


if __name__ == "__main__":
    main()
