"""The embedded engine and Apache Spark make the same tables of the same landed objects, row by row.

Spark's own Connect server runs beside the tests; what talks to it is a process of its own (this module, run as a script),
because a Python process has one Spark session.
"""

from __future__ import annotations

import gzip
import json
import lzma
import math
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import errors_key, landed_key, parse_key
from music_platform.lake.manifest import Manifest, read_manifest
from music_platform.lake.partition_sets import StagedPartitions, StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.landing.error_rows import collector_errors
from music_platform.landing.event_lines import hour_time, sort_block
from music_platform.landing.page_log import PageLog
from music_platform.orchestration.assets.gold import stage_gold
from music_platform.orchestration.assets.silver import stage_silver_and_quarantine
from music_platform.orchestration.io_managers.landing_io_manager import open_errors, open_landed
from music_platform.orchestration.io_managers.parquet_io_manager import ParquetLakeIOManager
from music_platform.partitions import hour_of_key, hours_of_day, key_of_hour
from music_platform.settings import Settings
from music_platform.tables.bronze import BRONZE
from music_platform.tables.catalogue import TABLES, made_gold_tables
from music_platform.tables.collector_errors import COLLECTOR_ERRORS, COLLECTOR_RULES
from music_platform.tables.contract import Cadence, TableContract
from music_platform.tables.events import EVENT_CONTRACTS, EVENT_TYPES
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER
from music_platform.tables.transforms.bronze import bronze_events

GOLD_DAYS = ("2026-11-01", "2026-11-02")
REAL_LINES = 3000  # of each event type that has so many
SPARK_RUN_SECONDS = 900
BAD_HOUR = "2026-11-20-05:00"  # after the sample's
BAD_HOUR_MILLISECONDS = int(hour_of_key(BAD_HOUR).timestamp() * 1000)

EDGE_TEXTS = (
    "", " ", " a ", "\ta\n", "a\u00a0", "\u00a0", "\u3000a", "Lef\u00c3\u00a8vre", "\u00c3\u00a0 la carte", "voil\u00c3\u00a0",
    "Björk", "日本", "\u00c3\u00a8 日", "é\u0085x", "\u00c2\u0085", "\u00c3\u00c3\u00a8", "\u00c0\u0080", "\u00ed\u00a0\u0080",
    "\u00f0\u009f\u0098\u0080", "\u00f4\u00bf\u00bf\u00bf", "\u00c3\u00a8\u00c3", "\U0001f600", "\ufffe", "\u0000", "a\u001fb",
    "It\u0019s", "\u001cq\u001d", "1\u00132", "\u007f\u0080\u009f", "a\u0085b\u2028c\u2029", '"', '""', '"a"', '"a \\"b\\" c"',
    "73301\n", "TX\n", '"a\u2028b\u0085"', '"a\nb"', '"a"\n', 'a "b"',
    '"Alpha" and "Omega"', '"Yes", "No"', '"\\""', '"""', '" "', '"abc\\"', '"abc\\\\"', '"a\\\\"b"',
    "\u200b\ufeff\u2060", "\u00ad\u3000", "'\u2019\u00ab", "\u2800\u3164\ufe0f", "\U000e0020", "\ufffd", "x" * 1_000, "x" * 1_001,
    "\U0001f600" * 1_000, "\u00e9" * 201, '"' + '\\"x' * 20_000 + '"', "\\", "a,b: {}", "null", "x" * 100_000,
)  # fmt: skip
EDGE_LONGS = (
    0, -1, 1, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 10**15, 10**17, -(10**14), 9_223_372_036_854_775,
    9_223_372_036_854_776, 2**63 - 1, -(2**63), 2**63, 10**400, 7_258_118_399_999, 7_258_118_400_000, -2_208_988_800_000,
    -2_208_988_800_001, BAD_HOUR_MILLISECONDS, BAD_HOUR_MILLISECONDS - 1, BAD_HOUR_MILLISECONDS + 3_600_000,
)  # fmt: skip
EDGE_DOUBLES = (
    0.0,
    -0.0,
    1e-7,
    5e-324,
    90.0,
    90.00000000000001,
    180,
    -180.5,
    12345678.25,
    1e16,
    1e300,
    86_400,
    0.1 + 0.2,
)
EDGE_LINES = (
    b"", b"   ", b"{}", b"null", b"[]", b"broken", b'{"ts":', b'{"city":"\xff"}', b'{"ts":1}{"ts":2}', b'{"ts":NaN}',
    b'{"ts":1,"ts":2}', b'{"lon":1e400,"x":1e400}', rb'{"city":"\ud800","\udc00":1}',
    b'{"unknown":' + b"[" * 300 + b"]" * 300 + b"}",
    *(b'{"ts":%b,"userId":%b,"lat":%b,"x":%b}' % (number, number, number, number) for number in (
        b"49.0", b"1.7935776e12", b"-0", b"-0.0", b"49.50", b"-95", b"0.00001", b"49.5",
        b"9007199254740992.0", b"9007199254740993.0", b"1.79e+30", b"1e-400",
    )),
    b'\xef\xbb\xbf{"ts":1}', b"\xef\xbb\xbf",
    b'{"unknown":{"a":[1,2.50,"\xc3\xa9\xe2\x80\xa8"]}}\r', b'{"SessionId":1,"sessionid":2}', b"x" * 1_200_000,
)  # fmt: skip


