"""Which objects no partition reads and why, and finding them in a lake."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import errors_key, landed_key, list_errors, list_landing
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.stored_objects import StoredObject
from music_platform.landing.unread import KINDS, Reason, UnreadPlace, find_unread, why_unread
from music_platform.landing.unread_messages import describe_left, describe_lines_without_partition, describe_unread
from music_platform.partitions import hours_of_day
from music_platform.settings import Settings
from music_platform.tables.events import EVENT_TYPES

_START = datetime(2026, 11, 1, 5, tzinfo=UTC)
_NOW = datetime(2026, 11, 5, 7, 30, tzinfo=UTC)
_ID = "6610b500be66c91898d54d39ff860039"
_NAME = f"2026110307_{_ID}.json.gz"
_HOUR = "landing/listen_events/dt=2026-11-03/hour=07"

_READ = [
    f"{_HOUR}/{_NAME}",
    f"{_HOUR}/2026110308_{_ID}.json.gz",  # the folder counts, and each line is checked against it
    f"landing/listen_events/dt=2026-11-01/hour=05/2026110105_{_ID}.json.gz",
    f"landing/listen_events/dt=2999-11-01/hour=05/2999110105_{_ID}.json.gz",  # held until then
    f"errors/dt=2026-11-03/{_NAME}",
    f"errors/dt=2026-11-05/2026110507_{_ID}.json.gz",  # the hour that runs
]
_UNREAD = {
    f"landing/listen_events/dt=2026-11-03/hour=7/{_NAME}": ("listen_events", Reason.OUTSIDE_AN_HOUR),
    f"landing/listen_events/dt=2026-11-03/hour=24/{_NAME}": ("listen_events", Reason.OUTSIDE_AN_HOUR),
    f"landing/listen_events/dt=2026-11-03/{_NAME}": ("listen_events", Reason.OUTSIDE_AN_HOUR),
    f"landing/listen_events/dt=2026-13-40/hour=07/{_NAME}": ("listen_events", Reason.OUTSIDE_AN_HOUR),
    f"landing/listen_events/dt=0001-01-01/hour=07/{_NAME}": ("listen_events", Reason.OUTSIDE_AN_HOUR),
    f"landing/listen_events/2026-11-03/07/{_NAME}": ("listen_events", Reason.OUTSIDE_AN_HOUR),
    f"landing/listen_events/{_NAME}": ("listen_events", Reason.OUTSIDE_AN_HOUR),
    f"{_HOUR}/listen_events.jsonl.gz": ("listen_events", Reason.OTHER_NAME),
    f"{_HOUR}/2026110307_{_ID}.json": ("listen_events", Reason.OTHER_NAME),
    f"{_HOUR}/below/{_NAME}": ("listen_events", Reason.OTHER_NAME),
    f"landing/skip_events/dt=2026-11-03/hour=07/{_NAME}": ("unknown", Reason.UNKNOWN_EVENT_TYPE),
    f"landing/{_NAME}": ("unknown", Reason.UNKNOWN_EVENT_TYPE),
    f"errors/{_NAME}": ("collector_errors", Reason.OUTSIDE_AN_HOUR),
    f"errors/dt=2026-11-3/{_NAME}": ("collector_errors", Reason.OUTSIDE_AN_HOUR),
    f"errors/dt=2026-11-04/{_NAME}": ("collector_errors", Reason.OTHER_NAME),
    f"errors/dt=2026-11-03/hour=07/{_NAME}": ("collector_errors", Reason.OTHER_NAME),
}
_BEFORE_START = {
    f"landing/auth_events/dt=2026-11-01/hour=04/2026110104_{_ID}.json.gz": ("auth_events", "2026-11-01-04:00"),
    f"landing/auth_events/dt=2020-01-01/hour=00/2020010100_{_ID}.json.gz": ("auth_events", "2020-01-01-00:00"),
    f"errors/dt=2024-05-01/2024050110_{_ID}.json.gz": ("collector_errors", "2024-05-01-10:00"),
}
_TO_COME = {
    f"errors/dt=2026-11-05/2026110508_{_ID}.json.gz": ("collector_errors", "2026-11-05-08:00"),
    f"errors/dt=2026-12-24/2026122418_{_ID}.json.gz": ("collector_errors", "2026-12-24-18:00"),
}


@pytest.fixture
def lake(settings: Settings) -> Lake:
    return Lake(settings.model_copy(update={"start": _START}))


def fill(lake: Lake, keys: list[str]) -> None:
    for key in keys:
        lake.store.put(key, b"12345")


@pytest.mark.parametrize("key", _READ)
def test_what_is_read_or_held_is_not_unread(key: str) -> None:
    assert why_unread(key, _START, _NOW) is None


@pytest.mark.parametrize("key", _UNREAD)
def test_what_lies_elsewhere_is_unread(key: str) -> None:
    assert why_unread(key, _START, _NOW) == UnreadPlace(*_UNREAD[key])


@pytest.mark.parametrize("key", _BEFORE_START)
def test_what_lies_before_the_first_partition_is_unread(key: str) -> None:
    kind, hour = _BEFORE_START[key]
    assert why_unread(key, _START, _NOW) == UnreadPlace(kind, Reason.BEFORE_START, hour)
    assert why_unread(key, datetime(2020, 1, 1, tzinfo=UTC), _NOW) is None


@pytest.mark.parametrize("key", _TO_COME)
def test_error_records_of_an_hour_to_come_are_unread_until_then(key: str) -> None:
    kind, hour = _TO_COME[key]
    assert why_unread(key, _START, _NOW) == UnreadPlace(kind, Reason.HOUR_TO_COME, hour)
    assert why_unread(key, _START, datetime(2026, 12, 24, 18, tzinfo=UTC)) is None


_PARTS = st.sampled_from(
    [
        "dt=2026-11-03",
        "dt=2026-11-3",
        "hour=07",
        "hour=7",
        "hour=24",
        "below",
        _NAME,
        f"2026110407_{_ID}.json.gz",
        "x.gz",
    ]
)


@settings(deadline=None)
@given(st.sampled_from(["landing/listen_events", "errors"]), st.lists(_PARTS, min_size=1, max_size=4))
def test_an_object_is_unread_exactly_when_no_listing_of_an_hour_has_it(top: str, parts: list[str]) -> None:
    """The listings that runs go by, asked for all hours of the two days that the names speak of."""
    key = "/".join([top, *parts])
    stored = StoredObject(key, 5, "tag", _START)

    class OneObject(ObjectStore):
        def list(self, prefix: str):  # type: ignore[no-untyped-def]
            return iter([stored] if key.startswith(f"{prefix}/") else [])

    hours = [*hours_of_day("2026-11-03"), *hours_of_day("2026-11-04")]
    store = OneObject("/nowhere")
    listed = list_errors(store, hours) if top == "errors" else list_landing(store, "listen_events", hours)
    is_read = any(folder.objects for folder in listed.values())
    assert (why_unread(key, _START, _NOW) is None) == is_read


def test_a_whole_lake_is_looked_through(lake: Lake) -> None:
    half_written = f"{_HOUR}/.{_NAME}.{'0' * 32}"
    fill(lake, [*_READ, *_UNREAD, *_BEFORE_START, *_TO_COME, half_written])
    lake.store.put("landing/auth_events/dt=2026-11-03/folder", b"")  # as S3's console makes one
    found = find_unread(lake, now=_NOW)
    assert [unread.stored.key for unread in found.objects] == sorted([*_UNREAD, *_BEFORE_START, *_TO_COME])
    assert found.left == []
    groups = {(group.kind, group.reason): group for group in found.groups}
    assert groups["listen_events", Reason.OUTSIDE_AN_HOUR].objects == 7
    assert groups["listen_events", Reason.OTHER_NAME].bytes == 15
    assert groups["unknown", Reason.UNKNOWN_EVENT_TYPE].keys == (
        f"landing/{_NAME}",
        f"landing/skip_events/dt=2026-11-03/hour=07/{_NAME}",
    )
    before = groups["auth_events", Reason.BEFORE_START]
    assert (before.objects, before.first_hour, before.last_hour) == (2, "2020-01-01-00:00", "2026-11-01-04:00")


@pytest.mark.integration
def test_empty_objects_for_folders_are_none(s3_server: Any, s3_settings: Callable[..., Settings]) -> None:
    """As S3's console makes them, on every level; listings do not show the slash at the end of their keys."""
    lake = Lake(s3_settings(start=_START))
    bucket, prefix = lake.location.removeprefix("s3://").split("/")
    folder = f"{prefix}/landing/listen_events/dt=2026-11-03/hour=07/"
    for end in range(len(folder)):
        if folder[end] == "/":
            s3_server.client().put_object(Bucket=bucket, Key=folder[: end + 1], Body=b"")
    assert find_unread(lake, now=_NOW).objects == []
    fill(lake, _READ)
    assert find_unread(lake, now=_NOW).objects == []


