"""Partition keys and how they relate."""

from music_platform.partitions import contiguous_ranges


def test_ranges_without_gaps_are_found() -> None:
    hours = ["2026-11-01-23:00", "2026-11-01-05:00", "2026-11-02-00:00"]
    assert contiguous_ranges(hours) == [["2026-11-01-05:00"], ["2026-11-01-23:00", "2026-11-02-00:00"]]
