"""A platform of a few tables that make nothing, with the daily tier's condition, and a clock to tick it by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from music_platform.orchestration.automation.daily_tier import daily_tier_sensor, follows_the_hours
from music_platform.orchestration.automation.run_tags import RANGE_END, RANGE_START
from music_platform.orchestration.partitions_definitions import daily_partitions, hourly_partitions
from music_platform.settings import Settings

DAYS = 30
HOURLY, DAILY = {"cadence": "hourly"}, {"cadence": "daily"}
EVERY_TABLE = {"plays", "sessions", "users", "summary"}


def day(offset: int) -> str:
    """The day so many days from today."""
    return f"{datetime.now(UTC) + timedelta(days=offset):%Y-%m-%d}"


def hours(offset: int, count: int = 1) -> list[str]:
    """The first hours of a day."""
    return [f"{day(offset)}-{hour:02}:00" for hour in range(count)]


def small_definitions(settings: Settings) -> dg.Definitions:
    """Hourly ``events``; daily ``plays`` (looks a day ahead), ``sessions`` (looks around), ``users`` (carries forward) and
    ``summary``. A step fails while a file of its table's name lies in the lake's folder."""
    by_hour, by_day = hourly_partitions(settings.start), daily_partitions(settings.start)
    condition = follows_the_hours(settings)
    single_run = dg.BackfillPolicy.single_run()

    def around(key: str, before: int = 0, after: int = 0) -> dg.AssetDep:
        return dg.AssetDep(
            key,
            partition_mapping=dg.TimeWindowPartitionMapping(
                start_offset=-before, end_offset=after, allow_nonexistent_upstream_partitions=True
            ),
        )

    def daily_table(name: str, deps: Sequence[dg.AssetDep]) -> dg.AssetsDefinition:
        @dg.asset(
            name=name,
            deps=deps,
            partitions_def=by_day,
            tags=DAILY,
            automation_condition=condition,
            backfill_policy=single_run,
            pool="daily_tables",
        )
        def table() -> None:
            if Path(settings.lake, name).exists():
                raise dg.Failure(f"{name} cannot be made", allow_retries=False)

        return table

    @dg.asset(partitions_def=by_hour, tags=HOURLY, backfill_policy=single_run)
    def events() -> None: ...

    day_before = dg.AssetDep(
        "users",
        partition_mapping=dg.TimeWindowPartitionMapping(
            start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=True
        ),
    )
    return dg.Definitions(
        assets=[
            events,
            daily_table("plays", [around("events", after=1)]),
            daily_table("sessions", [around("plays", before=1, after=2)]),
            daily_table("users", [around("events"), day_before]),
            daily_table("summary", [around("plays"), around("users")]),
        ],
        sensors=[daily_tier_sensor()],
        executor=dg.in_process_executor,
    )


@dataclass
class SmallTier:
    """``runs`` are the ranges that were launched, by their days and tables."""

    settings: Settings
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    cursor: str | None = None

    def __post_init__(self) -> None:
        self.definitions = small_definitions(self.settings)
        self.repository = self.definitions.get_repository_def()
        self._cursor = None

    def fill(self, partitions: Sequence[str]) -> None:
        """Materialize hours of ``events``."""
        for partition in partitions:
            self.instance.report_runless_asset_event(dg.AssetMaterialization("events", partition=partition))

    def run(self, tables: Sequence[str], first: str, last: str, tags: Mapping[str, str] | None = None) -> bool:
        """A run as it is launched for these tables and partitions; whether it succeeded."""
        range_tags = {"dagster/partition": first} if first == last else {RANGE_START: first, RANGE_END: last}
        return (
            self.definitions.resolve_implicit_global_asset_job_def()
            .execute_in_process(
                instance=self.instance,
                asset_selection=[dg.AssetKey(table) for table in tables],
                partition_key=first if first == last else None,
                tags=range_tags | dict(tags or {}),
                raise_on_error=False,
            )
            .success
        )

    def tick(self, seconds: float = 15.0) -> dict[str, set[str]]:
        """Evaluate the condition so many seconds later: the days that are requested, by table."""
        self.now += timedelta(seconds=seconds)
        result = dg.evaluate_automation_conditions(
            self.definitions, self.instance, evaluation_time=self.now, cursor=self._cursor
        )
        self._cursor = result.cursor
        requested = {table: result.get_requested_partitions(dg.AssetKey(table)) for table in EVERY_TABLE}
        return {table: {str(day) for day in days} for table, days in requested.items() if days}

    def sense(self) -> list[dg.RunRequest]:
        """A tick of the sensor itself, now."""
        sensor = self.repository.get_sensor_def("daily_tier_follows_the_hours")
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=self.repository, sensor_name=sensor.name
        ) as context:
            tick = sensor.evaluate_tick(context)
        self.cursor = tick.cursor
        return list(tick.run_requests or [])

    def settle(self) -> list[tuple[str, str, set[str]]]:
        """Run what the sensor requests until it requests no more; the runs by their first and last day and their tables."""
        return list(self._settle())

    def _settle(self) -> Iterator[tuple[str, str, set[str]]]:
        for _ in range(20):
            requests = self.sense()
            if not requests:
                return
            for request in requests:
                tables = {key.to_user_string() for key in request.asset_selection or ()}
                first = request.partition_key or request.tags[RANGE_START]
                last = request.partition_key or request.tags[RANGE_END]
                self.run(sorted(tables), first, last, request.tags)
                yield first, last, tables
        raise AssertionError("the daily tier requests runs without end")
