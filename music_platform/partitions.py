"""Partitions of an hour and of a day: how their keys, times and paths relate.

Keys are written as Dagster writes them (`2026-11-01-05:00`, `2026-11-01`); everything here is UTC. What is stored in a partition
does not belong here.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import groupby

HOURLY_KEY_FORMAT = "%Y-%m-%d-%H:%M"
DAILY_KEY_FORMAT = "%Y-%m-%d"
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


@lru_cache(maxsize=4096)  # a range asks for each of its partitions many times
def partition_path(partition_key: str) -> str:
    """The Hive folder of an hourly or daily partition: ``date=2026-11-01/hour=05`` or ``date=2026-11-01``."""
    if is_day(partition_key):
        return f"date={datetime.strptime(partition_key, DAILY_KEY_FORMAT).replace(tzinfo=UTC):%Y-%m-%d}"
    return f"{hour_of_key(partition_key):date=%Y-%m-%d/hour=%H}"


def keys_in_range(first_key: str, last_key: str) -> list[str]:
    """Every hourly key from ``first_key`` to ``last_key``, both included.

    Raises ``ValueError`` when the range runs backwards.
    """
    first, last = hour_of_key(first_key), hour_of_key(last_key)
    if last < first:
        raise ValueError(f"the partition range {first_key}...{last_key} ends before it begins")
    hours = int((last - first) / timedelta(hours=1)) + 1
    return [key_of_hour(first + timedelta(hours=offset)) for offset in range(hours)]


def contiguous_ranges(partition_keys: Iterable[str]) -> list[list[str]]:
    """Hours, in order, grouped into ranges without gaps: what one run can take."""
    ordered = sorted(partition_keys)
    groups = groupby(enumerate(ordered), lambda item: int(hour_of_key(item[1]).timestamp()) // 3600 - item[0])
    return [[key for _, key in group] for _, group in groups]


def day_of_key(partition_key: str) -> str:
    """The daily partition key of the day that a daily or an hourly key lies in."""
    return partition_key[: len("2026-11-01")]


def days_in_range(first_day: str, last_day: str) -> list[str]:
    """Every daily key from ``first_day`` to ``last_day``, both included.

    Raises ``ValueError`` that shows the wanted form when one is not a day, and when the range runs backwards.
    """
    try:
        first, last = (datetime.strptime(day, DAILY_KEY_FORMAT).replace(tzinfo=UTC) for day in (first_day, last_day))
    except ValueError as error:
        raise ValueError(
            f"'{first_day}...{last_day}' is not a range of days; write it as 2026-11-01...2026-11-14"
        ) from error
    if last < first:
        raise ValueError(f"the partition range {first_day}...{last_day} ends before it begins")
    return [(first + timedelta(days=offset)).strftime(DAILY_KEY_FORMAT) for offset in range((last - first).days + 1)]


def days_around(day: str, *, before: int, after: int) -> set[str]:
    """The daily key of a day and those of so many days before and after it."""
    moment = datetime.strptime(day, DAILY_KEY_FORMAT).replace(tzinfo=UTC)
    return {(moment + timedelta(days=offset)).strftime(DAILY_KEY_FORMAT) for offset in range(-before, after + 1)}


def hours_of_day(day: str) -> list[str]:
    """The 24 hourly keys of a day."""
    first = datetime.strptime(day, DAILY_KEY_FORMAT).replace(tzinfo=UTC)
    return [key_of_hour(first + timedelta(hours=hour)) for hour in range(24)]


def describe_partitions(partition_keys: Sequence[str]) -> str:
    """A short text for messages: one key, or the first and the last with their number."""
    if not partition_keys:
        return "no partition"
    if len(partition_keys) == 1:
        return partition_keys[0]
    return f"{partition_keys[0]}...{partition_keys[-1]} ({len(partition_keys)} partitions)"


def describe_ranges(partition_keys: Iterable[str]) -> str:
    """A short text for messages: hours as ranges without gaps, the first few of them."""
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
