"""Quarantined rows of some hours: their rules, and the event types that have no other rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from music_platform.lake.lake import Lake
from music_platform.lake.manifest import Manifest, read_manifest
from music_platform.lake.parquet_reader import read_object
from music_platform.partitions import describe_partitions
from music_platform.tables.events import EVENT_TYPES
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER


def rows_by_rule(lake: Lake, manifests: Iterable[Manifest]) -> list[tuple[str, int]]:
    """The first rules that the rows of quarantine partitions broke, the most frequent first."""
    keys = [key for manifest in manifests for key in manifest.keys]
    rules: Counter[str] = Counter()
    for found in lake.map_parallel(lambda key: read_object(lake.store, key, ["rule"]), keys):
        rules.update(found["rule"].to_pylist())
    return sorted(rules.items(), key=lambda entry: (-entry[1], entry[0]))


def entirely_quarantined(lake: Lake, hours: Sequence[str]) -> dict[str, str]:
    """The event types of which all rows of the hours are in quarantine, with a text that says so, by which rules and how to look.

    An hour that was never published has no rows.
    """
    found: dict[str, str] = {}
    for event_type in EVENT_TYPES:
        quarantined = _published(lake, event_type, hours, is_quarantine=True)
        if not any(manifest.rows for manifest in quarantined):
            continue
        if not any(manifest.rows for manifest in _published(lake, event_type, hours, is_quarantine=False)):
            found[event_type] = describe_entirely_quarantined(lake, event_type, hours, quarantined)
    return found


def describe_entirely_quarantined(
    lake: Lake, event_type: str, hours: Sequence[str], quarantined: Sequence[Manifest]
) -> str:
    """The message if silver has no row of the hours and quarantine has some."""
    rows = sum(manifest.rows for manifest in quarantined)
    rules = ", ".join(f"{rule} ({count:,})" for rule, count in rows_by_rule(lake, quarantined))
    return (
        f"{SILVER[event_type].path} has 0 rows of {describe_partitions(hours)}: {rows:,} of {rows:,} rows are in quarantine, by "
        f"the rules {rules}. They are shown by: music-platform quarantine show --event-type {event_type} "
        f"--partition-range '{hours[0]}...{hours[-1]}'"
    )


def _published(lake: Lake, event_type: str, hours: Sequence[str], *, is_quarantine: bool) -> list[Manifest]:
    contract = (QUARANTINE if is_quarantine else SILVER)[event_type]
    found = lake.map_requests(lambda hour: read_manifest(lake.store, contract, hour), hours)
    return [entry[0] for entry in found if entry is not None]
