"""What a day of the recommendations costs: seconds, processor seconds and peak memory of each table around the model.

python -m benchmarks.recommendation                  # 10,000 listeners x 10,000 songs, a million pairs
python -m benchmarks.recommendation --size large     # 70,000 x 300,000, 20 million pairs: 4 GB of memory, half an hour on 2 cores

Pairs of two days are drawn by a power law of popularity and published as the platform publishes gold. Each table is then made
as its asset makes it, from Parquet to Parquet, in a process of its own. Processor seconds stand beside the others, as other work
on the machine changes them little; memory is that of the whole process, the packages that it loads included.

Wanted: at most 3 GB, 20 s to train from the day before, 120 s for all lists on 2 cores.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.measuring import peak_memory_bytes, print_table
from music_platform.lake.lake import Lake
from music_platform.lake.partition_sets import StagedPartitions, StoredPartitions
from music_platform.lake.publish import publish_partitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.assets.recommendations import stage_day
from music_platform.partitions import partition_before
from music_platform.recommendation.interactions import COLUMNS, Interactions, Pairs
from music_platform.recommendation.keys import keys_of_numbers
from music_platform.recommendation.rows import moment_of_day
from music_platform.settings import Settings
from music_platform.tables.catalogue import RECOMMENDATION_TABLES
from music_platform.tables.contract import TableContract
from music_platform.tables.gold.dim_songs import DIM_SONGS
from music_platform.tables.gold.user_song_interactions import USER_SONG_INTERACTIONS
from music_platform.tables.model_table import ModelTable
from music_platform.tables.recommendations.blend_weights import BLEND_WEIGHTS, WEIGHTS_JUDGED_BY
from music_platform.tables.recommendations.evaluation import EVALUATION
from music_platform.tables.recommendations.recommendations import RECOMMENDATIONS
from music_platform.tables.recommendations.similar_songs import SIMILAR_SONGS
from music_platform.tables.recommendations.song_factors import SONG_FACTORS
from music_platform.tables.schemas import arrow_schema

_DAY_BEFORE, _DAY = "2026-11-10", "2026-11-11"
_SIZES = {"small": (10_000, 10_000, 1_000_000), "large": (70_000, 300_000, 20_000_000)}
_READ, _OPEN_GATE = "read", "open gate"
_WEIGHT = 0.5
# In the order in which one is made from another: the figure's name, the table and the day.
_STEPS = (
    ("read the pairs, make the matrix", _READ, _DAY_BEFORE),
    ("song_factors from scratch", SONG_FACTORS.path, _DAY_BEFORE),
    ("blend_weights of the first day", BLEND_WEIGHTS.path, _DAY_BEFORE),
    ("recommendations: all lists, popularity", RECOMMENDATIONS.path, _DAY_BEFORE),
    ("song_factors from the day before", SONG_FACTORS.path, _DAY),
    ("similar_songs", SIMILAR_SONGS.path, _DAY),
    ("blend_weights: each weight judged", BLEND_WEIGHTS.path, _DAY),
    ("publish a weight of the model", _OPEN_GATE, _DAY),
    ("recommendations: all lists, model", RECOMMENDATIONS.path, _DAY),
    ("evaluation of the lists", EVALUATION.path, _DAY),
)
_PROJECT = Path(__file__).resolve().parents[1]
_LISTENERS_AT_ONCE = 5_000
_NEW_SHARE = 0.02  # pairs whose first play is on the second day
_DRAWS_OF_PAIR = 1.1  # popular songs are drawn twice
_MICROSECONDS_OF_DAY = 86_400_000_000
_ACTIVE_DAYS = 28


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=_SIZES, default="small", help="(default: %(default)s)")
    parser.add_argument("--sizes", nargs=3, type=int, metavar=("LISTENERS", "SONGS", "PAIRS"), help="others than these")
    parser.add_argument("--folder", help="where to work, in a temporary folder that is removed (default: the system's)")
    parser.add_argument("--step", nargs=3, metavar=("LAKE", "TABLE", "DAY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        _step(*options.step)
        return
    listeners, songs, pairs = options.sizes or _SIZES[options.size]
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-", dir=options.folder) as folder:
        lake = Lake(Settings(lake=f"{folder}/lake"))
        published = _publish_world(lake, listeners, songs, pairs)
        load = os.getloadavg()[0]
        rows = []
        for name, table, day in _STEPS:
            measured = _Measured(**json.loads(_output_of_step(lake.location, table, day)))
            if table != _OPEN_GATE:
                rows.append(measured.row(name))
            print(f"{name}: {measured.seconds:.1f} s {measured.figures}", file=sys.stderr, flush=True)
    print_table(
        f"A day of the recommendations: {listeners:,} listeners, {songs:,} songs, {published:,} pairs; "
        f"{os.cpu_count()} processors, load {load:.1f} before, {os.getloadavg()[0]:.1f} after",
        ["", "seconds", "processor seconds", "of these training", "peak memory", "of it before"],
        rows,
    )


@dataclass(frozen=True)
class _Measured:
    """What a step took in its process, in seconds and bytes; ``bytes_before`` are those of the packages."""

    seconds: float
    processor_seconds: float
    bytes: int
    bytes_before: int
    figures: dict[str, float | str]

    def row(self, name: str) -> list[str]:
        training = self.figures.get("training_seconds")
        return [
            name,
            f"{self.seconds:.1f}",
            f"{self.processor_seconds:.1f}",
            "" if training is None else f"{training:.1f}",
            f"{self.bytes / 1e9:.2f} GB",
            f"{self.bytes_before / 1e9:.2f} GB",
        ]


def _output_of_step(lake: str, table: str, day: str) -> str:
    command = [sys.executable, "-m", "benchmarks.recommendation", "--step", lake, table, day]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=_PROJECT)
    return done.stdout.splitlines()[-1]


def _step(location: str, table: str, day: str) -> None:
    """Make a day of a table, publish it, and print what that took as JSON."""
    lake, spark = Lake(Settings(lake=location)), SparkEngine()
    before, began, processor = peak_memory_bytes(), time.perf_counter(), time.process_time()
    figures: dict[str, int | float | str] = {}
    if table == _READ:
        stored = StoredPartitions.open(USER_SONG_INTERACTIONS, [day], lake, spark)
        figures["pairs"] = int(Interactions.of(Pairs.of(stored.batches_of_rows(day, COLUMNS))).scores.nnz)
    elif table == _OPEN_GATE:
        _open_gate(lake, day)
    else:
        wanted = RECOMMENDATION_TABLES[table]
        assert isinstance(wanted, ModelTable)
        inputs = {
            name: StoredPartitions.open_published(
                entry.contract, [partition_before(day), day] if entry.days_before else [day], lake, spark
            )
            for name, entry in wanted.inputs.items()
        }
        staged = StagedPartitions.begin(wanted.contract, "benchmark", {})
        figures = stage_day(wanted, day, inputs, staged, lake, spark).figures
        _publish(lake, staged, day)
    measured = _Measured(
        time.perf_counter() - began, time.process_time() - processor, peak_memory_bytes(), before, figures
    )
    print(json.dumps(vars(measured)))


def _open_gate(lake: Lake, day: str) -> None:
    """Publish a proven gain of the model: without tastes in the drawn pairs the gate rightly serves popularity."""
    staged = StagedPartitions.begin(BLEND_WEIGHTS, "benchmark", {})
    judged_on = pa.array([moment_of_day(day)])
    rows = _rows(
        BLEND_WEIGHTS,
        day,
        judged_on=judged_on,
        weight=np.array([_WEIGHT]),
        judged_listeners=np.array([WEIGHTS_JUDGED_BY]),
        gain_over_popularity=np.array([0.1]),
        gain_standard_error=np.array([0.01]),
    )
    staged.write_rows([rows], day, lake)
    _publish(lake, staged, day)


def _publish_world(lake: Lake, listeners: int, songs: int, pairs: int) -> int:
    """Publish the pairs of both days and the songs' titles; gives how many pairs the second day has."""
    random = np.random.default_rng(1)
    keys = np.unique(random.integers(1, 2**63, listeners + songs, dtype=np.uint64))
    keys = random.permutation(keys)
    song_keys, user_keys = np.sort(keys[:songs]), np.sort(keys[songs:])
    published = 0
    for day in (_DAY_BEFORE, _DAY):
        staged = StagedPartitions.begin(USER_SONG_INTERACTIONS, "benchmark", {})
        staged.write_rows(_pairs_of(day, user_keys, song_keys, pairs), day, lake)
        published = sum(file.rows for file in staged.written[day].files)
        _publish(lake, staged, day)
        titles = StagedPartitions.begin(DIM_SONGS, "benchmark", {})
        titles.write_rows([_titles_of(song_keys, day)], day, lake)
        _publish(lake, titles, day)
    return published


