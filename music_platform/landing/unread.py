"""Objects under landing/ and errors/ that no partition will ever read where they are: which ones, why, what to do.

Why a key is not read is a pure function; finding such keys is a listing within a time budget. Events of hours that have not
begun do not count: they are held and read when their hour begins. Error records of such hours do: they are filed by their
collection time, which cannot be in the future. unread_messages.py says what to do; refiling.py brings misplaced objects in.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import (
    ERRORS_PREFIX,
    LANDED_KINDS,
    LANDING_PREFIX,
    day_of_folder,
    parse_errors_key,
    parse_key,
    type_prefix,
)
from music_platform.lake.local_folder import is_half_written
from music_platform.lake.stored_objects import StoredObject
from music_platform.partitions import key_of_hour
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.events import EVENT_TYPES

NO_KIND = "unknown"
"""Of objects under landing/ that lie in no event type's folder."""
KINDS: tuple[str, ...] = (*LANDED_KINDS, NO_KIND)

_FOLDERS_AT_ONCE = 32
_MOST_KEYS_NAMED = 3
_HOUR_FOLDERS = 3  # event type, day, hour: what stands between landing/ and an object's name


class Reason(StrEnum):
    """Why an object is not read."""

    BEFORE_START = "before_start"
    HOUR_TO_COME = "hour_to_come"
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    OUTSIDE_AN_HOUR = "outside_an_hour"
    OTHER_NAME = "other_name"


@dataclass(frozen=True)
class UnreadPlace:
    """What a key says about an unread object: its kind (one of ``KINDS``), why it is not read, and its hour.

    ``hour`` is a partition key, or None for objects that are not named properly.
    """

    kind: str
    reason: Reason
    hour: str | None = None


@dataclass(frozen=True)
class UnreadObject:
    """An object that is not read."""

    place: UnreadPlace
    stored: StoredObject


@dataclass(frozen=True)
class UnreadGroup:
    """The unread objects of one kind (an event type, ``collector_errors`` or ``unknown``) and one reason.

    ``keys`` are the first few by name; ``first_hour`` and ``last_hour`` are those of objects before the first partition, and of
    error records of future hours.
    """

    kind: str
    reason: Reason
    objects: int
    bytes: int
    keys: tuple[str, ...]
    first_hour: str | None = None
    last_hour: str | None = None


@dataclass
class UnreadFindings:
    """What was found, and the folders left out for lack of time, those of the newest days first."""

    objects: list[UnreadObject] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def groups(self) -> list[UnreadGroup]:
        """The objects by kind and reason, in the order of both."""
        by_place: defaultdict[tuple[str, Reason], list[UnreadObject]] = defaultdict(list)
        for unread in self.objects:
            by_place[unread.place.kind, unread.place.reason].append(unread)
        order = [(kind, reason) for kind in KINDS for reason in Reason]
        return [_group(kind, reason, by_place[kind, reason]) for kind, reason in order if (kind, reason) in by_place]


def _group(kind: str, reason: Reason, unread: Sequence[UnreadObject]) -> UnreadGroup:
    hours = [found.place.hour for found in unread if found.place.hour is not None]
    return UnreadGroup(
        kind,
        reason,
        len(unread),
        sum(found.stored.size for found in unread),
        tuple(sorted(found.stored.key for found in unread)[:_MOST_KEYS_NAMED]),
        min(hours, default=None),
        max(hours, default=None),
    )


def why_unread(key: str, start: datetime, now: datetime) -> UnreadPlace | None:
    """Why no partition reads an object of this key, where ``start`` is the first hour that has one; None when one does.

    The key lies below landing/ or errors/.
    """
    top, *folders = key.split("/")[:-1]
    if top == ERRORS_PREFIX:
        kind, hour = COLLECTOR_ERRORS.name, parse_errors_key(key)
        is_in_folder = bool(folders) and day_of_folder(folders[0]) is not None
    elif not folders or folders[0] not in EVENT_TYPES:
        return UnreadPlace(NO_KIND, Reason.UNKNOWN_EVENT_TYPE)
    else:
        place = parse_key(key)
        kind, hour = folders[0], None if place is None else place[1]
        is_in_folder = len(folders) >= _HOUR_FOLDERS and _is_hour_folder(*folders[1:_HOUR_FOLDERS])
    if hour is not None:
        if hour < start:
            return UnreadPlace(kind, Reason.BEFORE_START, key_of_hour(hour))
        is_ahead = top == ERRORS_PREFIX and hour > now
        return UnreadPlace(kind, Reason.HOUR_TO_COME, key_of_hour(hour)) if is_ahead else None
    return UnreadPlace(kind, Reason.OTHER_NAME if is_in_folder else Reason.OUTSIDE_AN_HOUR)


