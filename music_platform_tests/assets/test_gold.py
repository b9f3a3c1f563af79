"""Gold through the definitions: every check passes, and what comes late or in another order ends in the same tables."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path

import dagster as dg
import pytest

from music_platform.errors import PartitionMissingError
from music_platform.eventsim import GeneratorOptions, generate_files
from music_platform.lake.spark import SparkEngine
from music_platform.landing.event_files import EventFile
from music_platform.landing.writer import land_files
from music_platform.orchestration.checks.derived_tables import check_derived
from music_platform.settings import Settings
from music_platform.tables.catalogue import GOLD_TABLES, made_gold_tables, made_tables
from music_platform.tables.contract import Cadence, TableContract
from music_platform.tables.gold.dim_users import DIM_USERS
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold.fact_sessions import FACT_SESSIONS
from music_platform.tables.gold.fact_streams import FACT_STREAMS
from music_platform.tables.gold.hourly_plays import HOURLY_PLAYS
from music_platform.tables.gold.user_activity import USER_ACTIVITY
from music_platform_tests.assets.local_platform import LocalPlatform, evaluations

DAYS = ["2026-11-01", "2026-11-02", "2026-11-03"]
HOURS = ("2026-11-01-00:00", "2026-11-03-23:00")


@dataclass
class Events:
    """Lines of each event type: all of them, and those that come late."""

    in_time: dict[str, list[bytes]]
    late: dict[str, list[bytes]]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Events:
    folder = tmp_path_factory.mktemp("events")
    made = generate_files(
        GeneratorOptions(users=60, seed=3, start=datetime(2026, 11, 1, tzinfo=UTC), days=3, growth_rate=0.0), folder
    )
    chance = random.Random(1)
    found = Events({}, {})
    for name, path in made.files.items():
        lines = path.read_bytes().splitlines(keepends=True)
        late = set(chance.sample(range(len(lines)), len(lines) // 10))
        found.in_time[name] = [line for number, line in enumerate(lines) if number not in late]
        found.late[name] = [lines[number] for number in sorted(late)]
    return found


def land(platform: LocalPlatform, folder: Path, lines: dict[str, list[bytes]]) -> None:
    folder.mkdir()
    files = []
    for name, content in lines.items():
        path = folder / name
        path.write_bytes(b"".join(content))
        files.append(EventFile(path, name))
    land_files(platform.lake.store, files)


def contents(platform: LocalPlatform) -> dict[str, str]:
    """The data version of every gold partition."""
    hours = [f"{day}-{hour:02}:00" for day in DAYS for hour in range(24)]
    return {
        f"{path} {partition}": platform.manifest(path, partition).data_version
        for path, table in made_gold_tables(is_served=False).items()
        for partition in (hours if table.contract.cadence is Cadence.HOURLY else DAYS)
    }


@dataclass
class Made:
    platform: LocalPlatform
    hours_run: dg.JobExecutionResult
    days_run: dg.JobExecutionResult


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, events: Events) -> Made:
    """All events landed before the one range run of each tier."""
    root = tmp_path_factory.mktemp("gold")
    platform = LocalPlatform(Settings(lake=str(root / "lake")))
    land(platform, root / "in-time", events.in_time)
    land(platform, root / "late", events.late)
    return Made(platform, platform.run(*HOURS), platform.run_day(DAYS[0], DAYS[-1]))


def test_every_table_is_made_and_every_check_passes(made: Made) -> None:
    found = evaluations(made.days_run)
    daily = {path for path, table in made_tables(is_served=False).items() if table.cadence is Cadence.DAILY}
    assert {name.split()[0] for name in found} == daily
    assert {name: evaluation.description for name, evaluation in found.items() if not evaluation.passed} == {}
    for table in (FACT_PLAYS, FACT_SESSIONS, DIM_USERS, HOURLY_PLAYS):
        assert made.platform.manifest(table.path, DAYS[1]).rows > 0
        assert len(made.platform.manifest(table.path, DAYS[1]).files) == 1


def test_a_second_run_changes_nothing(made: Made) -> None:
    before = contents(made.platform)
    made.platform.run_day(DAYS[0], DAYS[-1])
    assert contents(made.platform) == before


def test_late_events_in_any_order_end_in_the_same_tables(made: Made, tmp_path: Path, events: Events) -> None:
    platform = LocalPlatform(Settings(lake=str(tmp_path / "lake")))
    land(platform, tmp_path / "in-time", events.in_time)
    platform.run(*HOURS)
    for day in DAYS:  # a run a day, each with nothing known of the days after
        platform.run_day(day, day)
    land(platform, tmp_path / "late", events.late)
    hours = [f"{day}-{hour:02}:00" for day in DAYS for hour in range(24)]
    chance = random.Random(2)
    halves = [hours[36:], hours[:36]]
    chance.shuffle(halves)
    for half in halves:
        platform.run(half[0], half[-1])
    # Days that look ahead come right when the days after them are there, days that carry forward from the first one on.
    platform.run_day(DAYS[1], DAYS[-1])
    platform.run_day(DAYS[0], DAYS[-1])
    assert contents(platform) == contents(made.platform)


def test_several_steps_at_once_end_in_the_same_tables_as_one_at_a_time(
    made: Made, tmp_path: Path, events: Events
) -> None:
    platform = LocalPlatform(Settings(lake=str(tmp_path / "lake"), executor="in_process"))
    land(platform, tmp_path / "in-time", events.in_time)
    land(platform, tmp_path / "late", events.late)
    runs = [platform.run(*HOURS), platform.run_day(DAYS[0], DAYS[-1])]
    assert contents(platform) == contents(made.platform)
    assert {most_steps_at_once(platform.instance, result.run_id) for result in runs} == {1}
    for result in (made.hours_run, made.days_run):
        assert most_steps_at_once(made.platform.instance, result.run_id) == made.platform.settings.steps_at_once


def most_steps_at_once(instance: dg.DagsterInstance, run_id: str) -> int:
    steps = {dg.DagsterEventType.STEP_START: 1, dg.DagsterEventType.STEP_SUCCESS: -1}
    found = instance.get_records_for_run(run_id, of_type=set(steps), limit=10_000).records
    changes = [steps[event.event_type] for record in found if (event := record.event_log_entry.dagster_event)]
    assert sum(changes) == 0
    return max(accumulate(changes))


def test_a_hole_between_days_is_named(made: Made) -> None:
    store = made.platform.lake.store
    key = f"{USER_ACTIVITY.path}/date={DAYS[1]}/_SUCCESS"
    manifest = store.get(key) or b""
    store.delete([key])
    try:
        with pytest.raises(PartitionMissingError, match=f"user_activity partition {DAYS[2]} carries forward {DAYS[1]}"):
            made.platform.run_day(DAYS[2], tables=[USER_ACTIVITY.path])
    finally:
        store.put(key, manifest)


@pytest.mark.parametrize(
    ("table", "check"),
    [(FACT_PLAYS, "reconciles_with_fact_streams"), (HOURLY_PLAYS, "adds_up_to_fact_plays"), (DIM_USERS, "resolves_user_key"),
     (FACT_STREAMS, "reconciles_with_silver"), (FACT_SESSIONS, "holds_every_session")],
)  # fmt: skip
def test_lost_rows_are_found(made: Made, table: TableContract, check: str) -> None:
    hours = [f"{DAYS[1]}-{hour:02}:00" for hour in range(24)]
    partitions = hours if table.cadence is Cadence.HOURLY else [DAYS[1]]
    partition = next(key for key in partitions if made.platform.manifest(table.path, key).rows)
    manifest = made.platform.manifest(table.path, partition)
    store = made.platform.lake.store
    kept = {key: store.get(key) or b"" for key in (*manifest.keys, f"{manifest.folder}/_SUCCESS")}
    try:
        rows = made.platform.table(table.path, partition)
        made.platform.tamper(table.path, partition, rows.slice(max(rows.num_rows // 2, 1)))
        outcomes = check_derived(GOLD_TABLES[table.path], [partition], made.platform.lake, SparkEngine())
        assert any(outcome.check.startswith(check) and not outcome.passed for outcome in outcomes)
    finally:
        for key, content in kept.items():
            store.put(key, content)