def _pairs_of(day: str, users: np.ndarray, songs: np.ndarray, pairs: int) -> Iterator[pa.Table]:
    """Rows of user_song_interactions, some thousand listeners at a time.

    How much a listener plays is log-normal, songs are drawn by a power law; the first day lacks the second's first plays.
    """
    popularity = (np.random.default_rng(2).permutation(len(songs)) + 21.0) ** -0.8
    bounds = np.cumsum(popularity / popularity.sum())
    activity = np.random.default_rng(3).lognormal(0, 1, len(users))
    wanted = np.maximum(activity / activity.sum() * pairs * _DRAWS_OF_PAIR, 1).astype(np.int64)
    midnight = int(moment_of_day(_DAY).timestamp()) * 1_000_000
    for first in range(0, len(users), _LISTENERS_AT_ONCE):
        random = np.random.default_rng([4, first])
        chunk = wanted[first : first + _LISTENERS_AT_ONCE]
        user = np.repeat(np.arange(first, first + len(chunk)), chunk)
        song = np.searchsorted(bounds, random.random(len(user))).clip(max=len(songs) - 1)
        codes, plays = np.unique(user * len(songs) + song, return_counts=True)
        is_new = random.random(len(codes)) < _NEW_SHARE
        age = np.where(is_new, -random.random(len(codes)), random.random(len(codes)) * _ACTIVE_DAYS)
        kept = ~is_new if day == _DAY_BEFORE else np.full(len(codes), True)
        user, song = np.divmod(codes[kept], len(songs))
        yield _rows(
            USER_SONG_INTERACTIONS,
            day,
            user_key=keys_of_numbers(users[user]),
            song_key=keys_of_numbers(songs[song]),
            plays=plays[kept],
            played_seconds=plays[kept] * 200.0,
            skips=np.zeros(len(user), dtype=np.int64),
            last_played_at=pa.array((midnight - 1 - age[kept] * _MICROSECONDS_OF_DAY).astype(np.int64)),
            score=plays[kept] * 0.5 ** ((age[kept] + 1) / 30),
        )


def _titles_of(songs: np.ndarray, day: str) -> pa.Table:
    keys = keys_of_numbers(songs)
    titles = pa.array([f"Title {number}" for number in range(len(songs))])
    return _rows(DIM_SONGS, day, song_key=keys, artist_key=keys, title=titles, artist=titles)


def _rows(contract: TableContract, day: str, **columns: pa.Array | np.ndarray) -> pa.Table:
    """Rows of a table; columns that are not given are null, but the day."""
    schema, rows = arrow_schema(contract.columns), len(next(iter(columns.values())))
    columns["day"] = pa.repeat(pa.scalar(moment_of_day(day), schema.field("day").type), rows)
    arrays = [
        pa.array(columns[field.name]).cast(field.type) if field.name in columns else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _publish(lake: Lake, staged: StagedPartitions, day: str) -> None:
    publish_partitions(
        lake,
        staged.contract,
        staged.written,
        [day],
        run_id="benchmark",
        write_id=staged.write_id,
        sources=staged.sources,
        leftover_grace_seconds=3600.0,
    )


if __name__ == "__main__":
    main()
