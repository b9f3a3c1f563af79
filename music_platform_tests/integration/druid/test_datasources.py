"""Gold in a real Druid: what a partition holds is what Druid answers, however often and in whatever order it is brought."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from runpy import run_path

import pytest

from music_platform.errors import DruidTaskFailedError
from music_platform.lake.landed_sources import GONE_INPUTS_TAG
from music_platform.lake.landing_layout import LANDING_PREFIX
from music_platform.lake.manifest import read_manifest
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.local.druid.local_druid import LocalDruid
from music_platform.orchestration.checks.druid import COLUMNS_CHECK, QUERIES_CHECK, ROWS_CHECK, check_datasource
from music_platform.partitions import hour_of_key
from music_platform.serving.druid.datasources import DATASOURCES
from music_platform.serving.druid.ingestion_spec import interval_of
from music_platform.serving.druid.replacement import counts_by_partition, replace_partitions
from music_platform.settings import Settings, process_environment
from music_platform.tables.contract import Cadence
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform_tests.chart import CHART
from music_platform_tests.integration.druid.sample_day import ORIGIN, QUICK_START
from music_platform_tests.integration.druid.served_gold import DAYS, Served
from music_platform_tests.page_logs import SONG

STREAMS, SESSIONS = DATASOURCES["streams"], DATASOURCES["sessions"]


def environment_of(settings: Settings, home: Path) -> dict[str, str]:
    """The environment of a process that works on the same lake and the same Druid, with an instance of its own."""
    return process_environment(
        without=("SPARK_",),
        DAGSTER_HOME=str(home),
        MUSIC_PLATFORM_LAKE=settings.lake,
        MUSIC_PLATFORM_DRUID_ENABLED="true",
        MUSIC_PLATFORM_DRUID_FOLDER=settings.druid_folder,
        MUSIC_PLATFORM_DRUID_PORT_OFFSET=str(settings.druid_port_offset),
    )


@pytest.fixture(autouse=True)
def _is_up(running_druid: object) -> None:
    """Up again where the test before left it down."""


def test_every_datasource_holds_what_gold_holds_and_every_check_passes(served: Served) -> None:
    assert (served.hourly.success, served.daily.success) == (True, True)
    evaluations = [*served.hourly.get_asset_check_evaluations(), *served.daily.get_asset_check_evaluations()]
    found = {f"{'/'.join(check.asset_key.path)} {check.check_name}": check for check in evaluations}
    of_druid = {name: check for name, check in found.items() if name.startswith("druid/")}
    assert set(of_druid) == {
        f"{datasource.path} {check}"
        for datasource in DATASOURCES.values()
        for check in (ROWS_CHECK, COLUMNS_CHECK, QUERIES_CHECK)
    }
    assert {name: check.description for name, check in of_druid.items() if not check.passed} == {}


def test_the_chart_s_own_test_counts_what_druid_holds_and_nothing_before_it_is_made(served: Served) -> None:
    count = run_path(str(CHART / "files" / "landing_test.py"))["rows_of_druid"]
    [partition, *_] = served.busiest_hours(DAYS[0])
    gold = read_manifest(served.lake.store, FACT_PAGE_VIEWS, partition)
    assert gold is not None
    assert count(served.druid, hour_of_key(partition)) == gold[0].rows > 0
    assert count(served.druid, hour_of_key(partition), "not_made_yet") == 0


def test_a_log_of_all_pages_is_served_without_places_that_it_lacks(served: Served) -> None:
    query = (
        "SELECT COUNT(*) AS plays, COUNT(DISTINCT user_key) AS listeners, COUNT(latitude) AS placed, "
        "COUNT(DISTINCT state) AS states, COUNT(DISTINCT city) AS cities FROM streams "
        f"WHERE song = '{SONG['song']}'"
    )
    [found] = served.druid.sql(query, ORIGIN)
    assert found == {"plays": 15, "listeners": 5, "placed": 0, "states": 5, "cities": 5}


def test_a_range_of_partitions_is_one_task(served: Served) -> None:
    for run, cadence in ((served.hourly, Cadence.HOURLY), (served.daily, Cadence.DAILY)):
        tasks: dict[str, set[object]] = {}
        for event in run.all_events:
            if event.is_step_materialization and event.asset_key is not None and event.asset_key.path[0] == "druid":
                made = event.step_materialization_data.materialization
                name, partition = event.asset_key.path[1], str(made.partition)
                if partition not in served.stored(name, partition).rows:
                    assert "the datasource keeps the last day of" in str(made.metadata["not_served"].value)
                    assert made.metadata["rows"].value == 0
                    continue
                tasks.setdefault(name, set()).add(made.metadata["task"].value)
                gold = read_manifest(served.lake.store, DATASOURCES[name].contract, partition)
                assert gold is not None
                assert made.metadata["rows"].value == gold[0].rows
                assert made.metadata["interval"].value == interval_of(partition, partition)
        assert set(tasks) == {
            name for name, datasource in DATASOURCES.items() if datasource.contract.cadence is cadence
        }
        assert {len(found) for found in tasks.values()} == {1}


def test_a_datasource_of_the_last_day_serves_that_alone_and_an_older_one_built_again_is_no_fault(
    served: Served,
) -> None:
    before = served.rows("similar_songs", *DAYS)
    assert before[DAYS[0]] == 0
    assert before[DAYS[1]] > 0
    run = served.run("daily_tier", DAYS[0], DAYS[0], "recommendations/similar_songs_by_name", "druid/similar_songs")
    assert run.success
    assert served.rows("similar_songs", *DAYS) == before
    checks = {check.check_name: check for check in run.get_asset_check_evaluations() if "druid" in check.asset_key.path}
    assert set(checks) == {ROWS_CHECK, COLUMNS_CHECK, QUERIES_CHECK}
    assert all(check.passed and "these are older" in (check.description or "") for check in checks.values())


def test_an_older_day_goes_out_of_service_as_soon_as_a_newer_one_is_served(served: Served) -> None:
    every_day = replace(DATASOURCES["recommendations"], name="lists_of_some_days", keeps_days=None)
    last_day = replace(every_day, keeps_days=1)
    first, second = (StoredPartitions.open(every_day.contract, [day], served.lake, served.spark) for day in DAYS)

    def held() -> dict[str, int]:
        return counts_by_partition(every_day, DAYS, served.druid, ORIGIN)

    bring = partial(replace_partitions, druid=served.druid, origin=ORIGIN, load_seconds=60.0, log=lambda _: None)
    assert bring(every_day, first) is not None
    assert held() == {**first.rows, DAYS[1]: 0}
    assert bring(last_day, second) is not None
    deadline = time.monotonic() + 60
    while held()[DAYS[0]] and time.monotonic() < deadline:
        time.sleep(0.5)  # the historical drops it in its next round
    assert held() == {DAYS[0]: 0, **second.rows}
    assert min(first.rows[DAYS[0]], second.rows[DAYS[1]]) > 0


def test_a_second_time_gives_the_same_rows(served: Served) -> None:
    hour = served.busiest_hours(DAYS[0])[0]
    before = served.rows("streams", hour)
    assert before[hour] > 0
    assert served.run("hourly_spine", hour, hour, "druid/streams", "druid/page_views").success
    assert served.rows("streams", hour) == before


def test_late_events_and_an_hour_that_became_empty(served: Served) -> None:
    hour, next_hour = sorted(served.busiest_hours(DAYS[1])[:2])
    before = {each: served.rows("streams", each)[each] for each in (hour, next_hour)}
    assert min(before.values()) > 0
    prefix = f"{LANDING_PREFIX}/listen_events/dt={DAYS[1]}/hour={hour[11:13]}/"
    landed = {stored.key: served.lake.store.get(stored.key) or b"" for stored in served.lake.store.list(prefix)}
    served.lake.store.delete(list(landed))
    assert served.run("hourly_spine", hour, hour, tags={GONE_INPUTS_TAG: "remove"}).success
    assert served.rows("streams", hour) == {hour: 0}
    assert served.rows("streams", next_hour) == {next_hour: before[next_hour]}
    for key, content in landed.items():  # they come late
        served.lake.store.put(key, content)
    assert served.run("hourly_spine", hour, hour).success
    assert served.rows("streams", hour) == {hour: before[hour]}


def test_an_hour_in_which_nothing_happened_is_served_as_such(served: Served) -> None:
    hour = "2026-11-03-05:00"
    run = served.run("hourly_spine", hour, hour)
    assert run.success
    found = {
        f"{check.asset_key.to_user_string()} {check.check_name}": check for check in run.get_asset_check_evaluations()
    }
    assert {f"druid/streams {name}" for name in (ROWS_CHECK, COLUMNS_CHECK, QUERIES_CHECK)} <= set(found)
    assert {name: check.description for name, check in found.items() if not check.passed} == {}
    assert served.rows("streams", hour) == {hour: 0}


def test_rows_that_druid_lost_are_found_and_named(served: Served) -> None:
    hour = served.busiest_hours(DAYS[0])[0]
    served.druid.mark_unused("streams", interval_of(hour, hour))
    try:
        told, deadline = "", time.monotonic() + 60
        while f"partition {hour}: 0 rows, gold holds" not in told and time.monotonic() < deadline:
            rows_check, *_ = check_datasource(STREAMS, [hour], served.lake, served.spark, served.druid, "a-run")
            told = rows_check.description  # the historical drops them in its next round
        assert f"partition {hour}: 0 rows, gold holds" in told
    finally:
        assert served.run("hourly_spine", hour, hour, "druid/streams").success


@pytest.fixture
def busy_workers(served: Served) -> Iterator[None]:
    """Both workers hold a task that does nothing, so that every further one waits."""
    tasks = [served.druid.submit_task({"type": "noop", "runTime": 25_000}, ORIGIN) for _ in range(2)]
    yield
    for task in tasks:
        served.druid.cancel_task(task)


def waiting_task(served: Served, seconds: float = 90.0) -> str:
    """The id of the ingestion that waits for a worker, once there is one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = served.druid.sql(
            "SELECT task_id FROM sys.tasks WHERE type = 'index_parallel' AND status = 'RUNNING'", ORIGIN
        )
        if found:
            return found[0]["task_id"]
        time.sleep(0.3)
    raise AssertionError(f"no ingestion was submitted within {seconds} s")


