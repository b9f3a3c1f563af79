"""The compaction job over the platform's own tables: fewer files, the same rows, and every check still passes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from music_platform.lake.publish import publish_partition
from music_platform.lake.spark import SparkEngine
from music_platform.lake.writer import WrittenPartition, encode
from music_platform.orchestration.checks.spine import check_bronze, check_silver
from music_platform.settings import Settings
from music_platform.tables.bronze import BRONZE
from music_platform_tests.assets.execution import execute
from music_platform_tests.assets.local_platform import HOUR, LocalPlatform, good_record

EVENT_TYPE = "auth_events"
SPINE = [f"{layer}/{EVENT_TYPE}" for layer in ("bronze", "silver", "quarantine")]


@pytest.fixture
def scattered(tmp_path: Path) -> LocalPlatform:
    """An hour whose bronze partition lies in three files, as tasks of a cluster leave it, with silver made from it."""
    platform = LocalPlatform(Settings(lake=str(tmp_path / "lake")))
    platform.land_records(EVENT_TYPE, HOUR, [good_record(EVENT_TYPE, itemInSession=number) for number in range(9)])
    platform.run(HOUR, tables=SPINE[:1])
    rows, manifest = platform.table(SPINE[0], HOUR), platform.manifest(SPINE[0], HOUR)
    written = WrittenPartition()
    for number in range(3):
        content, file = encode(rows.slice(number * 3, 3), BRONZE[EVENT_TYPE], f"part-scattered-{number:012d}.parquet")
        platform.lake.store.put(f"{manifest.folder}/{file.name}", content)
        written.files.append(file)
    publish_partition(
        platform.lake.store, BRONZE[EVENT_TYPE], HOUR, written, run_id="scattered", write_id="scattered",
        sources=manifest.sources,
    )  # fmt: skip
    platform.run(HOUR, tables=SPINE[1:])
    return platform


def compact(platform: LocalPlatform, day: str) -> bool:
    job = platform.definitions.resolve_job_def("compaction")
    config = {"ops": {"compact_closed_days": {"config": {"days": [day]}}}}
    return execute(job, platform.instance, run_config=config, raise_on_error=False).success


@pytest.mark.parametrize(
    ("day", "told"),
    [
        ("2026-11-31", "there is no day '2026-11-31'"),
        ("2026-1-1", "there is no day '2026-1-1'"),
        ("yesterday", "there is no day 'yesterday'"),
        ("2999-01-01", "2999-01-01 is not closed yet"),
    ],
)
def test_a_day_that_there_is_not_and_one_that_is_not_over_are_reported_apart(
    platform: LocalPlatform, day: str, told: str
) -> None:
    job = platform.definitions.resolve_job_def("compaction")
    config = {"ops": {"compact_closed_days": {"config": {"days": [day]}}}}
    with pytest.raises(dg.Failure) as raised:
        execute(job, platform.instance, run_config=config)
    assert str(raised.value.description).startswith(told)


def test_checks_still_pass_after_compaction(scattered: LocalPlatform) -> None:
    before = scattered.manifest(SPINE[0], HOUR)
    assert len(before.files) == 3
    assert compact(scattered, "2026-11-01")
    after = scattered.manifest(SPINE[0], HOUR)
    assert (len(after.files), after.rows, after.data_version) == (1, 9, before.data_version)
    lake, spark = scattered.lake, SparkEngine()
    outcomes = [*check_bronze(EVENT_TYPE, [HOUR], lake, spark), *check_silver(EVENT_TYPE, [HOUR], lake, spark)]
    assert {outcome.check: outcome.description for outcome in outcomes if not outcome.passed} == {}

    manifests = scattered.manifests()
    assert compact(scattered, "2026-11-01")
    assert scattered.manifests() == manifests


def test_a_silver_run_reads_the_compacted_file(scattered: LocalPlatform) -> None:
    before = scattered.manifest(SPINE[1], HOUR)
    compact(scattered, "2026-11-01")
    scattered.run(HOUR, tables=SPINE[1:])
    assert scattered.manifest(SPINE[1], HOUR).data_version == before.data_version


def test_the_current_day_is_refused(scattered: LocalPlatform) -> None:
    assert not compact(scattered, f"{datetime.now(UTC):%Y-%m-%d}")
