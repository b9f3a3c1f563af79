"""Silver to gold of a million events in a day: the platform, a hand-written Polars script, and Apache Spark.

Silver is made once. The platform runs on Sail inside this process, and on Spark's own Connect server as its engine;
spark_gold_job.py runs the same transforms as a plain Spark job, without the platform's IO layer; Polars runs
polars_gold_peer.py. Platform and Polars alternate; each repetition gives one ratio, the median counts. Every table that the two
made is compared by value: the script's keys are other hashes, so each is first replaced by the platform's key of the same fact,
and must stand for exactly one. Processor time stands beside wall time, because it does not suffer from a busy machine.

    python -m benchmarks.gold
    python -m benchmarks.gold --rows 100000 --no-spark
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import polars as pl

from benchmarks.gold_layer import build_gold
from benchmarks.landed_events import add_sample_options, land
from benchmarks.measuring import median_ratio, print_table
from benchmarks.peers import Run, compare_with_spark, seconds_of, timed, timed_peer
from benchmarks.spark_server import java_is_there
from music_platform.lake.lake import Lake
from music_platform.lake.spark import SparkEngine
from music_platform.partitions import day_of_key
from music_platform.settings import Settings
from music_platform.tables.catalogue import GOLD, made_gold_tables
from music_platform.tables.columns import UNKNOWN_KEY
from music_platform.tables.contract import TableContract
from music_platform.tables.rankings import TOP_RANKS
from music_platform_tests.spine import Phases, build_spine

_KEYS_OF_STREAMS = ("user_key", "song_key", "artist_key", "location_key", "session_key")


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-", dir=options.folder) as folder:
        sail = SparkEngine()
        silver, small = Lake(Settings(lake=f"{folder}/silver-lake")), Lake(Settings(lake=f"{folder}/small-lake"))
        hours = land(silver, options.rows, 1, options.events)
        build_spine(silver, sail, hours)
        land(small, 1, 1, options.events)
        build_spine(small, sail, hours)
        day = day_of_key(hours[0])
        build_gold(_lake_beside(small, folder, "warm-up"), sail, [day])
        platform: list[Run] = []
        peer: list[Run] = []
        phases: list[Phases] = []
        for repetition in range(options.repetitions):
            lake = _lake_beside(silver, folder, f"platform-{repetition}")
            phases.append(Phases())
            platform.append(timed(lambda lake=lake: build_gold(lake, sail, [day], phases[-1])))
            output = Path(folder, f"peer-{repetition}")
            peer.append(timed_peer("benchmarks.polars_gold_peer", silver.location, output, day))
            if repetition == 0:
                compare(Path(lake.location), output)
        _print(_events_of(silver), platform, peer, phases)
        if options.spark and java_is_there():
            _compare_with_spark(silver, small, folder, day)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sample_options(parser)
    parser.add_argument("--repetitions", type=int, default=3, help="of platform and Polars (default: %(default)s)")
    parser.add_argument("--no-spark", dest="spark", action="store_false", help="leave Apache Spark out")
    return parser.parse_args()


def _lake_beside(silver: Lake, folder: str, name: str) -> Lake:
    """A lake with the same silver and no gold."""
    path = Path(folder, name)
    path.mkdir()
    (path / "silver").symlink_to(Path(silver.location, "silver"))
    return Lake(Settings(lake=str(path)))


def _events_of(silver: Lake) -> int:
    files = pl.scan_parquet(f"{silver.location}/silver/**/*.parquet", hive_partitioning=False, missing_columns="insert",
                            extra_columns="ignore")  # fmt: skip
    return files.select(pl.len()).collect().item()


def _compare_with_spark(silver: Lake, small: Lake, folder: str, day: str) -> None:
    def platform(engine: str, name: str) -> float:
        lake, warm_up = (
            _lake_beside(of, folder, f"{name}-{kind}") for of, kind in ((silver, "full"), (small, "small"))
        )
        return seconds_of("benchmarks.gold_layer", lake.location, day, warm_up.location, engine)

    def job(url: str) -> float:
        return seconds_of("benchmarks.spark_gold_job", silver.location, small.location, f"{folder}/job", day, url)

    compare_with_spark(platform, job)


def compare(lake: Path, peer: Path) -> None:
    """Ends the program where a table differs between the platform's lake and the script's output."""
    unknown = pl.DataFrame({"ours": [UNKNOWN_KEY], "theirs": [UNKNOWN_KEY]})
    keys = dict.fromkeys(_KEYS_OF_STREAMS, unknown)
    for table, names in (("fact_streams", _KEYS_OF_STREAMS), ("fact_page_views", _KEYS_OF_STREAMS)):
        ours, theirs = (_read(folder, GOLD[table]).sort("event_id") for folder in (lake, peer))
        keys |= {
            name: pl.concat([keys[name], _pairs(table, name, ours, theirs)]).unique()
            for name in names
            if name in ours.columns
        }
    places = [_read(folder, GOLD["dim_locations"]).sort("zip", "city", "state") for folder in (lake, peer)]
    keys["location_key"] = pl.concat([keys["location_key"], _pairs("dim_locations", "location_key", *places)]).unique()
    for contract in (table.contract for table in made_gold_tables(is_served=False).values()):
        ours, theirs = _read(lake, contract), _read(peer, contract)
        for name, pairs in keys.items():
            if name in theirs.columns:
                theirs = theirs.join(pairs, left_on=name, right_on="theirs", how="left", maintain_order="left")
                theirs = theirs.with_columns(pl.col("ours").alias(name)).drop("ours")
        _compare(contract, ours, theirs)


def _read(folder: Path, contract: TableContract) -> pl.DataFrame:
    rows = pl.read_parquet(f"{folder}/{contract.path}/**/*.parquet", hive_partitioning=False)
    return rows.with_columns(pl.col(pl.Datetime).dt.cast_time_unit("us"))


def _pairs(table: str, name: str, ours: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """(ours, theirs): which keys stand on the same rows."""
    if ours.height != theirs.height:
        raise SystemExit(f"gold/{table}: {ours.height} rows of the platform, {theirs.height} of the Polars script")
    pairs = pl.DataFrame({"ours": ours[name], "theirs": theirs[name]}).unique()
    if pairs["ours"].n_unique() != pairs.height or pairs["theirs"].n_unique() != pairs.height:
        raise SystemExit(f"gold/{table}: {name} of the platform and of the Polars script tell different things apart")
    return pairs


def _compare(contract: TableContract, ours: pl.DataFrame, theirs: pl.DataFrame) -> None:
    """By value, in the order of what tells rows apart; ranks follow keys where measures are equal, so they are left out."""
    not_compared = {"user_version_key", "plays_rank", "listeners_rank"}
    columns = [column.name for column in contract.columns if column.name not in not_compared]
    if contract.name.startswith("top_"):
        # Which of the members with equal measures come in last differs by key: the measures themselves must not.
        ours, theirs = (
            rows.filter(pl.col("plays_rank") <= TOP_RANKS).select(pl.col("plays").sort(descending=True))
            for rows in (ours, theirs)
        )
        columns = ["plays"]
    order = [name for name in contract.unique_columns if name in columns] or columns
    if contract.name == "dim_users":
        order = ["user_key", "valid_from"]
    ours, theirs = ours.sort(order), theirs.sort(order)
    if ours.height != theirs.height:
        raise SystemExit(f"{contract.path}: {ours.height} rows of the platform, {theirs.height} of the Polars script")
    differing = [name for name in columns if not _equal(ours[name], theirs[name])]
    if differing:
        raise SystemExit(f"{contract.path}: {', '.join(differing)} differ between the platform and the Polars script")


def _equal(ours: pl.Series, theirs: pl.Series) -> bool:
    """Fractions to a millionth, to which sums are rounded that engines add in different orders."""
    if not ours.dtype.is_float():
        return ours.equals(theirs)
    near = ((ours - theirs).abs() < 2e-6) | (ours.is_null() & theirs.is_null())
    return bool(near.fill_null(False).all())


def _print(events: int, platform: list[Run], peer: list[Run], phases: list[Phases]) -> None:
    rows = []
    for name, measured in {"platform (Sail)": platform, "Polars script": peer}.items():
        seconds = statistics.median(run.seconds for run in measured)
        cpu_seconds = statistics.median(run.cpu_seconds for run in measured)
        rows.append([name, f"{seconds:.1f}", f"{events / seconds:,.0f}", f"{cpu_seconds:.1f}"])
    print_table(
        f"Silver to gold: {events:,} events of one day, median of {len(platform)}",
        ["", "seconds", "events/s", "processor s"],
        rows,
    )
    ratio = median_ratio([run.seconds for run in platform], [run.seconds for run in peer])
    cpu_ratio = median_ratio([run.cpu_seconds for run in platform], [run.cpu_seconds for run in peer])
    print(f"platform / Polars script: {ratio:.2f} of the time, {cpu_ratio:.2f} of the processor time")
    print_table(
        f"The platform by table, {Settings().steps_at_once} at once",
        ["table", "seconds"],
        [[name, f"{statistics.median(one.seconds[name] for one in phases):.2f}"] for name in phases[0].seconds],
    )


if __name__ == "__main__":
    main()
