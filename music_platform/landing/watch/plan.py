"""The landing sensor's decisions: pure functions of cursor, listing, clock and the state of runs.

Nothing here lists, asks Dagster or reads the clock. landing_requests.py turns requests into runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from music_platform.landing.watch.cursor import FailedHour, LandingCursor, OpenRequest, Waiting
from music_platform.landing.watch.landed_hours import NO_OBJECTS, LandedHour, kinds_that_differ
from music_platform.partitions import contiguous_ranges, key_of_hour, keys_in_range

MOST_OPEN_REQUESTS = 16
MOST_HOURS_A_TICK = 96  # each is reported with up to five events
MOST_KEPT_BEYOND_WINDOW = 240
MOST_FAILED_HOURS = 240
RETRIES = 3
_LEAST_BACKLOG_HOURS = 3  # the hour that just ended goes with the current one
_FIRST_RETRY_SECONDS = 60.0
_RETRY_FACTOR = 4
_LONGEST_CLOCK_ERROR = timedelta(days=2)


class RunState(Enum):
    """The state of a request's newest run."""

    IN_PROGRESS = auto()  # or queued, or about to be retried by Dagster
    SUCCEEDED = auto()
    FAILED = auto()
    CANCELED = auto()
    MISSING = auto()  # deleted, or the sensor was stopped before it was submitted


@dataclass(frozen=True)
class Rules:
    """The settings that decisions follow."""

    first_hour: datetime
    window_hours: int
    quiet_seconds: float
    longest_wait_seconds: float
    range_hours: int

    def window_start(self, now: datetime) -> datetime:
        """The first hour of the window: whole days, not before the first partition."""
        day = (now - timedelta(hours=self.window_hours)).replace(hour=0, minute=0, second=0, microsecond=0)
        return max(day, self.first_hour)


@dataclass(frozen=True)
class Request:
    """A run to request, of consecutive hours. ``changed`` names the kinds that differ, hour by hour.

    ``is_current`` if the unfinished hour is among them: it does not wait behind a backlog.
    """

    run_key: str
    hours: tuple[str, ...]
    changed: Mapping[str, list[str]]
    is_current: bool = False


@dataclass(frozen=True)
class Plan:
    """What a tick decided: requests, and the cursor that belongs to exactly these requests.

    ``future`` are hours with objects that have not begun yet, ``before_start`` those before the first partition.
    """

    cursor: LandingCursor
    requests: list[Request] = field(default_factory=list)
    future: list[str] = field(default_factory=list)
    before_start: list[str] = field(default_factory=list)


def plan(
    cursor: LandingCursor,
    listed: Mapping[str, LandedHour],
    now: datetime,
    run_state: Callable[[str], RunState],
    rules: Rules,
    *,
    unlisted: Collection[str] = (),
    remade: Collection[str] = (),
) -> Plan:
    """Decide one tick.

    ``listed`` are the hours as listed now. ``unlisted`` are changed hours that are still to be listed. ``remade`` are failed
    hours that another run materialized since.
    """
    moment = round(now.timestamp(), 1)
    window = _Window(rules.window_start(now), now, rules.first_hour)
    open_requests, failed = _settle(cursor, moment, run_state, remade)
    partitions = {hour: landed for hour, landed in listed.items() if window.is_partition(hour)}
    handled = dict(cursor.handled)
    waiting = _wait(cursor.waiting, handled, partitions, unlisted, window, moment)

    busy = {hour for request in open_requests for hour in request.hours}
    ready = [
        hour
        for hour in waiting
        if hour in partitions
        and hour not in busy
        # An empty hour between others is over.
        and (_is_quiet(waiting[hour], partitions[hour], moment, rules) or _is_gap(hour, handled, partitions))
    ]
    retried = [hour for hour in failed if hour not in busy | waiting.keys() and _is_retried(failed[hour], moment)]
    # A failed range is tried again hour by hour, so that one bad hour does not block the others.
    groups = [*_ranges_of_ready(ready, window, rules.range_hours), *([hour] for hour in sorted(retried))]
    requests: list[Request] = []
    for hours in _affordable(groups, MOST_OPEN_REQUESTS - len(open_requests)):
        contents = {hour: partitions[hour].content if hour in waiting else handled[hour] for hour in hours}
        changed = {hour: kinds_that_differ(handled.get(hour, NO_OBJECTS), contents[hour]) for hour in hours}
        run_key = _run_key(contents, cursor.sequence + len(requests) + 1)
        request = Request(run_key, tuple(hours), changed, is_current=window.current_key in hours)
        requests.append(request)
        open_requests.append(OpenRequest(request.run_key, request.hours))
        for hour in hours:
            if waiting.pop(hour, None) is not None:
                failed.pop(hour, None)  # new content begins with all its attempts
            handled.pop(hour, None)  # the newest stands last
            handled[hour] = contents[hour]

    failed = dict(sorted(failed.items(), key=lambda item: item[1].failed_at)[-MOST_FAILED_HOURS:])
    kept = {hour for request in open_requests for hour in request.hours} | failed.keys()
    after = replace(
        cursor,
        sequence=cursor.sequence + len(requests),
        handled=_within_bounds(handled, kept, window),
        waiting=waiting,
        open=tuple(open_requests),
        failed=failed,
    )
    return Plan(after, requests, *_held(listed, handled, window))


