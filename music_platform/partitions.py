"""Partitions of an hour and of a day: how their keys, times and paths relate.

Keys are written as Dagster writes them (`2026-11-01-05:00`, `2026-11-01`); everything here is UTC. This module knows nothing of
a partition's content.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import groupby

HOURLY_KEY_FORMAT = "%Y-%m-%d-%H:%M"
DAILY_KEY_FORMAT = "%Y-%m-%d"
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_MOST_RANGES_NAMED = 10
_DAY_FORM = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")


def hour_of_key(partition_key: str) -> datetime:
    """The hour that an hourly partition key names.

    Raises ``ValueError`` that shows the wanted form when the key is not one.
    """
    try:
        hour = datetime.strptime(partition_key, HOURLY_KEY_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"'{partition_key}' is not an hourly partition; write it as 2026-11-01-05:00") from error
    if hour.minute:
        raise ValueError(f"'{partition_key}' is not a whole hour; write it as 2026-11-01-05:00")
    return hour


def key_of_hour(hour: datetime) -> str:
    """The hourly partition key of an hour."""
    return hour.astimezone(UTC).strftime(HOURLY_KEY_FORMAT)


def is_day(partition_key: str) -> bool:
    """Whether a key has a daily partition's form, and not an hourly one's."""
    return _DAY_FORM.fullmatch(partition_key) is not None


def start_of_partition(partition_key: str) -> datetime:
    """When the hour or the day of a key begins."""
    return _midnight(partition_key) if is_day(partition_key) else hour_of_key(partition_key)


def end_of_partition(partition_key: str) -> datetime:
    """When the hour or the day of a key is over: the moment at which the next one begins."""
    return start_of_partition(partition_key) + (_DAY if is_day(partition_key) else _HOUR)


def partition_before(partition_key: str) -> str:
    """The key of the hour before an hour, or of the day before a day."""
    if is_day(partition_key):
        return (_midnight(partition_key) - _DAY).strftime(DAILY_KEY_FORMAT)
    return key_of_hour(hour_of_key(partition_key) - _HOUR)


def partition_after(partition_key: str) -> str:
    """The key of the hour after an hour, or of the day after a day."""
    end = end_of_partition(partition_key)
    return end.strftime(DAILY_KEY_FORMAT) if is_day(partition_key) else key_of_hour(end)


@lru_cache(maxsize=4096)  # a range needs each of its partitions many times
def partition_path(partition_key: str) -> str:
    """The Hive folder of an hourly or daily partition: ``date=2026-11-01/hour=05`` or ``date=2026-11-01``."""
    start = start_of_partition(partition_key)
    return f"{start:date=%Y-%m-%d}" if is_day(partition_key) else f"{start:date=%Y-%m-%d/hour=%H}"


def keys_in_range(first_key: str, last_key: str) -> list[str]:
    """Every hourly key from ``first_key`` to ``last_key``, both included.

    Raises ``ValueError`` when the range runs backwards.
    """
    first, last = hour_of_key(first_key), hour_of_key(last_key)
    if last < first:
        raise ValueError(f"the partition range {first_key}...{last_key} ends before it begins")
    return [key_of_hour(first + offset * _HOUR) for offset in range((last - first) // _HOUR + 1)]


def contiguous_ranges(partition_keys: Iterable[str]) -> list[list[str]]:
    """Hours, or days, in order and grouped into ranges without gaps: what one run can take."""

    def first_of_range(item: tuple[int, str]) -> datetime:
        index, key = item
        return start_of_partition(key) - index * (_DAY if is_day(key) else _HOUR)

    groups = groupby(enumerate(sorted(partition_keys)), first_of_range)
    return [[key for _, key in group] for _, group in groups]


def day_of_key(partition_key: str) -> str:
    """The daily partition key of the day that a daily or an hourly key lies in."""
    return partition_key[: len("2026-11-01")]


def days_in_range(first_day: str, last_day: str) -> list[str]:
    """Every daily key from ``first_day`` to ``last_day``, both included.

    Raises ``ValueError`` that shows the wanted form when one is not a day, and when the range runs backwards.
    """
    try:
        first, last = _midnight(first_day), _midnight(last_day)
    except ValueError as error:
        raise ValueError(
            f"'{first_day}...{last_day}' is not a range of days; write it as 2026-11-01...2026-11-14"
        ) from error
    if last < first:
        raise ValueError(f"the partition range {first_day}...{last_day} ends before it begins")
    return [(first + offset * _DAY).strftime(DAILY_KEY_FORMAT) for offset in range((last - first).days + 1)]


def days_around(day: str, *, before: int, after: int) -> set[str]:
    """The daily key of a day and those of so many days before and after it."""
    start = _midnight(day)
    return {(start + offset * _DAY).strftime(DAILY_KEY_FORMAT) for offset in range(-before, after + 1)}


def hours_of_day(day: str) -> list[str]:
    """The 24 hourly keys of a day."""
    start = _midnight(day)
    return [key_of_hour(start + hour * _HOUR) for hour in range(24)]


def describe_partitions(partition_keys: Sequence[str]) -> str:
    """A short text for messages: one key, or the first and the last with their number."""
    if not partition_keys:
        return "no partition"
    if len(partition_keys) == 1:
        return partition_keys[0]
    return f"{partition_keys[0]}...{partition_keys[-1]} ({len(partition_keys)} partitions)"


def describe_ranges(partition_keys: Iterable[str]) -> str:
    """A short text for messages: hours, or days, as ranges without gaps, the first few of them."""
    ranges = [describe_partitions(group) for group in contiguous_ranges(partition_keys)]
    more = len(ranges) - _MOST_RANGES_NAMED
    return ", ".join(ranges[:_MOST_RANGES_NAMED]) + (f" and {more} more" if more > 0 else "")


def in_batches(partition_keys: Iterable[str], rows: dict[str, int], most_rows: int) -> list[list[str]]:
    """Split partitions, in order, into batches of at most ``most_rows`` rows; a larger partition stands alone."""
    batches: list[list[str]] = []
    held = 0
    for key in partition_keys:
        if not batches or held + rows.get(key, 0) > most_rows:
            batches.append([])
            held = 0
        batches[-1].append(key)
        held += rows.get(key, 0)
    return batches


def _midnight(day: str) -> datetime:
    return datetime.strptime(day, DAILY_KEY_FORMAT).replace(tzinfo=UTC)
