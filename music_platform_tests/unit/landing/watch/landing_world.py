"""A small world for the landing sensor's decisions: landed objects, runs that take their time, a clock, and crashes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from music_platform.lake.stored_objects import StoredObject
from music_platform.landing.watch.cursor import LandingCursor
from music_platform.landing.watch.landed_hours import LandedHour, LandedObjects
from music_platform.landing.watch.plan import Plan, Request, Rules, RunState, plan
from music_platform.partitions import key_of_hour

FIRST_HOUR = datetime(2026, 11, 20, tzinfo=UTC)
RULES = Rules(
    first_hour=FIRST_HOUR, window_hours=72, quiet_seconds=20, longest_wait_seconds=120, range_hours=4
)  # fmt: skip


def hour_key(number: int) -> str:
    """The key of an hour, counted from the first that has a partition."""
    return key_of_hour(FIRST_HOUR + timedelta(hours=number))


@dataclass
class World:
    """Objects by hour, each with an entity tag and the moment of its writing; runs one after another, as in their pool.

    A run sees an hour as it is when the run begins, and publishes that when it succeeds.
    """

    now: datetime = FIRST_HOUR + timedelta(hours=30)
    cursor: LandingCursor = field(default_factory=LandingCursor)
    objects: dict[str, dict[str, tuple[str, datetime]]] = field(default_factory=dict)
    runs: dict[str, RunState] = field(default_factory=dict)
    hours_of_run: dict[str, tuple[str, ...]] = field(default_factory=dict)
    queue: list[str] = field(default_factory=list)
    running: tuple[str, dict[str, str]] | None = None
    published: dict[str, str] = field(default_factory=dict)

    def land(self, hour: str, name: str = "a", etag: str = "1", *, written: datetime | None = None) -> None:
        self.objects.setdefault(hour, {})[name] = (etag, written or self.now)

    def vanish(self, hour: str) -> None:
        self.objects.get(hour, {}).clear()

    def listed(self, hour: str) -> LandedHour:
        found = [
            StoredObject(name, 1, etag, written) for name, (etag, written) in sorted(self.objects.get(hour, {}).items())
        ]
        return LandedHour({"listen_events": LandedObjects.of(found)} if found else {})

    def decide(self, hours: list[str] | None = None) -> Plan:
        """What a tick would do that lists these hours, by default all that there ever were."""
        listed = {hour: self.listed(hour) for hour in (self.objects if hours is None else hours)}
        return plan(self.cursor, listed, self.now, lambda key: self.runs.get(key, RunState.MISSING), RULES)

    def submit(self, requests: list[Request]) -> None:
        """As Dagster does: a key that there is already is dropped."""
        for request in requests:
            if request.run_key not in self.runs:
                self.runs[request.run_key] = RunState.IN_PROGRESS
                self.hours_of_run[request.run_key] = request.hours
                self.queue.append(request.run_key)

    def tick(self, hours: list[str] | None = None) -> Plan:
        """A whole tick: requests submitted, memory kept."""
        decided = self.decide(hours)
        self.submit(decided.requests)
        self.cursor = LandingCursor.from_json(decided.cursor.to_json())
        return decided

    def begin_run(self) -> None:
        if self.running is None and self.queue:
            key = self.queue.pop(0)
            self.running = key, {hour: self.listed(hour).content for hour in self.hours_of_run[key]}

    def end_run(self, state: RunState = RunState.SUCCEEDED) -> None:
        if self.running is not None:
            key, seen = self.running
            self.running = None
            self.runs[key] = state
            if state is RunState.SUCCEEDED:
                self.published |= seen

    def finish_runs(self) -> None:
        while self.running or self.queue:
            self.begin_run()
            self.end_run()

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