@dataclass(frozen=True)
class _Window:
    """The hours that a tick looks at."""

    start: datetime
    now: datetime
    first_hour: datetime

    @property
    def first_key(self) -> str:
        return key_of_hour(self.start)

    @property
    def current_key(self) -> str:
        return key_of_hour(self.now.replace(minute=0, second=0, microsecond=0))

    def is_partition(self, hour: str) -> bool:
        return key_of_hour(self.first_hour) <= hour <= self.current_key

    def is_remembered(self, hour: str) -> bool:
        """A clock that is ahead for a while must not make the sensor forget anything."""
        return self.first_key <= hour <= key_of_hour(self.now + _LONGEST_CLOCK_ERROR)


def _settle(
    cursor: LandingCursor, moment: float, run_state: Callable[[str], RunState], remade: Collection[str]
) -> tuple[list[OpenRequest], dict[str, FailedHour]]:
    """The requests that are still open and the hours that failed, from the state of the runs."""
    still_open: list[OpenRequest] = []
    failed = {hour: failure for hour, failure in cursor.failed.items() if hour not in remade}
    for request in cursor.open:
        state = run_state(request.run_key)
        if state is RunState.IN_PROGRESS:
            still_open.append(request)
            continue
        for hour in request.hours:
            before = failed.pop(hour, None)
            if state is not RunState.SUCCEEDED:
                attempts = 1 if before is None else before.attempts + 1
                # Whoever cancels a run does not want it to come back.
                failed[hour] = FailedHour(attempts, moment, state is RunState.CANCELED or attempts > RETRIES)
    return still_open, failed


def _wait(
    before: Mapping[str, Waiting],
    handled: Mapping[str, str],
    listed: Mapping[str, LandedHour],
    unlisted: Collection[str],
    window: _Window,
    moment: float,
) -> dict[str, Waiting]:
    """The hours that differ from what was handled, each with the time of its last change."""
    gaps = _gaps(handled, listed, window)
    waiting = dict(before)
    for hour, landed in listed.items():
        content, since = landed.content, waiting.pop(hour, None)
        if content == handled.get(hour, NO_OBJECTS) and hour not in gaps:
            continue
        # A clock that was set back starts the wait again, which the longest wait bounds.
        changed_since = _first_change(landed, moment) if since is None else min(since.changed_since, moment)
        unchanged_since = moment
        if since is not None and since.content == content:
            unchanged_since = min(since.unchanged_since, moment)
        waiting[hour] = Waiting(content, unchanged_since, changed_since)
    for hour in sorted({*gaps, *filter(window.is_partition, unlisted)} - listed.keys()):
        waiting.setdefault(hour, Waiting("", moment, moment))
    return waiting


def _first_change(landed: LandedHour, moment: float) -> float:
    """When a newly changed hour was last changed: by the store's clock, unless that is ahead."""
    return landed.newest if landed.newest is not None and landed.newest <= moment else moment


