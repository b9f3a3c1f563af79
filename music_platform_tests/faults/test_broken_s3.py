"""S3 that fails for a while, or for good: requests are repeated, and then a clear error ends the run in time.

And answers that are lost: a request that was done must not be taken for another's.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from music_platform.errors import LakeUnreachableError, PublishConflictError
from music_platform.lake.manifest import MANIFEST_NAME
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.publish import publish_partition
from music_platform.settings import Settings
from music_platform_tests.faults.faulty_proxy import Fault, FaultyProxy, Request, Rule, passes
from music_platform_tests.faults.publishing import (
    CONTRACT,
    PARTITION,
    keys_in_folder,
    keys_named,
    rows_by_manifest,
    rows_of,
    write,
    write_and_publish,
)

pytestmark = pytest.mark.integration

RETRY_SECONDS = 2.0
LONG_OUTAGE_SECONDS = 40.0
OPERATIONS: dict[str, Callable[[ObjectStore], object]] = {
    "read": lambda store: store.get_with_etag("folder/object"),
    "read range": lambda store: store.open("folder/object").read(),
    "write": lambda store: store.put("folder/object", b"new"),
    "replace": lambda store: _replace(store, "folder/object", _ETAG_OF_OLD),
    "create": lambda store: _replace(store, "folder/created", None),
    "list": lambda store: list(store.list("folder")),
    "delete": lambda store: store.delete(["folder/object"]),
}
_ETAG_OF_OLD = '"149603e6c03516362a8da23f624db945"'  # MD5 of b"old"


def _replace(store: ObjectStore, key: str, expected_etag: str | None) -> None:
    assert store.replace(key, b"new", expected_etag), "the request was taken for another's"


@pytest.fixture
def proxy(s3_settings: Callable[..., Settings]) -> Iterator[FaultyProxy]:
    """A proxy before the S3 server, which passes everything on until a test gives it a rule."""
    with FaultyProxy(s3_settings().s3_endpoint) as proxy:
        yield proxy


@pytest.fixture
def lake(s3_settings: Callable[..., Settings], proxy: FaultyProxy) -> Settings:
    """A lake that is reached through the proxy."""
    return s3_settings(s3_endpoint=proxy.endpoint, s3_retry_seconds=RETRY_SECONDS)


@pytest.fixture
def store(lake: Settings) -> ObjectStore:
    """Its objects."""
    return ObjectStore.from_settings(lake)


def first(times: int, fault: Fault, only: Callable[[Request], bool] = lambda _: True) -> Rule:
    """The fault for the first ``times`` requests that qualify."""
    left = times

    def rule(request: Request) -> Fault | None:
        nonlocal left
        if left == 0 or not only(request):
            return None
        left -= 1
        return fault

    return rule


def _puts_a_manifest(request: Request) -> bool:
    return request.method == "PUT" and request.path.endswith(MANIFEST_NAME)


@pytest.mark.parametrize(
    ("fault", "operation"),
    [
        (fault, operation)
        for fault in Fault
        for operation in OPERATIONS
        if fault is not Fault.STALL
        and (
            fault is not Fault.ANSWER_CUT or operation in ("read", "read range", "list", "delete")
        )  # others have no body
    ],
)
def test_what_fails_for_a_while_is_repeated(
    proxy: FaultyProxy, store: ObjectStore, fault: Fault, operation: str
) -> None:
    store.put("folder/object", b"old")
    proxy.requests.clear()
    proxy.rule = first(2, fault)
    OPERATIONS[operation](store)
    assert len([found for _, found in proxy.requests if found]) == 2


def test_every_operation_outlasts_a_long_outage_by_the_default_budget(proxy: FaultyProxy, lake: Settings) -> None:
    """As long as the time is not over: a number of attempts would be used up in a fraction of it."""
    budget = Settings.model_fields["s3_retry_seconds"].default
    assert budget >= 1.5 * 120
    store = ObjectStore.from_settings(lake.model_copy(update={"s3_retry_seconds": budget}))
    store.put("folder/object", b"old")
    faults = itertools.cycle([Fault.INTERNAL_ERROR, Fault.SLOW_DOWN, Fault.CONNECTION_RESET])
    over = time.monotonic() + LONG_OUTAGE_SECONDS
    with ThreadPoolExecutor(len(OPERATIONS)) as pool:
        proxy.rule = lambda _: next(faults) if time.monotonic() < over else None
        # Those that change the object would disturb each other.
        for operation in [
            pool.submit(OPERATIONS[name], store) for name in OPERATIONS if name not in ("replace", "delete")
        ]:
            operation.result()
    assert store.get("folder/created") == b"new"


def test_an_answer_that_never_comes_is_not_waited_for(proxy: FaultyProxy, lake: Settings, store: ObjectStore) -> None:
    proxy.stall_seconds = 2 * RETRY_SECONDS
    proxy.rule = first(1, Fault.STALL)
    begun = time.monotonic()
    store.put("folder/object", b"new")
    assert time.monotonic() - begun < proxy.stall_seconds
    assert store.get("folder/object") == b"new"


@pytest.mark.parametrize(
    ("operation", "told"),
    [
        ("read", "cannot read 'folder/object'"),
        ("write", "cannot write 'folder/object'"),
        ("replace", "cannot write 'folder/object'"),
        ("list", "cannot list 'folder'"),
        ("delete", "cannot delete 'folder/object'"),
    ],
)
@pytest.mark.parametrize("fault", [Fault.INTERNAL_ERROR, Fault.CONNECTION_RESET, Fault.STALL])
def test_what_fails_for_good_ends_in_time_and_by_name(
    proxy: FaultyProxy, lake: Settings, fault: Fault, operation: str, told: str
) -> None:
    proxy.stall_seconds = 4.0
    proxy.rule = lambda _: fault
    store = ObjectStore.from_settings(lake.model_copy(update={"s3_retry_seconds": 0.6}))
    begun = time.monotonic()
    with pytest.raises(LakeUnreachableError) as raised:
        OPERATIONS[operation](store)
    assert time.monotonic() - begun < 3.5
    assert told in str(raised.value)
    assert lake.lake in str(raised.value)
    assert "Check that the lake is reachable" in str(raised.value)
    assert lake.s3_secret_access_key.get_secret_value() not in str(raised.value)


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.ANSWER_REPLACED])
@pytest.mark.parametrize("case", ["first", "changed", "unchanged"])
def test_a_switch_whose_answer_is_lost_is_the_runs_own(
    proxy: FaultyProxy, lake: Settings, store: ObjectStore, fault: Fault, case: str
) -> None:
    if case != "first":
        write_and_publish(store, 1)
    new = 1 if case == "unchanged" else 2
    proxy.rule = first(2, fault, _puts_a_manifest)
    published = write_and_publish(store, new)
    assert published.is_unchanged == (case == "unchanged")
    assert rows_by_manifest(store) == rows_of(new)
    assert keys_in_folder(lake, store) == keys_named(store)


def test_a_switch_whose_answer_is_lost_for_good_is_mended_by_the_next_run(
    proxy: FaultyProxy, lake: Settings, store: ObjectStore
) -> None:
    write_and_publish(store, 1)
    proxy.rule = first(10_000, Fault.ANSWER_LOST, _puts_a_manifest)
    with pytest.raises(LakeUnreachableError, match=f"cannot write '.*{MANIFEST_NAME}'"):
        write_and_publish(store, 2)
    proxy.rule = passes
    assert rows_by_manifest(store) == rows_of(2)  # the run could not know it, and left everything readable
    write_and_publish(store, 2, grace_seconds=0)
    assert rows_by_manifest(store) == rows_of(2)
    assert keys_in_folder(lake, store) == keys_named(store)


def test_a_run_that_won_unknowingly_and_was_replaced_does_not_name_its_removed_files(
    proxy: FaultyProxy, lake: Settings, store: ObjectStore
) -> None:
    """Its switch is done, the answer is lost, and before it asks again another run replaces the partition."""
    write_and_publish(store, 1)
    written = write(store, 2, "unlucky-unlucky-")
    other_is_due = True

    def rule(request: Request) -> Fault | None:
        nonlocal other_is_due
        if not _puts_a_manifest(request):
            return None
        if len([seen for seen, _ in proxy.requests if _puts_a_manifest(seen)]) == puts_before:
            return Fault.ANSWER_LOST
        if other_is_due:
            other_is_due = False
            write_and_publish(store, 3)
        return None

    puts_before = len([seen for seen, _ in proxy.requests if _puts_a_manifest(seen)])
    proxy.rule = rule
    with pytest.raises(PublishConflictError, match="part-unlucky-unlucky-"):
        publish_partition(store, CONTRACT, PARTITION, written, run_id="unlucky", write_id="unlucky-unlucky-")
    assert rows_by_manifest(store) == rows_of(3)


def test_a_whole_publish_survives_a_bad_minute(proxy: FaultyProxy, lake: Settings, store: ObjectStore) -> None:
    """Every third request fails, each time in another way."""
    faults = [fault for fault in Fault if fault is not Fault.STALL]
    proxy.rule = lambda _: None if len(proxy.requests) % 3 else faults[len(proxy.requests) // 3 % len(faults)]
    for generation in range(6):
        write_and_publish(store, generation)
        assert rows_by_manifest(store) == rows_of(generation)
    assert keys_in_folder(lake, store) == keys_named(store)
