"""A day that is over and was not made from all its hours is a warning that names them; a day that goes on is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.checks.derived_tables import derived_steps
from music_platform.orchestration.checks.whole_days import WHOLE_DAYS_CHECK, check_made_of_all_hours
from music_platform.partitions import hours_of_day
from music_platform.tables.catalogue import GOLD_TABLES
from music_platform.tables.contract import Cadence
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform_tests.assets.local_platform import LocalPlatform, evaluations, good_record

DAY, NEXT_DAY = "2026-11-01", "2026-11-02"
HOURS = hours_of_day(DAY)
END = datetime(2026, 11, 2, tzinfo=UTC)
LISTENS = ["bronze/listen_events", "silver/listen_events", "quarantine/listen_events", "gold/fact_streams"]
PAGES = ["bronze/page_view_events", "silver/page_view_events", "quarantine/page_view_events", "gold/fact_page_views"]


def run_day(platform: LocalPlatform, first: str, last: str) -> dg.AssetCheckEvaluation:
    result = platform.run_day(first, last, tables=[FACT_PLAYS.path])
    assert result.success
    return evaluations(result)[f"{FACT_PLAYS.path} {WHOLE_DAYS_CHECK}"]


def test_the_hours_that_are_missing_are_named_until_the_day_has_them(platform: LocalPlatform) -> None:
    platform.land_records("listen_events", HOURS[9], [good_record("listen_events", HOURS[9])])
    platform.run(HOURS[3], f"{NEXT_DAY}-05:00", tables=[*LISTENS, *PAGES])  # which does not make up for the first

    warned = run_day(platform, DAY, DAY)
    assert (warned.passed, warned.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert warned.metadata["missing_hours"].value == 6
    for table in ("gold/fact_streams", "gold/fact_page_views"):
        told = f"partition {DAY}: made without 3 hours of {table}: {HOURS[0]}...{HOURS[2]} (3 partitions)"
        assert told in (warned.description or "")

    platform.run(HOURS[0], HOURS[2], tables=[*LISTENS, *PAGES])
    stored = StoredPartitions.open(FACT_PLAYS, [DAY], platform.lake, SparkEngine())
    assert not check_made_of_all_hours(stored, END + timedelta(hours=1)).passed  # the day is not made from them yet
    assert run_day(platform, DAY, DAY).passed


def test_a_day_is_looked_at_once_its_last_hour_has_closed(platform: LocalPlatform) -> None:
    platform.run(HOURS[0], HOURS[20], tables=[*LISTENS, *PAGES])
    run_day(platform, DAY, DAY)
    stored = StoredPartitions.open(FACT_PLAYS, [DAY], platform.lake, SparkEngine())
    grace = timedelta(seconds=platform.settings.hour_grace_seconds)
    assert check_made_of_all_hours(stored, END + grace - timedelta(seconds=1)).passed
    closed = check_made_of_all_hours(stored, END + grace)
    assert (closed.passed, closed.is_blocking, closed.numbers) == (False, False, {"days_over": 1, "missing_hours": 6})


def test_hours_before_the_first_partition_are_no_hours_of_the_day(platform: LocalPlatform) -> None:
    started = LocalPlatform(platform.settings.model_copy(update={"start": datetime(2026, 11, 1, 3, tzinfo=UTC)}))
    started.run(HOURS[3], HOURS[23], tables=[*LISTENS, *PAGES])
    assert run_day(started, DAY, DAY).passed


def test_every_daily_table_that_reads_hours_has_the_check() -> None:
    reading = {
        table.contract.path
        for table in GOLD_TABLES.values()
        if table.contract.cadence is Cadence.DAILY
        and any(wanted.contract.cadence is Cadence.HOURLY for wanted in table.inputs.values())
    }
    steps = derived_steps(GOLD_TABLES.values())
    checked = {step.tables[0].path for step in steps for spec in step.specs if spec.name == WHOLE_DAYS_CHECK}
    assert checked == reading