def _gaps(handled: Mapping[str, str], listed: Mapping[str, LandedHour], window: _Window) -> set[str]:
    """Hours of the window that were never handled, between others that were or that hold objects.

    They are run as well, though they may be empty: an hour without events is an empty partition, not a missing one.
    """
    known = {hour for hour in handled if window.first_key <= hour <= window.current_key}
    known |= {hour for hour, landed in listed.items() if landed.objects and hour >= window.first_key}
    return set(keys_in_range(min(known), max(known))) - handled.keys() if known else set()


def _is_gap(hour: str, handled: Mapping[str, str], listed: Mapping[str, LandedHour]) -> bool:
    return hour not in handled and not listed[hour].objects


def _is_quiet(waiting: Waiting, landed: LandedHour, moment: float, rules: Rules) -> bool:
    """Whether no object arrived for a while, or objects kept arriving for so long that the hour runs anyway."""
    # The store's clock shows a quiet time that began before the sensor looked, unless that clock is ahead.
    written = landed.newest if landed.newest is not None and landed.newest <= moment else waiting.unchanged_since
    quiet_since = min(waiting.unchanged_since, written)
    return moment - quiet_since >= rules.quiet_seconds or moment - waiting.changed_since >= rules.longest_wait_seconds


def _is_retried(failure: FailedHour, moment: float) -> bool:
    pause = _FIRST_RETRY_SECONDS * _RETRY_FACTOR ** (failure.attempts - 1)
    return not failure.is_left and not 0 <= moment - failure.failed_at < pause  # a clock set back ends the pause


def _ranges_of_ready(ready: Collection[str], window: _Window, most_hours: int) -> list[list[str]]:
    """The ready hours as ranges; with a backlog the current hour is first and alone."""
    if window.current_key not in ready or len(ready) < _LEAST_BACKLOG_HOURS:
        return _ranges(ready, most_hours)
    return [[window.current_key], *_ranges([hour for hour in ready if hour != window.current_key], most_hours)]


def _ranges(hours: Collection[str], most_hours: int) -> list[list[str]]:
    """Hours as ranges without gaps. Gaps are not filled: an unchanged hour may cost a minute, another run only seconds."""
    return [group[start : start + most_hours] for group in contiguous_ranges(hours)
            for start in range(0, len(group), most_hours)]  # fmt: skip


def _affordable(groups: list[list[str]], most: int) -> list[list[str]]:
    """The first groups that a tick may request; the others keep waiting."""
    taken: list[list[str]] = []
    for group in groups[: max(most, 0)]:
        if taken and sum(map(len, taken)) + len(group) > MOST_HOURS_A_TICK:
            break
        taken.append(group)
    return taken


def _run_key(contents: Mapping[str, str], sequence: int) -> str:
    """Hours, a digest of what they hold, and the request's number.

    Repeating a tick gives the same key, which Dagster drops. The number distinguishes a later request of the same content: an
    hour may return to its earlier content, and a failed run is requested again.
    """
    hours = list(contents)
    digest = hashlib.blake2b("".join(contents.values()).encode(), digest_size=8).hexdigest()
    return f"{hours[0] if len(hours) == 1 else f'{hours[0]}...{hours[-1]}'} {digest} {sequence}"


def _within_bounds(handled: dict[str, str], kept: Collection[str], window: _Window) -> dict[str, str]:
    """Keeps only the last hours beyond the window: enough to recognise a repeated notification."""
    beyond = [hour for hour in handled if not window.is_remembered(hour) and hour not in kept]
    forgotten = set(beyond[: max(len(beyond) - MOST_KEPT_BEYOND_WINDOW, 0)])
    return {hour: content for hour, content in handled.items() if hour not in forgotten}


def _held(listed: Mapping[str, LandedHour], handled: Mapping[str, str], window: _Window) -> tuple[list[str], list[str]]:
    """Hours with unhandled objects: (in the future, before the first partition)."""
    strange = sorted(hour for hour, landed in listed.items()
                     if landed.objects and not window.is_partition(hour) and landed.content != handled.get(hour))  # fmt: skip
    return [hour for hour in strange if hour > window.current_key], [
        hour for hour in strange if hour <= window.current_key
    ]
