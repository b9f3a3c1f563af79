"""The resource against a real Druid: rows in, rows replaced, rows gone; what is refused, and what is not there."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import requests

from music_platform.errors import DruidRequestRefusedError, DruidTaskFailedError, DruidUnreachableError
from music_platform.local.druid.configuration import HOST
from music_platform.local.druid.local_druid import LocalDruid
from music_platform.serving.druid.client import DruidResource
from music_platform.settings import Settings
from music_platform_tests.integration.druid.sample_day import INTERVAL, ORIGIN, QUICK_START, SpecFactory

pytestmark = pytest.mark.timeout(600)  # the first test starts Druid


def count(druid: DruidResource, datasource: str, expected: int, seconds: float = 30.0) -> int:
    """The rows of a datasource; the broker learns of a change some seconds after it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            [row] = druid.sql(f'SELECT COUNT(*) AS "rows" FROM "{datasource}"', ORIGIN)
            found = row["rows"]
        except DruidRequestRefusedError as error:
            if "not found" not in str(error):
                raise
            found = 0
        if found == expected or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def wait_until_gone(running: LocalDruid) -> None:
    deadline = time.monotonic() + 20
    while running.status() is not None:
        assert time.monotonic() < deadline, "Druid survived a kill"
        time.sleep(0.2)


def test_rows_are_ingested_replaced_and_taken_away(druid: DruidResource, plays_file: Path, spec: SpecFactory) -> None:
    told: list[str] = []
    report = druid.run_task(spec("replaced", [plays_file]), ORIGIN, told.append)
    assert (report.status, report.error) == ("SUCCESS", "")
    assert (report.processed, report.unparseable, report.thrown_away) == (1_200, 0, 0)
    assert report.task_id in told[0]
    druid.wait_until_loaded("replaced", INTERVAL, 60.0)
    assert druid.loaded_percent("replaced", INTERVAL) == 100.0
    assert count(druid, "replaced", 1_200) == 1_200
    [row] = druid.sql('SELECT SUM(seconds) AS "sum" FROM replaced WHERE artist = ?', parameters=[
        {"type": "VARCHAR", "value": "artist 3"}
    ])  # fmt: skip
    assert row["sum"] == sum(float(number % 300) for number in range(1_200) if number % 7 == 3)

    again = druid.run_task(spec("replaced", [plays_file]), ORIGIN)
    druid.wait_until_loaded("replaced", INTERVAL, 60.0)
    assert again.task_id != report.task_id
    assert count(druid, "replaced", 1_200) == 1_200

    empty = druid.run_task(spec("replaced", []), ORIGIN)
    assert empty.processed == 0
    assert count(druid, "replaced", 0) == 0


def test_segments_marked_unused_are_gone(druid: DruidResource, plays_file: Path, spec: SpecFactory) -> None:
    druid.run_task(spec("unused", [plays_file]), ORIGIN)
    druid.wait_until_loaded("unused", INTERVAL, 60.0)
    assert count(druid, "unused", 1_200) == 1_200
    assert druid.mark_unused("unused", INTERVAL) == 1
    assert count(druid, "unused", 0) == 0
    assert druid.mark_unused("unused", INTERVAL) == 0


def test_tasks_carry_the_run_and_the_asset(
    druid: DruidResource, druid_settings: Settings, plays_file: Path, spec: SpecFactory
) -> None:
    report = druid.run_task(spec("carried", [plays_file]), ORIGIN)
    assert report.task_id.startswith("index_parallel_druid_tests_")
    submitted = druid.sql("SELECT type, datasource, status FROM sys.tasks WHERE task_id = ?", parameters=[
        {"type": "VARCHAR", "value": report.task_id}
    ])  # fmt: skip
    assert submitted == [{"type": "index_parallel", "datasource": "carried", "status": "SUCCESS"}]
    answer = requests.get(f"{druid.router_url}/druid/indexer/v1/task/{report.task_id}", timeout=10).json()
    assert ORIGIN.as_context().items() <= answer["payload"]["context"].items()


def test_queries_carry_the_run_and_the_asset(druid: DruidResource) -> None:
    asked = druid.sql("EXPLAIN PLAN FOR SELECT COUNT(*) FROM sys.segments", ORIGIN)
    assert asked
    plan = druid.sql("EXPLAIN PLAN FOR SELECT 1 + __time FROM (VALUES (1)) AS numbers (__time)", ORIGIN)
    [native] = json.loads(plan[0]["PLAN"])
    assert ORIGIN.as_context().items() <= native["query"]["context"].items()


def test_a_submission_that_is_made_twice_is_one_task(druid: DruidResource, plays_file: Path, spec: SpecFactory) -> None:
    named = {**spec("twice", [plays_file]), "id": "index_parallel_twice"}
    assert druid.submit_task(named, ORIGIN) == "index_parallel_twice"
    assert druid.submit_task(named, ORIGIN) == "index_parallel_twice"
    assert druid.wait_for_task("index_parallel_twice").processed == 1_200


