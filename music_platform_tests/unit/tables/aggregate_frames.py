"""What the tests of aggregates share: random days of plays and page views, their tables, and rows that keep a contract.

An aggregate's own oracle stands beside its tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.contract import Column, TableContract, column_rules
from music_platform.tables.schemas import arrow_schema, spark_schema

FIRST_DAY = datetime(2026, 11, 1, tzinfo=UTC)  # a Sunday: the second day begins a week
DAY = timedelta(days=1)
DAYS = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04", "2026-11-05"]
SEEDS = st.integers(min_value=0, max_value=2**32 - 1)
FEW = settings(max_examples=12, deadline=None)

Rows = list[dict[str, Any]]


def key(number: int) -> str:
    return f"{number:016x}"


def at(text: str) -> datetime:
    """A moment of November 2026, as ``"02 15:30"``."""
    return datetime.strptime(f"2026-11-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def day_of(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")


def frame(spark: SparkSession, columns: Iterable[Column], rows: Rows) -> DataFrame:
    """Rows as a DataFrame; columns that a row lacks are null."""
    columns = tuple(columns)
    table = pa.Table.from_pylist(rows, schema=arrow_schema(columns))
    return spark.createDataFrame(table, spark_schema(columns))


def read(result: DataFrame, contract: TableContract) -> Rows:
    """The rows in the order of their identity, once they are seen to keep the contract."""
    rules = (*column_rules(contract.columns), *contract.rules)
    broken = [F.sum((~F.coalesce(F.expr(rule.condition), F.lit(False))).cast("int")).alias(rule.name) for rule in rules]
    counts = result.agg(*broken).collect()[0].asDict()
    assert {name: count for name, count in counts.items() if count} == {}
    table = result.toArrow()
    wanted = arrow_schema(contract.columns)
    assert table.schema.names == wanted.names
    for name in wanted.names:
        assert table.schema.field(name).type in (wanted.field(name).type, pa.large_string()), name
    table = table.cast(wanted).sort_by([(name, "ascending") for name in contract.unique_columns])
    rows = table.to_pylist()
    assert len({tuple(row[name] for name in contract.unique_columns) for row in rows}) == len(rows)
    return rows


def play(user: int, moment: datetime, **changes: Any) -> dict[str, Any]:
    row = {
        "event_time": moment, "user_key": key(user), "song_key": key(1), "artist_key": key(1), "session_key": key(user),
        "level": "free", "state": "TX", "duration_seconds": 200.0, "played_seconds": 200.0, "is_skipped": False,
    }  # fmt: skip
    return row | {"event_id": f"play {user} {moment}"} | changes


def view(user: int | None, moment: datetime, page: str = "Home", **changes: Any) -> dict[str, Any]:
    row = {
        "event_time": moment, "user_key": key(user or 0), "user_id": user, "session_key": key(user or 99), "page": page,
        "registered_at": None if user is None else at("01 00:00") - user * 3 * DAY, "level": "free", "status": 200,
        "item_in_session": 0, "event_id": f"view {user} {moment} {page}",
    }  # fmt: skip
    return row | changes


@dataclass
class History:
    """Plays and page views of the days, in random order, with status changes."""

    plays: Rows
    page_views: Rows
    status_changes: Rows

    def plays_of(self, *days: str) -> Rows:
        return [row for row in self.plays if day_of(row["event_time"]) in days]

    def page_views_of(self, *days: str) -> Rows:
        return [row for row in self.page_views if day_of(row["event_time"]) in days]


def random_history(seed: int) -> History:
    """Five days, some of them empty; few users and songs, and whole minutes, so that much of it ties."""
    random = np.random.default_rng(seed)
    plays, page_views, status_changes = [], [], []
    pages = [
        "Home",
        "Upgrade",
        "Submit Upgrade",
        "Downgrade",
        "Submit Downgrade",
        "Cancel",
        "Cancellation Confirmation",
    ]
    for index in range(len(DAYS)):
        if random.random() < 0.25:
            continue
        for item in range(int(random.integers(1, 60))):
            user = int(random.integers(1, 9))
            moment = FIRST_DAY + index * DAY + timedelta(minutes=int(random.integers(0, 1440)))
            level = str(random.choice(["free", "paid"]))
            common = {"level": level, "session_key": key(100 * index + int(random.integers(0, 12)))}
            kind = random.random()
            if kind < 0.6:
                song = int(random.integers(1, 8))
                seconds = None if random.random() < 0.2 else float(random.integers(0, 200_000_000)) / 1e6
                plays.append(
                    play(user, moment, **common, event_id=f"play {index} {item}", song_key=key(song),
                         artist_key=key(song % 3), state=str(random.choice(["TX", "NY"])), played_seconds=seconds,
                         is_skipped=None if seconds is None else bool(random.random() < 0.4))
                )  # fmt: skip
            if kind < 0.5 or kind >= 0.6:  # some plays have no page view
                page = "NextSong" if kind < 0.5 else str(random.choice(pages))
                who = None if random.random() < 0.1 else user
                page_views.append(
                    view(who, moment, page, **common, event_id=f"view {index} {item}", item_in_session=item)
                )
            if kind > 0.9:
                status_changes.append({
                    "event_time": moment, "user_id": user, "previous_level": level, "session_id": user, "zip": "73301",
                    "user_agent": "browser", "tag": None,
                })  # fmt: skip
    for rows in (plays, page_views, status_changes):
        random.shuffle(rows)
    return History(plays, page_views, status_changes)


def carried(
    spark: SparkSession, history: History, make: Callable[..., DataFrame], contract: TableContract
) -> list[Rows]:
    """The table's partitions day by day, each made of the one before."""
    partitions: list[Rows] = []
    for day in DAYS:
        previous = frame(spark, contract.columns, partitions[-1]) if partitions else None
        partitions.append(read(make(previous, history, day), contract))
    return partitions


def moment_of(day: str) -> pd.Timestamp:
    return pd.Timestamp(day, tz="UTC")


def same(found: Rows, wanted: Rows) -> None:
    """Equal rows; of fractions the first nine digits."""
    assert len(found) == len(wanted)
    for found_row, wanted_row in zip(found, wanted, strict=True):
        assert set(found_row) == set(wanted_row)
        for name, value in wanted_row.items():
            if isinstance(value, float):
                assert found_row[name] == pytest.approx(value, rel=1e-9, abs=1e-9), (name, found_row, wanted_row)
            else:
                assert found_row[name] == value, (name, found_row, wanted_row)
