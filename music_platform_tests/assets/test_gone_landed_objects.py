"""Landed objects that are gone: no run removes their rows unless it is told to, by whatever way it came about."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from music_platform.errors import ManifestCorruptError, PublishConflictError, RowsWouldBeRemovedError
from music_platform.lake.compaction import compact_partition
from music_platform.lake.landed_sources import GONE_INPUTS_TAG, GoneInputs
from music_platform.lake.landing_layout import errors_key
from music_platform.lake.manifest import manifest_key
from music_platform.lake.publish import publish_partition
from music_platform.lake.writer import WrittenPartition
from music_platform.landing.landed_partitions import declare_expired
from music_platform.partitions import hour_of_key
from music_platform.settings import Settings
from music_platform.tables.catalogue import TABLES
from music_platform_tests.assets.local_platform import (
    HOUR,
    NEXT_HOUR,
    LocalPlatform,
    evaluations,
    good_record,
    gzip_lines,
)

BRONZE, SILVER, QUARANTINE = (f"{layer}/listen_events" for layer in ("bronze", "silver", "quarantine"))
ERRORS = "quarantine/collector_errors"
SPINE = [BRONZE, SILVER, QUARANTINE]
BRONZE_OP, ERRORS_OP = "bronze__listen_events", "quarantine__collector_errors"


ERROR_RECORD = (
    b'{"message":"no JSON","__reason":"json_object","__tag":"eventsim.listen_events",'
    b'"__time":"2026-11-01T05:00:00.000Z"}'
)


def songs(hour: str, first: int, number: int) -> list[dict[str, Any]]:
    """Records of a session, told apart by their place in it; the second breaks a rule."""
    records = [good_record("listen_events", hour, itemInSession=first + place) for place in range(number)]
    return [record | ({"duration": -1.0} if place == 1 else {}) for place, record in enumerate(records)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with two hours of two objects each, of three and of two songs, and an error record; all made."""
    platform = LocalPlatform(Settings(lake=str(tmp_path_factory.mktemp("gone") / "lake")))
    for hour in (HOUR, NEXT_HOUR):
        platform.land_records("listen_events", hour, songs(hour, 0, 3))
        platform.land_records("listen_events", hour, songs(hour, 10, 2))
    platform.lake.store.put(errors_key(hour_of_key(HOUR), f"{1:032x}"), gzip_lines([ERROR_RECORD]))
    platform.run(HOUR, NEXT_HOUR)
    platform.run_day(HOUR[:10])
    return Path(platform.settings.lake)


@pytest.fixture
def platform(made: Path, tmp_path: Path) -> LocalPlatform:
    """A copy of the lake that was made."""
    shutil.copytree(made, tmp_path / "lake")
    return LocalPlatform(Settings(lake=str(tmp_path / "lake")))


def remove_object(platform: LocalPlatform, hour: str = HOUR, table: str = BRONZE) -> str:
    """Delete the first object that the hour was made from, as a lifecycle rule does, and return its key."""
    key = platform.manifest(table, hour).sources[0].key
    platform.lake.store.delete([key])
    return key


def rows(platform: LocalPlatform) -> dict[tuple[str, str], list[dict[str, Any]]]:
    return {
        (table, hour): sorted(platform.rows(table, hour), key=repr) for table in SPINE for hour in (HOUR, NEXT_HOUR)
    }


def run(platform: LocalPlatform, *hours: str, tags: dict[str, str] | None = None, config: Any = None) -> Any:
    first, last = hours[0], hours[-1]
    return platform.run(first, last if len(hours) > 1 else None, tables=SPINE, tags=tags, run_config=config)


