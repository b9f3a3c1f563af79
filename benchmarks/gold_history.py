"""The cost rule of gold: a day's run costs what the day and the carried state hold, never what history holds.

Three lakes hold the same day. Before it lie one day, 30 days, or one day of ten times the listeners. History is the same
events moved back, so one day and 30 carry the same listeners, songs and pairs forward: what differs is history alone. The day's
daily tables are then materialized and checked, in turn in each lake, in one process. Wanted: 30 days / 1 day of at most 1.1.
The third lake shows what a larger state costs, which is not history: its rows are read and written each day.

    python -m benchmarks.gold_history
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
from music_platform.lake.manifest import read_manifest
from music_platform.orchestration.automation.jobs import DAILY_TIER, HOURLY_SPINE
from music_platform.partitions import day_of_key
from music_platform.settings import Settings
from music_platform.tables.gold.user_activity import USER_ACTIVITY
from music_platform.tables.gold.user_song_interactions import USER_SONG_INTERACTIONS
from music_platform_tests.dagster_runs import JobRunner, new_instance

_MORE_LISTENERS = 10
_SHORT, _LONG, _LARGE = "1 day", "30 days", f"1 day, {_MORE_LISTENERS} times the listeners"
_DAYS_BEFORE = {_SHORT: 1, _LONG: 30, _LARGE: 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sample_options(parser, rows=20_000)
    parser.add_argument("--repetitions", type=int, default=7, help="runs in each lake (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-", dir=options.folder) as folder:
        runners: dict[str, JobRunner] = {}
        states: dict[str, int] = {}
        day = ""
        for number, (name, days) in enumerate(_DAYS_BEFORE.items()):
            settings = Settings(lake=f"{folder}/{number}/lake")
            lake, before = Lake(settings), Lake(Settings(lake=f"{folder}/{number}/before"))
            hours = land(lake, options.rows, 1, options.events)
            land(before, options.rows * (_MORE_LISTENERS if name == _LARGE else 1), 1, options.events)
            earlier = repeat_before(before, hours, days, lake)
            day = day_of_key(hours[0])
            instance = new_instance(Path(folder, str(number), "instance"))
            runners[name] = JobRunner(settings, instance, DAILY_TIER.name)
            started = time.perf_counter()
            JobRunner(settings, instance, HOURLY_SPINE.name).run(earlier[0], hours[-1])
            runners[name].run(day_of_key(earlier[0]), day)
            states[name] = _carried_rows(lake, day)
            print(f"{name}: made in {time.perf_counter() - started:.0f} s", flush=True)
        seconds = alternate(
            {name: lambda runner=runner: runner.run(day) for name, runner in runners.items()}, options.repetitions
        )
    print_table(
        f"One day's run of the daily tables, {options.rows:,} events a day, median of {options.repetitions}",
        ["history", "rows carried by listener", "seconds", "1 day = 1"],
        [
            [
                name,
                f"{states[name]:,}",
                f"{statistics.median(times):.2f}",
                f"{median_ratio(times, seconds[_SHORT]):.2f}",
            ]
            for name, times in seconds.items()
        ],
    )
    print(f"{_LONG} / {_SHORT}: {median_ratio(seconds[_LONG], seconds[_SHORT]):.2f} (wanted: at most 1.1)")


def _carried_rows(lake: Lake, day: str) -> int:
    """Rows of the day in the tables that grow with the listeners of history."""
    found = [read_manifest(lake.store, contract, day) for contract in (USER_ACTIVITY, USER_SONG_INTERACTIONS)]
    return sum(entry[0].rows for entry in found if entry is not None)


if __name__ == "__main__":
    main()
