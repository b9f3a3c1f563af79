"""How fresh the tables are: when each landed object was readable in silver and gold, from listings and manifests alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import list_landing
from music_platform.lake.manifest import Manifest, partition_folder, read_manifest
from music_platform.landing.gzip_lines import count_lines
from music_platform.partitions import key_of_hour, keys_in_range
from music_platform.tables.bronze import BRONZE
from music_platform.tables.catalogue import GOLD
from music_platform.tables.contract import TableContract
from music_platform.tables.events import EVENT_TYPES
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER

FACTS: dict[str, TableContract] = {"listen_events": GOLD["fact_streams"], "page_view_events": GOLD["fact_page_views"]}
"""The hourly gold table of an event type; the other types have none."""

_WATCHED: list[TableContract] = [*BRONZE.values(), *SILVER.values(), *QUARANTINE.values(), *FACTS.values()]
_Version = tuple[str, str]  # a partition's folder and data version


@dataclass
class LandedObject:
    """One landed object. Moments are seconds since 1970; None: not yet. ``run_id`` is the run that first made bronze of it."""

    key: str
    event_type: str
    hour: str
    landed_at: float
    run_id: str | None = None
    silver_at: float | None = None
    gold_at: float | None = None

    @property
    def readable_at(self) -> float | None:
        """When its rows were readable in silver and, of the types that have a fact table, in gold."""
        return self.gold_at if self.event_type in FACTS else self.silver_at


@dataclass(frozen=True)
class Debounce:
    """The sensor's waiting rules, in seconds."""

    quiet_seconds: float
    longest_wait_seconds: float

    def ends(self, landed: Iterable[float]) -> float:
        """When the debounce ended for objects that landed at these moments."""
        moments = sorted(landed)
        latest = moments[0] + self.longest_wait_seconds
        last = moments[0]
        for moment in moments[1:]:
            if moment - last >= self.quiet_seconds:
                break
            last = moment
        return min(last + self.quiet_seconds, latest)


