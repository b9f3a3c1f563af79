"""Every check can fail: what was published is tampered with, and the right check says where, which column and which rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from music_platform.errors import ManifestCorruptError, PartitionMissingError
from music_platform.lake.lake import Lake
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.publish import publish_partition
from music_platform.lake.spark import SparkEngine
from music_platform.lake.writer import WrittenPartition
from music_platform.orchestration.checks.outcome import CheckOutcome
from music_platform.orchestration.checks.spine import check_bronze, check_silver
from music_platform.orchestration.io_managers.parquet_io_manager import ParquetLakeIOManager
from music_platform.settings import Settings
from music_platform.tables.catalogue import TABLES
from music_platform_tests.assets.local_platform import (
    EMPTY_HOUR,
    HOUR,
    NEXT_HOUR,
    LocalPlatform,
    evaluations,
    good_record,
    gzip_lines,
    materialized,
    to_line,
)

EVENT_TYPE = "page_view_events"
BRONZE, SILVER, QUARANTINE = (f"{layer}/{EVENT_TYPE}" for layer in ("bronze", "silver", "quarantine"))
SPINE = [BRONZE, SILVER, QUARANTINE]


def make(platform: LocalPlatform) -> LocalPlatform:
    """Two hours with 40 good lines, a bad and a repeated one each, and an empty hour, all materialized."""
    for partition in (HOUR, NEXT_HOUR):
        lines = [to_line(good_record(EVENT_TYPE, partition, itemInSession=item)) for item in range(40)]
        platform.land(EVENT_TYPE, partition, gzip_lines(lines[:20]), chunk=1)
        platform.land(EVENT_TYPE, partition, gzip_lines([*lines[20:], b"broken", lines[0]]), chunk=2)
    platform.run(HOUR, EMPTY_HOUR, tables=SPINE)
    return platform


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> LocalPlatform:
    return make(LocalPlatform(Settings(lake=str(tmp_path_factory.mktemp("checks") / "lake"))))


@pytest.fixture
def made(made_once: LocalPlatform) -> Iterator[LocalPlatform]:
    """Made hours for a test that tampers with tables, which are restored after it; what is landed must stay."""
    store = made_once.lake.store
    before = {stored.key: store.get(stored.key) for stored in store.list("")}
    landed = {stored.key: stored.etag for stored in store.list("landing")}
    yield made_once
    left = {stored.key: stored.etag for stored in store.list("landing")}
    store.delete([stored.key for stored in store.list("") if stored.key not in before])
    for key, content in before.items():
        if left.get(key, "") != landed.get(key) and content is not None:
            store.put(key, content)
    assert left == landed  # after the restoring, so that the tests that follow do not fail too


@pytest.fixture
def made_anew(platform: LocalPlatform) -> LocalPlatform:
    """Made hours for a test that changes what is landed."""
    return make(platform)


def check(platform: LocalPlatform, *partitions: str) -> dict[str, CheckOutcome]:
    """The outcomes of all checks of these hours (default: all three), by `<layer> <check>`."""
    hours = partitions or (HOUR, NEXT_HOUR, EMPTY_HOUR)
    outcomes = [
        outcome
        for check_layer in (check_bronze, check_silver)
        for outcome in check_layer(EVENT_TYPE, hours, platform.lake, SparkEngine())
    ]
    return {f"{outcome.table.split('/')[0]} {outcome.check}": outcome for outcome in outcomes}


def failed(platform: LocalPlatform, *partitions: str) -> dict[str, str]:
    """What the failed blocking checks say."""
    return {
        name: outcome.description
        for name, outcome in check(platform, *partitions).items()
        if not outcome.passed and outcome.is_blocking
    }


def changed(rows: pa.Table, column: str, row: int, value: Any) -> pa.Table:
    """The rows with one value changed."""
    values = rows[column].to_pylist()
    values[row] = value
    return rows.set_column(
        rows.schema.get_field_index(column), rows.schema.field(column), pa.array(values, rows[column].type)
    )


def test_all_is_well(made: LocalPlatform) -> None:
    outcomes = check(made)
    assert {name: outcome.passed for name, outcome in outcomes.items()} == {
        "bronze contract": True,
        "bronze reconciles_with_landing": True,
        "bronze has_all_landed_objects": True,
        "silver contract": True,
        "quarantine contract": True,
        "silver reconciles_with_bronze": True,
        "quarantine quarantine_rate": False,
    }
    assert outcomes["bronze reconciles_with_landing"].description == "84 landed lines = 84 bronze rows"
    assert (
        outcomes["silver reconciles_with_bronze"].description
        == "84 bronze rows = 80 silver + 2 duplicates + 2 quarantined"
    )
    rate = outcomes["quarantine quarantine_rate"]
    assert not rate.is_blocking
    assert f"partition {HOUR}: 1 of 42 rows; partition {NEXT_HOUR}: 1 of 42 rows" in rate.description
    assert rate.numbers["rate"] == pytest.approx(2 / 84)


def test_an_hour_within_the_limit_gives_no_warning(made: LocalPlatform) -> None:
    lenient = Lake(made.settings.model_copy(update={"quarantine_rate_warning": 1 / 42}))
    *_, rate = check_silver(EVENT_TYPE, [HOUR], lenient, SparkEngine())
    assert rate.passed


@pytest.mark.parametrize(
    ("table", "column", "value", "rule"),
    [
        (SILVER, "city", None, "place_whole"),
        (SILVER, "zip", None, "place_whole"),
        (SILVER, "user_agent", None, "user_agent_of_listener"),
        (SILVER, "event_time", None, "event_time_present"),
        (SILVER, "event_id", None, "event_id_present"),
        (SILVER, "event_id", "no fingerprint", "event_id_pattern"),
        (SILVER, "level", "gold", "level_allowed"),
        (SILVER, "status", 500, "status_allowed"),
        (SILVER, "zip", "1234", "zip_pattern"),
        (SILVER, "longitude", 181.0, "longitude_range"),
        (SILVER, "song", "\u3000", "song_not_blank"),
        (SILVER, "song", "x" * 1_001, "song_length"),
        (SILVER, "last_name", None, "user_block_whole"),
        (SILVER, "page", "Home", "song_block_exactly_on_next_song"),
        (BRONZE, "_line_number", 0, "_line_number_range"),
        (BRONZE, "_object", None, "_object_present"),
        (BRONZE, "_fault", "no_such_fault", "_fault_allowed"),
        (QUARANTINE, "rule", None, "rule_present"),
        (QUARANTINE, "raw", None, "raw_present"),
        (QUARANTINE, "detail", None, "detail_present"),
    ],
)
def test_a_broken_value_is_found(made: LocalPlatform, table: str, column: str, value: Any, rule: str) -> None:
    made.tamper(table, NEXT_HOUR, changed(made.table(table, NEXT_HOUR), column, 0, value))
    found = failed(made)
    description = found[f"{table.split('/')[0]} contract"]
    assert f"1 rows break the rule {rule} (" in description
    where = f"in partition {HOUR}...{EMPTY_HOUR}" if column == "event_time" else f"first in partition {NEXT_HOUR}"
    assert where in description
    assert "repeat another" not in description


def test_a_repeated_event_is_found(made: LocalPlatform) -> None:
    rows = made.table(SILVER, NEXT_HOUR)
    made.tamper(SILVER, NEXT_HOUR, changed(rows, "event_id", 1, rows["event_id"][0].as_py()))
    assert failed(made) == {"silver contract": f"1 rows repeat another one's event_id, first in partition {NEXT_HOUR}"}


def test_dropped_rows_are_found(made: LocalPlatform) -> None:
    made.tamper(SILVER, NEXT_HOUR, made.table(SILVER, NEXT_HOUR).slice(3))
    assert failed(made) == {
        "silver reconciles_with_bronze": f"partition {NEXT_HOUR}: 42 bronze rows, but 37 silver + 1 duplicates + 1 "
        "quarantined = 39"
    }


def test_rows_that_the_manifest_does_not_know_are_found(made: LocalPlatform) -> None:
    made.tamper(SILVER, NEXT_HOUR, made.table(SILVER, NEXT_HOUR).slice(3), keep_manifest_rows=True)
    [description] = failed(made).values()
    assert f"partition {NEXT_HOUR}: '{made.manifest(SILVER, NEXT_HOUR).keys[0]}' has 37 rows" in description
    assert "its manifest says 40" in description


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: _cast(rows, "status", pa.int64()), "column 'status' is int64, the contract says int32"),
        (lambda rows: _cast(rows, "user_id", pa.string()), "column 'user_id' is string, the contract says int64"),
        (lambda rows: rows.drop_columns(["city"]), "lacks column 'city'"),
        (lambda rows: rows.append_column("new", rows["city"]), "has a column 'new' that the contract does not know"),
        (lambda rows: rows.select(rows.schema.names[::-1]), "has its columns in another order than the contract"),
    ],
)
def test_another_schema_is_found(made: LocalPlatform, change: Callable[[pa.Table], pa.Table], told: str) -> None:
    made.tamper(SILVER, HOUR, change(made.table(SILVER, HOUR)))
    found = failed(made)
    assert set(found) == {"silver contract"}
    assert found["silver contract"].startswith(f"partition {HOUR}: 'silver/{EVENT_TYPE}/date=2026-11-01/hour=05/part-")
    assert told in found["silver contract"]


def _cast(rows: pa.Table, column: str, column_type: pa.DataType) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(column), column, rows[column].cast(column_type))


def test_rows_of_another_hour_are_found(made: LocalPlatform) -> None:
    made.tamper(SILVER, HOUR, made.table(SILVER, NEXT_HOUR))
    assert f"has rows of {NEXT_HOUR} by their event_time" in failed(made)["silver contract"]


def test_a_file_that_is_no_parquet_is_found(made: LocalPlatform) -> None:
    manifest = made.manifest(SILVER, HOUR)
    made.lake.store.put(manifest.keys[0], bytes(manifest.bytes))
    found = failed(made)
    assert set(found) == {"silver contract"}
    assert f"partition {HOUR}: '{manifest.keys[0]}' is no Parquet file" in found["silver contract"]


def test_a_file_that_is_gone_is_named(made: LocalPlatform) -> None:
    [key] = made.manifest(SILVER, HOUR).keys
    made.lake.store.delete([key])
    with pytest.raises(ManifestCorruptError, match=f"{SILVER} partition {HOUR} lacks '{key}'"):
        check(made)


def test_a_partition_that_was_never_made_is_named(made: LocalPlatform) -> None:
    with pytest.raises(PartitionMissingError, match=f"{BRONZE} has no partition 2026-11-01-09:00"):
        check(made, HOUR, "2026-11-01-09:00")


def test_a_landed_object_that_is_gone_is_found(made_anew: LocalPlatform) -> None:
    key = made_anew.manifest(BRONZE, HOUR).sources[0].key
    made_anew.lake.store.delete([key])
    assert failed(made_anew) == {
        "bronze reconciles_with_landing": f"partition {HOUR}: landed object '{key}' is gone; restore it, or declare it "
        f"expired: ./run music-platform landing expire --partition '{HOUR}'"
    }


def test_a_landed_object_that_was_rewritten_is_found(made_anew: LocalPlatform) -> None:
    key = made_anew.manifest(BRONZE, HOUR).sources[0].key
    made_anew.lake.store.put(key, gzip_lines([b"{}"] * 20))
    [description] = failed(made_anew).values()
    assert f"partition {HOUR}: landed object '{key}' was rewritten after bronze read it" in description


def test_lost_bronze_rows_are_found(made: LocalPlatform) -> None:
    made.tamper(BRONZE, HOUR, made.table(BRONZE, HOUR).slice(2))
    found = failed(made)
    assert set(found) == {"bronze reconciles_with_landing", "silver reconciles_with_bronze"}
    assert found["bronze reconciles_with_landing"] == f"partition {HOUR}: 42 landed lines, 40 bronze rows"


def test_late_and_unread_objects_give_a_warning(made_anew: LocalPlatform) -> None:
    late = made_anew.land(EVENT_TYPE, HOUR, gzip_lines([to_line(good_record(EVENT_TYPE, HOUR))]), chunk=3)
    stranger = late.rsplit("/", 1)[0] + "/mine.json.gz"
    made_anew.lake.store.put(stranger, gzip_lines([b"{}"]))
    outcome = check(made_anew)["bronze has_all_landed_objects"]
    assert (outcome.passed, outcome.is_blocking) == (False, False)
    assert f"partition {HOUR}: 1 landed objects came after bronze was made, such as '{late}'" in outcome.description
    assert (
        f"1 objects are not named as the collector names them and are not read, such as '{stranger}'"
        in outcome.description
    )
    assert outcome.numbers == {"newer_objects": 1, "unread_objects": 1}


def test_values_that_the_engine_did_not_read_are_found(made: LocalPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded engine reads a file that vanishes between two looks as no rows."""
    read = StoredPartitions.read
    monkeypatch.setattr(StoredPartitions, "read", lambda self, partitions=None: read(self, partitions).limit(7))
    description = failed(made)["silver contract"]
    assert f"{HOUR}...{EMPTY_HOUR} (3 partitions): the engine read 7 rows, the manifests promise 80" in description


