"""A summary of an hour's landed objects: a digest of the listing for each kind of object, and figures to report.

Lists by the hour and by the day, within a time budget. plan.py decides what follows from it.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import LANDED_KINDS, list_landed
from music_platform.lake.stored_objects import StoredObject
from music_platform.partitions import DAILY_KEY_FORMAT, hours_of_day

_DIGEST_BYTES = 6  # 8 characters of base64
_NO_DIGEST = "-" * 8  # of a kind without objects; base64 has no hyphen
_DIGEST_LENGTH = len(_NO_DIGEST)
_DAYS_AT_ONCE = 4  # with the kinds: about as many requests as the lake makes at once
_HOURS_AT_ONCE = 24


@dataclass(frozen=True)
class LandedObjects:
    """The objects of one kind in one hour: a digest over their keys, sizes and entity tags, number and bytes.

    ``newest`` is when the last of them was written, in seconds since 1970; None without objects.
    """

    digest: str = _NO_DIGEST
    objects: int = 0
    bytes: int = 0
    newest: float | None = None

    @classmethod
    def of(cls, found: Sequence[StoredObject]) -> LandedObjects:
        """Of the listed objects, sorted by key."""
        if not found:
            return cls()
        lines = "\n".join(f"{stored.key}\t{stored.size}\t{stored.etag}" for stored in found)
        digest = hashlib.blake2b(lines.encode(), digest_size=_DIGEST_BYTES).digest()
        return cls(
            base64.b64encode(digest).decode(),
            len(found),
            sum(stored.size for stored in found),
            max(stored.last_modified for stored in found).timestamp(),
        )


@dataclass(frozen=True)
class LandedHour:
    """The objects of one hour by kind."""

    by_kind: dict[str, LandedObjects] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """The digests of all kinds in their order; two hours' contents are equal if their objects are.

        The digest of the collector's errors, which few hours have, is left out if there are none.
        """
        *of_events, of_errors = (self.by_kind.get(kind, LandedObjects()).digest for kind in LANDED_KINDS)
        return "".join(of_events if of_errors == _NO_DIGEST else [*of_events, of_errors])

    @property
    def objects(self) -> int:
        return sum(landed.objects for landed in self.by_kind.values())

    @property
    def newest(self) -> float | None:
        return max((landed.newest for landed in self.by_kind.values() if landed.newest is not None), default=None)


NO_OBJECTS = LandedHour().content


def kinds_that_differ(before: str, after: str) -> list[str]:
    """The kinds whose objects differ between two contents of an hour."""
    whole = len(LANDED_KINDS) * _DIGEST_LENGTH
    digests = ([content[start : start + _DIGEST_LENGTH] for start in range(0, whole, _DIGEST_LENGTH)]
               for content in (before.ljust(whole, "-"), after.ljust(whole, "-")))  # fmt: skip
    return [name for name, one, other in zip(LANDED_KINDS, *digests, strict=True) if one != other]


@dataclass(frozen=True)
class Listing:
    """The listed hours, and what was left out for lack of time: single hours, or the day to continue with."""

    hours: dict[str, LandedHour] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)
    resume_day: str | None = None

    @property
    def objects(self) -> int:
        return sum(hour.objects for hour in self.hours.values())


def list_days(
    lake: Lake,
    days: Sequence[str],
    *,
    always: str,
    resume_day: str | None,
    budget_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Listing:
    """All hours of the days, with one listing for each day and kind.

    The day ``always`` comes first; the others take turns from ``resume_day`` on until the budget is spent. The first few are
    always listed, so that every call makes progress.
    """
    started = clock()
    others = [day for day in days if day != always]
    turn = others.index(resume_day) if resume_day in others else 0
    order = [day for day in days if day == always] + others[turn:] + others[:turn]
    found: dict[str, LandedHour] = {}
    for start in range(0, len(order), _DAYS_AT_ONCE):
        if start and clock() - started > budget_seconds:
            return Listing(found, resume_day=order[start])
        found |= _list(lake, [hours_of_day(day) for day in order[start : start + _DAYS_AT_ONCE]])
    return Listing(found)


def list_hours(
    lake: Lake, hours: Iterable[str], *, budget_seconds: float, clock: Callable[[], float] = time.monotonic
) -> Listing:
    """Single hours, with a listing for each hour and kind until the budget is spent; the first few always."""
    started = clock()
    order = list(dict.fromkeys(hours))
    found: dict[str, LandedHour] = {}
    for start in range(0, len(order), _HOURS_AT_ONCE):
        if start and clock() - started > budget_seconds:
            return Listing(found, order[start:])
        found |= _list(lake, [[hour] for hour in order[start : start + _HOURS_AT_ONCE]])
    return Listing(found)


def days_between(first: datetime, last: datetime) -> list[str]:
    """The daily keys from one moment's day to another's, both included."""
    moments = (first + timedelta(days=offset) for offset in range((last.date() - first.date()).days + 1))
    return [moment.strftime(DAILY_KEY_FORMAT) for moment in moments]


def _list(lake: Lake, groups: Sequence[Sequence[str]]) -> dict[str, LandedHour]:
    """The hours of each group; a group costs one request for each kind, several at once."""
    requests = [(kind, group) for group in groups for kind in LANDED_KINDS]

    def request(asked: tuple[str, Sequence[str]]) -> dict[str, LandedObjects]:
        kind, hours = asked
        listed = list_landed(lake.store, kind, hours)
        return {hour: LandedObjects.of(folder.objects) for hour, folder in listed.items()}

    found: dict[str, LandedHour] = {hour: LandedHour() for group in groups for hour in group}
    for (kind, _), by_hour in zip(requests, lake.map_parallel(request, requests), strict=True):
        for hour, landed in by_hour.items():
            found[hour].by_kind[kind] = landed
    return found
