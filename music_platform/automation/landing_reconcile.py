"""The daily reconciliation: everything that lies in landing against what the tables were made of, whatever its age.

It finds what came to hours that the sensor no longer lists and what notifications lost. What is new is left to the sensor.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg
from dagster._time import get_current_datetime

from music_platform.automation.jobs import HOURLY_SPINE
from music_platform.automation.landed_hours import LandedHour, list_days
from music_platform.automation.landing_requests import (
    data_versions_of_landing,
    hours_in_progress,
    landed_event,
    run_request,
)
from music_platform.contracts.events import EVENT_TYPES
from music_platform.contracts.tables import MADE_OF_LANDED
from music_platform.io_managers.manifest import read_manifest
from music_platform.landing.layout import ERRORS_PREFIX, day_of_folder, list_landed, type_prefix
from music_platform.landing.unread import describe_left, describe_unread, find_unread
from music_platform.partitions import contiguous_ranges, describe_partitions, describe_ranges, key_of_hour
from music_platform.resources.lake import Lake
from music_platform.settings import Settings

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

    ``lost`` are hours with objects that bronze was not made from. ``incomplete`` are those among them that also lack objects
    which bronze was made from: to run them would remove rows. ``verified`` are events for hours that were found in order.
    """

    hours: int = 0
    objects: int = 0
    lost: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    future: list[str] = field(default_factory=list)
    verified: list[dg.AssetMaterialization] = field(default_factory=list)
    resume_day: str | None = None


@dataclass(frozen=True)
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
        """Look at every day of landing, the newest first; where time ran out the last time, from there on."""
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
        """The days that have folders: one request for each kind."""
        prefixes = [*map(type_prefix, EVENT_TYPES), ERRORS_PREFIX]
        days = {day_of_folder(name) for prefix in prefixes for name in self.lake.store.folders(prefix)}
        return sorted((day for day in days if day is not None), reverse=True)

    def _look_at(self, days: Sequence[str], found: Findings) -> None:
        listing = list_days(self.lake, days, always=days[0], resume_day=None, budget_seconds=self.budget_seconds)
        current = key_of_hour(self.now)
        suspects: list[tuple[str, str]] = []
        for hour, landed in sorted(listing.hours.items()):
            found.hours += 1
            found.objects += landed.objects
            if hour > current and landed.objects:
                found.future.append(hour)
            elif self._is_settled(hour, landed):
                suspects += [(hour, name) for name, objects in landed.by_kind.items()
                             if objects.objects and self.known.get(name, {}).get(hour) != objects.digest]  # fmt: skip
        compared = self.lake.map_parallel(lambda suspect: self._compare(*suspect), suspects)
        lost = {hour for (hour, _), (lacks, _) in zip(suspects, compared, strict=True) if lacks}
        incomplete = {
            hour for (hour, _), (lacks, gone) in zip(suspects, compared, strict=True) if hour in lost and gone
        }
        found.lost += sorted(lost - incomplete)
        found.incomplete += sorted(incomplete)
        found.verified += [
            landed_event(kind, hour, listing.hours[hour].by_kind[kind])
            for (hour, kind), (lacks, _) in zip(suspects, compared, strict=True)
            if not lacks
        ]

    def _is_settled(self, hour: str, landed: LandedHour) -> bool:
        is_partition = key_of_hour(self.first_hour) <= hour <= key_of_hour(self.now)
        age = self.now.timestamp() - (landed.newest or 0.0)
        return is_partition and hour not in self.busy and not 0 <= age < _SETTLING_SECONDS

    def _compare(self, hour: str, kind: str) -> tuple[bool, bool]:
        """Whether the first table lacks objects that have landed, and whether objects are gone that it was made from."""
        folder = list_landed(self.lake.store, kind, [hour])[hour]
        published = read_manifest(self.lake.store, MADE_OF_LANDED[kind], hour)
        if published is None:
            return True, False
        landed = {(stored.key, stored.etag) for stored in folder.objects}
        made_of = {(source.key, source.version) for source in published[0].sources}
        return bool(landed - made_of), bool({key for key, _ in made_of} - {key for key, _ in landed})


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
        # In order, so that they are not compared again tomorrow. What is requested is told once it is seen in order.
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
    told = [f"{found.objects:,} objects in {found.hours:,} hours compared"]
    if found.lost:
        told.append(f"{len(found.lost)} hours hold objects that their tables were not made from: {_some(found.lost)}")
    if left > 0:
        told.append(f"{left} ranges of them are left for tomorrow")
    if found.incomplete:
        told.append(
            f"NOT RUN: {len(found.incomplete)} hours hold new objects and lack others that bronze was made from, so that a "
            f"run would remove rows; restore the objects, or materialize the hours if that is meant: {_some(found.incomplete)}"
        )
    if found.future:
        told.append(f"held until their hour comes: {_some(found.future)}")
    if found.resume_day is not None:
        told.append(f"out of time, goes on tomorrow with {found.resume_day}")
    return "; ".join(told)


def _describe_unread(lake: Lake) -> list[str]:
    """Messages about objects that no partition reads, and about folders that there was no time to look into."""
    found = find_unread(lake, budget_seconds=_UNREAD_SECONDS)
    messages = [f"NOT READ: {describe_unread(group, lake.settings.start)}" for group in found.groups]
    return [*messages, describe_left(found.left)] if found.left else messages


def _some(hours: Sequence[str]) -> str:
    return describe_ranges(hours)