@pytest.mark.usefixtures("busy_workers")
def test_an_interrupted_run_cancels_its_task(served: Served, tmp_path: Path) -> None:
    hour = served.busiest_hours(DAYS[0])[0]
    before = served.rows("streams", hour)
    process = subprocess.Popen(
        [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "music_platform.definitions",
         "--select", "key:druid/streams", "--partition", hour],
        env=environment_of(served.settings, tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    try:
        task = waiting_task(served)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode != 0, output
    assert served.druid.wait_for_task(task).status == "FAILED", output
    assert served.rows("streams", hour) == before


@pytest.mark.usefixtures("busy_workers")
def test_an_ingestion_survives_a_kill_of_druid(served: Served, running_druid: LocalDruid) -> None:
    hour = served.busiest_hours(DAYS[0])[0]
    before = served.rows("streams", hour)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(served.run, "hourly_spine", hour, hour, "druid/streams")
        task = waiting_task(served)
        status = running_druid.status()
        assert status is not None
        os.killpg(status.pid, signal.SIGKILL)
        while running_druid.status() is not None:
            time.sleep(0.2)
        assert running_druid.up(java_options=QUICK_START)
        assert run.result(180).success
    assert served.druid.task_report(task).status == "SUCCESS"
    assert served.rows("streams", hour) == before


def test_checks_run_without_an_engine_that_was_started_before(served: Served, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "music_platform.definitions",
         "--select", "key:druid/sessions", "--partition", DAYS[0]],
        env=environment_of(served.settings, tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


def test_a_task_that_fails_leaves_the_rows_and_shows_its_own_error(served: Served) -> None:
    day = DAYS[0]
    before = served.rows("sessions", day)
    [file] = [stored for stored in served.lake.store.list(f"gold/fact_sessions/date={day}/") if "part-" in stored.key]
    content = served.lake.store.get(file.key) or b""
    served.lake.store.put(file.key, content[: len(content) // 2] + b"\0" * (len(content) - len(content) // 2))
    try:
        failed = served.run("daily_tier", day, day, "druid/sessions")
        assert not failed.success
        [failure] = [event for event in failed.all_events if event.is_step_failure]
        error = failure.step_failure_data.error
        assert error is not None
        assert DruidTaskFailedError.__name__ in error.to_string()
        assert served.rows("sessions", day) == before
    finally:
        served.lake.store.put(file.key, content)
    assert served.run("daily_tier", day, day, "druid/sessions").success