def test_a_range_is_checked_batch_by_batch(made: LocalPlatform) -> None:
    rows = made.table(SILVER, NEXT_HOUR)
    rows = changed(changed(rows, "event_id", 1, rows["event_id"][0].as_py()), "level", 5, "gold")
    made.tamper(SILVER, NEXT_HOUR, rows)
    lake = Lake(made.settings.model_copy(update={"batch_rows": 1}))
    [silver, *_] = check_silver(EVENT_TYPE, [HOUR, NEXT_HOUR, EMPTY_HOUR], lake, SparkEngine())
    assert f"1 rows repeat another one's event_id, first in partition {NEXT_HOUR}" in silver.description
    assert "1 rows break the rule level_allowed" in silver.description


def test_silver_of_another_bronze_is_found(made_anew: LocalPlatform) -> None:
    late = to_line(good_record(EVENT_TYPE, HOUR, itemInSession=500))
    made_anew.land(EVENT_TYPE, HOUR, gzip_lines([late]), chunk=3)
    made_anew.run(HOUR, tables=[BRONZE])
    description = failed(made_anew)["silver reconciles_with_bronze"]
    assert f"partition {HOUR}: 43 bronze rows, but 40 silver + 1 duplicates + 1 quarantined = 42" in description
    for table in (SILVER, QUARANTINE):
        assert f"partition {HOUR}: {table} was made from another version of bronze" in description


