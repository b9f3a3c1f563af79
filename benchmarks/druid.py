"""The local Druid with a million rows: seconds until it is up, from gold to queryable, its queries, its memory.

    python -m benchmarks.druid [--java-option=-XX:...]

Gold's rows are drawn at random in the contract's columns, those of a listener alike, and published as the platform publishes
them. What is timed from then on is a run of the Dagster asset, to its end: the task, the load, the count by SQL. A Druid of
its own starts in a new folder.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import numpy as np
import psutil
import pyarrow as pa

from benchmarks.measuring import print_table
from music_platform.definitions import build_definitions
from music_platform.lake.lake import Lake
from music_platform.lake.manifest import partition_folder
from music_platform.lake.publish import publish_partition
from music_platform.lake.writer import WrittenPartition, encode
from music_platform.local.druid.configuration import LocalConfiguration
from music_platform.local.druid.local_druid import LocalDruid
from music_platform.local.service import is_port_free
from music_platform.partitions import hours_of_day
from music_platform.serving.druid.client import DruidResource
from music_platform.serving.druid.datasources import DATASOURCES
from music_platform.serving.druid.ingestion_spec import interval_of
from music_platform.serving.druid.queries import QUERIES
from music_platform.settings import Settings
from music_platform.tables.contract import Cadence, Column, ColumnType, TableContract
from music_platform.tables.schemas import arrow_schema

_DAY = "2026-11-01"
_HOURS_OF_30_000 = hours_of_day("2026-11-02")
_ROWS_OF_AN_HOUR = 30_000
_DAY_ROWS = {
    "streams": 1_000_000,
    "page_views": 1_000_000,
    "sessions": 70_000,
    "top_songs": 1_000,
    "top_artists": 1_000,
}
_OTHER_DAY_ROWS = 30
_LISTENERS = 10_000
# What is told of a listener is the same in all of the listener's rows.
_OF_A_LISTENER = {"user_key", "session_key", "level", "gender", "city", "state", "state_name"}
_SAME_AS = {"state_name": "state"}
_OF_A_USER_AGENT = {"device", "operating_system", "browser"}
_USER_AGENTS = 45  # as many as the generator knows
_PAGES = 20
_OF_A_PAGE = {"page": 20, "auth": 3, "method": 2, "status": 3}  # and how many there are
# Distinct values by column; 50 where none are named.
_VALUES = {"user_key": _LISTENERS, "session_key": _LISTENERS, "city": 1_400, "device": 4, "operating_system": 6,
           "browser": 6, "song_key": 15_000, "song": 15_000, "title": 15_000, "artist": 3_500, "artist_key": 3_500}  # fmt: skip
_MEBIBYTE = 1024**2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--repetitions", type=int, default=7, help="hours brought in, one by one (default: %(default)s)"
    )
    parser.add_argument("--queries", type=int, default=20, help="times each query is asked (default: %(default)s)")
    parser.add_argument("--java-option", action="append", default=[], help="a further option of Druid's JVM")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-") as folder:
        settings = _settings(Path(folder))
        local = LocalDruid(settings)
        started = time.monotonic()
        try:
            local.up(java_options=options.java_option)
            rows = [["from up to healthy", f"{time.monotonic() - started:.1f} s", f"{_processor_seconds(local):.0f} s"]]
            rows += _freshness(settings, local, options.repetitions)
            queries = _ask(settings, options.queries)
            status = local.status()
            memory = status.memory.resident if status is not None else 0
        finally:
            local.down()
    print_table("The local Druid", ["", "elapsed", "processor, Druid's"], rows)
    print_table(
        f"Queries of the dashboards, {options.queries} times each, without caches",
        ["query", "rows", "p50", "p95"],
        [*queries],
    )
    print(f"\nresident memory at the end: {memory / _MEBIBYTE:,.0f} MiB")


def _settings(folder: Path) -> Settings:
    for offset in range(10_000, 30_000, 500):
        settings = Settings(
            lake=str(folder / "lake"), druid_folder=str(folder / "druid"), druid_port_offset=offset, druid_enabled=True
        )
        if all(map(is_port_free, LocalConfiguration(settings).ports.values())):
            return settings
    raise RuntimeError("no free ports for Druid")


def _freshness(settings: Settings, local: LocalDruid, repetitions: int) -> list[list[str]]:
    """Rows of the first table: a day of each datasource, then hours of streams one by one."""
    lake, definitions = Lake(settings), build_definitions(settings)
    rows = []
    for name, datasource in DATASOURCES.items():
        count = _DAY_ROWS.get(name, _OTHER_DAY_ROWS)
        hours = hours_of_day(_DAY) if datasource.contract.cadence is Cadence.HOURLY else [_DAY]
        _publish(lake, datasource.contract, hours, count // len(hours))
        elapsed, processor = _bring(definitions, local, name, hours)
        if name in _DAY_ROWS:
            rows.append([f"a day of {name}, {count:,} rows", f"{elapsed:.1f} s", f"{processor:.1f} s"])
    taken = []
    for hour in _HOURS_OF_30_000[:repetitions]:
        _publish(lake, DATASOURCES["streams"].contract, [hour], _ROWS_OF_AN_HOUR)
        taken.append(_bring(definitions, local, "streams", [hour]))
    elapsed, processor = (statistics.median(values) for values in zip(*taken, strict=True))
    longest = max(seconds for seconds, _ in taken)
    told = f"{elapsed:.1f} s (longest {longest:.1f} s)"
    return [*rows, [f"an hour of streams, {_ROWS_OF_AN_HOUR:,} rows, p50 of {len(taken)}", told, f"{processor:.1f} s"]]


def _bring(definitions: dg.Definitions, local: LocalDruid, name: str, partitions: Sequence[str]) -> tuple[float, float]:
    """Seconds, and Druid's processor seconds, of a run of the asset; without its checks."""
    before, started = _processor_seconds(local), time.monotonic()
    key = dg.AssetKey(["druid", name])
    result = dg.materialize(
        [asset for asset in definitions.assets or () if isinstance(asset, dg.AssetsDefinition | dg.AssetSpec)],
        selection=[key],
        resources=definitions.resources,
        tags={
            "dagster/asset_partition_range_start": partitions[0],
            "dagster/asset_partition_range_end": partitions[-1],
        },
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    elapsed = time.monotonic() - started
    [made] = [event for event in result.get_asset_materialization_events() if event.asset_key == key][:1]
    phases = ("ingestion_seconds", "loading_seconds", "counting_seconds")
    metadata = made.step_materialization_data.materialization.metadata  # of a range only the run's log tells the phases
    told = "".join(
        f", {phase.removesuffix('_seconds')} {metadata[phase].value} s" for phase in phases if phase in metadata
    )
    print(f"{name} {partitions[0]}: {elapsed:.1f} s{told}", flush=True)
    return elapsed, _processor_seconds(local) - before


def _ask(settings: Settings, times: int) -> list[list[str]]:
    druid = DruidResource(settings)
    interval = interval_of(_DAY, _DAY)
    rows, everything = [], []
    for name, query in QUERIES.items():
        seconds, answered = [], 0
        for number in range(times + 3):  # the first ones compile
            started = time.perf_counter()
            answered = len(druid.sql(query.sql(interval), context={"useCache": False, "useResultLevelCache": False}))
            if number >= 3:
                seconds.append(time.perf_counter() - started)
        everything += seconds
        rows.append([name, f"{answered:,}", *_percentiles(seconds)])
    return [*rows, ["all of them", "", *_percentiles(everything)]]


def _percentiles(seconds: Sequence[float]) -> list[str]:
    return [f"{np.percentile(seconds, percent) * 1000:.0f} ms" for percent in (50, 95)]


def _processor_seconds(local: LocalDruid) -> float:
    status = local.status()
    if status is None:
        raise RuntimeError("Druid has ended")
    times = psutil.Process(status.pid).cpu_times()
    return times.user + times.system


def _publish(lake: Lake, contract: TableContract, partitions: Sequence[str], rows: int) -> None:
    random = np.random.default_rng(1)
    for partition in partitions:
        write_id = uuid.uuid4().hex[:16]
        listeners, pages = _few_often(_LISTENERS, rows, random), _few_often(_PAGES, rows, random)
        arrays = [_drawn(column, contract, partition, listeners, pages, random) for column in contract.columns]
        table = pa.Table.from_arrays(arrays, schema=arrow_schema(contract.columns))
        content, file = encode(table, contract, f"part-{write_id}-000000000000.parquet")
        lake.store.put(f"{partition_folder(contract.path, partition)}/{file.name}", content)
        written = WrittenPartition([file])
        publish_partition(lake.store, contract, partition, written, run_id="benchmark", write_id=write_id)


def _drawn(
    column: Column,
    contract: TableContract,
    partition: str,
    listeners: np.ndarray,
    pages: np.ndarray,
    random: np.random.Generator,
) -> pa.Array:
    """A column of a partition, with a value for each row of these listeners and pages."""
    rows = len(listeners)
    wanted = arrow_schema([column]).field(0).type
    if column.type is ColumnType.TIMESTAMP:
        is_hourly = contract.cadence is Cadence.HOURLY
        start = np.datetime64(f"{partition[:10]}T{partition[11:] if is_hourly else '00:00'}", "us")
        within = random.integers(0, (3_600 if is_hourly else 86_400) * 1_000_000, rows)
        return pa.array(start + within.astype("timedelta64[us]")).cast(wanted)
    if column.type is ColumnType.BOOLEAN:
        return pa.array(random.random(rows) < 0.1)
    if column.type is ColumnType.DOUBLE:
        return pa.array(random.random(rows) * 300)
    count = len(column.allowed or ()) or _OF_A_PAGE.get(column.name) or _VALUES.get(column.name, 50)
    drawn = np.random.default_rng(list(_SAME_AS.get(column.name, column.name).encode()))
    if column.name in _OF_A_LISTENER:
        numbers = drawn.integers(0, count, _LISTENERS)[listeners]
    elif column.name in _OF_A_USER_AGENT:
        numbers = drawn.integers(0, count, _USER_AGENTS)[listeners % _USER_AGENTS]
    elif column.name in _OF_A_PAGE:
        numbers = pages % count
    else:
        numbers = _few_often(count, rows, random)
    if column.type is not ColumnType.STRING:
        return pa.array(numbers).cast(wanted)
    values = list(column.allowed or (f"{column.name} {number}" for number in range(count)))
    return pa.array(np.array(values, dtype=object)[numbers], pa.string())


def _few_often(values: int, rows: int, random: np.random.Generator) -> np.ndarray:
    """Numbers of values for the rows; a few of them are much more frequent than the others."""
    return (random.random(rows) ** 3 * values).astype(np.int64)


if __name__ == "__main__":
    main()