@pytest.mark.parametrize("hours", [(HOUR,), (HOUR, NEXT_HOUR)], ids=["hour", "range"])
def test_a_run_refuses_to_remove_rows(platform: LocalPlatform, hours: tuple[str, ...]) -> None:
    key, before = remove_object(platform), rows(platform)
    manifests = platform.manifests()
    with pytest.raises(RowsWouldBeRemovedError) as raised:
        run(platform, *hours)
    assert f"{BRONZE} partition {HOUR} was made from landed objects that are gone: '{key}'" in str(raised.value)
    assert f"./run music-platform landing expire --partition '{HOUR}'" in str(raised.value)
    assert f"{GONE_INPUTS_TAG}=keep or =remove" in str(raised.value)
    assert (rows(platform), platform.manifests()) == (before, manifests)


def test_a_run_refuses_when_every_object_is_gone(platform: LocalPlatform) -> None:
    keys, before = {remove_object(platform), platform.manifest(BRONZE, HOUR).sources[1].key}, rows(platform)
    platform.lake.store.delete(sorted(keys))
    with pytest.raises(RowsWouldBeRemovedError) as raised:
        run(platform, HOUR)
    assert all(key in str(raised.value) for key in keys)
    assert rows(platform) == before


@pytest.mark.parametrize(
    "choice",
    ["tag", "configuration"],
)
def test_a_run_that_is_reported_to_removes_the_rows_and_says_so(platform: LocalPlatform, choice: str) -> None:
    key = remove_object(platform)
    removed = len([row for row in platform.rows(BRONZE, HOUR) if row["_object"] == key])
    if choice == "tag":
        result = run(platform, HOUR, tags={GONE_INPUTS_TAG: str(GoneInputs.REMOVE)})
    else:
        result = run(platform, HOUR, config={"ops": {BRONZE_OP: {"config": {"gone_inputs": "remove"}}}})
    assert result.success
    assert platform.manifest(BRONZE, HOUR).rows == 5 - removed
    assert platform.manifest(BRONZE, HOUR).counts == {"removed_objects": 1, "removed_rows": removed}
    metadata = result.asset_materializations_for_node(BRONZE_OP)[0].metadata
    assert metadata["removed_rows"].value == removed
    run(platform, HOUR)  # from then on the hour is as it is


@pytest.mark.parametrize("way", ["tag", "configuration", "declared", "retention"])
def test_rows_of_objects_that_expired_on_purpose_stay(platform: LocalPlatform, way: str) -> None:
    key, before = remove_object(platform), rows(platform)
    kept = len([row for row in before[BRONZE, HOUR] if row["_object"] == key])
    tags, config = None, None
    if way == "tag":
        tags = {GONE_INPUTS_TAG: str(GoneInputs.KEEP)}
    elif way == "configuration":
        config = {"ops": {BRONZE_OP: {"config": {"gone_inputs": "keep"}}}}
    elif way == "declared":
        assert [(source.key, source.rows) for source in declare_expired(platform.lake, "listen_events", HOUR)] == [
            (key, kept)
        ]
    else:  # the hours of these tests are some weeks old at the least
        settings = platform.settings.model_copy(update={"landing_retention_days": 1})
        platform = LocalPlatform(settings, instance=platform.instance)
    result = run(platform, HOUR, tags=tags, config=config)
    assert rows(platform) == before
    found = evaluations(result)[f"{BRONZE} reconciles_with_landing"]
    assert (found.passed, found.description) == (
        True, f"{5 - kept} landed lines + {kept} rows of objects that expired = 5 bronze rows",
    )  # fmt: skip
    [expired] = [source for source in platform.manifest(BRONZE, HOUR).sources if source.is_expired]
    assert (expired.key, expired.rows) == (key, kept)
    # Once said, it need not be said again; and what comes late is taken in beside what is kept.
    versions = platform.data_versions()
    run(platform, HOUR)
    assert platform.data_versions() == versions
    platform.land_records("listen_events", HOUR, [good_record("listen_events", HOUR, itemInSession=99)])
    run(platform, HOUR)
    after = platform.rows(BRONZE, HOUR)
    assert [row for row in after if row["itemInSession"] != 99] != []
    assert sorted((row for row in after if row["itemInSession"] != 99), key=repr) == before[BRONZE, HOUR]
    assert len(after) == 6


