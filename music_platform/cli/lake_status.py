"""What the lake tells of its own health for `music-platform status`: how far each table is, what waits, what is held.

A few listings of folders a table, and the manifests of the partitions that are shown: the cost does not grow with history.
What Dagster knows stands in instance_status.py, and what of it is a problem in status.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from music_platform.errors import ManifestCorruptError
from music_platform.lake.lake import Lake
from music_platform.lake.landed_sources import Difference, compare, hours_with_rows
from music_platform.lake.landing_layout import (
    LandingFolder,
    day_of_folder,
    day_prefix,
    list_errors,
    list_landing,
    parse_key,
    type_prefix,
)
from music_platform.lake.manifest import Manifest, read_manifest
from music_platform.partitions import (
    DAILY_KEY_FORMAT,
    day_of_key,
    hour_of_key,
    hours_of_day,
    key_of_hour,
    keys_in_range,
)
from music_platform.tables.catalogue import TABLES, made_tables
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.contract import Cadence, Layer, TableContract
from music_platform.tables.events import EVENT_TYPES

_LENGTHS = {Cadence.HOURLY: timedelta(hours=1), Cadence.DAILY: timedelta(days=1)}
_MOST_FUTURE_DAYS = 31  # a producer's clock may be anywhere; these are listed, of later days only the number is given
_TRIED_AT_ONCE = 24


@dataclass(frozen=True)
class TableStatus:
    """How far a table is. ``last_complete`` is its last published partition that is over; None when there is none.

    ``rows`` and ``bytes`` are those of that partition, ``rows`` None in landing, whose objects are not opened, and
    ``objects`` None elsewhere. ``quarantine_rate`` is the share of bronze's rows, None outside quarantine.
    """

    table: str
    last_complete: str | None
    lag_seconds: float | None
    rows: int | None = None
    objects: int | None = None
    bytes: int | None = None
    quarantine_rate: float | None = None


@dataclass(frozen=True)
class LayerStatus:
    """How far a layer's tables of one cadence are, together.

    ``last_complete`` is the last hour or day that all of them have (in landing, that any has: not every hour has events of
    every type); the figures are those of that partition. ``held_back_by`` is the table that is behind all others.
    """

    layer: Layer
    cadence: Cadence
    last_complete: str | None
    lag_seconds: float | None
    held_back_by: str
    tables: tuple[TableStatus, ...]
    rows: int | None = None
    objects: int | None = None
    bytes: int | None = None
    quarantine_rate: float | None = None


@dataclass(frozen=True)
class UnprocessedHour:
    """An hour with landed objects that bronze was not made from: new ones, or rewritten ones."""

    hour: str
    event_type: str
    objects: int
    waiting_since: datetime


@dataclass(frozen=True)
class GoneObjects:
    """Landed objects of an hour that bronze was made from and that are gone, though not on purpose."""

    hour: str
    event_type: str
    objects: tuple[str, ...]


@dataclass(frozen=True)
class HeldHour:
    """An hour that is yet to come and has landed objects already."""

    hour: str
    event_type: str
    objects: int


@dataclass(frozen=True)
class LakeStatus:
    """Everything that the lake tells; ``damaged`` are messages of manifests that cannot be read."""

    layers: tuple[LayerStatus, ...]
    unprocessed: tuple[UnprocessedHour, ...]
    held: tuple[HeldHour, ...]
    later_held_days: int
    damaged: tuple[str, ...] = ()
    gone: tuple[GoneObjects, ...] = ()


def is_missing(lake: Lake) -> bool:
    """Whether a local lake's folder is not there; to look into it would make it."""
    return lake.store.is_local and not Path(lake.location).is_dir()


def lake_status(lake: Lake, now: datetime, look_back_hours: int) -> LakeStatus:
    """The health of a lake; landed objects are compared with bronze in the last ``look_back_hours``.

    Raises ``LakeUnreachableError`` when the object store does not answer.
    """
    look = _Look(lake, now)
    layers = [look.landing()]
    for layer, cadence in dict.fromkeys((contract.layer, contract.cadence) for contract in look.tables):
        layers.append(look.layer(layer, cadence))
    first = max(look.hour - timedelta(hours=look_back_hours - 1), lake.settings.start)
    window = keys_in_range(key_of_hour(first), key_of_hour(look.hour)) if first <= look.hour else []
    rest_of_day = [key for key in hours_of_day(f"{now:%Y-%m-%d}") if hour_of_key(key) > look.hour]
    event_types = list(EVENT_TYPES)
    found = lake.map_parallel(lambda name: list_landing(lake.store, name, [*window, *rest_of_day]), event_types)
    listed = dict(zip(event_types, found, strict=True))
    later_held, later_days = look.later_days()
    held = [
        HeldHour(key, name, len(folders[key].objects))
        for name, folders in listed.items()
        for key in rest_of_day
        if folders[key].objects
    ]
    errors = list_errors(lake.store, window)
    unprocessed, gone = look.differences(
        {name: {key: folders[key] for key in window} for name, folders in listed.items()}
    )
    return LakeStatus(
        tuple(layers),
        tuple(unprocessed),
        tuple(sorted([*held, *later_held], key=lambda item: (item.hour, item.event_type))),
        later_days,
        tuple(dict.fromkeys(look.damaged)),
        (*gone, *look.gone_errors(errors)),
    )


