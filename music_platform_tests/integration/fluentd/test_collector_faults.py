"""Nothing is lost when Fluentd is killed, S3 is down, answers are lost, or the buffer is full."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgpack
import pytest

from music_platform.eventsim import GeneratorOptions, generate_files
from music_platform.lake.lake import Lake
from music_platform.lake.manifest import read_manifest
from music_platform.lake.spark import SparkEngine
from music_platform.landing.replay import replay_error_records
from music_platform.partitions import hours_of_day
from music_platform.tables.events import EVENT_TYPES
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER
from music_platform_tests.faults.faulty_proxy import Fault, FaultyProxy, passes
from music_platform_tests.integration.fluentd.collector import FIRST_TS, Collector, SmallDisk, event, packed
from music_platform_tests.spine import build_spine

pytestmark = pytest.mark.integration


_FIRST_DAY = datetime(2026, 11, 2, tzinfo=UTC)


def test_what_was_sent_is_in_silver_once(collector: Collector, tmp_path: Path) -> None:
    """Real events into the files and the forward port; kills, an S3 that is gone and answers that are lost on the way."""
    generate_files(GeneratorOptions(users=300, start=_FIRST_DAY, days=0.5, seed=9), tmp_path / "sent")
    sent = {name: (tmp_path / "sent" / f"{name}.jsonl").read_bytes().splitlines() for name in EVENT_TYPES}
    assert len(sent["listen_events"]) > 300
    with FaultyProxy(collector.endpoint) as proxy:
        collector.endpoint = proxy.endpoint
        _send_through_faults(collector, proxy, sent)
        for name in EVENT_TYPES:
            collector.wait_for_lines(name, sent[name])
    assert {Fault.CONNECTION_RESET, Fault.ANSWER_LOST} <= {fault for _, fault in proxy.requests}

    lake = Lake(collector.settings)
    hours = list(hours_of_day(f"{_FIRST_DAY:%Y-%m-%d}"))
    build_spine(lake, SparkEngine(), hours)
    for name in EVENT_TYPES:
        rows: Counter[str] = Counter()
        for contract in (SILVER[name], QUARANTINE[name]):
            for hour in hours:
                found = read_manifest(lake.store, contract, hour)
                assert found is not None, (contract.path, hour)
                rows[str(contract.layer)] += found[0].rows
        assert rows == {"silver": len(set(sent[name])), "quarantine": 0}, name


def _send_through_faults(collector: Collector, proxy: FaultyProxy, sent: dict[str, list[bytes]]) -> None:
    listens = sent["listen_events"]
    third = len(listens) // 3
    for name in EVENT_TYPES:
        if name != "listen_events":
            collector.append(name, *sent[name])
    collector.start()
    collector.forward("listen_events", *listens[:third])
    collector.stop(signal.SIGKILL)

    proxy.rule = lambda _: Fault.CONNECTION_RESET
    producer = threading.Thread(target=collector.forward, args=("listen_events", *listens[third : 2 * third]))
    producer.start()  # nobody listens yet: it tries again by itself
    collector.start()
    producer.join()
    collector.wait_for(lambda: collector.retries() > 0, "a failed flush")
    collector.stop(signal.SIGKILL)

    unanswered = iter(range(3))
    proxy.rule = lambda request: (
        Fault.ANSWER_LOST if request.method == "PUT" and next(unanswered, None) is not None else None
    )
    collector.start()
    collector.forward("listen_events", *listens[2 * third :])


def test_a_killed_collector_loses_nothing(collector: Collector) -> None:
    """Ten times, at work; what it then reads again is in silver once, as the test above shows."""
    lines = [event(number, hours=number % 24) for number in range(20_000)]
    for first in range(0, len(lines), 2_000):
        collector.append("listen_events", *lines[first : first + 2_000])
        collector.start()
        time.sleep(first / 20_000)
        collector.stop(signal.SIGKILL)
    collector.start()
    collector.wait_for_lines("listen_events", lines)


def test_a_full_buffer_makes_producers_wait(collector: Collector) -> None:
    lines = [event(number) for number in range(10_000)]
    with FaultyProxy(collector.endpoint, rule=lambda _: Fault.CONNECTION_RESET) as proxy:
        collector.endpoint = proxy.endpoint
        collector.variables = {"COLLECTOR_CHUNK_BYTES": "32k", "COLLECTOR_BUFFER_BYTES": "128k"}
        collector.start()
        producer = threading.Thread(target=collector.forward, args=("listen_events", *lines))
        producer.start()
        collector.wait_for(lambda: collector.buffered_bytes() >= 128 * 1024, "a full buffer")
        assert producer.is_alive()
        proxy.rule = passes
        collector.wait_for_lines("listen_events", lines)
        producer.join()


def test_it_ends_with_a_full_buffer_and_says_why_events_are_among_errors(collector: Collector) -> None:
    lines = [event(number) for number in range(20_000)]
    collector.append("listen_events", *lines)
    with FaultyProxy(collector.endpoint, rule=lambda _: Fault.CONNECTION_RESET) as proxy:
        collector.endpoint = proxy.endpoint
        collector.variables = {"COLLECTOR_CHUNK_BYTES": "32k", "COLLECTOR_BUFFER_BYTES": "128k"}
        for _ in range(2):  # the second time the buffer is full at the start
            collector.start()
            collector.wait_for(lambda: collector.buffered_bytes() >= 128 * 1024, "a full buffer")
            collector.stop()
        proxy.rule = passes
        collector.start()
        collector.wait_for(
            lambda: (
                len(collector.landed("listen_events")) + len({record.raw for record in collector.errors()}) >= 20_000
            ),
            "all events",
        )
        errors = collector.errors()
        assert errors
        assert {record.reason for record in errors} == {"not_buffered"}
        keys = [found.key for found in collector.store.list("errors")]
        replay_error_records(collector.store, keys, reason="not_buffered")
        collector.wait_for_lines("listen_events", lines)


def test_it_starts_and_waits_while_s3_is_down(collector: Collector) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as nobody:
        down = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    endpoint, collector.endpoint = collector.endpoint, down
    lines = [event(number, hours=number % 3) for number in range(300)]
    collector.append("listen_events", *lines)
    collector.start()
    collector.wait_for(lambda: collector.retries() > 0, "a failed flush")
    assert collector.landed("listen_events") == {}
    collector.stop(signal.SIGKILL)
    collector.endpoint = endpoint
    collector.start()
    collector.wait_for_lines("listen_events", lines)
    assert set(collector.landed("listen_events").values()) == {1}


@pytest.mark.parametrize("errors_too", [False, True], ids=["of events", "of both"])
def test_it_ends_with_full_buffers_and_loses_nothing(collector: Collector, errors_too: bool) -> None:
    """With the buffer of error records full too, nothing can be kept of what waits: its source has it."""
    lines = [event(number) for number in range(20_000)]
    broken = [b"no json %d" % number for number in range(2_000)]
    with FaultyProxy(collector.endpoint, rule=lambda _: Fault.CONNECTION_RESET) as proxy:
        collector.endpoint = proxy.endpoint
        collector.variables = {"COLLECTOR_CHUNK_BYTES": "32k", "COLLECTOR_BUFFER_BYTES": "128k"}
        if errors_too:
            collector.variables["COLLECTOR_ERRORS_BUFFER_BYTES"] = "64k"
            collector.append("auth_events", *broken)
        collector.append("listen_events", *lines)
        collector.start()
        full = 2 if errors_too else 1
        collector.wait_for(lambda: len(_full_buffers(collector)) == full, "full buffers")
        began = time.monotonic()
        collector.stop()
        assert time.monotonic() - began < 60  # the grace of the pod is 120 s
        proxy.rule = passes
        collector.start()
        collector.wait_for(lambda: set(lines) <= _kept(collector, "listen_events"), "all events")
        if errors_too:
            collector.wait_for(lambda: set(broken) <= {record.raw for record in collector.errors()}, "all broken lines")


def _full_buffers(collector: Collector) -> list[str]:
    return [
        output["plugin_id"] for output in collector.outputs() if output["buffer_available_buffer_space_ratios"] <= 0
    ]


def _kept(collector: Collector, event_type: str) -> set[bytes]:
    """What is landed, and what is an error record because it was not buffered."""
    unbuffered = {record.raw for record in collector.errors() if record.reason == "not_buffered"}
    return set(collector.landed(event_type)) | unbuffered


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "bare"])
def test_with_a_full_disk_sources_wait_and_nothing_is_lost(
    collector: Collector, small_disk: SmallDisk, guarded: bool
) -> None:
    if not guarded:
        collector.guards = ()
    lines = [event(number) for number in range(5_000)]
    collector.append("listen_events", lines[0])
    collector.start()
    collector.wait_for_lines("listen_events", lines[:1])
    small_disk.fill()
    collector.append("listen_events", *lines[1:])
    producer = threading.Thread(target=collector.forward, args=("auth_events", *lines))
    producer.start()
    time.sleep(10)
    assert producer.is_alive()
    assert collector.landed("auth_events") == {}
    assert collector.log.stat().st_size < 20_000
    small_disk.empty()
    for event_type in ("listen_events", "auth_events"):
        collector.wait_for_lines(event_type, lines)
    producer.join()
    assert collector.errors() == []


def test_it_ends_with_a_full_disk(collector: Collector, small_disk: SmallDisk) -> None:
    lines = [event(number) for number in range(5_000)]
    collector.append("listen_events", lines[0])
    collector.start()
    collector.wait_for_lines("listen_events", lines[:1])
    small_disk.fill()
    collector.append("listen_events", *lines[1:])
    time.sleep(3)
    began = time.monotonic()
    collector.stop()
    assert time.monotonic() - began < 60
    small_disk.empty()
    collector.start()
    collector.wait_for_lines("listen_events", lines)


def test_a_tag_that_is_no_text_holds_up_nobody(collector: Collector) -> None:
    collector.start()
    with socket.create_connection(("127.0.0.1", collector.ports["FORWARD"]), timeout=10) as connection:
        for tag in (5, None, {"a": 1}, [b"x"]):
            connection.sendall(packed([tag, [[1, {"ts": FIRST_TS}]], {"chunk": "these"}]))
        lines = [event(number) for number in range(100)]
        collector.forward("listen_events", *lines)
        # Not acknowledged, and the connection goes on.
        connection.sendall(packed(["eventsim.auth_events", [[1, {"ts": FIRST_TS}]], {"chunk": "those"}]))
        assert msgpack.unpackb(connection.recv(100)) == {"ack": "those"}
    collector.wait_for_lines("listen_events", lines)
    collector.wait_for_lines("auth_events", [b'{"ts":%d}' % FIRST_TS])
    assert "exited unexpectedly" not in collector.log.read_text()
