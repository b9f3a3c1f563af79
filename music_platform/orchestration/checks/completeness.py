"""Completeness: a closed hour is complete in every layer; the watermark is the latest event time in silver.

Runs by the clock (automation/schedules.py), not with a run of an hour: a missing hour has no run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from music_platform.lake.lake import Lake
from music_platform.lake.landed_sources import compare
from music_platform.lake.landing_layout import LandingFolder, list_landing
from music_platform.lake.manifest import Manifest, read_manifest
from music_platform.lake.parquet_reader import open_parquet
from music_platform.orchestration.checks.outcome import CheckOutcome, first_problems
from music_platform.partitions import describe_partitions, key_of_hour
from music_platform.tables.bronze import BRONZE
from music_platform.tables.contract import Layer, TableContract
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold.fact_streams import FACT_STREAMS
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER

COMPLETENESS_CHECK = "closed_hours_are_complete"
_FACTS: dict[str, tuple[TableContract, ...]] = {
    "listen_events": (FACT_STREAMS,),
    "page_view_events": (FACT_STREAMS, FACT_PAGE_VIEWS),
}
_HOUR = timedelta(hours=1)


def hours_looked_at(now: datetime, lake: Lake) -> tuple[list[str], list[str]]:
    """The closed hours within the window of the settings, and the open ones after them, up to the current hour.

    An hour closes at its end plus the grace of the settings.
    """
    settings = lake.settings
    current = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first = max(settings.start, current - settings.completeness_hours * _HOUR)
    hours = [first + number * _HOUR for number in range(int((current - first) / _HOUR) + 1)]
    grace = timedelta(seconds=settings.hour_grace_seconds)
    closed = [hour for hour in hours if hour + _HOUR + grace <= now]
    return [key_of_hour(hour) for hour in closed], [key_of_hour(hour) for hour in hours[len(closed) :]]


def check_closed_hours(event_type: str, now: datetime, lake: Lake) -> CheckOutcome:
    """Whether each closed hour of an event type is in every table, made from all landed objects.

    Hours before the first one with data do not count; an hour without events between others must be explicitly empty. The
    numbers are objects seen, closed and incomplete hours, and the watermark (the latest event time that silver has, in seconds
    since 1970) with its lag.
    """
    closed, still_open = hours_looked_at(now, lake)
    landed = list_landing(lake.store, event_type, [*closed, *still_open])
    tables = (BRONZE[event_type], SILVER[event_type], QUARANTINE[event_type], *_FACTS.get(event_type, ()))
    manifests = {table.path: _manifests(lake, table, closed) for table in tables}
    begun = [hour for hour in closed if landed[hour].objects or any(hour in by_hour for by_hour in manifests.values())]
    looked_at = [hour for hour in closed if begun and hour >= begun[0]]
    problems = {
        hour: found
        for hour in looked_at
        if (found := _lacking(BRONZE[event_type], landed[hour], hour, manifests, now, lake))
    }
    watermark = _watermark(lake, SILVER[event_type], [*closed, *still_open])
    numbers: dict[str, int | float] = {
        "objects_seen": sum(len(folder.objects) for folder in landed.values()),
        "closed_hours": len(looked_at),
        "incomplete_hours": len(problems),
    }
    reached = "no event is in silver yet"
    if watermark is not None:
        numbers["watermark"] = watermark.timestamp()
        numbers["lag_seconds"] = round((now - watermark).total_seconds(), 1)
        reached = f"events up to {watermark:%Y-%m-%d %H:%M:%S} UTC are in silver"
    incomplete = first_problems([f"partition {hour}: {'; '.join(found)}" for hour, found in problems.items()])
    return CheckOutcome(
        table=f"{Layer.LANDING}/{event_type}",
        check=COMPLETENESS_CHECK,
        passed=not problems,
        description=(
            f"{incomplete}. Materialize these hours: ./run dagster asset materialize --select 'tag:cadence=hourly and not "
            f"group:landing' --partition HOUR; {reached}"
            if problems
            else f"{len(looked_at)} closed hours are complete ({describe_partitions(looked_at) if looked_at else 'none'}); "
            f"{reached}"
        ),
        numbers=numbers,
    )


def _manifests(lake: Lake, table: TableContract, hours: Sequence[str]) -> dict[str, Manifest]:
    found = lake.map_requests(lambda hour: read_manifest(lake.store, table, hour), hours)
    return {hour: entry[0] for hour, entry in zip(hours, found, strict=True) if entry is not None}


def _lacking(
    bronze: TableContract,
    landed: LandingFolder,
    hour: str,
    manifests: Mapping[str, Mapping[str, Manifest]],
    now: datetime,
    lake: Lake,
) -> list[str]:
    missing = [path for path, by_hour in manifests.items() if hour not in by_hour]
    found = [f"not in {', '.join(missing)} ({len(landed.objects)} objects landed)"] if missing else []
    if hour in manifests[bronze.path]:
        differs = compare(lake, manifests[bronze.path][hour].sources, landed.objects, now)
        if differs.new:
            found.append(f"{len(differs.new)} landed objects are not in {bronze.path}, such as '{differs.new[0].key}'")
        if differs.gone:
            found.append(
                f"{len(differs.gone)} landed objects are gone that {bronze.path} was made from, such as "
                f"'{differs.gone[0].key}'"
            )
    return found


def _watermark(lake: Lake, silver: TableContract, hours: Sequence[str]) -> datetime | None:
    """The latest event time of the last hour that has rows, from the footers of its files."""
    for hour in reversed(hours):
        found = read_manifest(lake.store, silver, hour)
        if found is None or not found[0].rows:
            continue
        latest: list[datetime] = []
        for key in found[0].keys:
            with open_parquet(lake.store, key) as file:
                column = file.schema_arrow.get_field_index(silver.partition_column)
                groups = [file.metadata.row_group(number).column(column) for number in range(file.num_row_groups)]
                latest += [group.statistics.max for group in groups]
        return max(latest).astimezone(UTC)
    return None
