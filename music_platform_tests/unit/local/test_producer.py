"""The live producer: what it generates in real time is landed whole, and what ends it is raised."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from music_platform.errors import LakeUnreachableError
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import list_landing
from music_platform.lake.object_store import ObjectStore
from music_platform.landing.gzip_lines import count_lines
from music_platform.local.producer import LiveProducer
from music_platform.partitions import key_of_hour
from music_platform.settings import Settings
from music_platform.tables.events import EVENT_TYPES
from music_platform_tests.waiting import wait_until


def landed_lines(store: ObjectStore) -> list[int]:
    """The lines of each landed object of this hour and of those beside it."""
    now = datetime.now(UTC)
    hours = [
        key_of_hour((now + timedelta(hours=offset)).replace(minute=0, second=0, microsecond=0)) for offset in (-1, 0, 1)
    ]
    return [
        count_lines(store.get(stored.key) or b"")
        for event_type in EVENT_TYPES
        for folder in list_landing(store, event_type, hours).values()
        for stored in folder.objects
    ]


def test_all_that_was_produced_is_landed_once(local_settings: Callable[..., Settings]) -> None:
    store = Lake(local_settings()).store
    with LiveProducer(store, users=50_000, seed=1, seconds=0.3) as producer:
        wait_until(lambda: producer.objects >= 4)
        producer.raise_failure()
        producer.stop()
    landed = landed_lines(store)
    assert len(landed) == producer.objects
    assert sum(landed) == producer.lines > 0


def test_a_block_that_fails_ends_the_producer(local_settings: Callable[..., Settings]) -> None:
    producer = LiveProducer(Lake(local_settings()).store, users=1_000, seed=1, seconds=0.1)
    with pytest.raises(KeyError), producer:
        raise KeyError("the block")
    lines = producer.lines
    time.sleep(0.5)
    assert producer.lines == lines


def test_what_ends_the_producer_is_raised(
    local_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Lake(local_settings()).store

    def refuse(*_: object, **__: object) -> None:
        raise LakeUnreachableError("the lake is gone")

    monkeypatch.setattr(ObjectStore, "put", refuse)
    with LiveProducer(store, users=50_000, seed=1, seconds=0.1) as producer:
        with pytest.raises(LakeUnreachableError, match="the lake is gone"):
            wait_until(lambda: bool(producer.raise_failure()))
        with pytest.raises(LakeUnreachableError, match="the lake is gone"):
            producer.stop()
