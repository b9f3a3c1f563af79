"""The landing sensor's cursor between two ticks, and its compact, versioned JSON. plan.py uses it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from music_platform.partitions import hour_of_key, keys_in_range

_FORMAT_VERSION = 1


@dataclass(frozen=True)
class Waiting:
    """An hour that differs from what was handled: its content when last listed (empty: not listed yet), and since when.

    Moments are seconds since 1970 by the sensor's own clock.
    """

    content: str
    unchanged_since: float
    changed_since: float


@dataclass(frozen=True)
class OpenRequest:
    """A request whose run has not ended yet, with the consecutive hours of its run."""

    run_key: str
    hours: tuple[str, ...]


@dataclass(frozen=True)
class FailedHour:
    """An hour whose last run failed: how many runs in a row did, when the last was seen, and whether it is given up."""

    attempts: int
    failed_at: float
    is_left: bool


@dataclass(frozen=True)
class LandingCursor:
    """What the sensor knows.

    ``handled`` is the content of each hour for which the hour was last requested. ``sequence`` counts the requests ever
    made. ``resume_day`` is the day with which the next listing begins. ``window_was_listed`` says whether the window was
    listed whole since the cursor began. ``batch`` names the notifications that were read when the cursor was made.
    """

    sequence: int = 0
    handled: Mapping[str, str] = field(default_factory=dict)
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    open: tuple[OpenRequest, ...] = ()
    failed: Mapping[str, FailedHour] = field(default_factory=dict)
    resume_day: str | None = None
    window_was_listed: bool = False
    batch: str = ""

    @property
    def busy(self) -> set[str]:
        """The hours that have a run queued or in progress."""
        return {hour for request in self.open for hour in request.hours}

    def to_json(self) -> str:
        content = {
            "version": _FORMAT_VERSION,
            "sequence": self.sequence,
            "handled": dict(self.handled),
            "waiting": {hour: [w.content, w.unchanged_since, w.changed_since] for hour, w in self.waiting.items()},
            "open": [[request.run_key, request.hours[0], request.hours[-1]] for request in self.open],
            "failed": {hour: [f.attempts, f.failed_at, f.is_left] for hour, f in self.failed.items()},
            "resume_day": self.resume_day,
            "window_was_listed": self.window_was_listed,
            "batch": self.batch,
        }
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> LandingCursor:
        """Parse a cursor; ``ValueError`` says why the text is no cursor of this version."""
        try:
            content: dict[str, Any] = json.loads(text)
            if content["version"] != _FORMAT_VERSION:
                raise ValueError(f"its version is {content['version']}, this code reads {_FORMAT_VERSION}")
            cursor = cls(
                sequence=int(content["sequence"]),
                handled=dict(content["handled"]),
                waiting={hour: Waiting(*fields) for hour, fields in content["waiting"].items()},
                open=tuple(OpenRequest(key, tuple(keys_in_range(first, last))) for key, first, last in content["open"]),
                failed={hour: FailedHour(*fields) for hour, fields in content["failed"].items()},
                resume_day=content["resume_day"],
                window_was_listed=bool(content["window_was_listed"]),
                batch=content["batch"],
            )
            for hour in (*cursor.handled, *cursor.waiting, *cursor.failed):
                hour_of_key(hour)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the landing sensor's cursor cannot be read: {error}") from error
        return cursor

    @classmethod
    def begin(cls, last_run_key: str | None) -> LandingCursor:
        """A new cursor that continues the old one's count of requests: no later key may equal an old one."""
        last = (last_run_key or "").rpartition(" ")[2]
        return cls(sequence=int(last) if last.isdecimal() else 0)
