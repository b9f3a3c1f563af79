"""Whatever lands, whatever crashes and whatever the clock does: in the end every hour was run as it finally is."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from music_platform.landing.watch.landed_hours import NO_OBJECTS
from music_platform.landing.watch.plan import MOST_OPEN_REQUESTS, RETRIES, RunState
from music_platform_tests.unit.landing.watch.landing_world import FIRST_HOUR, World, hour_key

_HOURS = st.sampled_from([0, 1, 2, 3, 28, 29, 30]).map(hour_key)  # few, so that much happens to each
_MOST_TICKS_TO_THE_END = 80  # the last retry comes after some twenty minutes
_ALL_HOURS = [hour_key(number) for number in range(48)]


class LandingMachine(RuleBasedStateMachine):
    """Events in any order, then a quiet end."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.has_crashed = False

    @rule(hour=_HOURS, name=st.sampled_from("ab"), etag=st.sampled_from("12"), age=st.sampled_from([0, 30, 10_000]))
    def land_or_rewrite(self, hour: str, name: str, etag: str, age: int) -> None:
        self.world.land(hour, name, etag, written=self.world.now - timedelta(seconds=age))

    @rule(hour=_HOURS)
    def vanish(self, hour: str) -> None:
        self.world.vanish(hour)

    @rule(seconds=st.sampled_from([1, 10, 60, 600]))
    def pass_time(self, seconds: int) -> None:
        self.world.wait(seconds)

    @rule(seconds=st.sampled_from([30, 600, 7200]))
    def set_clock_back(self, seconds: int) -> None:
        self.world.wait(-seconds)

    @rule()
    def tick(self) -> None:
        requested = [hour for request in self.world.tick(_ALL_HOURS).requests for hour in request.hours]
        assert len(requested) == len(set(requested)), "an hour was requested twice at once"

    @rule()
    def get_on(self) -> None:
        """What usually happens."""
        self.world.wait(150)
        self.tick()
        self.world.finish_runs()

    @rule(hours=st.lists(_HOURS, max_size=5))
    def tick_that_runs_out_of_time(self, hours: list[str]) -> None:
        self.world.tick(hours)

    @rule()
    def die_before_the_request(self) -> None:
        self.world.decide(_ALL_HOURS)

    @rule()
    def die_between_request_and_cursor(self) -> None:
        self.world.submit(self.world.decide(_ALL_HOURS).requests)
        self.has_crashed = True

    @rule()
    def begin_run(self) -> None:
        self.world.begin_run()

    @rule(state=st.sampled_from([RunState.SUCCEEDED, RunState.SUCCEEDED, RunState.FAILED, RunState.MISSING]))
    def end_run(self, state: RunState) -> None:
        self.world.end_run(state)

    @invariant()
    def no_hour_has_two_runs_at_once(self) -> None:
        waiting = [hour for key, state in self.world.runs.items() if state is RunState.IN_PROGRESS
                   for hour in self.world.hours_of_run[key]]  # fmt: skip
        assert self.has_crashed or len(waiting) == len(set(waiting))

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.world.cursor.open) <= MOST_OPEN_REQUESTS
        assert len(self.world.cursor.to_json()) < 12_000

    def teardown(self) -> None:
        """Nothing happens any more, the clock is right, and runs succeed."""
        world = self.world
        world.now = max(world.now, FIRST_HOUR + timedelta(hours=31))
        for _ in range(_MOST_TICKS_TO_THE_END):
            cursor = world.tick(_ALL_HOURS).cursor
            if not (cursor.waiting or cursor.open or any(not failure.is_left for failure in cursor.failed.values())):
                break
            world.finish_runs()
            world.wait(150)
        cursor = world.cursor
        left = {hour for hour, failure in cursor.failed.items() if failure.is_left}
        assert not cursor.waiting
        assert not cursor.open
        assert set(cursor.failed) == left
        assert all(cursor.failed[hour].attempts == RETRIES + 1 for hour in left)
        # What a crash made the sensor forget, and what then vanished whole, it cannot know of: the hour looks as if nothing
        # had ever come. Dagster resumes a tick that was cut short, so that this takes a daemon that is down for a day.
        unknown = {hour for hour in world.objects if self.has_crashed and not world.listed(hour).objects} - set(
            cursor.handled
        )
        for hour in set(world.objects) - left - unknown:
            assert world.published.get(hour, NO_OBJECTS) == world.listed(hour).content, (
                f"{hour} is not what landed last"
            )
        runs = len(world.runs)
        world.wait(1000)
        world.tick(_ALL_HOURS)
        assert len(world.runs) == runs, "a run where nothing changed"


TestLanding = LandingMachine.TestCase
TestLanding.settings = hypothesis_settings(max_examples=100, stateful_step_count=40, deadline=None)
