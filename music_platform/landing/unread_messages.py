"""Messages about objects and lines that no table reads, and what to do about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from music_platform.landing.unread import Reason, UnreadGroup, prefix_of, why_unread
from music_platform.partitions import describe_ranges, hour_of_key, key_of_hour
from music_platform.tables.collector_errors import COLLECTOR_ERRORS

_WAY_IN = "'music-platform landing refile' files them where tables read them"
_WAY_OUT = "take their objects out by 'music-platform landing set-aside PREFIX', and land corrected lines"
_WAY_IN_OF_UNKNOWN = (
    "'music-platform landing refile PREFIX --event-type TYPE' files those that are of an event type where tables read them; "
    "'music-platform landing set-aside PREFIX' takes out others"
)
_MEANINGS = {
    Reason.UNKNOWN_EVENT_TYPE: "lie in no event type's folder",
    Reason.OUTSIDE_AN_HOUR: "lie outside the folders of hours (dt=2026-11-01/hour=05/; of error records dt=2026-11-01/)",
    Reason.OTHER_NAME: "are not named as the collector names objects of their folder (2026110105_<32 hex digits>.json.gz)",
}


def describe_unread(group: UnreadGroup, start: datetime) -> str:
    """Describe unread objects and what to do about them."""
    place = f"{prefix_of(group.kind)}/"
    keys = ", ".join(f"'{key}'" for key in group.keys)
    what = f"{group.objects:,} objects ({group.bytes:,} bytes) under {place}"
    if group.first_hour is None or group.last_hour is None:
        way_in = _WAY_IN_OF_UNKNOWN if group.reason is Reason.UNKNOWN_EVENT_TYPE else _WAY_IN
        return f"{what} {_MEANINGS[group.reason]} and no table reads them, such as {keys}; {way_in}"
    hours = group.first_hour if group.first_hour == group.last_hour else f"{group.first_hour} to {group.last_hour}"
    if group.reason is Reason.HOUR_TO_COME:
        return (
            f"{what} are error records of hours that have not begun, by a wrong clock, and no table reads them until then: "
            f"{hours}, such as {keys}; {_WAY_IN}"
        )
    return (
        f"{what} are of hours before MUSIC_PLATFORM_START ({start:%Y-%m-%dT%H:%M}) and no table reads them: {hours}, such as "
        f"{keys}; {_way_in_before_start(group)}"
    )


def _way_in_before_start(group: UnreadGroup) -> str:
    if group.kind == COLLECTOR_ERRORS.name:
        return _WAY_IN
    return f"set {start_setting(group.first_hour or '')} to have them read; if a clock was wrong, {_WAY_OUT}"


def start_setting(hour: str) -> str:
    """The setting by which an hourly partition key becomes the first partition."""
    return f"MUSIC_PLATFORM_START={hour_of_key(hour):%Y-%m-%dT%H:%M}"


def describe_unread_error_records(keys: Iterable[str], start: datetime, now: datetime) -> list[str]:
    """Messages about objects of error records, by their keys, that no table reads."""
    unread = sorted(key for key in keys if why_unread(key, start, now) is not None)
    if not unread:
        return []
    return [
        f"{len(unread):,} objects of error records of these files were there already, where no table reads them, such as "
        f"'{unread[0]}'; {_WAY_IN}"
    ]


def describe_left(left: Sequence[str]) -> str:
    """Describe the folders that a listing did not reach."""
    return (
        f"{len(left):,} folders were not looked into for objects that no table reads, such as '{left[0]}'; "
        "'music-platform landing unread' looks into all"
    )


def describe_lines_without_partition(lines_by_hour: dict[datetime, int], start: datetime, now: datetime) -> list[str]:
    """Messages about lines landed into hours without a partition: before the first, or in the future."""
    messages = []
    if before := {hour: lines for hour, lines in lines_by_hour.items() if hour < start}:
        messages.append(
            f"{sum(before.values()):,} lines lie before MUSIC_PLATFORM_START ({start:%Y-%m-%dT%H:%M}) and will not be read: "
            f"{describe_ranges(map(key_of_hour, before))}. If their time is right, set "
            f"{start_setting(key_of_hour(min(before)))}; if a clock was wrong, {_WAY_OUT}"
        )
    if future := {hour: lines for hour, lines in lines_by_hour.items() if hour > now}:
        messages.append(
            f"{sum(future.values()):,} lines are of hours that have not begun, and are held until then: "
            f"{describe_ranges(map(key_of_hour, future))}. If a clock was wrong, {_WAY_OUT}"
        )
    return messages
