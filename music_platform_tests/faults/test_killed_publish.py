"""Publishing a partition in a process that is killed (SIGKILL): at every step of it, and at any moment.

A reader of the manifest sees the old rows or the new, and the next publish leaves nothing of the dead behind.
"""

from __future__ import annotations

import random
import time
from multiprocessing.context import ForkServerContext

import pytest

from music_platform.lake.object_store import ObjectStore
from music_platform.settings import Settings
from music_platform_tests.faults.publishing import (
    PARTITION,
    keys_in_folder,
    keys_named,
    publish_and_die,
    publish_on_signal,
    rows_by_glob,
    rows_by_manifest,
    rows_of,
    write_and_publish,
)

KILLS = 32
_SIGKILL = -9


@pytest.mark.parametrize("case", ["first", "changed", "unchanged"])
def test_a_kill_at_every_step_leaves_the_old_or_the_new_partition(
    settings: Settings, processes: ForkServerContext, case: str
) -> None:
    store = ObjectStore.from_settings(settings)
    kills = 0
    for step in range(200):
        partition = PARTITION if case != "first" else f"2026-11-{2 + step // 24:02d}-{step % 24:02d}:00"
        old = step if case == "unchanged" else 2 * step
        new = old if case == "unchanged" else old + 1
        if case != "first":
            write_and_publish(store, old, partition=partition, grace_seconds=0)
        before = rows_by_manifest(store, partition)
        process = processes.Process(target=publish_and_die, args=(settings, new, partition, step, 0.0))
        process.start()
        process.join(60)
        assert process.exitcode in (0, _SIGKILL)

        assert rows_by_manifest(store, partition) in (before, rows_of(new)), f"killed at step {step}"
        if process.exitcode == 0:
            assert rows_by_manifest(store, partition) == rows_of(new)
            break
        kills += 1
        _assert_next_publish_sweeps(settings, store, new + 1, partition)
    else:
        pytest.fail("the publish never came to its end")
    assert kills >= (20 if store.is_local else 12)


def test_a_kill_at_any_moment_leaves_the_old_or_the_new_partition(
    settings: Settings, processes: ForkServerContext
) -> None:
    store = ObjectStore.from_settings(settings)
    chance = random.Random(5)
    write_and_publish(store, 0)
    seconds = _seconds_of_a_publish(settings, processes)
    kills = 0
    for generation in range(2, 10 * KILLS, 2):
        before = rows_by_manifest(store)
        ours, theirs = processes.Pipe()
        process = processes.Process(target=publish_on_signal, args=(settings, generation, PARTITION, theirs))
        process.start()
        assert ours.recv() == "begins"
        time.sleep(chance.uniform(0, seconds))
        process.kill()
        process.join(60)

        after = rows_by_manifest(store)
        assert after in (before, rows_of(generation)), f"generation {generation}"
        kills += not ours.poll()  # what is there to read is that it was done before the kill
        if generation % 6 == 0:  # not each time: leftovers of several kills must be no trouble either
            _assert_next_publish_sweeps(settings, store, generation + 1, PARTITION)
        if kills >= KILLS:
            break
    assert kills >= KILLS
    _assert_next_publish_sweeps(settings, store, 1, PARTITION)


def _seconds_of_a_publish(settings: Settings, processes: ForkServerContext) -> float:
    taken = []
    for _ in range(3):
        ours, theirs = processes.Pipe()
        process = processes.Process(target=publish_on_signal, args=(settings, 1, PARTITION, theirs))
        process.start()
        assert ours.recv() == "begins"
        begun = time.monotonic()
        assert ours.recv() == "done"
        taken.append(time.monotonic() - begun)
        process.join(60)
    return sorted(taken)[1]


def _assert_next_publish_sweeps(settings: Settings, store: ObjectStore, generation: int, partition: str) -> None:
    write_and_publish(store, generation, partition=partition, grace_seconds=0)
    assert rows_by_manifest(store, partition) == rows_of(generation)
    assert keys_in_folder(settings, store, partition) == keys_named(store, partition)
    assert rows_by_glob(settings, partition) == rows_of(generation)
