"""Several runs that publish the same partition at once: one after the other wins whole, whatever a reader sees."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerContext

import pytest

from music_platform.errors import LakeUnreachableError, PublishConflictError
from music_platform.lake import publish
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.publish import publish_partition
from music_platform.settings import Settings
from music_platform_tests.faults.faulty_proxy import FaultyProxy
from music_platform_tests.faults.publishing import (
    CONTRACT,
    PARTITION,
    keys_in_folder,
    keys_named,
    rows_by_glob,
    rows_by_manifest,
    rows_of,
    write,
    write_and_publish,
)

RUNS = 4
PUBLISHES_OF_A_RUN = 8


def publish_many(settings: Settings, run: int) -> None:
    """For a thread or a process of its own. Runs share some generations, so that content meets its like, too."""
    store = ObjectStore.from_settings(settings)
    for index in range(PUBLISHES_OF_A_RUN):
        write_and_publish(store, 10 * (run % 2) + index % 3)


@pytest.mark.parametrize("lake", ["local", pytest.param("s3", marks=pytest.mark.integration)])
@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_each_publish_wins_whole(
    lake: str, kind: str, request: pytest.FixtureRequest, processes: ForkServerContext
) -> None:
    settings: Settings = request.getfixturevalue(f"{lake}_settings")()
    with FaultyProxy(settings.s3_endpoint) as proxy:  # which lets the test server compare and swap one at a time
        through_proxy = settings.model_copy(update={"s3_endpoint": proxy.endpoint}) if lake == "s3" else settings
        store = ObjectStore.from_settings(through_proxy)
        write_and_publish(store, 0)
        ended = threading.Event()
        with ThreadPoolExecutor(RUNS + 1) as pool:
            seen = pool.submit(_read_until, store, ended)
            try:
                if kind == "threads":
                    list(pool.map(lambda run: publish_many(through_proxy, run), range(RUNS)))
                else:
                    _run_in_processes(processes, through_proxy)
            finally:
                ended.set()
            seen.result(60)

    last = rows_by_manifest(store := ObjectStore.from_settings(settings))
    assert last is not None
    assert last == rows_of(last[0][0])
    assert keys_in_folder(settings, store) == keys_named(
        store
    )  # each winner removed what it replaced, each loser its own
    assert rows_by_glob(settings) == last


def _run_in_processes(processes: ForkServerContext, settings: Settings) -> None:
    started = [processes.Process(target=publish_many, args=(settings, run)) for run in range(RUNS)]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
        assert process.exitcode == 0


def _read_until(store: ObjectStore, ended: threading.Event) -> None:
    """Read over and over, and whole at least once, which may be after the end.

    A reader may come too late for a manifest's files, but never sees other rows than one run's.
    """
    has_read_whole = False
    while not (ended.is_set() and has_read_whole):
        try:
            rows = rows_by_manifest(store)
        except LakeUnreachableError as error:
            assert "not found" in str(error).lower() or "no such" in str(error).lower()  # noqa: PT017
            continue
        assert rows is not None
        assert rows == rows_of(rows[0][0])
        has_read_whole = True


class _AlwaysBeaten(ObjectStore):
    def replace(self, key: str, content: bytes, expected_etag: str | None) -> bool:  # noqa: ARG002
        return False


def test_a_run_that_is_beaten_each_time_gives_up_by_name(
    local_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = local_settings()
    monkeypatch.setattr(publish, "_ATTEMPTS", 4)
    write_and_publish(ObjectStore.from_settings(settings), 1)
    begun = time.monotonic()
    with pytest.raises(
        PublishConflictError, match=rf"silver/generations partition {PARTITION} was replaced .* 4 times"
    ):
        write_and_publish(_AlwaysBeaten.from_settings(settings), 2)
    assert time.monotonic() - begun < 5
    assert rows_by_manifest(ObjectStore.from_settings(settings)) == rows_of(1)


def test_files_that_were_swept_too_early_are_never_named(settings: Settings) -> None:
    """A run lasts longer than the grace of another: the second sweeps what the first has yet to publish."""
    store = ObjectStore.from_settings(settings)
    slow = write(store, 1, "slow-run-slow-run")
    write_and_publish(store, 2, grace_seconds=0)
    with pytest.raises(PublishConflictError, match=r"part-slow-run-slow-run.*is gone .*LEFTOVER_GRACE_SECONDS"):
        publish_partition(store, CONTRACT, PARTITION, slow, run_id="slow", write_id="slow-run-slow-run")
    assert rows_by_manifest(store) == rows_of(2)
