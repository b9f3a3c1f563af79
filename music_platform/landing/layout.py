"""The layout of landed objects, as the collector writes them: `landing/<event_type>/dt=YYYY-MM-DD/hour=HH/...json.gz`.

Keys only; what an object holds is known to reader.py and writer.py.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from music_platform.contracts.events import EVENT_TYPES
from music_platform.partitions import hour_of_key, key_of_hour
from music_platform.resources.object_store import ObjectStore, StoredObject

LANDING_PREFIX = "landing"
ERRORS_PREFIX = "errors"
_KEY = re.compile(
    rf"{LANDING_PREFIX}/(?P<event_type>{'|'.join(EVENT_TYPES)})/dt=(?P<day>\d{{4}}-\d\d-\d\d)/hour=(?P<hour>\d\d)/"
    r"(?P<slice>\d{10})_(?P<chunk_id>[0-9a-f]{32})\.json\.gz"
)
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
    """The folder of the error records that arrived on a day, of all event types."""
    return f"{ERRORS_PREFIX}/dt={day:%Y-%m-%d}"


def errors_key(arrival: datetime, chunk_id: str) -> str:
    """The key of an object of error records, by the hour in which they arrived."""
    return f"{errors_prefix(arrival)}/{arrival:%Y%m%d%H}_{chunk_id}.json.gz"


def parse_key(key: str) -> tuple[str, datetime] | None:
    """The event type and the hour of a landed object's key; None when it is not one."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    try:
        hour = datetime.fromisoformat(f"{match['day']}T{match['hour']}:00:00").replace(tzinfo=UTC)
    except ValueError:  # digits that are no hour, such as month 13
        return None
    return match["event_type"], hour


def list_landing(store: ObjectStore, event_type: str, partition_keys: Sequence[str]) -> dict[str, list[StoredObject]]:
    """The landed objects of hours, by hourly partition key, sorted by key; an hour without objects has an empty list.

    Costs one listing an hour for a few hours, one a day for many.
    """
    wanted = {key: hour_of_key(key) for key in partition_keys}
    by_day: dict[datetime, list[datetime]] = defaultdict(list)
    for hour in wanted.values():
        by_day[hour.replace(hour=0)].append(hour)
    prefixes: list[str] = []
    for day, hours in by_day.items():
        if len(hours) > _MOST_HOURS_LISTED_ONE_BY_ONE:
            prefixes.append(day_prefix(event_type, day))
        else:
            prefixes += [hour_prefix(event_type, hour) for hour in hours]
    found: dict[str, list[StoredObject]] = {key: [] for key in partition_keys}
    for prefix in prefixes:
        for stored in store.list(prefix):
            parsed = parse_key(stored.key)
            key = None if parsed is None else key_of_hour(parsed[1])
            if key in found:
                found[key].append(stored)
    for objects in found.values():
        objects.sort(key=lambda stored: stored.key)
    return found
