"""Peak memory of a range run: days of many events, landed by the platform, materialized and checked in one process.

The run is a process of its own, in which Sail and Python's workers live as well; its peak resident set is read when it ends.
Wanted: at most 4 GB for 14 days of a million events each.

    python -m benchmarks.memory                            # 3 days of 200,000 events
    python -m benchmarks.memory --days 14 --rows 1000000   # as the target has it; takes minutes and 3 GB of disk
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.landed_events import EVENTS_PER_LISTENER_DAY
from benchmarks.measuring import peak_memory_bytes, print_table
from music_platform.eventsim import GeneratorOptions, generate_files
from music_platform.lake.lake import Lake
from music_platform.landing.event_files import event_files
from music_platform.landing.writer import land_files
from music_platform.orchestration.automation.jobs import HOURLY_SPINE
from music_platform.partitions import key_of_hour, keys_in_range
from music_platform.settings import Settings
from music_platform_tests.dagster_runs import JobRunner, new_instance

_START = datetime(2026, 1, 5, tzinfo=UTC)
_PROJECT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--rows", type=int, default=200_000, help="events a day, about (default: %(default)s)")
    parser.add_argument("--folder", help="where to work, in a temporary folder that is removed (default: the system's)")
    parser.add_argument("--run", nargs=3, metavar=("LAKE", "FIRST", "LAST"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        _run(*options.run)
        return
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-", dir=options.folder) as folder:
        lake = Lake(Settings(lake=f"{folder}/lake"))
        lines = _land(lake, Path(folder, "generated"), options.days, options.rows)
        keys = keys_in_range(key_of_hour(_START), key_of_hour(_START + timedelta(days=options.days, hours=-1)))
        command = [sys.executable, "-m", "benchmarks.memory", "--run", lake.location, keys[0], keys[-1]]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=_PROJECT)
        measured = json.loads(done.stdout.splitlines()[-1])
    print_table(
        f"A range run of {options.days} days, {lines:,} events, {lines / options.days:,.0f} a day, in one process",
        ["", ""],
        [
            ["peak memory", f"{measured['bytes'] / 1e9:.2f} GB (wanted: 4)"],
            ["of it before the run", f"{measured['bytes_before'] / 1e9:.2f} GB"],
            ["seconds", f"{measured['seconds']:.0f}"],
            ["events/s", f"{lines / measured['seconds']:,.0f}"],
        ],
    )


def _land(lake: Lake, generated: Path, days: int, rows: int) -> int:
    """Generate and land about so many events a day; gives how many they are."""
    generated.mkdir()
    listeners = max(round(rows / EVENTS_PER_LISTENER_DAY), 1)
    made = generate_files(GeneratorOptions(users=listeners, seed=1, start=_START, days=days), generated)
    landed = land_files(lake.store, event_files(list(made.files.values())))
    for path in made.files.values():
        path.unlink()
    return landed.lines


def _run(lake: str, first: str, last: str) -> None:
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-") as home:
        runner = JobRunner(Settings(lake=lake), new_instance(home), HOURLY_SPINE.name)
        before = peak_memory_bytes()
        started = time.perf_counter()
        runner.run(first, last)
        seconds = time.perf_counter() - started
    print(json.dumps({"bytes": peak_memory_bytes(), "bytes_before": before, "seconds": seconds}))


if __name__ == "__main__":
    main()
