"""The landing sensor: new objects of the collector become runs of the hourly spine.

This module orders the parts of a tick and writes its message. The decisions are made in landing/watch/plan.py.
"""

import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import dagster as dg

from music_platform.lake.lake import Lake
from music_platform.landing.watch.cursor import LandingCursor
from music_platform.landing.watch.landed_hours import Listing, days_between, list_days, list_hours
from music_platform.landing.watch.notifications import Notifications, Notified, describe_strangers
from music_platform.landing.watch.plan import Plan, Rules, plan
from music_platform.landing.watch.sqs import SqsNotifications
from music_platform.orchestration.automation.jobs import HOURLY_SPINE
from music_platform.orchestration.automation.landing_beginning import contents_of_made_hours
from music_platform.orchestration.automation.landing_requests import (
    hours_remade,
    landing_events,
    run_request,
    run_state,
)
from music_platform.orchestration.dagster_internals import get_current_datetime
from music_platform.partitions import day_of_key, describe_ranges
from music_platform.settings import Settings
from music_platform.tables.contract import Cadence

SENSOR_NAME = "landing"
# Dagster ends a tick that takes a minute: listing stops well before, and a store that does not answer soon is an error.
_LISTING_SECONDS, _QUEUE_SECONDS, _RETRY_SECONDS = 20.0, 5.0, 10.0
_MOST_WAITING_HOURS = 500  # beyond it messages stay in the queue


@dataclass
class LandingWatch:
    """Everything that a tick needs; its only state is the receipts of the last messages."""

    settings: Settings
    queue: Notifications | None = None
    listing_seconds: float = _LISTING_SECONDS
    lake: Lake = field(init=False)

    def __post_init__(self) -> None:
        seconds = min(self.settings.s3_retry_seconds, _RETRY_SECONDS)
        self.lake = Lake(self.settings.model_copy(update={"s3_retry_seconds": seconds}))

    @property
    def rules(self) -> Rules:
        return Rules(
            first_hour=self.settings.start,
            window_hours=self.settings.landing_window_hours,
            quiet_seconds=self.settings.landing_quiet_seconds,
            longest_wait_seconds=self.settings.landing_longest_wait_seconds,
            range_hours=self.settings.landing_range_hours,
        )

    def tick(self, context: dg.SensorEvaluationContext, now: datetime) -> dg.SensorResult:
        """Look at landing once: run requests for what changed, the cursor that belongs to them, and landing's asset events.

        Raises ``LakeUnreachableError`` and ``QueueUnreachableError``; cursor and messages stay as they were.
        """
        cursor = self._remembered(context)
        listing, cursor, notified = self._look(context, cursor, now)
        if not context.cursor:
            made = contents_of_made_hours(
                self.lake, context.instance, listing.hours, is_served=self.settings.druid_enabled
            )
            cursor = replace(cursor, handled=made)
        decided = plan(
            cursor,
            listing.hours,
            now,
            lambda run_key: run_state(context.instance, run_key),
            self.rules,
            unlisted=listing.unlisted,
            remade=hours_remade(context.instance, cursor.failed),
        )
        message = _message(decided, listing, notified)
        if decided.requests:
            context.log.info(message)
        return dg.SensorResult(
            run_requests=[
                run_request(request.run_key, request.hours, is_current=request.is_current)
                for request in decided.requests
            ],
            skip_reason=None if decided.requests else message,
            cursor=decided.cursor.to_json(),
            asset_events=[event for request in decided.requests for event in landing_events(request, listing.hours)],
        )

    def _remembered(self, context: dg.SensorEvaluationContext) -> LandingCursor:
        if context.cursor:
            try:
                return LandingCursor.from_json(context.cursor)
            except ValueError as error:
                context.log.warning(
                    f"{error}. Starting again: every hour of the window that holds objects is run again."
                )
        return LandingCursor.begin(context.last_run_key)

    def _look(
        self, context: dg.SensorEvaluationContext, cursor: LandingCursor, now: datetime
    ) -> tuple[Listing, LandingCursor, Notified | None]:
        """The hours that may have changed, as they are now; the cursor with how far listing got; what the messages said."""
        notified = None
        named: set[str] = set()
        if self.queue is not None:
            # The cursor already holds what the batch of this name said, so its messages can be deleted.
            self.queue.confirm(cursor.batch)
            batch = uuid.uuid4().hex[:8]
            has_room = len(cursor.waiting) < _MOST_WAITING_HOURS
            notified = self.queue.receive(batch, budget_seconds=_QUEUE_SECONDS) if has_room else Notified()
            named = notified.hours
            cursor = replace(cursor, batch=batch)
            if notified.strange:
                context.log.warning(describe_strangers(notified))
            if cursor.window_was_listed:
                return self._list_hours({*named, *cursor.waiting}), cursor, notified
        # Tomorrow as well: a producer's clock may be ahead, and its objects must be seen.
        days = days_between(self.rules.window_start(now), now + timedelta(days=1))
        window = list_days(
            self.lake,
            days,
            always=f"{now:%Y-%m-%d}",
            resume_day=cursor.resume_day,
            budget_seconds=self.listing_seconds,
        )
        beyond = self._list_hours({hour for hour in {*named, *cursor.waiting} if day_of_key(hour) not in days})
        cursor = replace(
            cursor,
            resume_day=window.resume_day,
            window_was_listed=cursor.window_was_listed or window.resume_day is None,
        )
        listing = Listing(window.hours | beyond.hours, beyond.unlisted, window.resume_day)
        return listing, cursor, notified

    def _list_hours(self, hours: set[str]) -> Listing:
        return list_hours(self.lake, sorted(hours, reverse=True), budget_seconds=self.listing_seconds)