def make_tables(lake: Lake, spark: SparkEngine) -> None:
    """Bronze, silver and quarantine of all that is landed in a lake, as the assets make them."""
    io_manager = ParquetLakeIOManager(lake, spark)
    for event_type, event in EVENT_CONTRACTS.items():
        hours = sorted({*landed_hours(lake, event_type), *(hour for day in GOLD_DAYS for hour in hours_of_day(day))})
        landed = open_landed(event_type, hours, lake, spark)
        staged = StagedPartitions.begin(BRONZE[event_type], "bronze", landed.sources())
        staged.write(bronze_events(landed.read(), event), hours, lake)
        io_manager.publish(staged, hours, "run")

        bronze = StoredPartitions.open(BRONZE[event_type], hours, lake, spark)
        silver = StagedPartitions.begin(SILVER[event_type], "silver", bronze.sources())
        quarantine = StagedPartitions(QUARANTINE[event_type], silver.write_id, bronze.sources())
        stage_silver_and_quarantine(event, bronze, hours, silver, quarantine)
        io_manager.publish(silver, hours, "run")
        io_manager.publish(quarantine, hours, "run")
    errors = open_errors([BAD_HOUR], lake, spark)
    staged = StagedPartitions.begin(COLLECTOR_ERRORS, "errors", errors.sources())
    staged.write(collector_errors(errors.read()), [BAD_HOUR], lake)
    io_manager.publish(staged, [BAD_HOUR], "run")
    for table in made_gold_tables(is_served=False).values():
        partitions = partitions_of(table.contract)
        inputs = {
            name: StoredPartitions.open_published(wanted.contract, partitions_of(wanted.contract), lake, spark)
            for name, wanted in table.inputs.items()
        }
        io_manager.publish(stage_gold(table, partitions, inputs, lake, spark, "gold"), partitions, "run")


def partitions_of(contract: TableContract) -> list[str]:
    """The partitions of the days for which gold is made."""
    if contract.cadence is Cadence.DAILY:
        return list(GOLD_DAYS)
    return [hour for day in GOLD_DAYS for hour in hours_of_day(day)]


def landed_hours(lake: Lake, event_type: str) -> list[str]:
    places = [parse_key(stored.key) for stored in lake.store.list(f"landing/{event_type}")]
    return sorted({key_of_hour(place[1]) for place in places if place is not None})


def main(remote: str, folder: str) -> None:
    """Make the tables of a lake on a Spark Connect server."""

    make_tables(Lake(Settings(lake=folder)), SparkEngine(remote=remote))


