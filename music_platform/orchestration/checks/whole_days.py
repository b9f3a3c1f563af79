"""Whole days: a past day was made from all of its hours."""

from __future__ import annotations

from datetime import datetime, timedelta

from music_platform.lake.manifest import Manifest
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.orchestration.checks.outcome import CheckOutcome, first_problems
from music_platform.partitions import (
    contiguous_ranges,
    describe_partitions,
    end_of_partition,
    hour_of_key,
    hours_of_day,
)
from music_platform.settings import Settings

WHOLE_DAYS_CHECK = "made_of_all_hours"


def check_made_of_all_hours(stored: StoredPartitions, now: datetime) -> CheckOutcome:
    """Whether each partition of a daily table was made from every hour of its day, by its manifest.

    Checks a day once all its hours have closed, at their end plus the settings' grace. Hours before the first partition of the
    settings do not count. A warning only: the first day of a lake may begin at noon.
    """
    settings = stored.lake.settings
    problems: list[str] = []
    looked_at = missing = 0
    for day, manifest in stored.manifests.items():
        if end_of_partition(day) + timedelta(seconds=settings.hour_grace_seconds) > now:
            continue
        looked_at += 1
        for table, lacking in _lacking_hours(day, manifest, settings).items():
            missing += len(lacking)
            missing_hours = ", ".join(describe_partitions(hours) for hours in contiguous_ranges(lacking))
            problems.append(f"partition {day}: made without {len(lacking)} hours of {table}: {missing_hours}")
    advice = "Materialize these hours (one in which nothing happened becomes an empty partition), then the days again"
    return CheckOutcome(
        table=stored.contract.path,
        check=WHOLE_DAYS_CHECK,
        passed=not problems,
        description=f"{first_problems(problems)}. {advice}"
        if problems
        else f"{looked_at} days that are over have all their hours",
        is_blocking=False,
        numbers={"days_over": looked_at, "missing_hours": missing},
    )


def _lacking_hours(day: str, manifest: Manifest, settings: Settings) -> dict[str, list[str]]:
    """The hours of the day that a partition was not made from, by hourly table; tables without such hours are left out."""
    made_of: dict[str, set[str]] = {}
    for source in manifest.sources:
        table, date, folder = source.key.rpartition("/date=")
        date, hour, number = folder.partition("/hour=")
        if hour:
            made_of.setdefault(table, set()).add(f"{date}-{number}:00")
    wanted = _hours_of(day, settings)
    lacking = {table: [hour for hour in wanted if hour not in found] for table, found in made_of.items()}
    return {table: hours for table, hours in lacking.items() if hours}


def _hours_of(day: str, settings: Settings) -> list[str]:
    """The day's hours that have a partition."""
    return [hour for hour in hours_of_day(day) if hour_of_key(hour) >= settings.start]
