"""What the landing sensor decides: when an hour is run, which hours share a run, and what becomes of runs that fail."""

from __future__ import annotations

from datetime import timedelta

import pytest

from music_platform.landing.watch.landed_hours import NO_OBJECTS
from music_platform.landing.watch.plan import (
    MOST_HOURS_A_TICK,
    MOST_KEPT_BEYOND_WINDOW,
    MOST_OPEN_REQUESTS,
    RETRIES,
    Plan,
    RunState,
)
from music_platform_tests.unit.landing.watch.landing_world import FIRST_HOUR, RULES, World, hour_key

_OLD = timedelta(hours=1)


def _hours(decided: Plan) -> list[tuple[str, ...]]:
    return [request.hours for request in decided.requests]


def _world_with(*numbers: int) -> World:
    """Objects that have lain there for a while."""
    world = World()
    for number in numbers:
        world.land(hour_key(number), written=world.now - _OLD)
    return world


def test_an_hour_is_run_once_for_what_it_holds() -> None:
    world = _world_with(5)
    [request] = world.tick().requests
    assert request.hours == (hour_key(5),)
    assert request.changed == {hour_key(5): ["listen_events"]}
    assert request.run_key.startswith(f"{hour_key(5)} ")
    world.finish_runs()
    assert _hours(world.tick()) == []
    world.wait(10_000)
    assert _hours(world.tick()) == []


def test_the_current_hour_passes_a_backlog_and_goes_with_the_hour_before() -> None:
    current = 30
    for backlog, expected in (
        ([29], [(29, 30)]),
        ([24, 25, 26, 27, 28, 29], [(30,), (24, 25, 26, 27), (28, 29)]),
    ):
        decided = _world_with(*backlog, current).tick()
        assert _hours(decided) == [tuple(map(hour_key, hours)) for hours in expected]
        assert [request.is_current for request in decided.requests] == [current in hours for hours in expected]


@pytest.mark.parametrize("name", ["a", "b"], ids=["rewritten", "added in the same second"])
def test_an_hour_that_changed_is_run_again(name: str) -> None:
    world = _world_with(5)
    moment = world.now - _OLD
    world.tick()
    world.finish_runs()
    world.land(hour_key(5), name, "2", written=moment)
    assert _hours(world.tick()) == [(hour_key(5),)]


def test_the_same_object_uploaded_again_runs_nothing() -> None:
    world = _world_with(5)
    world.tick()
    world.finish_runs()
    world.land(hour_key(5))
    assert _hours(world.tick()) == []
    assert world.cursor.waiting == {}


def test_an_hour_whose_objects_vanished_is_run_as_empty() -> None:
    world = _world_with(5)
    world.tick()
    world.finish_runs()
    world.vanish(hour_key(5))
    world.tick()
    world.wait(RULES.quiet_seconds)
    assert _hours(world.tick()) == [(hour_key(5),)]
    world.finish_runs()
    assert world.published[hour_key(5)] == NO_OBJECTS


def test_content_that_comes_back_is_run_again() -> None:
    world = _world_with(5)
    keys = []
    for etag in ("1", "2", "1", "2"):
        world.land(hour_key(5), etag=etag, written=world.now - _OLD)
        keys += [request.run_key for request in world.tick().requests]
        world.finish_runs()
    assert len(set(keys)) == 4
    assert world.published[hour_key(5)] == world.listed(hour_key(5)).content


def test_an_hour_waits_until_it_is_quiet() -> None:
    world = World()
    requested_after = []
    for second in range(0, 60, 5):
        if second <= 20:
            world.land(hour_key(30), f"object {second}")
        if world.tick().requests:
            requested_after.append(second)
        world.finish_runs()
        world.wait(5)
    assert requested_after == [20 + RULES.quiet_seconds]


def test_an_hour_that_never_rests_is_run_now_and_then() -> None:
    world = World()
    requested_after = []
    for second in range(0, 600, 10):
        world.land(hour_key(30), f"object {second}")
        if world.tick().requests:
            requested_after.append(second)
        world.finish_runs()
        world.wait(10)
    # The object that comes with the tick of a request begins the next wait at the tick after.
    assert requested_after == [120, 250, 380, 510]


@pytest.mark.parametrize("ahead", [0, 3600], ids=["right", "ahead of ours"])
def test_the_stores_clock_cannot_hold_an_hour_back(ahead: int) -> None:
    world = World()
    world.land(hour_key(30), written=world.now + timedelta(seconds=ahead))
    assert _hours(world.tick()) == []
    world.wait(RULES.quiet_seconds)
    assert _hours(world.tick()) == [(hour_key(30),)]


def test_a_clock_that_was_set_back_cannot_hold_an_hour_back() -> None:
    world = World()
    world.land(hour_key(28))
    world.tick()
    world.wait(-3600)
    world.tick()
    world.wait(RULES.quiet_seconds)
    assert _hours(world.tick()) == [(hour_key(28),)]


def test_hours_in_a_row_share_a_run_up_to_the_limit() -> None:
    world = _world_with(*range(2, 8), 20)
    assert _hours(world.tick()) == [
        tuple(map(hour_key, range(2, 6))),
        tuple(map(hour_key, range(6, 8))),
        (hour_key(20),),
    ]


def test_hours_that_did_not_change_are_in_no_range() -> None:
    world = _world_with(*range(10))
    world.tick()
    world.finish_runs()
    for number in (3, 4, 6):
        world.land(hour_key(number), "late", written=world.now - _OLD)
    assert _hours(world.tick()) == [(hour_key(3), hour_key(4)), (hour_key(6),)]