def land(lake: Lake, sample: Path) -> None:
    """Real lines in their hours; in an hour of their own variations of a real record, odd lines and damaged objects."""
    for event_type in EVENT_TYPES:
        with lzma.open(sample / f"{event_type}.jsonl.xz") as file:
            lines = file.read().split(b"\n")[:-1][:REAL_LINES]
        by_hour: defaultdict[datetime, list[bytes]] = defaultdict(list)
        for line in lines:
            moment = datetime.fromtimestamp(json.loads(line)["ts"] / 1000, UTC)
            by_hour[moment.replace(minute=0, second=0, microsecond=0)].append(line)
        for hour, lines_of_hour in by_hour.items():
            _put(lake, event_type, hour, 1, _gzip([*lines_of_hour, *lines_of_hour[:2]]))
        record = json.loads(lines[0]) | {"ts": BAD_HOUR_MILLISECONDS + 1000}
        odd = [json.dumps(changed, ensure_ascii=False).encode() for changed in variations(event_type, record)]
        hour = hour_of_key(BAD_HOUR)
        mixed = _gzip([*odd, *EDGE_LINES, *odd[:5]])
        _put(lake, event_type, hour, 1, mixed)
        _put(lake, event_type, hour, 2, mixed[: len(mixed) // 2])
        _put(lake, event_type, hour, 3, b"")
        _put(lake, event_type, hour, 4, lines[0])
        _put(lake, event_type, hour, 5, _gzip(odd[:3]) + b"junk")
        _put(lake, event_type, hour + timedelta(hours=1), 1, _gzip([b" "]))
    from music_platform_tests.page_logs import page_log  # not on the path of the process that runs this as a script

    first_hour = hour_of_key(f"{GOLD_DAYS[0]}-05:00")
    for event_type, block in PageLog().split(page_log(first_hour)).items():  # places and devices that are absent
        for group in sort_block(block, event_type, first_hour).by_hour:
            _put(lake, event_type, hour_time(group.hour), 6, gzip.compress(group.content * 2, mtime=0))


def land_errors(lake: Lake, sample: Path) -> None:
    """Error records of every rule, odd texts in them, lines that are none, and a damaged object."""
    with lzma.open(sample / "auth_events.jsonl.xz") as file:
        event = file.readline().rstrip(b"\n").decode()
    messages = [*EDGE_TEXTS, event, f"[{event},\n{event}]", *(line.decode("utf-8", "replace") for line in EDGE_LINES)]
    records = [
        *({"message": message, "__reason": "json_object"} for message in messages),
        *({"ts": value, "page": "Home"} for value in (*EDGE_LONGS, *EDGE_DOUBLES, None, "text", [])),
        json.loads(event),
    ]
    origins = [
        {"__tag": "eventsim.auth_events", "__time": "2026-11-20T05:10:00.123Z"},
        {"__tag": "eventsim.é\u2028", "__time": "no time"},
    ]
    lines = [json.dumps(record | origin, ensure_ascii=False).encode() for record in records for origin in origins]
    bytes_that_are_no_text = b'{"message":"\xff\xfe","__tag":"eventsim.auth_events","__time":"2026-11-20T05:10:00Z"}'
    content = _gzip([*lines, *(line.replace(b": ", b":").replace(b', "', b',"') for line in lines), *EDGE_LINES,
                     bytes_that_are_no_text])  # fmt: skip
    for chunk, object_ in enumerate((content, content[: len(content) // 2], b"", lines[0])):
        lake.store.put(errors_key(hour_of_key(BAD_HOUR), f"{chunk:032x}"), object_)


def variations(event_type: str, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The record with one value changed or absent at a time, and some unknown fields."""
    yield record
    yield record | {"unknown": {"a": [1, 2.5, None, "é\u2028"]}, "level": "gold"}
    yield record | {"unknown": 10**400}
    for field in EVENT_CONTRACTS[event_type].fields:
        edges = {"string": EDGE_TEXTS, "bigint": EDGE_LONGS, "double": EDGE_DOUBLES, "boolean": (True, False)}
        for value in (*edges[str(field.key_type)], None, [], {"a": 1}, "text", 7, 7.5, True):
            yield record | {field.key: value}
        yield {key: value for key, value in record.items() if key != field.key}


def _gzip(lines: list[bytes]) -> bytes:
    return gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)


def _put(lake: Lake, event_type: str, hour: datetime, chunk: int, content: bytes) -> None:
    lake.store.put(landed_key(event_type, hour, f"{chunk:032x}"), content)


@pytest.fixture(scope="module")
def lakes(sample_folder: Path, spark_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lake]:
    """The same landed objects made into tables by each engine, both at the same time."""
    folder = tmp_path_factory.mktemp("parity")
    by_engine = {engine: Lake(Settings(lake=str(folder / engine))) for engine in ("sail", "spark")}
    for lake in by_engine.values():
        land(lake, sample_folder / "eventsim")
        land_errors(lake, sample_folder / "eventsim")
    with (folder / "log.txt").open("wb") as output:
        on_spark = subprocess.Popen(
            [sys.executable, __file__, spark_url, by_engine["spark"].location], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        make_tables(by_engine["sail"], SparkEngine())
        ended = on_spark.wait(timeout=SPARK_RUN_SECONDS)
    finally:
        on_spark.kill()
    assert ended == 0, (folder / "log.txt").read_text(errors="replace")[-5000:]
    return by_engine


def _manifests(lake: Lake, table: str) -> dict[str, Manifest]:
    contract = TABLES[table]
    hours = [BAD_HOUR] if contract is COLLECTOR_ERRORS else landed_hours(lake, contract.name)
    found = {hour: read_manifest(lake.store, contract, hour) for hour in hours}
    assert None not in found.values()
    return {hour: entry[0] for hour, entry in found.items() if entry is not None}


def _rows(lake: Lake, table: str) -> list[dict[str, Any]]:
    parts = [
        pq.read_table(lake.store.open(key)) for manifest in _manifests(lake, table).values() for key in manifest.keys
    ]
    order = [(name, "ascending") for name in TABLES[table].unique_columns]
    return pa.concat_tables(parts).sort_by(order).to_pylist()


def _comparable(value: Any) -> Any:
    """A value for comparison: JSON by its content, because engines write numbers differently; -0.0 apart from 0.0."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return (value, math.copysign(1, value)) if isinstance(value, float) else value


@pytest.mark.parametrize(
    "table",
    [
        *(f"{layer}/{name}" for layer in ("bronze", "silver", "quarantine") for name in EVENT_TYPES),
        COLLECTOR_ERRORS.path,
    ],
)
def test_both_engines_give_the_same_rows(lakes: dict[str, Lake], table: str) -> None:
    on_sail, on_spark = (_rows(lake, table) for lake in lakes.values())
    assert len(on_sail) == len(on_spark) > 50
    for sail, spark in zip(on_sail, on_spark, strict=True):
        different = {
            name: (sail[name], spark[name])
            for name in sail
            if sail[name] != spark[name] and _comparable(sail[name]) != _comparable(spark[name])
        }
        assert different == {}


@pytest.mark.parametrize(
    "table",
    [
        *(f"bronze/{name}" for name in EVENT_TYPES),
        *(f"silver/{name}" for name in EVENT_TYPES),
        COLLECTOR_ERRORS.path,
    ],
)
def test_both_engines_give_the_same_files(lakes: dict[str, Lake], table: str) -> None:
    """Quarantine of events is left out: Spark and Sail write some numbers of its raw records differently."""
    on_sail, on_spark = (_manifests(lake, table) for lake in lakes.values())
    assert {hour: manifest.data_version for hour, manifest in on_sail.items()} == {
        hour: manifest.data_version for hour, manifest in on_spark.items()
    }


@pytest.mark.parametrize("path", made_gold_tables(is_served=False))
def test_both_engines_give_the_same_gold(lakes: dict[str, Lake], path: str) -> None:
    contract = TABLES[path]
    order = [(column, "ascending") for column in contract.unique_columns]
    rows = 0
    for partition in partitions_of(contract):
        found = [read_manifest(lake.store, contract, partition) for lake in lakes.values()]
        assert None not in found
        tables = [
            pa.concat_tables(pq.read_table(lake.store.open(key)) for key in entry[0].keys).sort_by(order).to_pylist()
            for lake, entry in zip(lakes.values(), found, strict=True)
            if entry is not None and entry[0].keys
        ]
        if tables:
            on_sail, on_spark = tables
            assert on_sail == on_spark, partition
            rows += len(on_sail)
    assert rows > 0


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_both_engines_account_for_every_row(lakes: dict[str, Lake], event_type: str) -> None:
    counts = []
    for lake in lakes.values():
        bronze, silver, quarantine = (
            _manifests(lake, f"{layer}/{event_type}") for layer in ("bronze", "silver", "quarantine")
        )
        for hour, manifest in bronze.items():
            duplicates = silver[hour].counts.get("duplicates", 0)
            assert manifest.rows == silver[hour].rows + duplicates + quarantine[hour].rows
            assert duplicates > 0 or manifest.rows == 0
            counts.append((hour, manifest.rows, silver[hour].rows, duplicates, quarantine[hour].rows))
    assert counts[: len(counts) // 2] == counts[len(counts) // 2 :]


def test_the_input_holds_what_it_should(lakes: dict[str, Lake]) -> None:
    """Every fault and, of each event type, nearly every rule: what both engines agree on is not nothing."""
    for event_type in EVENT_TYPES:
        rows = _rows(lakes["spark"], f"quarantine/{event_type}")
        faults = {row["detail"].split(":")[0] for row in rows if row["detail"]}
        assert faults >= {
            "not_utf8", "not_json", "not_an_object", "duplicate_key", "wrong_type", "empty_object", "not_gzip",
            "truncated_gzip", "corrupt_gzip",
        }  # fmt: skip
        broken = {rule for row in rows for rule in row["broken_rules"].split(",")}
        assert {rule.name for rule in SILVER[event_type].rules} - broken == set()
    errors = _rows(lakes["spark"], COLLECTOR_ERRORS.path)
    assert {row["rule"] for row in errors} == set(COLLECTOR_RULES)


if __name__ == "__main__":
    main(*sys.argv[1:])