def landing_sensor(settings: Settings) -> dg.SensorDefinition:
    """The sensor for these settings: lists landing, or reads the queue of notifications if one is set."""
    watch = LandingWatch(settings, SqsNotifications(settings) if settings.landing_queue_url else None)

    @dg.sensor(
        name=SENSOR_NAME,
        job=HOURLY_SPINE,
        # The daemon looks every 5 seconds, give or take some milliseconds: at a full interval it would pass over every other.
        minimum_interval_seconds=max(settings.landing_poll_seconds - 1, 1),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=_description(settings),
        tags={"cadence": str(Cadence.HOURLY)},
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return watch.tick(context, get_current_datetime().astimezone(UTC))

    return landing


def _description(settings: Settings) -> str:
    """What the sensor does and by which rules, as its page shows neither metadata nor tags."""
    looks_at = (
        "the bucket's notifications"
        if settings.landing_queue_url
        else (f"the last {settings.landing_window_hours} hours, in whole days, by listing")
    )
    return (
        "Runs the hourly tables of every hour whose landed objects changed. "
        f"Looks at {looks_at}. An hour is run after {settings.landing_quiet_seconds:g} s without a new object, or when objects "
        f"have been coming for {settings.landing_longest_wait_seconds:g} s; up to {settings.landing_range_hours} hours in a row "
        "share a run. A tick's result says what was requested, what waits and for what, what failed and what is held."
    )


def _message(decided: Plan, listing: Listing, notified: Notified | None) -> str:
    """What the tick saw, without empty parts; for the tick's page in Dagster's UI."""
    cursor = decided.cursor
    left = [hour for hour, failure in cursor.failed.items() if failure.is_left]
    retried = [hour for hour in cursor.failed if hour not in left and hour not in cursor.busy]
    parts = [
        ("requested", [hour for request in decided.requests for hour in request.hours]),
        ("waiting until quiet or free", list(cursor.waiting)),
        ("in progress", sorted(cursor.busy)),
        ("failed, will be tried again", retried),
        ("FAILED too often or cancelled; mend the cause and materialize these hours", left),
        ("held until their hour comes", decided.future),
        ("before MUSIC_PLATFORM_START, not run", decided.before_start),
    ]
    seen = [f"{name}: {describe_ranges(hours)}" for name, hours in parts if hours]
    looked = f"{listing.objects:,} objects in {len(listing.hours)} hours listed"
    if notified is not None:
        looked = f"{notified.messages:,} messages read, {looked}"
    if listing.resume_day is not None:
        looked += f", the next tick goes on with {listing.resume_day}"
    return "; ".join([*(seen or ["nothing changed"]), looked])
