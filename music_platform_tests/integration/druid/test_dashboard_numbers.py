"""What charts of distributions say, against the rows of gold, on a real Druid: the expressions of the datasets as they stand."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from music_platform.serving.superset.bands import SESSION_MINUTES, SKIP_PERCENT
from music_platform.serving.superset.datasets import FUNNEL, SESSIONS, STREAMS
from music_platform.serving.superset.model import Dataset
from music_platform.tables.contract import TableContract
from music_platform.tables.gold.fact_sessions import FACT_SESSIONS
from music_platform.tables.gold.fact_streams import FACT_STREAMS
from music_platform.tables.gold.level_funnel import LEVEL_FUNNEL, STAGES
from music_platform_tests.integration.druid.sample_day import ORIGIN
from music_platform_tests.integration.druid.served_gold import DAYS, HOURS, Served

pytestmark = pytest.mark.timeout(900)
_FROM, _TO = DAYS[0], "2026-11-03"


def gold(served: Served, contract: TableContract, *partitions: str) -> list[dict[str, Any]]:
    """The rows of gold of those partitions."""
    import pyarrow.parquet as pq

    from music_platform.lake.manifest import read_manifest

    rows: list[dict[str, Any]] = []
    for partition in partitions:
        found = read_manifest(served.lake.store, contract, partition)
        assert found is not None
        rows += [row for key in found[0].keys for row in pq.read_table(served.lake.store.open(key)).to_pylist()]
    return rows


def asked(served: Served, dataset: Dataset, column: str, metric: str, where: str = "TRUE") -> dict[str, float]:
    """A measure by a computed column, as Superset asks Druid for it."""
    expression = next((each.expression for each in dataset.computed if each.name == column), f'"{column}"')
    rows = served.druid.sql(
        f"SELECT {expression} AS band, {dataset.metric(metric).expression} AS measure FROM {dataset.datasource} "
        f"WHERE __time >= TIMESTAMP '{_FROM}' AND __time < TIMESTAMP '{_TO}' AND {where} GROUP BY 1",
        ORIGIN,
    )
    return {row["band"]: row["measure"] for row in rows}


def band(value: float, bounds: tuple[int, ...], unit: str) -> str:
    lower = 0
    for bound in bounds:
        if value < bound:
            return f"{lower} to {bound} {unit}"
        lower = bound
    return f"{lower} {unit} and more"


@pytest.fixture(scope="module")
def streams(served: Served) -> list[dict[str, Any]]:
    from music_platform.partitions import keys_in_range

    return gold(served, FACT_STREAMS, *keys_in_range(*HOURS))


def test_plays_by_weekday_and_hour(served: Served, streams: list[dict[str, Any]], running_druid: object) -> None:
    times = [row["event_time"] for row in streams]
    assert asked(served, STREAMS, "weekday", "plays") == Counter(time.strftime("%u %a") for time in times)
    assert asked(served, STREAMS, "hour_of_day", "plays") == Counter(time.strftime("%H") for time in times)


def test_session_lengths(served: Served, running_druid: object) -> None:
    lengths = [row["duration_seconds"] / 60 for row in gold(served, FACT_SESSIONS, *DAYS)]
    expected = Counter(band(length, SESSION_MINUTES, "min") for length in lengths)
    assert asked(served, SESSIONS, "length", "sessions") == expected
    places = asked(served, SESSIONS, "length", "length_place")
    assert sorted(places, key=lambda name: places[name]) == sorted(places, key=lambda name: int(name.split()[0]))


def test_where_songs_are_skipped(served: Served, streams: list[dict[str, Any]], running_druid: object) -> None:
    shares = [
        100 * row["played_seconds"] / row["duration_seconds"]
        for row in streams
        if row["is_skipped"] and row["played_seconds"] is not None
    ]
    found = asked(served, STREAMS, "skipped_after", "skips", '"is_skipped" = 1 AND "played_seconds" IS NOT NULL')
    assert found == Counter(band(share, SKIP_PERCENT, "%") for share in shares)
    assert found


def test_how_many_got_how_far(served: Served, running_druid: object) -> None:
    users = Counter[str]()
    for row in gold(served, LEVEL_FUNNEL, *DAYS):
        users[row["stage"]] += row["users"]
    assert asked(served, FUNNEL, "stage", "user_days") == users
    places = asked(served, FUNNEL, "stage", "stage_place")
    assert sorted(places, key=lambda stage: places[stage]) == list(STAGES)


def test_movers_of_the_week(served: Served, streams: list[dict[str, Any]], running_druid: object) -> None:
    now = datetime.now(UTC)
    expected = sum(
        (now - timedelta(days=7) <= row["event_time"] < now)
        - (now - timedelta(days=14) <= row["event_time"] < now - timedelta(days=7))
        for row in streams
    )
    assert sum(asked(served, STREAMS, "song", "change_of_week").values()) == expected
