"""The lake on S3 through the assets: landed hours become bronze, silver, quarantine and gold, just as in a local folder."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from datetime import timedelta

import dagster as dg
import pytest

from music_platform.definitions import build_definitions
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import landed_key
from music_platform.lake.manifest import Manifest
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.checks.whole_days import WHOLE_DAYS_CHECK
from music_platform.partitions import hour_of_key
from music_platform.settings import Settings
from music_platform.tables.bronze import BRONZE
from music_platform.tables.catalogue import made_gold_tables
from music_platform.tables.contract import Cadence
from music_platform.tables.events import EVENT_CONTRACTS
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER

EVENT_TYPE = "page_view_events"
DAY = "2026-11-01"
HOURS = [f"{DAY}-05:00", f"{DAY}-06:00"]
HOURLY_RANGE = {"dagster/asset_partition_range_start": HOURS[0], "dagster/asset_partition_range_end": HOURS[-1]}
TABLES = [BRONZE[EVENT_TYPE], SILVER[EVENT_TYPE], QUARANTINE[EVENT_TYPE]]
OBJECTS_OF_AN_HOUR = 2
EVENTS_OF_AN_OBJECT = 150


def event(hour: str, number: int) -> dict[str, object]:
    """A page view in the shape of the contract; every third one plays a song, every fifth is a guest's."""
    moment = hour_of_key(hour) + timedelta(seconds=number)
    is_guest, is_song = number % 5 == 0, number % 5 and number % 3 == 0
    user = {
        "userId": number, "lastName": "Müller", "firstName": "Zoë", "gender": "F", "registration": 1_700_000_000_000,
    }  # fmt: skip
    song = {"artist": "Björk", "song": f"Song {number}", "duration": 200.5}
    return {
        "ts": int(moment.timestamp() * 1000), "sessionId": number + 1, "page": "NextSong" if is_song else "Home",
        "auth": "Guest" if is_guest else "Logged In", "method": "PUT" if is_song else "GET", "status": 200,
        "level": "free", "itemInSession": 0, "city": "Boston", "zip": "02134", "state": "MA",
        "userAgent": '"Mozilla/5.0 (X11; Linux x86_64; rv:31.0) Gecko/20100101 Firefox/31.0"', "lon": -71.1, "lat": 42.3,
        **({} if is_guest else user), **(song if is_song else {}),
    }  # fmt: skip


def land(settings: Settings) -> None:
    """Two objects an hour; the second has, besides its events, one of the first's again and a line that is no JSON."""
    store = ObjectStore.from_settings(settings)
    for hour in HOURS:
        for index in range(OBJECTS_OF_AN_HOUR):
            first = index * EVENTS_OF_AN_OBJECT
            lines = [json.dumps(event(hour, number)) for number in range(first, first + EVENTS_OF_AN_OBJECT)]
            if index:
                lines += [json.dumps(event(hour, 7)), '{"ts": 1']
            content = gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)
            store.put(landed_key(EVENT_TYPE, hour_of_key(hour), f"{index:032x}"), content)


def land_listens(settings: Settings) -> None:
    """The listens that the songs among the page views are the views of."""
    keys = EVENT_CONTRACTS["listen_events"].keys
    for hour in HOURS:
        views = [event(hour, number) for number in range(OBJECTS_OF_AN_HOUR * EVENTS_OF_AN_OBJECT)]
        listens = [{key: view[key] for key in keys if key in view} for view in views if view["page"] == "NextSong"]
        content = gzip.compress("".join(f"{json.dumps(listen)}\n" for listen in listens).encode(), mtime=0)
        ObjectStore.from_settings(settings).put(landed_key("listen_events", hour_of_key(hour), f"{0:032x}"), content)


def materialize(settings: Settings) -> dg.ExecuteInProcessResult:
    """Both hours in one range run, with the checks."""
    job = build_definitions(settings).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(
            tags=HOURLY_RANGE,
            asset_selection=[dg.AssetKey(contract.asset_key) for contract in TABLES],
            instance=instance,
        )


def manifests(settings: Settings) -> dict[str, dict[str, Manifest]]:
    lake, spark = Lake(settings), SparkEngine.from_settings(settings)
    return {contract.path: StoredPartitions.open(contract, HOURS, lake, spark).manifests for contract in TABLES}


def data_versions(settings: Settings) -> dict[tuple[str, str], str]:
    return {
        (table, hour): manifest.data_version
        for table, by_hour in manifests(settings).items()
        for hour, manifest in by_hour.items()
    }


