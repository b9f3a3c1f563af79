"""The daily tier's condition, ticked: what makes which days stale, when they are requested, and in how few runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest

from music_platform.settings import Settings
from music_platform_tests.unit.orchestration.automation.small_tier import DAYS, EVERY_TABLE, SmallTier, day, hours


def new_tier(tmp_path: Path, **others: float) -> SmallTier:
    # What waits longest is requested at multiples of that wait since 1970: this one ends in 2033, whenever the tests run.
    values = {"daily_quiet_seconds": 60.0, "daily_longest_wait_seconds": 1e9, "daily_attempts": 3} | others
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS)
    return SmallTier(Settings(lake=str(tmp_path), start=start, **values))  # pyright: ignore[reportArgumentType]


@pytest.fixture
def tier(tmp_path: Path) -> SmallTier:
    """The last five days are made, and what they caused is done with."""
    tier = new_tier(tmp_path)
    tier.tick()
    for offset in range(-5, 0):
        tier.fill(hours(offset, 24))
    tier.fill(hours(0))
    tier.run(sorted(EVERY_TABLE), day(-5), day(0))
    tier.tick()
    assert tier.tick(61) == {}
    tier.now = datetime.now(UTC)
    return tier


@pytest.fixture
def eager_tier(tmp_path: Path) -> SmallTier:
    """A tier that waits for no quiet moment, with five days made."""
    tier = new_tier(tmp_path, daily_quiet_seconds=0)
    tier.sense()
    for offset in range(-5, 0):
        tier.fill(hours(offset, 24))
    tier.fill(hours(0))
    assert tier.settle() == [(day(-5), day(0), EVERY_TABLE)]  # the backlog is one run
    return tier


def test_an_hour_makes_its_day_and_what_looks_at_it_stale(tier: SmallTier) -> None:
    tier.fill(hours(-3))
    tier.tick()
    assert tier.tick(60) == {
        "plays": {day(-4), day(-3)},
        "sessions": {day(offset) for offset in (-5, -4, -3, -2)},
        "users": {day(-3)},
        "summary": {day(-4), day(-3)},
    }
    assert tier.tick() == {}


def test_the_current_day_is_made_of_the_hours_there_are(tier: SmallTier) -> None:
    tier.fill(hours(0))
    tier.tick()
    requested = tier.tick(60)
    assert requested["users"] == {day(0)}
    assert requested["plays"] == {day(-1), day(0)}


def test_a_day_waits_until_the_hours_since_the_day_before_are_there(tmp_path: Path) -> None:
    """The newest hour goes first where others wait: those between come after it, as empty ones if nothing happened."""
    tier = new_tier(tmp_path)
    tier.tick()
    for offset in range(-5, -1):
        tier.fill(hours(offset, 24))
    tier.run(sorted(EVERY_TABLE), day(-5), day(-2))
    tier.tick()
    tier.tick(61)
    tier.now = datetime.now(UTC)
    tier.fill(hours(-1, 18)[17:])
    tier.tick()
    assert all(day(-1) not in days for days in tier.tick(61).values())
    tier.fill(hours(-1, 17))
    tier.tick()
    assert tier.tick(61)["users"] == {day(-1)}


def test_nothing_is_requested_before_the_quiet_moment(tier: SmallTier) -> None:
    tier.fill(hours(-2))
    assert tier.tick(15) == {}
    tier.fill(hours(-2))
    assert tier.tick(30) == {}
    assert tier.tick(20)["users"] == {day(-2)}


def test_hours_that_keep_changing_delay_a_day_only_so_long(tmp_path: Path) -> None:
    tier = new_tier(tmp_path, daily_quiet_seconds=7200, daily_longest_wait_seconds=900)
    tier.tick()
    tier.fill(hours(-1))
    assert tier.tick(1) == {} or tier.now.timestamp() % 900 < 1
    assert tier.tick(900)["users"] == {day(-1)}


def test_an_update_between_request_and_run_is_not_lost(tier: SmallTier) -> None:
    tier.fill(hours(-2))
    tier.tick()
    assert tier.tick(60)["users"] == {day(-2)}
    tier.fill(hours(-2))
    tier.run(["plays", "users", "summary", "sessions"], day(-4), day(-1))
    tier.tick()
    assert day(-2) in tier.tick(3600)["users"]


def test_late_data_reaches_every_later_day_of_what_carries_forward_in_two_runs(eager_tier: SmallTier) -> None:
    eager_tier.fill(hours(-4))
    assert eager_tier.settle() == [
        (day(-5), day(-3), EVERY_TABLE),
        (day(-2), day(0), {"users", "summary"}),
    ]
    assert eager_tier.settle() == []


def test_two_days_of_backlog_are_one_run(eager_tier: SmallTier) -> None:
    eager_tier.fill([*hours(-1, 24), *hours(0)])
    assert eager_tier.settle() == [(day(-4), day(0), EVERY_TABLE)]


def test_days_far_apart_are_runs_of_their_own(tmp_path: Path) -> None:
    tier = new_tier(tmp_path, daily_quiet_seconds=0)
    for offset in range(-20, 0):
        tier.fill(hours(offset, 24))
    tier.settle()
    tier.fill(hours(-2))
    tier.fill(hours(-15))
    requests = tier.sense()
    assert [request.tags["dagster/asset_partition_range_start"] for request in requests] == [day(-18), day(-5)]


def test_a_run_by_hand_of_one_day_reaches_the_days_around_it(eager_tier: SmallTier) -> None:
    eager_tier.run(sorted(EVERY_TABLE), day(-3), day(-3))
    runs = eager_tier.settle()
    assert {first for first, _, _ in runs} | {last for _, last, _ in runs} >= {day(-5), day(0)}
    assert eager_tier.settle() == []


def test_a_failing_table_is_tried_a_bounded_number_of_times(tier: SmallTier, tmp_path: Path) -> None:
    (tmp_path / "users").touch()
    tier.fill(hours(-1))
    tries = 0
    for _ in range(50):
        requested = tier.tick(60)
        if "users" in requested:
            tries += 1
            assert not tier.run(["users"], day(-1), day(-1))
        for table in requested.keys() - {"users", "summary"}:
            days = sorted(requested[table])
            tier.run([table], days[0], days[-1])
    assert tries == 3
    tier.fill(hours(-1))  # new data alone starts no more
    assert "users" not in {table for _ in range(10) for table in tier.tick(60)}

    (tmp_path / "users").unlink()
    assert tier.run(["users"], day(-1), day(-1))
    tier.tick()
    tier.fill(hours(-1))
    tier.tick()
    assert day(-1) in tier.tick(3600)["users"]


def test_attempts_wait_longer_each_time(tier: SmallTier, tmp_path: Path) -> None:
    (tmp_path / "users").touch()
    tier.fill(hours(-1))
    tier.tick(0)
    tried: list[float] = []
    for second in range(0, 900, 30):
        if "users" in tier.tick(30):
            tried.append(second)
            tier.run(["users"], day(-1), day(-1))
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert len(pauses) == 2
    assert pauses[0] < pauses[1]


def test_nothing_is_requested_while_it_or_its_input_is_made(tier: SmallTier) -> None:
    job = tier.definitions.resolve_implicit_global_asset_job_def()
    for table, partition in (("events", hours(-1)[0]), ("users", day(-1))):
        running = tier.instance.create_run_for_job(
            job.get_subset(asset_selection={dg.AssetKey(table)}),
            tags={"dagster/partition": partition},
            asset_selection=frozenset({dg.AssetKey(table)}),
            status=dg.DagsterRunStatus.STARTED,
        )
        tier.fill(hours(-1, 3)[2:])
        tier.tick()
        assert day(-1) not in tier.tick(60).get("users", set())
        tier.instance.report_run_canceled(running)
    tier.tick()
    assert day(-1) in tier.tick(60)["users"]


def test_a_day_waits_for_an_hour_that_is_missing_between_others(tier: SmallTier) -> None:
    tier.fill([f"{day(-8)}-03:00"])
    tier.fill([f"{day(-8)}-05:00"])
    tier.tick()
    assert day(-8) not in tier.tick(60).get("users", set())
    tier.fill([f"{day(-8)}-04:00"])
    tier.tick()
    assert day(-8) in tier.tick(60)["users"]


def test_a_day_waits_for_the_day_that_it_carries_forward(tmp_path: Path) -> None:
    tier = new_tier(tmp_path, daily_quiet_seconds=0)
    tier.tick()
    tier.fill(hours(-4, 24))
    tier.run(["users"], day(-4), day(-4))
    tier.fill(hours(-2, 24))
    tier.tick()
    assert day(-2) not in tier.tick(60).get("users", set())
    tier.fill(hours(-3, 24))
    assert tier.tick(60)["users"] == {day(-3), day(-2)}


def test_days_before_the_first_event_are_never_requested(tmp_path: Path) -> None:
    tier = new_tier(tmp_path, daily_quiet_seconds=0)
    tier.tick()
    tier.fill(hours(-3, 24))
    requested = tier.tick(60)
    assert requested["sessions"] == {day(-3)}
    assert requested["users"] == {day(-3)}


def test_what_was_there_before_the_sensor_was_is_made(tmp_path: Path) -> None:
    tier = new_tier(tmp_path)
    tier.fill(hours(-2, 24))
    tier.now = datetime.now(UTC)
    assert tier.tick(61)["users"] == {day(-2)}