class FreshnessWatch:
    """Watches objects that land after it began, in the hours since then.

    ``objects`` are the landed objects by key, without earlier ones. ``manifests`` are the current ones of the watched hours, by
    table and hour.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._first = _current_hour() - timedelta(hours=1)  # an event may land just after its hour
        self._made_of: defaultdict[_Version, set[str]] = defaultdict(set)
        self._before = {
            key for hour in self.hours() for event_type in EVENT_TYPES for key in self._listed(hour, event_type)
        }
        self.objects: dict[str, LandedObject] = {}
        self.manifests: dict[tuple[str, str], Manifest] = {}

    def hours(self) -> list[str]:
        """The watched hours, up to the current one."""
        return keys_in_range(key_of_hour(self._first), key_of_hour(_current_hour()))

    def look(self) -> None:
        """List and read the manifests once; newly found objects became readable now at the latest."""
        hours = self.hours()
        for hour in hours:
            for event_type in EVENT_TYPES:
                for key, landed_at in self._listed(hour, event_type).items():
                    if key not in self._before and key not in self.objects:
                        self.objects[key] = LandedObject(key, event_type, hour, landed_at)
        # A publish between two of these reads is noticed at the next look.
        asked = [(contract, hour) for contract in _WATCHED for hour in hours]
        found = self._lake.map_parallel(lambda pair: read_manifest(self._lake.store, *pair), asked)
        self.manifests = {(contract.path, hour): entry[0] for (contract, hour), entry in zip(asked, found, strict=True)
                          if entry is not None}  # fmt: skip
        now = datetime.now(UTC).timestamp()
        for hour in hours:
            for event_type in EVENT_TYPES:
                self._follow(event_type, hour, now)

    def _listed(self, hour: str, event_type: str) -> dict[str, float]:
        """When each of the hour's objects of a type was landed, by key."""
        folder = list_landing(self._lake.store, event_type, [hour])[hour]
        return {stored.key: stored.last_modified.timestamp() for stored in folder.objects}

    def _follow(self, event_type: str, hour: str, now: float) -> None:
        """Mark the objects that the current manifests of an hour's tables were made from."""
        bronze = self.manifests.get((BRONZE[event_type].path, hour))
        if bronze is not None:
            version = partition_folder(bronze.table, hour), bronze.data_version
            for source in bronze.sources:
                self._made_of[version].add(source.key)
                if (landed := self.objects.get(source.key)) is not None and landed.run_id is None:
                    landed.run_id = bronze.run_id
        in_silver = self._pass_on(self.manifests.get((SILVER[event_type].path, hour)))
        for key in in_silver & self.objects.keys():
            self.objects[key].silver_at = self.objects[key].silver_at or now
        if event_type in FACTS:
            in_gold = self._pass_on(self.manifests.get((FACTS[event_type].path, hour)))
            for key in in_gold & self.objects.keys():
                self.objects[key].gold_at = self.objects[key].gold_at or now

    def _pass_on(self, manifest: Manifest | None) -> set[str]:
        """The landed objects that a table's partition was made from, directly or through other partitions."""
        if manifest is None:
            return set()
        keys = {key for source in manifest.sources for key in self._made_of.get((source.key, source.version), set())}
        self._made_of[partition_folder(manifest.table, manifest.partition), manifest.data_version] |= keys
        return keys

    def lines(self) -> int:
        """The lines of the objects."""
        return self._lines(self.objects)

    def _lines(self, keys: Iterable[str]) -> int:
        return sum(self._lake.map_parallel(lambda key: count_lines(self._lake.store.get(key) or b""), list(keys)))

    def rows(self, contracts: Iterable[TableContract]) -> int:
        """The rows that the watched hours have in these tables."""
        paths = {contract.path for contract in contracts}
        return sum(manifest.rows for (path, _), manifest in self.manifests.items() if path in paths)

    def differences(self) -> list[str]:
        """The watched hours whose rows do not add up from landing to gold; empty if nothing was lost or doubled."""
        found: list[str] = []
        for hour in self.hours():
            for event_type in EVENT_TYPES:
                made = [self.manifests.get((layer[event_type].path, hour)) for layer in (BRONZE, SILVER, QUARANTINE)]
                listed, (bronze, silver, quarantine) = set(self._listed(hour, event_type)), made
                if bronze is None or silver is None or quarantine is None:
                    if listed:
                        found.append(f"{event_type} of {hour} has objects and lacks a table")
                    continue
                if self._lines(listed) != bronze.rows:
                    found.append(f"{bronze.table} of {hour} does not hold the lines that have landed, each once")
                if bronze.rows != silver.rows + silver.counts.get("duplicates", 0) + quarantine.rows:
                    found.append(f"rows of {event_type} of {hour} do not add up from bronze to silver")
                fact = self.manifests.get((FACTS[event_type].path, hour)) if event_type in FACTS else None
                if event_type in FACTS and (fact is None or fact.rows != silver.rows):
                    found.append(f"{FACTS[event_type].path} of {hour} does not hold the rows of {silver.table}")
        return found

    def unreadable(self) -> list[LandedObject]:
        """The objects whose rows are not readable yet."""
        return [landed for landed in self.objects.values() if landed.readable_at is None]

    def lags(self) -> list[float]:
        """Seconds from landing to readable, for each readable object."""
        return [landed.readable_at - landed.landed_at for landed in self.objects.values()
                if landed.readable_at is not None]  # fmt: skip

    def batches(self) -> dict[tuple[str, str], list[LandedObject]]:
        """The objects by run and hour, under the first run that read them."""
        found: defaultdict[tuple[str, str], list[LandedObject]] = defaultdict(list)
        for landed in self.objects.values():
            if landed.run_id is not None:
                found[landed.run_id, landed.hour].append(landed)
        return found

    def lags_beyond(self, debounce: Debounce, requested: Mapping[str, float]) -> list[float]:
        """Seconds from the end of the debounce (from landing if later) to readable, for each readable object.

        ``requested`` has the times of the runs' requests, by run id: the debounce was over by then.
        """
        found: list[float] = []
        for (run_id, _), batch in self.batches().items():
            due = min(debounce.ends(landed.landed_at for landed in batch), requested.get(run_id, math.inf))
            found += [landed.readable_at - max(due, landed.landed_at) for landed in batch
                      if landed.readable_at is not None]  # fmt: skip
        return found


def _current_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
