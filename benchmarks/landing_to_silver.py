"""Landing to silver of a million events: the platform, a hand-written Polars script, and Apache Spark.

The platform runs on Sail inside this process, and on Spark's own Connect server as its engine; spark_job.py runs the same
transforms as a plain Spark job, without the platform's IO layer; Polars runs polars_peer.py. Platform and Polars alternate;
each repetition gives one ratio, the median counts. What the two made is compared: rows by hour, and silver's contents by
value. Processor time stands beside wall time, because it does not suffer from a busy machine. Spark is started and warmed up
before it is timed.

    python -m benchmarks.landing_to_silver                 # a million events in a day
    python -m benchmarks.landing_to_silver --days 15       # in two weeks: many small hours
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from benchmarks.landed_events import add_sample_options, land
from benchmarks.measuring import median_ratio, print_table
from benchmarks.peers import Run, compare_with_spark, seconds_of, timed, timed_peer
from benchmarks.polars_peer import SCHEMAS
from benchmarks.spark_server import java_is_there
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import LANDING_PREFIX
from music_platform.lake.manifest import read_manifest
from music_platform.lake.spark import SparkEngine
from music_platform.settings import Settings
from music_platform.tables.bronze import BRONZE
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER
from music_platform_tests.spine import Phases, build_spine

_NOT_COMPARED = ("event_id",)  # each has its own way to write a fraction into the fingerprint


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-", dir=options.folder) as folder:
        landed = Lake(Settings(lake=f"{folder}/landed"))
        partitions = land(landed, options.rows, options.days, options.events)
        sail = SparkEngine()
        events = 0
        platform: list[Run] = []
        peer: list[Run] = []
        phases: list[Phases] = []
        build_spine(_new_lake(landed, folder, "warm-up"), sail, partitions[:1])
        for repetition in range(options.repetitions):
            lake = _new_lake(landed, folder, f"platform-{repetition}")
            phases.append(Phases())
            platform.append(timed(lambda lake=lake: build_spine(lake, sail, partitions, phases[-1])))
            output = Path(folder, f"peer-{repetition}")
            peer.append(timed_peer("benchmarks.polars_peer", landed.location, output))
            if repetition == 0:
                events = _compare(lake, output, partitions)
        runs = {"platform (Sail)": platform, "Polars script": peer}
        _print(events, len(partitions), runs, phases)
        if options.spark and java_is_there():
            _compare_with_spark(landed, folder, partitions)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sample_options(parser)
    parser.add_argument("--repetitions", type=int, default=3, help="of platform and Polars (default: %(default)s)")
    parser.add_argument("--no-spark", dest="spark", action="store_false", help="leave Apache Spark out")
    return parser.parse_args()


def _new_lake(landed: Lake, folder: str, name: str) -> Lake:
    """An empty lake with the same landed objects."""
    path = Path(folder, name)
    path.mkdir()
    (path / LANDING_PREFIX).symlink_to(Path(landed.location, LANDING_PREFIX))
    return Lake(Settings(lake=str(path)))


def _compare_with_spark(landed: Lake, folder: str, partitions: Sequence[str]) -> None:
    first, last = partitions[0], partitions[-1]

    def platform(engine: str, name: str) -> float:
        return seconds_of(
            "benchmarks.spine_seconds", _new_lake(landed, folder, f"beside-spark-{name}").location, first, last, engine
        )

    def job(url: str) -> float:
        return seconds_of("benchmarks.spark_job", landed.location, f"{folder}/job", first, last, url)

    compare_with_spark(platform, job)


def _compare(lake: Lake, peer: Path, partitions: Sequence[str]) -> int:
    """Ends the program where the two results differ; gives the number of events."""
    events = 0
    for name in SCHEMAS:
        for contracts, layer in ((BRONZE, "bronze"), (SILVER, "silver"), (QUARANTINE, "quarantine")):
            contract = contracts[name]
            found = lake.map_parallel(lambda key, of=contract: read_manifest(lake.store, of, key), partitions)
            ours = {entry[0].folder.split("/", 2)[2]: entry[0].rows for entry in found if entry and entry[0].rows}
            files = sorted((peer / layer / name).glob("date=*/hour=*/*.parquet"))
            theirs = {
                str(file.parent.relative_to(peer / layer / name)): pl.scan_parquet(file)
                .select(pl.len())
                .collect()
                .item()
                for file in files
            }
            if ours != theirs:
                raise SystemExit(f"{layer}/{name}: rows by hour differ: {sorted(ours.items() ^ theirs.items())[:4]}")
            events += sum(ours.values()) if layer == "bronze" else 0
        _compare_silver(lake, peer, name)
    return events


def _compare_silver(lake: Lake, peer: Path, name: str) -> None:
    columns = [column.name for column in SILVER[name].columns if column.name not in _NOT_COMPARED]
    order = ["event_time", "session_id", "item_in_session"]

    def read(folder: Path) -> pl.DataFrame:
        rows = pl.scan_parquet(f"{folder}/silver/{name}/**/*.parquet", hive_partitioning=False).select(columns)
        return rows.with_columns(pl.col(pl.Datetime).dt.cast_time_unit("us")).sort(order).collect()

    ours, theirs = read(Path(lake.location)), read(peer)
    differing = [column for column in columns if not ours[column].equals(theirs[column])]
    if differing:
        raise SystemExit(f"silver/{name}: {', '.join(differing)} differ between the platform and the Polars script")


def _print(events: int, hours: int, runs: dict[str, list[Run]], phases: list[Phases]) -> None:
    platform, peer = runs.values()
    rows = []
    for name, measured in runs.items():
        seconds = statistics.median(run.seconds for run in measured)
        cpu_seconds = statistics.median(run.cpu_seconds for run in measured)
        rows.append([name, f"{seconds:.1f}", f"{events / seconds:,.0f}", f"{cpu_seconds:.1f}"])
    print_table(
        f"Landing to silver: {events:,} events in {hours} hours, median of {len(platform)}",
        ["", "seconds", "events/s", "processor s"],
        rows,
    )
    ratio = median_ratio([run.seconds for run in platform], [run.seconds for run in peer])
    cpu_ratio = median_ratio([run.cpu_seconds for run in platform], [run.cpu_seconds for run in peer])
    print(f"platform / Polars script: {ratio:.2f} of the time, {cpu_ratio:.2f} of the processor time")
    print_table(
        f"The platform by phase, {Settings().steps_at_once} event types at once",
        ["phase", "seconds"],
        [[name, f"{statistics.median(one.seconds[name] for one in phases):.2f}"] for name in phases[0].seconds],
    )


if __name__ == "__main__":
    main()
