"""Whatever lands late, twice or in another order: all gold tables end as if they were made of everything at once."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from music_platform.partitions import hours_of_day
from music_platform.settings import Settings
from music_platform_tests.assets.gold_oracle.comparing import require_equal
from music_platform_tests.assets.gold_oracle.history import History, days_between
from music_platform_tests.assets.gold_oracle.plans import CATALOGUE, Plan, make_plan
from music_platform_tests.assets.gold_oracle.rebuilding import Rebuilding, land
from music_platform_tests.assets.local_platform import LocalPlatform

_CSV_COLUMNS = {
    "artist_name": "artist", "title": "title", "duration": "duration_seconds", "track_id": "track_id", "release": "release",
    "year": "year", "artist_id": "artist_id", "artist_location": "location", "artist_latitude": "latitude",
    "artist_longitude": "longitude",
}  # fmt: skip


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of the plans' catalogue as a CSV file."""
    path = tmp_path_factory.mktemp("catalogue") / "songs.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_CSV_COLUMNS)
        writer.writerows([track[name] for name in _CSV_COLUMNS.values()] for track in CATALOGUE)
    return str(path)


def require_recomputed(platform: LocalPlatform, plan: Plan, days: Sequence[str]) -> None:
    require_equal(platform, History(plan.events, days, CATALOGUE if platform.settings.song_catalogue else ()))


# Examples take seconds: few, and a failing one is told by its seed instead of being made small.
@settings(
    max_examples=3,
    deadline=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    seed=st.integers(0, 2**32 - 1),
    days=st.integers(2, 3),
    sessions=st.integers(8, 12),
    steps=st.integers(2, 3),
    with_catalogue=st.booleans(),
)
def test_rebuilding_in_any_order_is_recomputing_everything(
    tmp_path_factory: pytest.TempPathFactory,
    catalogue: str,
    seed: int,
    days: int,
    sessions: int,
    steps: int,
    with_catalogue: bool,
) -> None:
    chance = random.Random(seed)
    plan = make_plan(chance, days=days, sessions=sessions, steps=steps)
    note(f"{plan!r}")
    settings = Settings(
        lake=str(tmp_path_factory.mktemp("recomputed") / "lake"), song_catalogue=catalogue if with_catalogue else ""
    )
    platform = LocalPlatform(settings)
    rebuilding = Rebuilding(platform)
    for step in plan.steps:
        rebuilding.take(step, chance)
    assert rebuilding.days == days_between(event.hour for event in plan.events)
    require_recomputed(platform, plan, rebuilding.days)


def test_runs_of_the_assets_end_in_what_recomputing_gives(tmp_path: Path, catalogue: str) -> None:
    """Two range runs of each tier, the second of what came late and of the days that follow from it."""
    chance = random.Random(20)
    plan = make_plan(chance, days=2, sessions=12, steps=2)
    days = days_between(event.hour for event in plan.events)
    platform = LocalPlatform(Settings(lake=str(tmp_path / "lake"), song_catalogue=catalogue))
    for number, step in enumerate(plan.steps):
        changed = land(platform, step, chunk=number)
        hours = sorted(changed) if number else [hour for day in days for hour in hours_of_day(day)]
        platform.run(hours[0], hours[-1])
        result = platform.run_day(days[0], days[-1])
        assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
    require_recomputed(platform, plan, days)