def test_an_object_that_comes_back_is_read_again(platform: LocalPlatform) -> None:
    before, key = rows(platform), platform.manifest(BRONZE, HOUR).sources[0].key
    content = platform.lake.store.get(key)
    assert content is not None
    platform.lake.store.delete([key])
    declare_expired(platform.lake, "listen_events", HOUR)
    run(platform, HOUR)
    platform.lake.store.put(key, content)
    run(platform, HOUR)
    assert rows(platform) == before
    assert not any(source.is_expired for source in platform.manifest(BRONZE, HOUR).sources)


def test_silver_and_gold_of_an_expired_hour_are_made_from_bronze(platform: LocalPlatform) -> None:
    tables = [SILVER, QUARANTINE, "gold/fact_streams"]
    before = [sorted(platform.rows(table, HOUR), key=repr) for table in tables]
    platform.lake.store.delete([source.key for source in platform.manifest(BRONZE, HOUR).sources])
    declare_expired(platform.lake, "listen_events", HOUR)
    platform.lake.store.delete([manifest_key(table, HOUR) for table in tables])
    platform.run(HOUR)
    assert [sorted(platform.rows(table, HOUR), key=repr) for table in tables] == before


def test_error_records_that_are_gone_keep_their_rows(platform: LocalPlatform) -> None:
    key = remove_object(platform, table=ERRORS)
    with pytest.raises(RowsWouldBeRemovedError, match=key):
        platform.run(HOUR, tables=[ERRORS])
    platform.run(HOUR, tables=[ERRORS], tags={GONE_INPUTS_TAG: "keep"})
    assert [row["raw"] for row in platform.rows(ERRORS, HOUR)] == ["no JSON"]


def test_a_choice_that_is_none_is_refused(platform: LocalPlatform) -> None:
    result = platform.run(HOUR, tables=[BRONZE], tags={GONE_INPUTS_TAG: "drop"}, raise_on_error=False)
    [failure] = result.get_step_failure_events()
    assert "'drop'; it is one of refuse, keep, remove" in failure.step_failure_data.error_display_string


def test_a_damaged_manifest_hides_no_rows(platform: LocalPlatform) -> None:
    """A manifest that cannot be read is replaced by a rebuild; but not where objects that its files came from are gone."""
    key = remove_object(platform)
    platform.lake.store.put(manifest_key(BRONZE, HOUR), b"{")
    with pytest.raises(RowsWouldBeRemovedError, match=key):
        run(platform, HOUR)
    before = sorted(platform.rows(BRONZE, NEXT_HOUR), key=repr)
    platform.lake.store.put(manifest_key(BRONZE, NEXT_HOUR), b"{")
    run(platform, NEXT_HOUR)  # whose objects are all there
    assert sorted(platform.rows(BRONZE, NEXT_HOUR), key=repr) == before


@pytest.mark.parametrize("manifest_is", ["gone", "damaged"])
@pytest.mark.parametrize("objects_gone", [1, 2], ids=["some_objects", "all_objects"])
def test_bronze_that_is_gone_with_its_objects_empties_no_silver(
    platform: LocalPlatform, objects_gone: int, manifest_is: str
) -> None:
    manifest = platform.manifest(BRONZE, HOUR)
    gone = [source.key for source in manifest.sources][:objects_gone]
    platform.lake.store.delete([*gone, *manifest.keys, manifest_key(BRONZE, HOUR)])
    if manifest_is == "damaged":
        platform.lake.store.put(manifest_key(BRONZE, HOUR), b"")
    before = platform.rows(SILVER, HOUR)
    with pytest.raises(RowsWouldBeRemovedError, match=f"while {SILVER} was made from 5 rows of it"):
        run(platform, HOUR)
    assert platform.rows(SILVER, HOUR) == before


