"""The days that a datasource keeps where it does not keep all: the last ones of its table, whatever the clock says.

Druid's own rules of retention go by the clock: a history that is brought in late would never be served.
"""

from __future__ import annotations

from dataclasses import replace

from music_platform.lake.manifest import read_manifest
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.partitions import days_around, partition_before
from music_platform.serving.druid.client import DruidResource
from music_platform.serving.druid.datasources import Datasource
from music_platform.serving.druid.ingestion_spec import interval_of

_FIRST_DAY = "1900-01-01"


def kept_of(datasource: Datasource, stored: StoredPartitions) -> StoredPartitions:
    """Those of the partitions that the datasource serves: all of them, or those of the days that it keeps."""
    if datasource.keeps_days is None:
        return stored
    days = _kept_days(datasource.keeps_days, stored)
    return replace(stored, manifests={key: each for key, each in stored.manifests.items() if key in days})


def drop_older_days(datasource: Datasource, stored: StoredPartitions, druid: DruidResource) -> int:
    """Take the days before those that the datasource keeps out of service; returns how many segments that are."""
    if datasource.keeps_days is None:
        return 0
    last_dropped = partition_before(min(_kept_days(datasource.keeps_days, stored)))
    return druid.mark_unused(datasource.name, interval_of(_FIRST_DAY, last_dropped))


def in_words(datasource: Datasource) -> str:
    days = "the last day" if datasource.keeps_days == 1 else f"the last {datasource.keeps_days} days"
    return f"the datasource keeps {days} of {datasource.contract.path}"


def _kept_days(number: int, stored: StoredPartitions) -> set[str]:
    """So many days up to the last one that is published of the table; a folder alone, of a killed run, is no day."""
    published = (
        day
        for day in reversed(stored.lake.days_of(stored.contract.path))
        if read_manifest(stored.lake.store, stored.contract, day) is not None
    )
    return days_around(next(published), before=number - 1, after=0)
