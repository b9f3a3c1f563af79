"""The hours that a landing sensor without a cursor treats as done: their tables were made of exactly what has landed.

So the first tick after a demo, or after a reset of the cursor, runs only what is missing and not what was made by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from music_platform.lake.lake import Lake
from music_platform.lake.landed_sources import compare
from music_platform.lake.landing_layout import LANDED_KINDS, list_landed
from music_platform.lake.manifest import Manifest, read_manifest
from music_platform.lake.stored_objects import StoredObject
from music_platform.landing.watch.landed_hours import NO_OBJECTS, LandedHour
from music_platform.partitions import keys_in_range
from music_platform.tables.bronze import MADE_OF_LANDED
from music_platform.tables.catalogue import made_tables
from music_platform.tables.contract import Cadence, TableContract


def contents_of_made_hours(
    lake: Lake, instance: dg.DagsterInstance, listed: Mapping[str, LandedHour], *, is_served: bool
) -> dict[str, str]:
    """The content of the hours that need no run, including hours without objects between others.

    All hourly tables of such an hour are published and known to the instance. The first were made of exactly the landed
    objects, the others of what is published. With ``is_served`` Druid must serve the hour as well.
    """
    if not listed:
        return {}
    tables = [table for table in made_tables(is_served=is_served).values() if table.cadence is Cadence.HOURLY]
    hours: Iterable[str] = keys_in_range(min(listed), max(listed))
    for table in tables:
        known = instance.get_materialized_partitions(dg.AssetKey(table.asset_key))
        hours = [hour for hour in hours if hour in known]
    hours = [*hours]
    if not hours:
        return {}
    landed = {
        kind: {hour: folder.objects for hour, folder in folders.items()}
        for kind, folders in zip(
            LANDED_KINDS,
            lake.map_parallel(lambda kind: list_landed(lake.store, kind, hours), LANDED_KINDS),
            strict=True,
        )
    }
    made = lake.map_parallel(
        lambda hour: _is_made(lake, tables, hour, {kind: found[hour] for kind, found in landed.items()}), hours
    )
    return {
        hour: listed[hour].content if hour in listed else NO_OBJECTS
        for hour, is_made in zip(hours, made, strict=True)
        if is_made
    }


def _is_made(
    lake: Lake, tables: Sequence[TableContract], hour: str, landed: Mapping[str, Sequence[StoredObject]]
) -> bool:
    manifests: dict[str, Manifest] = {}
    for table in tables:
        found = read_manifest(lake.store, table, hour)
        if found is None:
            return False
        manifests[table.path] = found[0]
    for kind, table in MADE_OF_LANDED.items():
        differs = compare(lake, manifests[table.path].sources, landed[kind], datetime.now(UTC))
        if differs.new or differs.gone:
            return False
    versions = {manifest.folder: manifest.data_version for manifest in manifests.values()}
    return all(
        source.version == versions.get(source.key, source.version)
        for manifest in manifests.values()
        for source in manifest.sources
    )
