"""Dagster's definitions of the hourly and the daily partitions, and the ranges of them that a run may name."""

from __future__ import annotations

from datetime import datetime

import dagster as dg

from music_platform.orchestration.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)
from music_platform.partitions import DAILY_KEY_FORMAT, HOURLY_KEY_FORMAT, days_in_range, is_day, keys_in_range


def hourly_partitions(start: datetime) -> dg.HourlyPartitionsDefinition:
    """Hours from ``start`` to the current, unfinished one inclusive."""
    return dg.HourlyPartitionsDefinition(
        start_date=start.strftime(HOURLY_KEY_FORMAT), fmt=HOURLY_KEY_FORMAT, timezone="UTC", end_offset=1
    )


def daily_partitions(start: datetime) -> dg.DailyPartitionsDefinition:
    """Days from ``start`` to the current, unfinished one inclusive."""
    return dg.DailyPartitionsDefinition(
        start_date=start.strftime(DAILY_KEY_FORMAT), fmt=DAILY_KEY_FORMAT, timezone="UTC", end_offset=1
    )


def require_forward_range(run: dg.DagsterRun) -> None:
    """Fail a step, without a retry, in a run whose range of partitions ends before it begins.

    Dagster treats such a range as one without partitions, so the run would succeed without making anything.
    """
    first, last = (run.tags.get(tag) for tag in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG))
    if first is None or last is None:
        return
    try:
        _ = days_in_range(first, last) if is_day(first) else keys_in_range(first, last)
    except ValueError as error:
        raise dg.Failure(
            f"{error}. Nothing was made; give the earlier partition first.", allow_retries=False
        ) from error
