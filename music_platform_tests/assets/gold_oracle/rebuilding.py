"""Lands events and rebuilds exactly what follows from them, by the functions that the assets call, without Dagster around."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from graphlib import TopologicalSorter

from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.assets.gold import stage_gold
from music_platform.orchestration.io_managers.parquet_io_manager import ParquetLakeIOManager
from music_platform.partitions import day_of_key, days_around, hours_of_day
from music_platform.tables.catalogue import made_gold_tables
from music_platform.tables.contract import Cadence, Layer
from music_platform.tables.gold_table import GoldTable
from music_platform_tests.assets.gold_oracle.history import Event, days_between
from music_platform_tests.assets.local_platform import LocalPlatform, gzip_lines, to_line
from music_platform_tests.spine import build_spine

_RUN_ID = "rebuild"
_TABLES = made_gold_tables(is_served=False)


def land(platform: LocalPlatform, events: Iterable[Event], chunk: int) -> set[str]:
    """One object for each event type and hour; gives the hours."""
    records: dict[tuple[str, str], list[dict[str, object]]] = defaultdict(list)
    for event in events:
        records[event.event_type, event.hour].append(event.record)
    for (event_type, hour), own in records.items():
        platform.land(event_type, hour, gzip_lines(map(to_line, own)), chunk=chunk)
    return {hour for _, hour in records}


class Rebuilding:
    """A platform whose days are made, and made again, as events land."""

    def __init__(self, platform: LocalPlatform) -> None:
        self._platform = platform
        self._spark = SparkEngine.from_settings(platform.settings)
        self._io_manager = ParquetLakeIOManager(platform.lake, self._spark)
        self._steps = 0
        self.days: list[str] = []

    def take(self, events: Sequence[Event], chance: random.Random) -> None:
        """Land the events and rebuild their hours and all that follows from these, in a random order where it is free."""
        hours = land(self._platform, events, chunk=self._steps)
        self._steps += 1
        if not hours:
            return
        new_days = set(days_between([*hours, *(f"{day}-00:00" for day in self.days)])) - set(self.days)
        self.days = sorted({*self.days, *new_days})
        changed_hours = sorted({*hours, *(hour for day in new_days for hour in hours_of_day(day))})
        build_spine(self._platform.lake, self._spark, changed_hours)
        changed = {day_of_key(hour) for hour in changed_hours}
        changed_by_table: dict[str, set[str]] = {}
        for path in _random_order(chance):
            table = _TABLES[path]
            if table.contract.cadence is Cadence.HOURLY:
                changed_by_table[path] = changed
                self._make(table, changed_hours)
                continue
            of_inputs = {
                name: changed if wanted.contract.layer is Layer.SILVER else changed_by_table[wanted.contract.path]
                for name, wanted in table.inputs.items()
            }
            days = [day for day in self.days if self._follows(table, day, of_inputs)] if of_inputs else sorted(new_days)
            if table.carries_forward:
                days = [day for day in self.days if day >= min(days)]
                self._make(table, days)
            elif chance.random() < 0.7:
                self._make(table, days)
            else:
                for day in chance.sample(days, len(days)):
                    self._make(table, [day])
            changed_by_table[path] = set(days)

    @staticmethod
    def _follows(table: GoldTable, day: str, changed: dict[str, set[str]]) -> bool:
        return any(
            changed[name] & days_around(day, before=wanted.days_before, after=wanted.days_after)
            for name, wanted in table.inputs.items()
        )

    def _make(self, table: GoldTable, partitions: list[str]) -> None:
        if not partitions:
            return
        lake, inputs = self._platform.lake, {}
        for name, wanted in table.inputs.items():
            keys = partitions
            if table.contract.cadence is Cadence.DAILY:
                around = set().union(
                    *(days_around(day, before=wanted.days_before, after=wanted.days_after) for day in partitions)
                )
                keys = sorted(around)
                if wanted.contract.cadence is Cadence.HOURLY:
                    keys = [hour for day in keys for hour in hours_of_day(day)]
            inputs[name] = StoredPartitions.open_published(wanted.contract, keys, lake, self._spark)
        staged = stage_gold(table, partitions, inputs, lake, self._spark, _RUN_ID)
        self._io_manager.publish(staged, partitions, _RUN_ID)


def _random_order(chance: random.Random) -> list[str]:
    """The gold tables, each after those that it is made from."""
    sorter = TopologicalSorter(
        {path: {wanted.contract.path for wanted in table.inputs.values() if wanted.contract.path in _TABLES}
         for path, table in _TABLES.items()}
    )  # fmt: skip
    sorter.prepare()
    ready: list[str] = []
    order: list[str] = []
    while sorter.is_active():
        ready += sorted(sorter.get_ready())
        order.append(ready.pop(chance.randrange(len(ready))))
        sorter.done(order[-1])
    return order
