"""The daily reconciliation: compares all of landing, however old, with what the tables were made of.

It finds objects in hours that the sensor no longer lists, and objects whose notifications were lost. New objects are left
to the sensor.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property

import dagster as dg

from music_platform.errors import ManifestCorruptError
from music_platform.lake.lake import Lake
from music_platform.lake.landed_sources import Difference, compare, hours_with_rows
from music_platform.lake.landing_layout import ERRORS_PREFIX, LANDED_KINDS, day_of_folder, list_landed, type_prefix
from music_platform.lake.manifest import read_manifest
from music_platform.landing.unread import find_unread
from music_platform.landing.unread_messages import describe_left, describe_unread
from music_platform.landing.watch.landed_hours import LandedHour, LandedObjects, list_days
from music_platform.orchestration.automation.jobs import HOURLY_SPINE
from music_platform.orchestration.automation.landing_requests import (
    data_versions_of_landing,
    hours_in_progress,
    landed_event,
    run_request,
)
from music_platform.orchestration.dagster_internals import get_current_datetime
from music_platform.partitions import (
    contiguous_ranges,
    day_of_key,
    describe_partitions,
    describe_ranges,
    hours_of_day,
    key_of_hour,
)
from music_platform.settings import Settings
from music_platform.tables.bronze import MADE_OF_LANDED
from music_platform.tables.events import EVENT_TYPES

SCHEDULE_NAME = "landing_reconcile"
_RESUME_KEY = "music_platform/landing_reconcile/resume_day"
_BUDGET_SECONDS, _RETRY_SECONDS = 30.0, 10.0  # Dagster ends an evaluation after a minute
_DAYS_AT_ONCE = 4
_SETTLING_SECONDS = 3600.0  # younger objects are the sensor's
_MOST_REQUESTS = 31
_UNREAD_SECONDS = 10.0


@dataclass
class Findings:
    """What a reconciliation found.

    ``lost`` are hours with objects that bronze was not made from. ``gone`` has, by hour, the objects that bronze was made
    from and that disappeared, other than on purpose: a run of such an hour refuses to remove their rows, so none is requested.
    ``verified`` are events for hours that were found in order.
    """

    hours: int = 0
    objects: int = 0
    lost: list[str] = field(default_factory=list)
    gone: dict[str, list[str]] = field(default_factory=dict)
    future: list[str] = field(default_factory=list)
    verified: list[dg.AssetMaterialization] = field(default_factory=list)
    resume_day: str | None = None


@dataclass(frozen=True, eq=False)  # one look, equal to itself alone
class Reconciliation:
    """One comparison of landing with bronze, day by day within a time budget."""

    lake: Lake
    now: datetime
    first_hour: datetime
    known: dict[str, dict[str, str]]
    busy: frozenset[str]
    budget_seconds: float = _BUDGET_SECONDS
    clock: Callable[[], float] = time.monotonic

    def run(self, resume_day: str | None) -> Findings:
        """Compare every day of landing, the newest first, or from the day where time ran out the last time."""
        days = self._days()
        turn = days.index(resume_day) if resume_day in days else 0
        order = days[turn:] + days[:turn]
        found, started = Findings(), self.clock()
        for start in range(0, len(order), _DAYS_AT_ONCE):
            if start and self.clock() - started > self.budget_seconds:
                found.resume_day = order[start]
                break
            self._look_at(order[start : start + _DAYS_AT_ONCE], found)
        return found

    def _days(self) -> list[str]:
        """The days with folders in landing or in a table that is made of it; lists each of the two once."""
        made = {day for table in MADE_OF_LANDED.values() for day in self.lake.days_of(table.path)}
        return sorted(made | self._landed_days, reverse=True)

    @cached_property
    def _landed_days(self) -> set[str]:
        prefixes = [*map(type_prefix, EVENT_TYPES), ERRORS_PREFIX]
        days = {day_of_folder(name) for prefix in prefixes for name in self.lake.store.folders(prefix)}
        return {day for day in days if day is not None}

    def _look_at(self, days: Sequence[str], found: Findings) -> None:
        hours = self._listed(days)
        current = key_of_hour(self.now)
        suspects: list[tuple[str, str]] = []
        for hour, landed in sorted(hours.items()):
            found.hours += 1
            found.objects += landed.objects
            if hour > current and landed.objects:
                # Error records of future hours are not held but reported among the objects that no table reads.
                if any(landed.by_kind[kind].objects for kind in EVENT_TYPES if kind in landed.by_kind):
                    found.future.append(hour)
            elif self._is_settled(hour, landed):
                suspects += [(hour, kind) for kind in LANDED_KINDS if self._is_suspect(hour, kind, landed)]
        compared = self.lake.map_parallel(lambda suspect: self._compare(*suspect), suspects)
        lost: set[str] = set()
        for (hour, kind), differs in zip(suspects, compared, strict=True):
            if differs.gone:
                found.gone.setdefault(hour, []).extend(source.key for source in differs.gone)
            elif differs.new:
                lost.add(hour)
            else:
                found.verified.append(landed_event(kind, hour, hours[hour].by_kind.get(kind, LandedObjects())))
        found.lost += sorted(lost - found.gone.keys())

    def _listed(self, days: Sequence[str]) -> dict[str, LandedHour]:
        """What has landed in the hours of the days. A day without a folder is not listed: it has nothing."""
        landed = [day for day in days if day in self._landed_days]
        hours = {hour: LandedHour() for day in days for hour in hours_of_day(day)}
        if landed:
            hours |= list_days(
                self.lake, landed, always=landed[0], resume_day=None, budget_seconds=self.budget_seconds
            ).hours
        return hours

    def _is_suspect(self, hour: str, kind: str, landed: LandedHour) -> bool:
        """Whether the objects differ from those reported last, or disappeared without a report."""
        objects, known = landed.by_kind.get(kind, LandedObjects()), self.known.get(kind, {}).get(hour)
        if known is None and not objects.objects:
            return hour in self._hours_with_rows(kind, day_of_key(hour))
        return known != objects.digest

    @cache  # noqa: B019 - a reconciliation lives for one evaluation
    def _hours_with_rows(self, kind: str, day: str) -> frozenset[str]:
        return hours_with_rows(self.lake, MADE_OF_LANDED[kind], day)

    def _is_settled(self, hour: str, landed: LandedHour) -> bool:
        is_partition = key_of_hour(self.first_hour) <= hour <= key_of_hour(self.now)
        age = self.now.timestamp() - (landed.newest or 0.0)
        return is_partition and hour not in self.busy and not 0 <= age < _SETTLING_SECONDS

    def _compare(self, hour: str, kind: str) -> Difference:
        """Compare an hour's landed objects with those that its first table was made from; without a table all are new."""
        objects = list_landed(self.lake.store, kind, [hour])[hour].objects
        try:
            published = read_manifest(self.lake.store, MADE_OF_LANDED[kind], hour)
        except ManifestCorruptError:  # a run replaces it
            return Difference(new=objects)
        return compare(self.lake, () if published is None else published[0].sources, objects, self.now)


