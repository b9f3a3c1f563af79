"""A day's inputs out of memory, for tests of what each table of the recommendations holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from pyspark.sql import DataFrame

from music_platform.errors import ManifestCorruptError
from music_platform.partitions import partition_before
from music_platform.recommendation.interactions import Pairs
from music_platform.recommendation.keys import keys_of_numbers
from music_platform.recommendation.rows import moment_of_day


@dataclass
class GivenDay:
    """``tables`` by input and day; ``own`` is the table's own day before. ``is_damaged``: that one cannot be read."""

    day: str
    tables: Mapping[tuple[str, str], pa.Table]
    own: pa.Table | None = None
    is_damaged: bool = False
    taken: list[tuple[str, str]] = field(default_factory=list)

    @property
    def day_before(self) -> str:
        return partition_before(self.day)

    def rows_of(self, name: str, day: str) -> int:
        return self.tables[name, day].num_rows

    def is_published(self, name: str, day: str) -> bool:
        return (name, day) in self.tables

    def batches(self, name: str, day: str, columns: Sequence[str]) -> Iterable[pa.RecordBatch]:
        self.taken.append((name, day))
        return self.tables[name, day].select(list(columns)).to_batches(max_chunksize=1000)

    def frame(self, name: str, day: str) -> DataFrame:
        raise AssertionError(f"{name} of {day} is wanted of an engine, and there is none")

    def previous(self, columns: Sequence[str]) -> Iterable[pa.RecordBatch] | None:
        if self.is_damaged:
            raise ManifestCorruptError("its file is cut short")
        return None if self.own is None else self.own.select(list(columns)).to_batches()


def interactions_rows(pairs: Pairs, first_day: str) -> pa.Table:
    """Pairs as rows of user_song_interactions; their last plays count from ``first_day``."""
    beginning = int(moment_of_day(first_day).timestamp()) * 1_000_000
    return pa.table({
        "user_key": keys_of_numbers(pairs.users),
        "song_key": keys_of_numbers(pairs.songs),
        "score": pairs.scores.astype(float),
        "last_played_at": pa.array(pairs.last_played + beginning).cast(pa.timestamp("us", "UTC")),
    })  # fmt: skip
