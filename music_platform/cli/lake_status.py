"""The lake's health for `music-platform status`: what waits, what is held, what is gone.

layer_status.py says how far each table is, instance_status.py what Dagster knows, and health.py what is a problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from music_platform.cli.lake_integrity import damage_in_window
from music_platform.cli.layer_status import LakeLook, LayerStatus
from music_platform.lake.lake import Lake
from music_platform.lake.landed_sources import Difference, compare, hours_with_rows
from music_platform.lake.landing_layout import LandingFolder, list_errors, list_landing, parse_key, type_prefix
from music_platform.partitions import day_of_key, hour_of_key, hours_of_day, key_of_hour, keys_in_range
from music_platform.tables.catalogue import TABLES
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.contract import Layer
from music_platform.tables.events import EVENT_TYPES

_MOST_FUTURE_DAYS = 31  # a producer's clock may be wrong by years: so many days are listed, later ones only counted


@dataclass(frozen=True)
class UnprocessedHour:
    """An hour with landed objects that bronze was not made from: new ones, or rewritten ones."""

    hour: str
    event_type: str
    objects: int
    waiting_since: datetime


@dataclass(frozen=True)
class GoneObjects:
    """Landed objects of an hour that bronze was made from and that are gone, other than on purpose."""

    hour: str
    event_type: str
    objects: tuple[str, ...]


@dataclass(frozen=True)
class HeldHour:
    """A future hour that already has landed objects."""

    hour: str
    event_type: str
    objects: int


@dataclass(frozen=True)
class LakeStatus:
    """The lake's health; ``damaged`` are messages about manifests that cannot be read, and files that are gone."""

    layers: tuple[LayerStatus, ...]
    unprocessed: tuple[UnprocessedHour, ...]
    held: tuple[HeldHour, ...]
    later_held_days: int
    damaged: tuple[str, ...] = ()
    gone: tuple[GoneObjects, ...] = ()


def is_missing(lake: Lake) -> bool:
    """Whether a local lake's folder is missing; opening the lake would create it."""
    return lake.store.is_local and not Path(lake.location).is_dir()


def lake_status(lake: Lake, now: datetime, look_back_hours: int) -> LakeStatus:
    """The health of a lake; landed objects are compared with bronze in the last ``look_back_hours``.

    Raises ``LakeUnreachableError`` when the object store does not answer.
    """
    look = LakeLook(lake, now)
    layers = [look.landing()]
    for layer, cadence in dict.fromkeys((contract.layer, contract.cadence) for contract in look.tables):
        layers.append(look.layer(layer, cadence))
    first = max(look.hour - timedelta(hours=look_back_hours - 1), lake.settings.start)
    window = keys_in_range(key_of_hour(first), key_of_hour(look.hour)) if first <= look.hour else []
    rest_of_day = [key for key in hours_of_day(f"{now:%Y-%m-%d}") if hour_of_key(key) > look.hour]
    event_types = list(EVENT_TYPES)
    found = lake.map_parallel(lambda name: list_landing(lake.store, name, [*window, *rest_of_day]), event_types)
    listed = dict(zip(event_types, found, strict=True))
    later_held, later_days = _later_days(look)
    held = [
        HeldHour(key, name, len(folders[key].objects))
        for name, folders in listed.items()
        for key in rest_of_day
        if folders[key].objects
    ]
    errors = list_errors(lake.store, window)
    unprocessed, gone = _differences(
        look, {name: {key: folders[key] for key in window} for name, folders in listed.items()}
    )
    damage = damage_in_window(look, window)
    return LakeStatus(
        tuple(layers),
        tuple(unprocessed),
        tuple(sorted([*held, *later_held], key=lambda item: (item.hour, item.event_type))),
        later_days,
        tuple(dict.fromkeys([*damage, *look.damaged])),
        (*gone, *_gone_errors(look, errors)),
    )


def _differences(
    look: LakeLook, listed: dict[str, dict[str, LandingFolder]]
) -> tuple[list[UnprocessedHour], list[GoneObjects]]:
    """The hours in which bronze lacks landed objects, and those in which its sources are gone."""
    days = sorted({day_of_key(key) for folders in listed.values() for key in folders})
    asked = [(name, day) for name in listed for day in days]
    made = look.lake.map_parallel(
        lambda pair: hours_with_rows(look.lake, TABLES[f"{Layer.BRONZE}/{pair[0]}"], pair[1]), asked
    )
    with_rows = {(hour, name) for (name, _), hours in zip(asked, made, strict=True) for hour in hours}
    hours = sorted(
        (key, name)
        for name, folders in listed.items()
        for key, folder in folders.items()
        if folder.objects or (key, name) in with_rows
    )

    def compare_hour(hour: tuple[str, str]) -> Difference:
        key, name = hour
        bronze = look.manifest(TABLES[f"{Layer.BRONZE}/{name}"], key)
        sources = () if bronze is None else bronze.sources
        return compare(look.lake, sources, listed[name][key].objects, look.now)

    found = list(zip(hours, look.lake.map_parallel(compare_hour, hours), strict=True))
    unprocessed = [
        UnprocessedHour(key, name, len(differs.new), min(stored.last_modified for stored in differs.new))
        for (key, name), differs in found
        if differs.new
    ]
    gone = [
        GoneObjects(key, name, tuple(source.key for source in differs.gone))
        for (key, name), differs in found
        if differs.gone
    ]
    return unprocessed, gone


def _gone_errors(look: LakeLook, listed: dict[str, LandingFolder]) -> list[GoneObjects]:
    """The hours of which objects of error records are gone that quarantine was made from."""
    days = sorted({day_of_key(key) for key in listed})
    made = look.lake.map_parallel(lambda day: hours_with_rows(look.lake, COLLECTOR_ERRORS, day), days)
    gone = []
    for key in sorted({hour for hours in made for hour in hours} & listed.keys()):
        manifest = look.manifest(COLLECTOR_ERRORS, key)
        differs = compare(look.lake, () if manifest is None else manifest.sources, listed[key].objects, look.now)
        if differs.gone:
            keys = tuple(source.key for source in differs.gone)
            gone.append(GoneObjects(key, COLLECTOR_ERRORS.name, keys))
    return gone


def _later_days(look: LakeLook) -> tuple[list[HeldHour], int]:
    """The hours with landed objects on days after today, and the number of such days that were not listed."""
    held: list[HeldHour] = []
    beyond: set[str] = set()
    for name in EVENT_TYPES:
        days = [day for day in look.landed_days(name) if day > f"{look.now:%Y-%m-%d}"]
        beyond.update(days[_MOST_FUTURE_DAYS:])
        for day in days[:_MOST_FUTURE_DAYS]:
            counted: dict[datetime, int] = {}
            for stored in look.lake.store.list(f"{type_prefix(name)}/dt={day}"):
                place = parse_key(stored.key)
                if place is not None:
                    counted[place[1]] = counted.get(place[1], 0) + 1
            held += [HeldHour(key_of_hour(hour), name, objects) for hour, objects in counted.items()]
    return held, len(beyond)