def test_two_tasks_on_one_interval_wait_for_each_other(
    druid: DruidResource, plays_file: Path, spec: SpecFactory
) -> None:
    tasks = [druid.submit_task(spec("shared", [plays_file]), ORIGIN) for _ in range(2)]
    assert [druid.wait_for_task(task).processed for task in tasks] == [1_200, 1_200]
    druid.wait_until_loaded("shared", INTERVAL, 60.0)
    assert count(druid, "shared", 1_200) == 1_200


def test_an_interval_that_is_being_compacted_is_replaced_all_the_same(
    druid: DruidResource, plays_file: Path, spec: SpecFactory
) -> None:
    druid.run_task(spec("compacted", [plays_file]), ORIGIN)
    compaction = {
        "type": "compact",
        "dataSource": "compacted",
        "ioConfig": {"type": "compact", "inputSpec": {"type": "interval", "interval": INTERVAL}},
    }
    compacting = druid.submit_task(compaction, ORIGIN)
    report = druid.run_task(spec("compacted", [plays_file, plays_file]), ORIGIN)
    assert report.processed == 2_400
    druid.wait_for_task(compacting)  # it may have lost its lock, and failed: what it was to compact is replaced
    druid.wait_until_loaded("compacted", INTERVAL, 60.0)
    assert count(druid, "compacted", 2_400) == 2_400


def test_a_spec_that_druid_does_not_take_is_reported_in_its_words(
    druid: DruidResource, plays_file: Path, spec: SpecFactory
) -> None:
    wrong = spec("wrong", [plays_file])
    wrong["spec"]["ioConfig"]["inputFormat"] = {"type": "no_such_format"}
    with pytest.raises(DruidRequestRefusedError, match="no_such_format"):
        druid.run_task(wrong, ORIGIN)


def test_a_task_that_fails_is_reported_with_its_own_error(
    druid: DruidResource, tmp_path: Path, spec: SpecFactory
) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 this is no Parquet file")
    with pytest.raises(DruidTaskFailedError, match=r"ended as FAILED: .*broken\.parquet"):
        druid.run_task(spec("failed", [broken]), ORIGIN)


def test_a_task_out_of_time_is_cancelled(
    druid: DruidResource, druid_settings: Settings, plays_file: Path, spec: SpecFactory
) -> None:
    hasty = DruidResource(druid_settings.model_copy(update={"druid_task_seconds": 1e-6}))
    named = {**spec("hasty", [plays_file]), "id": "index_parallel_hasty"}
    with pytest.raises(DruidTaskFailedError, match=r"has not ended after 1e-06 s.*MUSIC_PLATFORM_DRUID_TASK_SECONDS"):
        hasty.run_task(named, ORIGIN)
    report = druid.wait_for_task("index_parallel_hasty")
    assert report.status == "FAILED"


def test_a_query_that_druid_does_not_take_is_reported_in_its_words(druid: DruidResource) -> None:
    with pytest.raises(DruidRequestRefusedError, match="no_such_datasource"):
        druid.sql("SELECT * FROM no_such_datasource")


def test_an_unknown_task_is_reported(druid: DruidResource) -> None:
    with pytest.raises(DruidTaskFailedError, match="knows no task no_such_task"):
        druid.task_report("no_such_task")


def test_a_router_that_does_not_answer_is_reported_by_its_url() -> None:
    settings = Settings(druid_url="http://127.0.0.1:9", druid_retry_seconds=1.0)
    with pytest.raises(
        DruidUnreachableError, match=r"Druid at http://127\.0\.0\.1:9 did not answer .* MUSIC_PLATFORM_DRUID_URL"
    ):
        DruidResource(settings).sql("SELECT 1")


def test_after_a_kill_the_data_is_served_again(
    druid: DruidResource, running_druid: LocalDruid, plays_file: Path, spec: SpecFactory
) -> None:
    druid.run_task(spec("killed", [plays_file]), ORIGIN)
    druid.wait_until_loaded("killed", INTERVAL, 60.0)
    assert count(druid, "killed", 1_200) == 1_200
    before = running_druid.status()
    assert before is not None
    os.killpg(before.pid, signal.SIGKILL)
    wait_until_gone(running_druid)
    answered: list[int] = []
    waiting = threading.Thread(target=lambda: answered.append(count(druid, "killed", 1_200, seconds=180)))
    waiting.start()  # a request that begins while Druid is down is answered once it is up
    assert running_druid.up(java_options=QUICK_START)
    waiting.join(200)
    after = running_druid.status()
    assert after is not None
    assert after.pid != before.pid
    assert answered == [1_200]
    assert {"killed": 1_200}.items() <= {each.name: each.rows for each in after.datasources or ()}.items()
    serving = {row["server"] for row in druid.sql("SELECT DISTINCT server FROM sys.server_segments", ORIGIN)}
    assert serving == {f"{HOST}:{running_druid.configuration.ports['historical']}"}  # and nobody who cannot answer
