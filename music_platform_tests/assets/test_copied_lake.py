"""A lake that was copied is the same lake: landed objects are known by their content, not by the times of their files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from music_platform.lake.lake import Lake
from music_platform.lake.landed_sources import compare, sources_of
from music_platform.lake.landing_layout import list_landing
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.automation.landing_reconcile import Reconciliation
from music_platform.orchestration.checks.completeness import check_closed_hours
from music_platform.orchestration.checks.spine import check_bronze
from music_platform.settings import Settings
from music_platform_tests.assets.local_platform import HOUR, LocalPlatform, evaluations, good_record

BRONZE = "bronze/listen_events"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> LocalPlatform:
    platform = LocalPlatform(Settings(lake=str(tmp_path_factory.mktemp("copied") / "lake")))
    for place in (1, 2):
        platform.land_records("listen_events", HOUR, [good_record("listen_events", HOUR, itemInSession=place)])
    platform.run(HOUR)
    return platform


@pytest.fixture(params=[shutil.copy2, shutil.copyfile], ids=["cp -a", "cp -r"])
def copied(request: pytest.FixtureRequest, made: LocalPlatform, tmp_path: Path) -> LocalPlatform:
    """A copy with the times of the files, and one with times of its own."""
    shutil.copytree(made.settings.lake, tmp_path / "copy", copy_function=request.param)
    return LocalPlatform(made.settings.model_copy(update={"lake": str(tmp_path / "copy")}))


def difference(platform: LocalPlatform) -> tuple[list[str], list[str]]:
    folder = list_landing(platform.lake.store, "listen_events", [HOUR])[HOUR]
    found = compare(platform.lake, platform.manifest(BRONZE, HOUR).sources, folder.objects, datetime.now(UTC))
    return [stored.key for stored in found.new], [source.key for source in found.gone]


def test_its_objects_are_the_ones_that_the_tables_were_made_from(copied: LocalPlatform) -> None:
    assert difference(copied) == ([], [])
    for outcome in check_bronze("listen_events", [HOUR], copied.lake, SparkEngine()):
        assert outcome.passed, outcome.description
    in_three_days = datetime.now(UTC) + timedelta(days=3)
    found = Reconciliation(copied.lake, in_three_days, copied.settings.start, {}, frozenset()).run(None)
    assert (found.lost, found.gone) == ([], {})


def test_closed_hours_of_it_are_complete(copied: LocalPlatform) -> None:
    settings = copied.settings.model_copy(update={"completeness_hours": 24 * 366})
    outcome = check_closed_hours("listen_events", datetime(2026, 11, 1, 7, tzinfo=UTC), Lake(settings))
    assert outcome.passed, outcome.description


def test_a_run_of_it_changes_no_table(copied: LocalPlatform) -> None:
    before = copied.data_versions()
    assert evaluations(copied.run(HOUR))[f"{BRONZE} reconciles_with_landing"].passed
    assert copied.data_versions() == before


@pytest.mark.parametrize("same_size", [True, False])
def test_other_content_under_the_same_name_is_found(copied: LocalPlatform, same_size: bool) -> None:
    key = copied.manifest(BRONZE, HOUR).sources[0].key
    path = Path(copied.settings.lake, key)
    content = path.read_bytes()
    path.write_bytes(content[::-1] if same_size else content + b"\0")
    assert difference(copied) == ([key], [])
    outcomes = {outcome.check: outcome for outcome in check_bronze("listen_events", [HOUR], copied.lake, SparkEngine())}
    assert f"landed object '{key}' was rewritten" in outcomes["reconciles_with_landing"].description


def test_a_digest_is_taken_over_where_the_object_is_as_it_was(made: LocalPlatform) -> None:
    """So that an hour to which objects keep coming is not read anew each time to know it."""
    objects = list_landing(made.lake.store, "listen_events", [HOUR])[HOUR].objects
    known = made.manifest(BRONZE, HOUR).sources
    marked = [replace(source, sha256="0" * 64) for source in known]
    assert [source.sha256 for source in sources_of(made.lake, objects, marked)] == ["0" * 64] * 2
    assert [source.sha256 for source in sources_of(made.lake, objects)] == [source.sha256 for source in known]


@pytest.mark.integration
def test_objects_that_were_copied_between_buckets_are_known_by_their_md5(s3_settings: Callable[..., Settings]) -> None:
    platform = LocalPlatform(s3_settings())
    key = platform.land_records("listen_events", HOUR, [good_record("listen_events", HOUR)])
    [stored] = list_landing(platform.lake.store, "listen_events", [HOUR])[HOUR].objects
    [source] = sources_of(platform.lake, [stored])
    assert (source.version, source.size, source.sha256) == (stored.etag, stored.size, None)
    in_parts = replace(stored, etag='"0123456789abcdef0123456789abcdef-2"')
    now = datetime.now(UTC)
    assert compare(platform.lake, [source], [in_parts], now).new == []
    platform.lake.store.put(key, os.urandom(stored.size))
    assert compare(platform.lake, [source], [in_parts], now).new == [in_parts]