def test_each_kind_has_its_own(lake: Lake) -> None:
    fill(lake, [*_READ, *_UNREAD, *_BEFORE_START, *_TO_COME])
    by_kind = {kind: {unread.stored.key for unread in find_unread(lake, [kind], now=_NOW).objects} for kind in KINDS}
    for kind in KINDS:
        assert by_kind[kind] == {
            key for key, (found, _) in {**_UNREAD, **_BEFORE_START, **_TO_COME}.items() if found == kind
        }, kind
    assert set(KINDS) > set(EVENT_TYPES)


def test_of_some_days_their_folders_and_those_of_no_day_are_looked_into(lake: Lake) -> None:
    in_no_day = f"landing/listen_events/dt=2026-13-40/hour=07/{_NAME}"
    of_the_day = f"landing/listen_events/dt=2026-11-03/{_NAME}"
    fill(lake, [in_no_day, of_the_day, f"landing/listen_events/dt=2026-11-04/{_NAME}", *_BEFORE_START, *_TO_COME])
    found = find_unread(lake, now=_NOW, days=["2026-11-03"])
    days_to_come = [key for key in _TO_COME if "2026-12-24" in key]  # no run of any of the days would ever name them
    assert [unread.stored.key for unread in found.objects] == [*days_to_come, of_the_day, in_no_day]


