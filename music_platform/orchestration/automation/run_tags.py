"""The tags that say what partitions a run makes: Dagster's, and the platform's own."""

PARTITION = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

REQUESTED = "music_platform/requested"
"""Of a range run of the daily tier: JSON of each table's first and last stale day, ``{"gold/fact_plays": ["2026-11-01", …]}``.
The other days of the range are made from what they were made from before."""