def landing_reconcile(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule for these settings."""
    seconds = min(settings.s3_retry_seconds, _RETRY_SECONDS)
    lake = Lake(settings.model_copy(update={"s3_retry_seconds": seconds}))

    @dg.schedule(
        name=SCHEDULE_NAME,
        job=HOURLY_SPINE,
        cron_schedule="17 3 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Runs hours of any age whose landed objects the tables were not made from.",
    )
    def reconcile(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        now = get_current_datetime().astimezone(UTC)
        instance = context.instance
        reconciliation = Reconciliation(
            lake, now, settings.start, data_versions_of_landing(instance), frozenset(hours_in_progress(instance))
        )
        resume_day = instance.run_storage.get_cursor_values({_RESUME_KEY}).get(_RESUME_KEY)
        found = reconciliation.run(resume_day or None)
        unread = _describe_unread(lake)
        # These are in order and are not compared again tomorrow. What is requested is reported once it is seen in order.
        for event in found.verified:
            instance.report_runless_asset_event(event)
        ranges = [
            hours[start : start + settings.landing_range_hours]
            for hours in contiguous_ranges(found.lost)
            for start in range(0, len(hours), settings.landing_range_hours)
        ]
        # Those beyond the limit are found again tomorrow.
        instance.run_storage.set_cursor_values({_RESUME_KEY: found.resume_day or ""})
        requests = [run_request(f"{describe_partitions(hours)} reconciled", hours) for hours in ranges[:_MOST_REQUESTS]]
        message = "; ".join([_message(found, len(ranges) - len(requests)), *unread])
        context.log.info(message)
        return requests or dg.SkipReason(message)

    return reconcile


def _message(found: Findings, left: int) -> str:
    parts = [f"{found.objects:,} objects in {found.hours:,} hours compared"]
    if found.lost:
        parts.append(f"{len(found.lost)} hours hold objects that their tables were not made from: {_some(found.lost)}")
    if left > 0:
        parts.append(f"{left} ranges of them are left for tomorrow")
    if found.gone:
        keys = [key for keys in found.gone.values() for key in keys]
        parts.append(
            f"NOT RUN: {len(found.gone)} hours lack {len(keys)} landed objects that their tables were made from, such as "
            f"'{keys[0]}'; restore the objects, or declare them expired by ./run music-platform landing expire: "
            f"{_some(sorted(found.gone))}"
        )
    if found.future:
        parts.append(f"held until their hour comes: {_some(found.future)}")
    if found.resume_day is not None:
        parts.append(f"out of time, goes on tomorrow with {found.resume_day}")
    return "; ".join(parts)


def _describe_unread(lake: Lake) -> list[str]:
    """Messages about objects that no partition reads, and about folders that were not searched for lack of time."""
    found = find_unread(lake, budget_seconds=_UNREAD_SECONDS)
    messages = [f"NOT READ: {describe_unread(group, lake.settings.start)}" for group in found.groups]
    return [*messages, describe_left(found.left)] if found.left else messages


def _some(hours: Sequence[str]) -> str:
    return describe_ranges(hours)
