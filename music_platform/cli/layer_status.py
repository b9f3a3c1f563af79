"""How far each table and each layer of the lake is: the last complete published partition and its figures.

Costs a few listings of folders per table and the manifests of the shown partitions; it does not grow with history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from music_platform.errors import ManifestCorruptError
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import day_of_folder, day_prefix, list_landing, type_prefix
from music_platform.lake.manifest import Manifest, read_manifest
from music_platform.partitions import DAILY_KEY_FORMAT, hour_of_key, hours_of_day
from music_platform.tables.catalogue import TABLES, made_tables
from music_platform.tables.contract import Cadence, Layer, TableContract
from music_platform.tables.events import EVENT_TYPES

_LENGTHS = {Cadence.HOURLY: timedelta(hours=1), Cadence.DAILY: timedelta(days=1)}
_TRIED_AT_ONCE = 24


@dataclass(frozen=True)
class TableStatus:
    """How far a table is. ``last_complete`` is its last published partition whose time has passed; None if it has none.

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


def period_end(partition: str, cadence: Cadence) -> datetime:
    """When a partition is over."""
    start = (
        hour_of_key(partition)
        if cadence is Cadence.HOURLY
        else datetime.strptime(partition, DAILY_KEY_FORMAT).replace(tzinfo=UTC)
    )
    return start + _LENGTHS[cadence]


@dataclass
class LakeLook:
    """One look at a lake; reads everything at most once."""

    lake: Lake
    now: datetime
    damaged: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hour = self.now.replace(minute=0, second=0, microsecond=0)
        self.manifest = lru_cache(maxsize=None)(self._manifest)
        self._days_of = lru_cache(maxsize=None)(self.lake.days_of)
        self.tables = list(made_tables(is_served=self.lake.settings.druid_enabled).values())

    def landing(self) -> LayerStatus:
        """The landed objects of all event types, hour by hour."""
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
        """The tables of a layer that have this cadence."""
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

    def _landing_table(self, event_type: str) -> TableStatus:
        table = f"{Layer.LANDING}/{event_type}"
        for day in reversed(self.landed_days(event_type)):
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
        """The last published partition whose time has passed. A folder alone is no proof: a run may be about to publish it."""
        today = f"{self.now:%Y-%m-%d}"
        days = [day for day in self.days_of(contract) if day <= today]
        if contract.cadence is Cadence.DAILY:
            return self._first_published(contract, [day for day in reversed(days) if day < today])
        for day in reversed(days):
            names = self.lake.store.folders(f"{contract.path}/date={day}")
            found = self._first_published(contract, self._over(day, names, "hour="))
            if found is not None:
                return found
        return None

    def _first_published(self, contract: TableContract, keys: Sequence[str]) -> Manifest | None:
        # Usually the first one. Before a run of a long range publishes, hundreds of folders have no manifest.
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

    def days_of(self, contract: TableContract) -> list[str]:
        """The days for which a table has folders."""
        return self._days_of(contract.path)

    def landed_days(self, event_type: str) -> list[str]:
        """The days of which an event type has a folder in landing."""
        days = map(day_of_folder, self.lake.store.folders(type_prefix(event_type)))
        return [day for day in days if day is not None]

    def _lag(self, partition: str | None, cadence: Cadence) -> float | None:
        return None if partition is None else (self.now - period_end(partition, cadence)).total_seconds()
