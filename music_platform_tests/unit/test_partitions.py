"""Partition keys and how they relate."""

from datetime import UTC, datetime

import pytest

from music_platform.partitions import (
    contiguous_ranges,
    describe_ranges,
    end_of_partition,
    partition_after,
    partition_before,
    partition_path,
    start_of_partition,
)


def test_ranges_without_gaps_are_found() -> None:
    hours = ["2026-11-01-23:00", "2026-11-01-05:00", "2026-11-02-00:00"]
    assert contiguous_ranges(hours) == [["2026-11-01-05:00"], ["2026-11-01-23:00", "2026-11-02-00:00"]]


def test_days_have_ranges_too() -> None:
    days = ["2028-03-01", "2028-02-27", "2027-12-31", "2028-02-28", "2028-01-01"]  # 2028 has a 29 February
    assert contiguous_ranges(days) == [["2027-12-31", "2028-01-01"], ["2028-02-27", "2028-02-28"], ["2028-03-01"]]
    assert describe_ranges(days[:2]) == "2028-02-27, 2028-03-01"
    assert contiguous_ranges([]) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2026-11-01-05:00", "2026-11-01-06:00"),
        ("2026-12-31-23:00", "2027-01-01-00:00"),
        ("2028-02-28", "2028-02-29"),
        ("2026-12-31", "2027-01-01"),
    ],
)
def test_neighbours(before: str, after: str) -> None:
    assert partition_after(before) == after
    assert partition_before(after) == before
    assert end_of_partition(before) == start_of_partition(after)


def test_a_partition_s_bounds_and_folder() -> None:
    assert (
        start_of_partition("2026-11-01") == start_of_partition("2026-11-01-00:00") == datetime(2026, 11, 1, tzinfo=UTC)
    )
    assert end_of_partition("2026-11-01") == datetime(2026, 11, 2, tzinfo=UTC)
    assert end_of_partition("2026-11-01-05:00") == datetime(2026, 11, 1, 6, tzinfo=UTC)
    assert partition_path("2026-11-01") == "date=2026-11-01"
    assert partition_path("2026-11-01-05:00") == "date=2026-11-01/hour=05"


@pytest.mark.parametrize("wrong", ["2026-13-01-05:00", "yesterday", "2026-11-01-05:30"])
def test_what_is_no_partition_is_named(wrong: str) -> None:
    with pytest.raises(ValueError, match=f"'{wrong}'"):
        partition_before(wrong)