def test_many_problems_are_reported_in_part(made: LocalPlatform) -> None:
    hours = [f"2026-11-02-{hour:02}:00" for hour in range(24)]
    nothing = WrittenPartition()
    for partition in hours:
        for table in SPINE:
            publish_partition(made.lake.store, TABLES[table], partition, nothing, run_id="run", write_id="write")
    description = failed(made, *hours)["silver reconciles_with_bronze"]
    assert description.count("made from another version of bronze") == 20
    assert description.endswith("; and 28 more")


class _LosingIOManager(ParquetLakeIOManager):
    """Publishes bronze and then changes it, as a defect would."""

    tampering: Callable[[], None]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        super().handle_output(context, obj)
        if context.asset_key.path[0] == "bronze":
            self.tampering()


def test_a_failed_blocking_check_stops_what_lies_downstream(tmp_path: Path) -> None:
    settings = Settings(lake=str(tmp_path / "lake"))
    io_manager = _LosingIOManager(Lake(settings), SparkEngine())
    platform = LocalPlatform(settings, resource_overrides={"lake_io_manager": io_manager})
    io_manager.tampering = lambda: platform.tamper(BRONZE, HOUR, platform.table(BRONZE, HOUR).slice(1))
    platform.land_records(EVENT_TYPE, HOUR, [good_record(EVENT_TYPE, itemInSession=item) for item in range(5)])
    result = platform.run(HOUR, tables=SPINE, raise_on_error=False)
    assert not result.success
    assert materialized(result) == {BRONZE}
    found = evaluations(result)
    assert found[f"{BRONZE} contract"].passed
    reconciliation = found[f"{BRONZE} reconciles_with_landing"]
    assert not reconciliation.passed
    assert reconciliation.severity is dg.AssetCheckSeverity.ERROR
    assert reconciliation.description == f"partition {HOUR}: 5 landed lines, 4 bronze rows"
    assert reconciliation.metadata["landed_lines"].value == 5
    assert not any(name.startswith(("silver", "quarantine")) for name in found)


def test_a_warning_stops_nothing(platform: LocalPlatform) -> None:
    platform.land(EVENT_TYPE, HOUR, gzip_lines([b"broken"] * 3))
    result = platform.run(HOUR, tables=SPINE)
    assert result.success
    rate = evaluations(result)[f"{QUARANTINE} quarantine_rate"]
    assert (rate.passed, rate.severity) == (False, dg.AssetCheckSeverity.WARN)
    told = f"{SILVER} has 0 rows of {HOUR}: 3 of 3 rows are in quarantine, by the rules line_readable (3)"
    assert told in (rate.description or "")