def period_end(partition: str, cadence: Cadence) -> datetime:
    """When a partition is over."""
    start = (
        hour_of_key(partition)
        if cadence is Cadence.HOURLY
        else datetime.strptime(partition, DAILY_KEY_FORMAT).replace(tzinfo=UTC)
    )
    return start + _LENGTHS[cadence]


@dataclass
class _Look:
    """One look at a lake: what is read of it is read once."""

    lake: Lake
    now: datetime
    damaged: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hour = self.now.replace(minute=0, second=0, microsecond=0)
        self.manifest = lru_cache(maxsize=None)(self._manifest)
        self.tables = list(made_tables(is_served=self.lake.settings.druid_enabled).values())

    def landing(self) -> LayerStatus:
        tables = tuple(self.lake.map_parallel(self._landing_table, list(EVENT_TYPES)))
        last = max((table.last_complete for table in tables if table.last_complete), default=None)
        of_last = [table for table in tables if last is not None and table.last_complete == last]
        return LayerStatus(
            Layer.LANDING,
            Cadence.HOURLY,
            last,
            self._lag(last, Cadence.HOURLY),
            min(tables, key=lambda table: table.last_complete or "").table,
            tables,
            objects=sum(table.objects or 0 for table in of_last) if last else None,
            bytes=sum(table.bytes or 0 for table in of_last) if last else None,
        )

    def layer(self, layer: Layer, cadence: Cadence) -> LayerStatus:
        contracts = [table for table in self.tables if table.layer is layer and table.cadence is cadence]
        tables = tuple(self.lake.map_parallel(self._table, contracts))
        behind = min(tables, key=lambda table: table.last_complete or "")
        last = behind.last_complete
        rows = size = rate = None
        if last is not None:
            found = self.lake.map_parallel(lambda contract: self.manifest(contract, last), contracts)
            manifests = [manifest for manifest in found if manifest is not None]
            rows = sum(manifest.rows for manifest in manifests)
            size = sum(manifest.bytes for manifest in manifests)
            rate = self._quarantine_rate(manifests, contracts)
        return LayerStatus(
            layer, cadence, last, self._lag(last, cadence), behind.table, tables, rows, None, size, rate
        )  # fmt: skip

    def differences(
        self, listed: dict[str, dict[str, LandingFolder]]
    ) -> tuple[list[UnprocessedHour], list[GoneObjects]]:
        """Where bronze was not made from all that has landed, and where what it was made from is gone."""
        days = sorted({day_of_key(key) for folders in listed.values() for key in folders})
        asked = [(name, day) for name in listed for day in days]
        made = self.lake.map_parallel(
            lambda pair: hours_with_rows(self.lake, TABLES[f"{Layer.BRONZE}/{pair[0]}"], pair[1]), asked
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
            bronze = self.manifest(TABLES[f"{Layer.BRONZE}/{name}"], key)
            sources = () if bronze is None else bronze.sources
            return compare(self.lake, sources, listed[name][key].objects, self.now)

        found = list(zip(hours, self.lake.map_parallel(compare_hour, hours), strict=True))
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

    def gone_errors(self, listed: dict[str, LandingFolder]) -> list[GoneObjects]:
        """Where objects of error records are gone that quarantine was made from."""
        days = sorted({day_of_key(key) for key in listed})
        made = self.lake.map_parallel(lambda day: hours_with_rows(self.lake, COLLECTOR_ERRORS, day), days)
        gone = []
        for key in sorted({hour for hours in made for hour in hours} & listed.keys()):
            manifest = self.manifest(COLLECTOR_ERRORS, key)
            differs = compare(self.lake, () if manifest is None else manifest.sources, listed[key].objects, self.now)
            if differs.gone:
                keys = tuple(source.key for source in differs.gone)
                gone.append(GoneObjects(key, COLLECTOR_ERRORS.name, keys))
        return gone

    def later_days(self) -> tuple[list[HeldHour], int]:
        """The hours that have landed objects on days after today, and the number of days that are not looked into."""
        held: list[HeldHour] = []
        beyond: set[str] = set()
        for name in EVENT_TYPES:
            days = [day for day in self._landed_days(name) if day > f"{self.now:%Y-%m-%d}"]
            beyond.update(days[_MOST_FUTURE_DAYS:])
            for day in days[:_MOST_FUTURE_DAYS]:
                counted: dict[datetime, int] = {}
                for stored in self.lake.store.list(f"{type_prefix(name)}/dt={day}"):
                    place = parse_key(stored.key)
                    if place is not None:
                        counted[place[1]] = counted.get(place[1], 0) + 1
                held += [HeldHour(key_of_hour(hour), name, objects) for hour, objects in counted.items()]
        return held, len(beyond)

    def _landing_table(self, event_type: str) -> TableStatus:
        table = f"{Layer.LANDING}/{event_type}"
        for day in reversed(self._landed_days(event_type)):
            if day > f"{self.now:%Y-%m-%d}":
                continue
            moment = datetime.strptime(day, DAILY_KEY_FORMAT).replace(tzinfo=UTC)
            names = self.lake.store.folders(day_prefix(event_type, moment))
            for key in self._over(day, names, "hour="):
                objects = list_landing(self.lake.store, event_type, [key])[key].objects
                if objects:
                    size = sum(stored.size for stored in objects)
                    return TableStatus(table, key, self._lag(key, Cadence.HOURLY), None, len(objects), size)
        return TableStatus(table, None, None)

    def _table(self, contract: TableContract) -> TableStatus:
        manifest = self._last_published(contract)
        if manifest is None:
            return TableStatus(contract.path, None, None)
        key = manifest.partition
        rate = self._quarantine_rate([manifest], [contract])
        return TableStatus(
            contract.path, key, self._lag(key, contract.cadence), manifest.rows, None, manifest.bytes, rate
        )

    def _last_published(self, contract: TableContract) -> Manifest | None:
        """The last partition that is over and published. A folder alone says nothing: a run may be about to publish it."""
        today = f"{self.now:%Y-%m-%d}"
        days = [day for day in self.lake.days_of(contract.path) if day <= today]
        if contract.cadence is Cadence.DAILY:
            return self._first_published(contract, [day for day in reversed(days) if day < today])
        for day in reversed(days):
            names = self.lake.store.folders(f"{contract.path}/date={day}")
            found = self._first_published(contract, self._over(day, names, "hour="))
            if found is not None:
                return found
        return None

    def _first_published(self, contract: TableContract, keys: Sequence[str]) -> Manifest | None:
        # Mostly the first one. While a run of a long range is yet to publish, there are hundreds of folders without manifests.
        for batch in (
            keys[:1],
            *(keys[start : start + _TRIED_AT_ONCE] for start in range(1, len(keys), _TRIED_AT_ONCE)),
        ):
            found = self.lake.map_parallel(lambda key: self.manifest(contract, key), batch)
            published = next((manifest for manifest in found if manifest is not None), None)
            if published is not None:
                return published
        return None

    def _manifest(self, contract: TableContract, partition: str) -> Manifest | None:
        try:
            found = read_manifest(self.lake.store, contract, partition)
        except ManifestCorruptError as error:
            self.damaged.append(str(error))
            return None
        return None if found is None else found[0]

    def _quarantine_rate(self, manifests: Sequence[Manifest], contracts: Sequence[TableContract]) -> float | None:
        """Quarantined rows of the rows of bronze in the same hour; None elsewhere, and where bronze has no row."""
        if any(contract.layer is not Layer.QUARANTINE for contract in contracts):
            return None
        made = quarantined = 0
        for manifest in manifests:
            contract = TABLES.get(manifest.table.replace(Layer.QUARANTINE, Layer.BRONZE))
            if contract is None:  # the collector's errors never were rows of bronze
                continue
            bronze = self.manifest(contract, manifest.partition)
            made += 0 if bronze is None else bronze.rows
            quarantined += manifest.rows
        return quarantined / made if made else None

    def _over(self, day: str, folder_names: Sequence[str], prefix: str) -> list[str]:
        """The hourly keys of a day's folders that are over, the last first."""
        present = {f"{day}-{name.removeprefix(prefix)}:00" for name in folder_names if name.startswith(prefix)}
        return [key for key in reversed(hours_of_day(day)) if key in present and hour_of_key(key) < self.hour]

    def _landed_days(self, event_type: str) -> list[str]:
        days = map(day_of_folder, self.lake.store.folders(type_prefix(event_type)))
        return [day for day in days if day is not None]

    def _lag(self, partition: str | None, cadence: Cadence) -> float | None:
        return None if partition is None else (self.now - period_end(partition, cadence)).total_seconds()