@pytest.mark.parametrize("table", [BRONZE, ERRORS])
def test_files_without_a_manifest_say_what_they_were_made_from(platform: LocalPlatform, table: str) -> None:
    key = remove_object(platform, table=table)
    before = sorted(platform.rows(table, HOUR), key=repr)
    [file] = platform.manifest(table, HOUR).keys
    content = platform.lake.store.get(file)
    assert content is not None
    platform.lake.store.put(file.replace("part-", "part-0123456789abcdef-killed-"), content)  # what a killed run left
    platform.lake.store.delete([manifest_key(table, HOUR)])
    with pytest.raises(RowsWouldBeRemovedError, match=key):
        platform.run(HOUR, tables=[table])
    platform.run(HOUR, tables=[table], tags={GONE_INPUTS_TAG: "keep"})
    assert sorted(platform.rows(table, HOUR), key=repr) == before


def test_rows_of_gone_objects_in_a_gone_file_are_removed_or_named(platform: LocalPlatform) -> None:
    key, keys = remove_object(platform), platform.manifest(BRONZE, HOUR).keys
    platform.lake.store.delete(keys)
    for choose in (
        lambda: declare_expired(platform.lake, "listen_events", HOUR),
        lambda: run(platform, HOUR, tags={GONE_INPUTS_TAG: "keep"}),
    ):
        with pytest.raises(ManifestCorruptError, match=f"lacks '{keys[0]}'"):
            choose()
    run(platform, HOUR, tags={GONE_INPUTS_TAG: "remove"})
    assert key not in {row["_object"] for row in platform.rows(BRONZE, HOUR)}


def test_a_day_is_not_made_from_fewer_hours_because_the_start_was_moved(platform: LocalPlatform) -> None:
    day, table = HOUR[:10], "gold/hourly_plays"
    before = platform.rows(table, day)
    moved = LocalPlatform(platform.settings.model_copy(update={"start": hour_of_key(NEXT_HOUR)}))
    result = moved.run_day(day, raise_on_error=False)
    assert not result.success
    told = [event.step_failure_data.error_display_string for event in result.get_step_failure_events()]
    assert any("which is still there and is not read by this run" in text for text in told)
    assert platform.rows(table, day) == before


def test_a_day_is_not_made_from_fewer_hours_because_some_are_gone(platform: LocalPlatform) -> None:
    day, table = HOUR[:10], "gold/hourly_plays"
    before = platform.rows(table, day)
    # The last hour of an unfinished day may be missing; this one was there, and its rows are in the day.
    platform.lake.store.delete([manifest_key("gold/fact_streams", NEXT_HOUR)])
    result = platform.run_day(day, raise_on_error=False)
    assert not result.success
    told = [event.step_failure_data.error_display_string for event in result.get_step_failure_events()]
    assert any("was made from 'gold/fact_streams/date=2026-11-01/hour=06', which is gone" in text for text in told)
    assert platform.rows(table, day) == before
    assert platform.run_day(day, tags={GONE_INPUTS_TAG: "remove"}).success
    assert platform.rows(table, day) != before


def test_a_run_that_listed_before_another_object_came_does_not_undo_the_other(platform: LocalPlatform) -> None:
    manifest = platform.manifest(BRONZE, HOUR)
    with pytest.raises(PublishConflictError, match="which came after run slow had listed its objects"):
        publish_partition(
            platform.lake.store, TABLES[BRONZE], HOUR, WrittenPartition(), run_id="slow", write_id="slow",
            sources=manifest.sources[1:],
        )  # fmt: skip


def test_compaction_keeps_what_the_manifest_says_of_expired_objects(platform: LocalPlatform) -> None:
    remove_object(platform)
    run(platform, HOUR, tags={GONE_INPUTS_TAG: "keep"})
    manifest, before = platform.manifest(BRONZE, HOUR), rows(platform)
    assert compact_partition(platform.lake, TABLES[BRONZE], HOUR, "compaction") == len(manifest.files) > 1
    assert platform.manifest(BRONZE, HOUR).sources == manifest.sources
    run(platform, HOUR)
    assert rows(platform) == before
    assert platform.manifest(BRONZE, HOUR).data_version == manifest.data_version
