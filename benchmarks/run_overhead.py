"""What a run costs beside its work, and what importing the definitions costs.

1. Wall time of importing music_platform.definitions in fresh processes, with the packages that take most of it.
2. An hour's run of the whole spine: `dagster asset materialize` as a process; the same run within a process that has
   everything loaded; and the same work through the IO layer without Dagster. The differences are start and orchestration.
3. Dagster's cost for each partition of a range run: the same range with and without Dagster, and the events recorded.

Wanted: at most 3 s each for the import and for a run beside its work.

    python -m benchmarks.run_overhead
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.landed_events import add_sample_options, land
from benchmarks.measuring import print_table
from music_platform.lake.lake import Lake
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.automation.jobs import HOURLY_SPINE
from music_platform.orchestration.checks.spine import SPINE_STEPS
from music_platform.settings import Settings
from music_platform_tests.dagster_runs import JobRunner, new_instance
from music_platform_tests.spine import build_spine

_MODULE = "music_platform.definitions"
_SELECTION = "group:bronze or group:silver or group:quarantine"
_PROJECT = Path(__file__).resolve().parents[1]
_TOLD_PACKAGES = ("dagster", "dagster_shared", "dagster_pyspark", "pyspark", "pandas", "pyarrow", "numpy", "music_platform",
                  "grpc", "pydantic", "sqlalchemy", "obstore", "boto3", "isal", "pysail")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sample_options(parser, rows=100_000)
    parser.add_argument("--repetitions", type=int, default=3, help="(default: %(default)s)")
    options = parser.parse_args()
    _measure_import(options.repetitions)
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-", dir=options.folder) as folder:
        settings = Settings(lake=f"{folder}/lake")
        hours = land(Lake(settings), options.rows, 1, options.events)
        _measure_hour(settings, Path(folder), hours[len(hours) // 2], options.repetitions)
        _measure_range(settings, Path(folder), hours)


def _measure_import(repetitions: int) -> None:
    _imported()  # compiled, and in the file cache
    seconds = statistics.median(_imported() for _ in range(repetitions))
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {_MODULE}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=_PROJECT,
    ).stderr
    own: dict[str, int] = {}
    for line in told.splitlines():
        found = re.match(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)", line)
        if found:
            package = found[2].split(".")[0]
            name = package if package in _TOLD_PACKAGES else "others"
            own[name] = own.get(name, 0) + int(found[1])
    rows = [[name, f"{micros / 1e6:.2f}"] for name, micros in sorted(own.items(), key=lambda item: -item[1])[:8]]
    print_table(
        f"Import of {_MODULE}: {seconds:.2f} s, process start included (wanted: 3)", ["own time of", "seconds"], rows
    )


def _imported() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {_MODULE}"], check=True, cwd=_PROJECT)
    return time.perf_counter() - started


def _measure_hour(settings: Settings, folder: Path, hour: str, repetitions: int) -> None:
    instance = new_instance(folder / "instance")
    runner = JobRunner(settings, instance, HOURLY_SPINE.name)
    lake, spark = Lake(settings), SparkEngine()
    runner.run(hour)
    build_and_check(lake, spark, [hour])
    command, within, work = [], [], []
    for _ in range(repetitions):
        command.append(_command(settings, folder / "instance", hour))
        started = time.perf_counter()
        runner.run(hour)
        within.append(time.perf_counter() - started)
        started = time.perf_counter()
        build_and_check(lake, spark, [hour])
        work.append(time.perf_counter() - started)
    process, run, compute = (statistics.median(times) for times in (command, within, work))
    engine = statistics.median(_engine_start() for _ in range(repetitions))
    print_table(
        f"One hour's run of the spine with its checks, median of {repetitions}",
        ["", "seconds", "beside the work"],
        [
            ["the work alone, everything loaded", f"{compute:.2f}", ""],
            ["run within a process that is up", f"{run:.2f}", f"{run - compute:.2f}"],
            ["dagster asset materialize, a process", f"{process:.2f}", f"{process - compute:.2f}"],
            ["  of it, Sail's import, start and first query", f"{engine:.2f}", ""],
        ],
    )


def _engine_start() -> float:
    """Of a fresh process that has the definitions loaded."""
    code = (
        f"import time, {_MODULE}; from music_platform.lake.spark import SparkEngine; started = time.perf_counter();"
        "SparkEngine().spark_session.range(1).toArrow(); print(time.perf_counter() - started)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=_PROJECT)
    return float(done.stdout.split()[-1])


def build_and_check(lake: Lake, spark: SparkEngine, partitions: list[str]) -> None:
    """The spine's work and the checks' without Dagster."""
    build_spine(lake, spark, partitions)
    for step in SPINE_STEPS:
        step.check(partitions, lake, spark)


def _command(settings: Settings, home: Path, hour: str) -> float:
    command = [str(Path(sys.executable).with_name("dagster")), "asset", "materialize", "-m", _MODULE,
               "--select", _SELECTION, "--partition", hour]  # fmt: skip
    environment = os.environ | {"MUSIC_PLATFORM_LAKE": settings.lake, "DAGSTER_HOME": str(home)}
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=_PROJECT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
    return time.perf_counter() - started


def _measure_range(settings: Settings, folder: Path, hours: list[str]) -> None:
    """A range of a day with Dagster and without; the difference is what Dagster takes for its partitions."""
    instance = new_instance(folder / "instance")
    runner = JobRunner(settings, instance, HOURLY_SPINE.name)
    lake, spark = Lake(settings), SparkEngine()
    started = time.perf_counter()
    run_id = runner.run(hours[0], hours[-1])
    with_dagster = time.perf_counter() - started
    started = time.perf_counter()
    build_and_check(lake, spark, hours)
    without = time.perf_counter() - started
    events = instance.all_logs(run_id)
    kinds: dict[str, int] = {}
    for entry in events:
        kind = entry.dagster_event.event_type_value if entry.dagster_event else "log lines"
        kinds[kind] = kinds.get(kind, 0) + 1
    database = sum(file.stat().st_size for file in (folder / "instance").rglob("*.db"))
    most = sorted(kinds.items(), key=lambda item: -item[1])[:4]
    print_table(
        f"A range run of {len(hours)} hours, 12 tables",
        ["", ""],
        [
            ["the work alone", f"{without:.2f} s"],
            ["the run", f"{with_dagster:.2f} s"],
            ["Dagster for each hour", f"{(with_dagster - without) / len(hours) * 1000:.0f} ms"],
            ["events recorded for each hour", f"{len(events) / len(hours):.0f}"],
            *([f"  {kind}", f"{count:,}"] for kind, count in most),
            ["the instance's databases, all runs", f"{database / 1e6:.1f} MB"],
        ],
    )


if __name__ == "__main__":
    main()
