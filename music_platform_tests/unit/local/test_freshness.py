"""The watch on freshness: when each landed object is readable, whose run took it, and whether all rows add up."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import landed_key
from music_platform.lake.manifest import DataFile, Manifest, Source, manifest_key
from music_platform.local.freshness import FACTS, Debounce, FreshnessWatch
from music_platform.partitions import key_of_hour
from music_platform.settings import Settings
from music_platform.tables.bronze import BRONZE
from music_platform.tables.contract import TableContract
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER

_NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
_HOUR = key_of_hour(_NOW)
_LISTEN, _AUTH = "listen_events", "auth_events"


@pytest.mark.parametrize(
    ("landed", "over"),
    [
        ([100.0], 110.0),
        ([100.0, 105.0, 112.0], 122.0),
        ([112.0, 100.0, 105.0], 122.0),
        ([100.0, 109.0, 118.0, 127.0], 130.0),  # the longest wait
        ([100.0, 110.0], 110.0),  # quiet just long enough: the second waits for the next run
        ([100.0, 140.0], 110.0),
    ],
)
def test_a_debounce_ends_after_quiet_or_after_the_longest_wait(landed: list[float], over: float) -> None:
    assert Debounce(quiet_seconds=10.0, longest_wait_seconds=30.0).ends(landed) == over


@pytest.fixture
def lake(local_settings: Callable[..., Settings]) -> Lake:
    return Lake(local_settings())


def land(lake: Lake, event_type: str, chunk: int, lines: int) -> str:
    key = landed_key(event_type, _NOW, f"{chunk:032x}")
    lake.store.put(key, gzip.compress(b"{}\n" * lines))
    return key


def publish(
    lake: Lake,
    contract: TableContract,
    rows: int,
    sources: Sequence[Source],
    run_id: str = "first",
    duplicates: int = 0,
) -> Source:
    """A manifest of the hour without its files, which the watch does not read; gives it as the source of another."""
    manifest = Manifest(
        table=contract.path,
        partition=_HOUR,
        files=(DataFile(f"{run_id}.parquet", rows, rows, run_id),),
        schema_fingerprint="same",
        run_id=run_id,
        created_at="2026-11-01T05:00:00+00:00",
        sources=tuple(sources),
        counts={"duplicates": duplicates},
    )
    lake.store.put(manifest_key(contract.path, _HOUR), manifest.to_json())
    return manifest.as_source()


def build(
    lake: Lake,
    event_type: str,
    keys: list[str],
    rows: int,
    run_id: str = "first",
    lost: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Tables of an hour from these objects; ``lost``: rows that a table lacks, by its layer."""
    bronze = publish(lake, BRONZE[event_type], rows - lost.get("bronze", 0), [Source(key, "1") for key in keys], run_id)
    silver = publish(lake, SILVER[event_type], rows - 3 - lost.get("silver", 0), [bronze], run_id, duplicates=2)
    publish(lake, QUARANTINE[event_type], 1, [bronze], run_id)
    if event_type in FACTS:
        publish(lake, FACTS[event_type], rows - 3 - lost.get("gold", 0), [silver], run_id)


def test_an_object_is_followed_from_landing_to_gold(lake: Lake) -> None:
    land(lake, _LISTEN, 1, 100)  # before the watch
    watch = FreshnessWatch(lake)
    key = land(lake, _LISTEN, 2, 7)
    watch.look()
    assert [(landed.key, landed.hour, landed.run_id) for landed in watch.unreadable()] == [(key, _HOUR, None)]
    assert (watch.lines(), watch.lags(), watch.batches()) == (7, [], {})

    bronze = publish(lake, BRONZE[_LISTEN], 7, [Source(key, "1")])
    watch.look()
    assert watch.objects[key].run_id == "first"
    silver = publish(lake, SILVER[_LISTEN], 7, [bronze])
    watch.look()
    assert watch.objects[key].silver_at is not None
    assert watch.unreadable() == [watch.objects[key]]  # a listen is readable once it is in gold
    publish(lake, FACTS[_LISTEN], 7, [silver])
    watch.look()
    assert watch.unreadable() == []
    assert watch.rows([SILVER[_LISTEN], FACTS[_LISTEN]]) == 14
    readable_at = watch.objects[key].readable_at
    assert readable_at is not None
    assert watch.lags() == [readable_at - watch.objects[key].landed_at]
    watch.look()
    assert watch.objects[key].readable_at == readable_at  # the first look that found it counts


def test_a_type_without_a_fact_table_is_readable_in_silver(lake: Lake) -> None:
    watch = FreshnessWatch(lake)
    key = land(lake, _AUTH, 1, 7)
    build(lake, _AUTH, [key], 7)
    watch.look()
    assert watch.unreadable() == []


def test_a_batch_is_what_one_run_was_the_first_to_take(lake: Lake) -> None:
    watch = FreshnessWatch(lake)
    first = land(lake, _AUTH, 1, 7)
    build(lake, _AUTH, [first], 7)
    watch.look()
    second = land(lake, _AUTH, 2, 7)
    build(lake, _AUTH, [first, second], 14, run_id="second")
    watch.look()
    batches = {name: [landed.key for landed in batch] for name, batch in watch.batches().items()}
    assert batches == {("first", _HOUR): [first], ("second", _HOUR): [second]}


def test_the_lag_beyond_the_debounce_counts_from_its_end_or_from_the_request(lake: Lake) -> None:
    watch = FreshnessWatch(lake)
    build(lake, _AUTH, [land(lake, _AUTH, 1, 7)], 7)
    watch.look()
    [landed] = watch.objects.values()
    landed.landed_at, landed.silver_at = 100.0, 150.0
    debounce = Debounce(quiet_seconds=10.0, longest_wait_seconds=30.0)
    assert watch.lags_beyond(debounce, {}) == [40.0]
    assert watch.lags_beyond(debounce, {"first": 104.0}) == [46.0]
    assert watch.lags_beyond(debounce, {"first": 90.0}) == [50.0]  # it landed after its run was requested


@pytest.mark.parametrize(
    ("lost", "differences"),
    [
        ({}, []),
        (
            {"bronze": 1},
            [
                f"bronze/listen_events of {_HOUR} does not hold the lines that have landed, each once",
                f"rows of listen_events of {_HOUR} do not add up from bronze to silver",
            ],
        ),
        (
            {"silver": 1},
            [
                f"rows of listen_events of {_HOUR} do not add up from bronze to silver",
                f"gold/fact_streams of {_HOUR} does not hold the rows of silver/listen_events",
            ],
        ),
        ({"gold": 1}, [f"gold/fact_streams of {_HOUR} does not hold the rows of silver/listen_events"]),
    ],
    ids=["nothing", "bronze", "silver", "gold"],
)
def test_what_was_lost_is_named_by_table_and_hour(lake: Lake, lost: dict[str, int], differences: list[str]) -> None:
    watch = FreshnessWatch(lake)
    build(lake, _LISTEN, [land(lake, _LISTEN, 1, 10)], 10, lost=lost)
    watch.look()
    assert watch.differences() == differences


def test_objects_without_tables_are_named(lake: Lake) -> None:
    watch = FreshnessWatch(lake)
    land(lake, _AUTH, 1, 7)
    watch.look()
    assert watch.differences() == [f"{_AUTH} of {_HOUR} has objects and lacks a table"]
