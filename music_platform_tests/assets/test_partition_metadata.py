"""What Dagster keeps of each partition is that partition's own, and of gold's rows what says nothing of who a listener is."""

from __future__ import annotations

import re
from typing import Any

import dagster as dg

from music_platform.lake.manifest import manifest_key
from music_platform.orchestration.io_managers.parquet_io_manager import previewed_columns
from music_platform.partitions import keys_in_range
from music_platform.tables.catalogue import GOLD, TABLES
from music_platform.tables.contract import ColumnType, Layer, Personal
from music_platform_tests.assets.local_platform import (
    EMPTY_HOUR,
    HOUR,
    NEXT_HOUR,
    LocalPlatform,
    good_record,
    gzip_lines,
    to_line,
)

_HOURS = {HOUR: 3, NEXT_HOUR: 5, EMPTY_HOUR: 0}
_TABLES = [
    *(
        f"{layer}/{name}"
        for name in ("listen_events", "page_view_events")
        for layer in ("bronze", "silver", "quarantine")
    ),
    "gold/fact_streams",
]
_MARKDOWN = "![p](http://127.0.0.1:9/x.png)"


def metadata_of(result: dg.JobExecutionResult) -> dict[tuple[str, str], dict[str, Any]]:
    """The metadata of each table's partition, as its materialization holds them."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for event in result.all_events:
        if event.is_step_materialization:
            made = event.step_materialization_data.materialization
            key = (made.asset_key.to_user_string(), str(made.partition))
            assert key not in found, f"{key} was reported twice"
            found[key] = dict(made.metadata)
    return found


def land_hours(platform: LocalPlatform) -> None:
    """In each hour another number of listens; one of them twice, and a broken line."""
    for partition, listens in _HOURS.items():
        if listens:
            lines = [
                to_line(good_record("listen_events", partition, itemInSession=item, song=f"{partition} {item}"))
                for item in range(listens)
            ]
            platform.land("listen_events", partition, gzip_lines([*lines, *lines[: listens - 2], b"broken"]))


def test_each_partition_of_a_range_has_its_own_numbers(platform: LocalPlatform) -> None:
    land_hours(platform)
    found = metadata_of(platform.run(HOUR, EMPTY_HOUR, tables=_TABLES))
    assert set(found) == {(table, partition) for table in _TABLES for partition in _HOURS}
    for (table, partition), metadata in found.items():
        manifest = platform.manifest(table, partition)
        assert metadata["rows"].value == metadata["dagster/partition_row_count"].value == manifest.rows
        assert metadata["dagster/row_count"].value == manifest.rows
        assert metadata["bytes"].value == metadata["dagster/size_bytes"].value == manifest.bytes
        assert metadata["files"].value == len(manifest.files)
        assert metadata["sources"].value == len(manifest.sources)
        assert metadata["dagster/uri"].value == platform.lake.store.url(manifest_key(table, partition))
        assert {name: metadata[name].value for name in manifest.counts} == manifest.counts
    listens = {partition: found["silver/listen_events", partition]["rows"].value for partition in _HOURS}
    assert listens == _HOURS
    duplicates = {
        partition: found["silver/listen_events", partition]["duplicates"].value for partition in (HOUR, NEXT_HOUR)
    }
    assert duplicates == {HOUR: 1, NEXT_HOUR: 3}


def test_each_partition_of_a_range_has_its_own_preview(platform: LocalPlatform) -> None:
    land_hours(platform)
    found = metadata_of(platform.run(HOUR, EMPTY_HOUR, tables=_TABLES))
    for partition, listens in _HOURS.items():
        preview = found["gold/fact_streams", partition].get("preview")
        if not listens:
            assert preview is None
            continue
        assert isinstance(preview, dg.TableMetadataValue)
        songs = {str(record.data["song"]) for record in preview.records}
        assert songs == {f"{partition} {item}" for item in range(listens)}


def test_a_long_range_has_no_previews(platform: LocalPlatform) -> None:
    hours = keys_in_range("2026-11-01-00:00", "2026-11-02-00:00")
    for partition in hours:
        platform.land_records("listen_events", partition, [good_record("listen_events", partition)])
    found = metadata_of(platform.run(hours[0], hours[-1], tables=_TABLES))
    assert len(hours) == 25
    assert not [key for key, metadata in found.items() if "preview" in metadata]
    assert {found["gold/fact_streams", hour]["rows"].value for hour in hours} == {1}


def test_a_table_that_another_s_pass_publishes_has_its_own_numbers_too(platform: LocalPlatform) -> None:
    land_hours(platform)
    platform.run(HOUR, EMPTY_HOUR, tables=["bronze/listen_events"])
    found = metadata_of(platform.run(HOUR, EMPTY_HOUR, tables=["silver/listen_events"]))
    quarantined = {partition: found["quarantine/listen_events", partition]["rows"].value for partition in _HOURS}
    assert quarantined == {HOUR: 1, NEXT_HOUR: 1, EMPTY_HOUR: 0}


def test_a_second_run_says_of_each_partition_whether_it_changed(platform: LocalPlatform) -> None:
    land_hours(platform)
    platform.run(HOUR, NEXT_HOUR, tables=_TABLES)
    platform.land_records("listen_events", NEXT_HOUR, [good_record("listen_events", NEXT_HOUR, itemInSession=99)])
    found = metadata_of(platform.run(HOUR, NEXT_HOUR, tables=_TABLES))
    unchanged = {
        partition: found["silver/listen_events", partition]["unchanged"].value for partition in (HOUR, NEXT_HOUR)
    }
    assert unchanged == {HOUR: True, NEXT_HOUR: False}


def test_a_hostile_title_is_a_short_cell_of_plain_text(platform: LocalPlatform) -> None:
    platform.land_records(
        "listen_events",
        HOUR,
        [good_record("listen_events", HOUR, artist=_MARKDOWN, song=f"\u202e<b>\u001b{'x' * 100}")],
    )
    found = metadata_of(platform.run(HOUR, tables=_TABLES))
    preview = found["gold/fact_streams", HOUR]["preview"]
    [record] = preview.records
    assert record.data["artist"] == _MARKDOWN
    assert str(record.data["song"]).startswith("\\u202e<b>")
    assert str(record.data["song"]).endswith("x…")
    assert all(len(str(cell)) <= 60 + len("\\u202e") for cell in record.data.values())
    assert {column.name for column in preview.schema.columns} == set(record.data)


def test_dagster_keeps_nothing_of_who_a_listener_is(platform: LocalPlatform) -> None:
    person = {
        "userId": 987654321, "firstName": "Zephyrine", "lastName": "Quackenbush", "city": "Xylophonia", "zip": "99951",
        "lon": -151.987654, "lat": 61.123457, "userAgent": "ErasureProbe", "registration": 1_793_481_234_567,
    }  # fmt: skip
    for event_type in ("auth_events", "listen_events", "page_view_events", "status_change_events"):
        lines = [
            to_line(good_record(event_type, HOUR, **person)),
            to_line(good_record(event_type, HOUR, **person))[:-9],
        ]
        platform.land(event_type, HOUR, gzip_lines(lines))
    result = platform.run(HOUR)
    kept = [
        text
        for run in platform.instance.get_runs()
        for record in platform.instance.all_logs(run.run_id)
        for text in [dg.serialize_value(record)]
    ]
    assert result.success
    assert any("gold" in text and "preview" in text for text in kept)
    for value in ("987654321", "Zephyrine", "Quackenbush", "Xylophonia", "99951", "151.9876", "61.1234", "ErasureProbe",
                  "2026-10-31 20:33:54"):  # fmt: skip
        # By itself: the same digits stand within times and digests too.
        found = re.compile(rf"(?<![0-9a-f.]){re.escape(value)}(?!\d{{0,3}}[a-f]|\d{{4}})")
        assert not [text for text in kept if found.search(text)], value


def test_previews_are_of_gold_and_say_nothing_of_who_a_listener_is() -> None:
    shown = {path: columns for path, contract in TABLES.items() if (columns := previewed_columns(contract))}
    assert shown
    assert {path for path in shown if TABLES[path].layer is not Layer.GOLD} == set()
    personal = {(path, column.name) for path, columns in shown.items() for column in columns
                if column.personal is not Personal.NONE}  # fmt: skip
    assert personal == set()
    moments_alone = {
        path for path, columns in shown.items() if all(column.type is ColumnType.TIMESTAMP for column in columns)
    }
    assert moments_alone == set()


def test_of_a_table_of_places_nothing_is_left_to_be_shown() -> None:
    assert not previewed_columns(GOLD["dim_locations"])
    assert [column.name for column in previewed_columns(GOLD["top_artists"])][3:5] == ["artist", "plays"]