def test_a_spent_budget_names_the_oldest_days_as_left(local_settings: Callable[..., Settings]) -> None:
    lake = Lake(local_settings(start=_START))
    days = [f"2026-11-{day:02}" for day in range(2, 30)] + [f"2026-12-{day:02}" for day in range(1, 30)]
    fill(lake, [f"landing/listen_events/dt={day}/{_NAME}" for day in days])
    fill(lake, [f"landing/listen_events/strange/{_NAME}"])
    found = find_unread(lake, now=_NOW, budget_seconds=0, clock=iter(range(10)).__next__)
    # 32 folders at once: the strange one and the newest days.
    assert found.left == [f"landing/listen_events/dt={day}" for day in sorted(days, reverse=True)[31:]]
    assert len(found.objects) == 32
    assert any("strange" in unread.stored.key for unread in found.objects)
    assert describe_left(found.left).startswith("26 folders were not looked into")
    assert find_unread(lake, now=_NOW, budget_seconds=60).left == []


def test_messages_name_objects_and_the_way_in(lake: Lake) -> None:
    fill(lake, [*_UNREAD, *_BEFORE_START, *_TO_COME])
    told = {(group.kind, group.reason): describe_unread(group, _START) for group in find_unread(lake, now=_NOW).groups}
    before = told["auth_events", Reason.BEFORE_START]
    assert (
        "2 objects (10 bytes) under landing/auth_events/ are of hours before MUSIC_PLATFORM_START (2026-11-01T05:00)"
        in before
    )
    assert "set MUSIC_PLATFORM_START=2020-01-01T00:00" in before
    to_come = told["collector_errors", Reason.HOUR_TO_COME]
    assert to_come.startswith("2 objects (10 bytes) under errors/ are error records of hours that have not begun")
    assert "2026-11-05-08:00 to 2026-12-24-18:00" in to_come
    for place, text in told.items():
        assert ("music-platform landing refile" in text) == (place != ("auth_events", Reason.BEFORE_START))
    unknown = told["unknown", Reason.UNKNOWN_EVENT_TYPE]
    assert f"'landing/{_NAME}'" in unknown
    assert "'music-platform landing refile PREFIX --event-type TYPE'" in unknown  # refile alone leaves them


def test_lines_without_a_partition_are_reported_with_their_hours() -> None:
    now = datetime(2026, 11, 3, 7, 30, tzinfo=UTC)
    lines = {
        datetime(2020, 1, 1, tzinfo=UTC): 1,
        datetime(2020, 1, 1, 1, tzinfo=UTC): 2,
        _START: 5,
        now.replace(minute=0): 7,
        datetime(2026, 11, 3, 8, tzinfo=UTC): 11,
    }
    before, future = describe_lines_without_partition(lines, _START, now)
    assert before.startswith("3 lines lie before MUSIC_PLATFORM_START (2026-11-01T05:00) and will not be read")
    assert "2020-01-01-00:00...2020-01-01-01:00 (2 partitions)" in before
    assert "set MUSIC_PLATFORM_START=2020-01-01T00:00" in before
    assert future.startswith("11 lines are of hours that have not begun, and are held until then: 2026-11-03-08:00")
    assert describe_lines_without_partition({_START: 5}, _START, now) == []


def test_landed_keys_of_any_hour_since_the_start_are_read() -> None:
    for hour in range(5, 24):
        moment = datetime(2026, 11, 1, hour, tzinfo=UTC)
        assert why_unread(landed_key("auth_events", moment, _ID), _START, _NOW) is None
        assert why_unread(errors_key(moment, _ID), _START, _NOW) is None