def _is_hour_folder(day: str, hour: str) -> bool:
    return day_of_folder(day) is not None and hour in {f"hour={number:02}" for number in range(24)}


def find_unread(
    lake: Lake,
    kinds: Collection[str] = KINDS,
    *,
    days: Collection[str] | None = None,
    budget_seconds: float | None = None,
    now: datetime | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> UnreadFindings:
    """All unread objects of these kinds; with ``days`` those in the folders of these days and in no day's folder.

    Folders of error records of days after ``now`` (default: the present) belong to none of the days and are always listed.

    Asks for the folders of each kind, then lists folders that are no day's, then days from the newest on: a request for every
    thousand objects of a kind and day. When the budget is spent, what is left is named. Raises LakeUnreachableError as the
    store does.
    """
    started = clock()
    now = now or datetime.now(UTC)
    found = UnreadFindings()
    strange: list[str] = []
    of_days: list[tuple[str, str]] = []
    prefixes = [prefix_of(kind) for kind in kinds]
    for kind, prefix, (folders, objects) in zip(
        kinds, prefixes, lake.map_parallel(lake.store.list_level, prefixes), strict=True
    ):
        found.objects += _unread(objects, lake.settings.start, now)
        for folder in folders:
            day = day_of_folder(folder)
            if kind == NO_KIND:
                strange += [f"{prefix}/{folder}"] * (folder not in EVENT_TYPES)
            elif day is None:
                strange.append(f"{prefix}/{folder}")
            elif days is None or day in days or (prefix == ERRORS_PREFIX and day > f"{now:%Y-%m-%d}"):
                of_days.append((day, f"{prefix}/{folder}"))
    order = [*strange, *(prefix for _, prefix in sorted(of_days, reverse=True))]
    for begin in range(0, len(order), _FOLDERS_AT_ONCE):
        if begin and budget_seconds is not None and clock() - started > budget_seconds:
            found.left = order[begin:]
            break
        batch = order[begin : begin + _FOLDERS_AT_ONCE]
        for unread in lake.map_parallel(
            lambda prefix: _unread(lake.store.list(prefix), lake.settings.start, now), batch
        ):
            found.objects += unread
    found.objects.sort(key=lambda unread: unread.stored.key)
    return found


def find_held(lake: Lake, now: datetime) -> list[StoredObject]:
    """The landed events of hours that have not begun, by key. Raises LakeUnreachableError as the store does."""
    today = f"{now:%Y-%m-%d}"
    prefixes = [
        f"{type_prefix(event_type)}/{folder}"
        for event_type in EVENT_TYPES
        for folder in lake.store.folders(type_prefix(event_type))
        if (day_of_folder(folder) or "") >= today
    ]
    listed = (
        stored
        for objects in lake.map_parallel(lambda prefix: list(lake.store.list(prefix)), prefixes)
        for stored in objects
    )
    held = [stored for stored in listed if (place := parse_key(stored.key)) is not None and place[1] > now]
    return sorted(held, key=lambda stored: stored.key)


def prefix_of(kind: str) -> str:
    """The folder in which objects of a kind (one of ``KINDS``) are looked for."""
    if kind == NO_KIND:
        return LANDING_PREFIX
    return ERRORS_PREFIX if kind == COLLECTOR_ERRORS.name else type_prefix(kind)


def _unread(stored: Iterable[StoredObject], start: datetime, now: datetime) -> list[UnreadObject]:
    whole = (one for one in stored if not is_half_written(one.key) and not _is_folder_marker(one))
    placed = ((why_unread(one.key, start, now), one) for one in whole)
    return [UnreadObject(place, one) for place, one in placed if place is not None]


def _is_folder_marker(stored: StoredObject) -> bool:
    """S3's console makes an empty object for a folder; its key ends in a slash, which listings do not show."""
    return not stored.size and "." not in stored.key.rpartition("/")[2]