def test_hours_on_s3_become_what_they_become_in_a_local_folder(
    s3_settings: Callable[..., Settings], local_settings: Callable[..., Settings]
) -> None:
    on_s3, local = s3_settings(), local_settings()
    for settings in (on_s3, local):
        land(settings)
        result = materialize(settings)
        assert result.success
        evaluations = result.get_asset_check_evaluations()
        assert len(evaluations) == 7
        assert all(evaluation.passed for evaluation in evaluations)

    stored = manifests(on_s3)
    events = OBJECTS_OF_AN_HOUR * EVENTS_OF_AN_OBJECT
    bronze, silver, quarantine = (stored[contract.path] for contract in TABLES)
    for hour in HOURS:
        assert bronze[hour].rows == events + 2
        assert silver[hour].rows == events
        assert silver[hour].counts["duplicates"] == 1
        assert quarantine[hour].rows == 1
        assert len(bronze[hour].sources) == OBJECTS_OF_AN_HOUR
        assert len(silver[hour].files) == 1  # a small hour is one small file
    frame = StoredPartitions.open(SILVER[EVENT_TYPE], HOURS, Lake(on_s3), SparkEngine.from_settings(on_s3)).read()
    assert frame.count() == len(HOURS) * events
    assert frame.where("artist = 'Björk' AND page = 'NextSong'").count() == len(HOURS) * events * 4 // 15
    assert frame.select("event_id").distinct().count() == len(HOURS) * events

    assert data_versions(on_s3) == data_versions(local)


def test_a_day_of_gold_on_s3_is_what_it_is_in_a_local_folder(
    s3_settings: Callable[..., Settings], local_settings: Callable[..., Settings]
) -> None:
    """Of the two hours that the day has so far."""
    versions: list[dict[tuple[str, str], str]] = []
    for settings in (s3_settings(), local_settings()):
        land(settings)
        land_listens(settings)
        definitions = build_definitions(settings)
        with dg.DagsterInstance.ephemeral() as instance:
            definitions.resolve_job_def("hourly_spine").execute_in_process(tags=HOURLY_RANGE, instance=instance)
            result = definitions.resolve_job_def("daily_tier").execute_in_process(partition_key=DAY, instance=instance)
        failed = [evaluation for evaluation in result.get_asset_check_evaluations() if not evaluation.passed]
        assert {evaluation.check_name for evaluation in failed} == {WHOLE_DAYS_CHECK}  # the day has 2 hours of 24
        assert {evaluation.severity for evaluation in failed} == {dg.AssetCheckSeverity.WARN}
        lake, spark = Lake(settings), SparkEngine.from_settings(settings)
        stored = {
            path: StoredPartitions.open(
                table.contract, HOURS if table.contract.cadence is Cadence.HOURLY else [DAY], lake, spark
            )
            for path, table in made_gold_tables(is_served=False).items()
        }
        assert {path for path, opened in stored.items() if not sum(opened.rows.values())} == set()
        songs = len(HOURS) * OBJECTS_OF_AN_HOUR * EVENTS_OF_AN_OBJECT * 4 // 15
        assert sum(stored["gold/fact_streams"].rows.values()) == stored["gold/fact_plays"].rows[DAY] == songs
        versions.append({
            (path, partition): manifest.data_version
            for path, opened in stored.items()
            for partition, manifest in opened.manifests.items()
        })  # fmt: skip
    on_s3, local = versions
    assert on_s3 == local


def test_the_same_hours_once_more_change_nothing_but_the_run(s3_settings: Callable[..., Settings]) -> None:
    settings = s3_settings()
    land(settings)
    materialize(settings)
    before = manifests(settings)
    again = materialize(settings)
    after = manifests(settings)
    for table, by_hour in after.items():
        for hour, manifest in by_hour.items():
            assert manifest.files == before[table][hour].files
            assert manifest.run_id == again.run_id != before[table][hour].run_id


def test_what_the_shell_knows_of_aws_does_not_enter_a_lake_with_an_access_key(
    s3_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither into the platform's own requests nor into the engine's."""
    for name in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "shell")
    settings = s3_settings()
    land(settings)
    assert materialize(settings).success
    frame = StoredPartitions.open(SILVER[EVENT_TYPE], HOURS, Lake(settings), SparkEngine.from_settings(settings)).read()
    assert frame.count() == len(HOURS) * OBJECTS_OF_AN_HOUR * EVENTS_OF_AN_OBJECT
    assert "AWS_SESSION_TOKEN" not in os.environ
