"""The layout of landed objects' keys, and listing by it."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from music_platform.lake.landing_layout import (
    LandingFolder,
    day_of_folder,
    day_prefix,
    errors_key,
    hour_prefix,
    landed_key,
    list_errors,
    list_landing,
    parse_errors_key,
    parse_key,
    type_prefix,
)
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.stored_objects import StoredObject
from music_platform.settings import Settings

_HOUR = datetime(2026, 11, 2, 17, tzinfo=UTC)
_CHUNK = "6610b500be66c91898d54d39ff860039"
_KEY = f"landing/page_view_events/dt=2026-11-02/hour=17/2026110217_{_CHUNK}.json.gz"


def test_a_key_is_what_fluentd_writes() -> None:
    assert landed_key("page_view_events", _HOUR, _CHUNK) == _KEY
    assert errors_key(_HOUR, _CHUNK) == f"errors/dt=2026-11-02/2026110217_{_CHUNK}.json.gz"


def test_prefixes_nest() -> None:
    prefixes = [
        type_prefix("page_view_events"),
        day_prefix("page_view_events", _HOUR),
        hour_prefix("page_view_events", _HOUR),
    ]
    assert all(_KEY.startswith(prefix + "/") for prefix in prefixes)


def test_a_key_parses_back() -> None:
    assert parse_key(_KEY) == ("page_view_events", _HOUR)


@pytest.mark.parametrize(
    "key",
    [
        _KEY + ".tmp",
        _KEY.replace("page_view_events", "unknown_events"),
        _KEY.replace("landing/", "errors/"),
        _KEY.replace(_CHUNK, _CHUNK[:-1]),
        _KEY.replace("dt=2026-11-02", "dt=2026-11-2"),
        _KEY.replace("dt=2026-11-02", "dt=2026-13-02"),
        _KEY.replace("dt=2026-11-02", "dt=0026-11-02"),
        _KEY.replace("hour=17", "hour=24"),
        "lake/" + _KEY,
        "",
    ],
)
def test_other_keys_are_not_landed_objects(key: str) -> None:
    assert parse_key(key) is None


@pytest.mark.parametrize("hours", [1, 3, 4, 24], ids=lambda hours: f"{hours} hours")
def test_listing_finds_the_wanted_hours_only(settings: Settings, hours: int) -> None:
    store = ObjectStore.from_settings(settings)
    keys = {}
    for hour in range(24):
        for chunk in ("b" * 32, "a" * 32):
            key = landed_key("listen_events", _HOUR.replace(hour=hour), chunk)
            store.put(key, gzip.compress(b"{}\n"))
            keys.setdefault(f"2026-11-02-{hour:02}:00", []).insert(0, key)
    store.put("landing/listen_events/dt=2026-11-02/hour=00/_SUCCESS", b"")
    wanted = [*list(keys)[:hours], "2026-11-03-00:00"]
    listed = list_landing(store, "listen_events", wanted)
    assert list(listed) == wanted
    assert listed.pop("2026-11-03-00:00") == LandingFolder()
    assert {key: [stored.key for stored in folder.objects] for key, folder in listed.items()} == {
        key: keys[key] for key in wanted[:-1]
    }


@pytest.mark.parametrize("hours", [1, 24], ids=lambda hours: f"{hours} hours")
def test_what_listing_leaves_out_is_made_known(settings: Settings, hours: int) -> None:
    store = ObjectStore.from_settings(settings)
    folder = hour_prefix("listen_events", _HOUR)
    good = landed_key("listen_events", _HOUR, _CHUNK)
    strangers = [
        f"{folder}/.{_CHUNK}.json.gz",
        f"{folder}/2026110217_{_CHUNK}.json",
        f"{folder}/2026110217_{_CHUNK.upper()}.json.gz",
        f"{folder}/below/2026110217_{_CHUNK}.json.gz",
        f"{folder}/listen_events.jsonl.gz",
    ]
    elsewhere = [
        f"{day_prefix('listen_events', _HOUR)}/listen_events.jsonl.gz",
        f"{day_prefix('listen_events', _HOUR)}/hour=7/2026110207_{_CHUNK}.json.gz",
        f"{hour_prefix('auth_events', _HOUR)}/auth_events.jsonl.gz",
        f"{folder}0/listen_events.jsonl.gz",
    ]
    half_written = f"{folder}/.2026110217_{_CHUNK}.json.gz.{'0' * 32}"
    for key in [good, *strangers, *elsewhere, half_written]:
        store.put(key, b"")
    wanted = [f"2026-11-02-{(17 + hour) % 24:02}:00" for hour in range(hours)]
    listed = list_landing(store, "listen_events", wanted)
    assert list(listed) == wanted
    found = listed.pop("2026-11-02-17:00")
    assert found.strangers == sorted(strangers)
    assert [stored.key for stored in found.objects] == [good]
    assert list(listed.values()) == [LandingFolder()] * (hours - 1)


@pytest.mark.parametrize(("hours", "listings"), [(3, 3), (4, 1), (30, 4)])
def test_many_hours_cost_one_listing_a_day(monkeypatch: pytest.MonkeyPatch, hours: int, listings: int) -> None:
    prefixes: list[str] = []

    def listing(_: ObjectStore, prefix: str) -> list[StoredObject]:
        prefixes.append(prefix)
        return []

    monkeypatch.setattr(ObjectStore, "list", listing)
    store = ObjectStore("/nowhere")
    wanted = [f"2026-11-{1 + hour // 24:02}-{hour % 24:02}:00" for hour in range(hours)]
    list_landing(store, "listen_events", wanted if hours < 30 else wanted[:27])
    assert len(prefixes) == listings


_ERRORS_KEY = f"errors/dt=2026-11-02/2026110217_{_CHUNK}.json.gz"


def test_a_key_of_error_records_parses_back() -> None:
    assert parse_errors_key(_ERRORS_KEY) == _HOUR


@pytest.mark.parametrize(
    "key",
    [
        _KEY,
        _ERRORS_KEY + ".tmp",
        _ERRORS_KEY.replace("dt=2026-11-02", "dt=2026-11-03"),
        _ERRORS_KEY.replace("2026110217", "2026110224"),
        _ERRORS_KEY.replace("2026110217", "20261102"),
        _ERRORS_KEY.replace(_CHUNK, _CHUNK.upper()),
    ],
)
def test_other_keys_are_not_those_of_error_records(key: str) -> None:
    assert parse_errors_key(key) is None


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("dt=2026-11-02", "2026-11-02"), ("dt=2026-13-40", None), ("dt=2026-11-2", None), ("2026-11-02", None),
        ("dt=0001-01-01", None), ("dt=2026-11-02x", None),
    ],
)  # fmt: skip
def test_a_folder_tells_its_day(name: str, day: str | None) -> None:
    assert day_of_folder(name) == day


def test_error_records_are_listed_by_hour_and_strangers_with_the_first_of_the_day(settings: Settings) -> None:
    store = ObjectStore.from_settings(settings)
    keys = [errors_key(datetime(2026, 11, day, hour, tzinfo=UTC), _CHUNK) for day, hour in ((2, 17), (2, 18), (3, 0))]
    for key in (*keys, "errors/dt=2026-11-02/README", "errors/dt=2026-11-04/other"):
        store.put(key, b"x")
    listed = list_errors(store, ["2026-11-02-16:00", "2026-11-02-17:00", "2026-11-03-00:00", "2026-11-03-01:00"])
    assert {hour: [found.key for found in folder.objects] for hour, folder in listed.items()} == {
        "2026-11-02-16:00": [],
        "2026-11-02-17:00": [keys[0]],
        "2026-11-03-00:00": [keys[2]],
        "2026-11-03-01:00": [],
    }
    assert {hour: folder.strangers for hour, folder in listed.items() if folder.strangers} == {
        "2026-11-02-16:00": ["errors/dt=2026-11-02/README"]
    }