def test_empty_hours_between_others_are_run_and_those_around_are_not() -> None:
    world = _world_with(10, 13)
    hours = [hour_key(number) for number in range(31)]
    assert _hours(world.tick(hours)) == [tuple(hour_key(number) for number in range(10, 14))]
    world.finish_runs()
    assert _hours(world.tick(hours)) == []


def test_a_gap_that_was_not_listed_is_listed_next() -> None:
    world = _world_with(10, 12)
    assert _hours(world.tick()) == [(hour_key(10),), (hour_key(12),)]
    assert set(world.cursor.waiting) == {hour_key(11)}
    assert _hours(world.tick([hour_key(11)])) == [(hour_key(11),)]


def test_an_hour_is_not_run_beside_its_run() -> None:
    world = _world_with(5)
    world.tick()
    world.begin_run()
    world.land(hour_key(5), "late", written=world.now - _OLD)
    world.wait(300)
    assert _hours(world.tick()) == []
    world.end_run()
    assert _hours(world.tick()) == [(hour_key(5),)]
    world.finish_runs()
    assert world.published[hour_key(5)] == world.listed(hour_key(5)).content


def test_a_failed_run_is_tried_again_and_then_left_for_a_person() -> None:
    world = _world_with(5)
    world.tick()
    tried_after = []
    for second in range(0, 3600, 20):
        world.begin_run()
        world.end_run(RunState.FAILED)
        if world.tick().requests:
            tried_after.append(second)
        world.wait(20)
    assert tried_after == [60, 320, 1300]
    assert len(world.runs) == 1 + RETRIES
    assert world.cursor.failed[hour_key(5)].is_left


def test_a_clock_that_was_set_back_ends_the_pause_before_a_retry() -> None:
    world = _world_with(5)
    world.tick()
    world.begin_run()
    world.end_run(RunState.FAILED)
    world.tick()
    world.wait(-7200)
    assert _hours(world.tick()) == [(hour_key(5),)]


def test_a_failed_hour_that_changes_begins_anew() -> None:
    world = _world_with(5)
    world.tick()
    for _ in range(200):
        world.begin_run()
        world.end_run(RunState.FAILED)
        world.tick()
        world.wait(20)
    world.land(hour_key(5), "mended", written=world.now - _OLD)
    assert _hours(world.tick()) == [(hour_key(5),)]
    assert world.cursor.failed == {}


def test_a_failed_range_is_tried_again_hour_by_hour() -> None:
    world = _world_with(5, 6, 7)
    world.tick()
    world.begin_run()
    world.end_run(RunState.FAILED)
    world.tick()
    world.wait(60)
    assert _hours(world.tick()) == [(hour_key(5),), (hour_key(6),), (hour_key(7),)]
    world.finish_runs()
    world.tick()
    assert world.cursor.failed == {}


def test_a_cancelled_run_does_not_come_back() -> None:
    world = _world_with(5)
    world.tick()
    world.begin_run()
    world.end_run(RunState.CANCELED)
    world.tick()
    world.wait(10_000)
    assert _hours(world.tick()) == []
    assert world.cursor.failed[hour_key(5)].is_left


def test_a_request_that_was_never_submitted_is_made_again() -> None:
    world = _world_with(5)
    world.cursor = world.decide().cursor  # the sensor was stopped before it had submitted all
    assert _hours(world.tick()) == []
    world.wait(60)
    assert _hours(world.tick()) == [(hour_key(5),)]


def test_an_hour_that_has_not_begun_is_held_until_it_does() -> None:
    world = _world_with(32)
    decided = world.tick()
    assert (decided.requests, decided.future) == ([], [hour_key(32)])
    world.now = FIRST_HOUR + timedelta(hours=32, minutes=1)
    decided = world.tick()
    assert (_hours(decided), decided.future) == ([(hour_key(32),)], [])


def test_an_hour_before_all_partitions_is_reported_and_not_run() -> None:
    world = _world_with(-2)
    decided = world.tick()
    assert (decided.requests, decided.before_start) == ([], [hour_key(-2)])


def test_a_backlog_is_worked_off_in_bounded_steps() -> None:
    world = _world_with(*range(0, 30, 2))
    world.now += timedelta(hours=200)
    for number in range(40, 230, 2):
        world.land(hour_key(number), written=world.now - _OLD)
    hours = list(world.objects)
    most_at_once, most_hours = 0, 0
    for _ in range(100):
        decided = world.tick(hours)
        most_at_once = max(most_at_once, len(decided.cursor.open))
        most_hours = max(most_hours, sum(map(len, _hours(decided))))
        world.finish_runs()
    assert most_at_once <= MOST_OPEN_REQUESTS
    assert most_hours <= MOST_HOURS_A_TICK
    assert {hour for hour in hours if world.published.get(hour)} == set(hours)


def test_hours_beyond_the_window_are_forgotten_but_for_the_last() -> None:
    world = World()
    hours = [hour_key(number) for number in range(400)]
    for start in range(0, 400, 4):
        world.now = FIRST_HOUR + timedelta(hours=start + 5)
        for hour in hours[start : start + 4]:
            world.land(hour, written=world.now - _OLD)
        world.tick(hours[start : start + 4])
        world.finish_runs()
    world.tick([])
    window = RULES.window_start(world.now)
    beyond = [hour for hour in world.cursor.handled if hour < window.strftime("%Y-%m-%d-%H:%M")]
    assert len(beyond) == MOST_KEPT_BEYOND_WINDOW
    assert beyond == sorted(hours)[len(hours) - len(world.cursor.handled) :][: len(beyond)]
