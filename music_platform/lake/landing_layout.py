"""The layout of landed objects, as the collector writes them: `landing/<event_type>/dt=YYYY-MM-DD/hour=HH/...json.gz`,
and of error records: `errors/dt=YYYY-MM-DD/...json.gz`. Objects that were set aside lie in `set_aside/`.

Keys only; landing/reader.py and landing/writer.py know what an object holds.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from music_platform.lake.local_folder import is_half_written
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.stored_objects import StoredObject
from music_platform.partitions import hour_of_key, key_of_hour
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.events import EVENT_TYPES

LANDING_PREFIX = "landing"
ERRORS_PREFIX = "errors"
SET_ASIDE_PREFIX = "set_aside"
"""The folder of objects that were taken out of landing/ and errors/, under their former keys. Nothing reads it."""
LANDED_KINDS: tuple[str, ...] = (*EVENT_TYPES, COLLECTOR_ERRORS.name)
"""What lands: the event types, and the collector's error records. A kind is the name of an asset of landing."""

_KEY = re.compile(
    rf"{LANDING_PREFIX}/(?P<event_type>{'|'.join(EVENT_TYPES)})/dt=(?P<day>\d{{4}}-\d\d-\d\d)/hour=(?P<hour>\d\d)/"
    r"(?P<slice>\d{10})_(?P<chunk_id>[0-9a-f]{32})\.json\.gz"
)
_DAY_FOLDER = re.compile(r"dt=(?P<day>\d{4}-\d\d-\d\d)")
_NAME = re.compile(r"\d{10}_[0-9a-f]{32}\.json\.gz")
_ERRORS_KEY = re.compile(
    rf"{ERRORS_PREFIX}/dt=(?P<day>\d{{4}}-\d\d-\d\d)/(?P<slice>\d{{10}})_(?P<chunk_id>[0-9a-f]{{32}})\.json\.gz"
)
_FOLDERS_OF_AN_HOUR = 4  # landing, event type, day, hour
_MOST_HOURS_LISTED_ONE_BY_ONE = 3  # of a day; beyond it one listing of the day is cheaper


def type_prefix(event_type: str) -> str:
    """The folder of an event type's landed objects."""
    return f"{LANDING_PREFIX}/{event_type}"


def day_prefix(event_type: str, day: datetime) -> str:
    """The folder of a day's landed objects."""
    return f"{type_prefix(event_type)}/dt={day:%Y-%m-%d}"


def hour_prefix(event_type: str, hour: datetime) -> str:
    """The folder of an hour's landed objects."""
    return f"{day_prefix(event_type, hour)}/hour={hour:%H}"


def landed_key(event_type: str, hour: datetime, chunk_id: str) -> str:
    """The key of a landed object; ``chunk_id`` is 32 hex digits."""
    return f"{hour_prefix(event_type, hour)}/{hour:%Y%m%d%H}_{chunk_id}.json.gz"


def errors_prefix(day: datetime) -> str:
    """The folder of the error records that were collected on a day, of all event types."""
    return f"{ERRORS_PREFIX}/dt={day:%Y-%m-%d}"


def errors_key(collected: datetime, chunk_id: str) -> str:
    """The key of an object of error records, by the hour in which they were collected."""
    return f"{errors_prefix(collected)}/{collected:%Y%m%d%H}_{chunk_id}.json.gz"


def parse_key(key: str) -> tuple[str, datetime] | None:
    """The event type and the hour of a landed object's key; None when it is not one."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    hour = _hour_of_folder(match["day"], match["hour"])
    return None if hour is None else (match["event_type"], hour)


@lru_cache(maxsize=4096)
def _hour_of_folder(day: str, hour: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(f"{day}T{hour}:00:00").replace(tzinfo=UTC)
    except ValueError:  # digits that are no hour, such as month 13
        return None
    # A year below 1000 is printed with fewer digits than a key has.
    return found if f"{found:%Y-%m-%d %H}" == f"{day} {hour}" else None


def parse_errors_key(key: str) -> datetime | None:
    """The hour of an object of error records, from its name; None if the key is no such object or its day differs."""
    match = _ERRORS_KEY.fullmatch(key)
    if match is None:
        return None
    try:
        hour = datetime.strptime(match["slice"], "%Y%m%d%H").replace(tzinfo=UTC)
    except ValueError:
        return None
    return hour if f"{hour:%Y-%m-%d}" == match["day"] else None


def hour_of_object(key: str) -> datetime | None:
    """The hour of a landed object or of one of error records, by its key; None when it is neither."""
    found = parse_key(key)
    return parse_errors_key(key) if found is None else found[1]


def error_objects(store: ObjectStore, since: datetime | None = None) -> dict[str, str]:
    """The keys, by chunk id, of all objects of error records filed by the hour, or of those from the hour ``since`` on.

    Costs one listing of errors/.
    """
    found = {}
    for stored in store.list(ERRORS_PREFIX):
        hour, match = parse_errors_key(stored.key), _ERRORS_KEY.fullmatch(stored.key)
        if hour is not None and match is not None and (since is None or hour >= since):
            found[match["chunk_id"]] = stored.key
    return found


def day_of_folder(name: str) -> str | None:
    """The day, such as 2026-11-01, in a folder's name (``dt=2026-11-01``); None if it holds none."""
    match = _DAY_FOLDER.fullmatch(name)
    if match is None or _hour_of_folder(match["day"], "00") is None:
        return None
    return match["day"]


@dataclass(frozen=True)
class LandingFolder:
    """The content of an hour's folder, sorted by key.

    ``objects`` are named as the collector names them. ``strangers`` are the keys of all others, which are not read;
    half-written files of a killed write to a local lake do not count.
    """

    objects: list[StoredObject] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)


def list_landed(store: ObjectStore, kind: str, partition_keys: Sequence[str]) -> dict[str, LandingFolder]:
    """The hours' objects of one of ``LANDED_KINDS``, as ``list_landing`` or ``list_errors``."""
    if kind == COLLECTOR_ERRORS.name:
        return list_errors(store, partition_keys)
    return list_landing(store, kind, partition_keys)


def list_landing(store: ObjectStore, event_type: str, partition_keys: Sequence[str]) -> dict[str, LandingFolder]:
    """The hours' folders by hourly partition key; an hour without objects has an empty one.

    Costs one listing an hour for a few hours, one a day for many.
    """
    listed: dict[str, LandingFolder] = {}
    for partition, found in _list_folders(store, event_type, partition_keys).items():
        folder = listed[partition] = LandingFolder()
        start = len(hour_prefix(event_type, hour_of_key(partition))) + 1
        for stored in found:
            # Their folder is the hour's: of a hundred thousand keys only the names are looked at.
            if _NAME.fullmatch(stored.key, start) is not None:
                folder.objects.append(stored)
            elif not is_half_written(stored.key):
                folder.strangers.append(stored.key)
    return listed


def list_errors(store: ObjectStore, partition_keys: Sequence[str]) -> dict[str, LandingFolder]:
    """The objects of error records by hourly partition key, as ``list_landing``; costs one listing a day.

    They lie in one folder a day. An object that is not named as the collector names it belongs to no hour; it is listed with
    the first requested hour of its day.
    """
    listed = {partition: LandingFolder() for partition in partition_keys}
    first_of_day: dict[datetime, str] = {}
    for partition in partition_keys:
        first_of_day.setdefault(hour_of_key(partition).replace(hour=0), partition)
    for day, first in first_of_day.items():
        for stored in sorted(store.list(errors_prefix(day)), key=lambda found: found.key):
            hour = parse_errors_key(stored.key)
            if hour is None:
                if not is_half_written(stored.key):
                    listed[first].strangers.append(stored.key)
            elif (partition := key_of_hour(hour)) in listed:
                listed[partition].objects.append(stored)
    return listed


def _list_folders(store: ObjectStore, event_type: str, partition_keys: Sequence[str]) -> dict[str, list[StoredObject]]:
    """Everything in the folders of hours and below them, by partition key, sorted by key."""
    by_day: dict[datetime, list[datetime]] = defaultdict(list)
    for hour in dict.fromkeys(map(hour_of_key, partition_keys)):
        by_day[hour.replace(hour=0)].append(hour)
    prefixes: list[str] = []
    for day, hours in by_day.items():
        if len(hours) > _MOST_HOURS_LISTED_ONE_BY_ONE:
            prefixes.append(day_prefix(event_type, day))
        else:
            prefixes += [hour_prefix(event_type, hour) for hour in hours]
    found: dict[str, list[StoredObject]] = {partition: [] for partition in partition_keys}
    folders = {hour_prefix(event_type, hour_of_key(partition)): objects for partition, objects in found.items()}
    for prefix in prefixes:
        for stored in store.list(prefix):
            folder = folders.get(stored.key.rpartition("/")[0])
            if folder is None:  # deeper than the hour's own folder, or in no hour's
                folder = folders.get("/".join(stored.key.split("/")[:_FOLDERS_OF_AN_HOUR]))
                if folder is None or stored.key.count("/") < _FOLDERS_OF_AN_HOUR:
                    continue
            folder.append(stored)
    for objects in found.values():
        objects.sort(key=lambda stored: stored.key)
    return found
