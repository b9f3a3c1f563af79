"""The collector itself, where a `fluentd` with its S3 plugin is on the PATH: what goes in is landed, through every fault.

Each test runs it on the project's configuration, against a real S3 server.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgpack
import pytest

from benchmarks.spine import build_spine
from music_platform.eventsim import GeneratorOptions, SinkError, generate_files
from music_platform.eventsim.sinks import open_sink
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import parse_errors_key, parse_key
from music_platform.lake.manifest import read_manifest
from music_platform.lake.object_store import ObjectStore
from music_platform.lake.spark import SparkEngine
from music_platform.landing.error_records import ErrorRecord, judge, parse_error_record
from music_platform.landing.event_lines import HOUR_MS, hour_time
from music_platform.landing.replay import replay_error_records
from music_platform.partitions import hours_of_day
from music_platform.settings import Settings
from music_platform.tables.events import EVENT_TYPES
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER
from music_platform_tests.faults.faulty_proxy import Fault, FaultyProxy, passes

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        shutil.which("fluentd") is None,
        reason="no fluentd on the PATH; it and fluent-plugin-s3 are Ruby gems, see docs/collecting.md",
    ),
]
_CONFIGURATION = Path(__file__).resolve().parents[2] / "fluentd" / "fluent.conf"
_FIRST_TS = 1_793_509_200_000  # 2026-11-01 05:00 UTC
_FIRST_DAY = datetime(2026, 11, 2, tzinfo=UTC)
_LONGEST_WAIT_SECONDS = 60.0


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return probe.getsockname()[1]


def _event(number: int, *, hours: float = 0.0) -> bytes:
    return b'{"ts":%d,"sessionId":%d,"page":"Home"}' % (_FIRST_TS + int(hours * HOUR_MS) + number, number + 1)


def packed(value: object) -> bytes:
    """A value in the form of the forward protocol."""
    content = msgpack.packb(value)
    assert content is not None
    return content


@dataclass
class Collector:
    """Fluentd on the project's configuration; killed and started again by the tests, on the same state."""

    folder: Path
    settings: Settings
    endpoint: str
    process: subprocess.Popen[bytes] | None = None
    variables: dict[str, str] = field(default_factory=dict)  # of this test alone
    ports: dict[str, int] = field(
        default_factory=lambda: {name: _free_port() for name in ("FORWARD", "HTTP", "HEALTH")}
    )

    def __post_init__(self) -> None:
        self.store = ObjectStore.from_settings(self.settings)
        self.log = self.folder / "log.txt"
        self.events = self.folder / "events"
        self.events.mkdir()

    def start(self) -> None:
        bucket, _, prefix = self.settings.lake.removeprefix("s3://").partition("/")
        variables = {
            "COLLECTOR_STATE": str(self.folder / "state"),
            "COLLECTOR_EVENTS": str(self.events),
            "COLLECTOR_S3_BUCKET": bucket,
            "COLLECTOR_S3_PREFIX": f"{prefix}/",
            "COLLECTOR_S3_ENDPOINT": self.endpoint,
            "COLLECTOR_S3_ACCESS_KEY_ID": self.settings.s3_access_key_id,
            "COLLECTOR_S3_SECRET_ACCESS_KEY": self.settings.s3_secret_access_key.get_secret_value(),
            "COLLECTOR_FLUSH_SECONDS": "1",
            "COLLECTOR_RETRY_SECONDS": "1",
            **{f"COLLECTOR_{name}_PORT": str(port) for name, port in self.ports.items()},
            **self.variables,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["fluentd", "-c", str(_CONFIGURATION)],
                env=os.environ | variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_for(self._is_healthy, "Fluentd answers")

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.ports['HEALTH']}/api/plugins.json", timeout=1
            ) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, its worker too."""
        if self.process is None:
            return
        os.killpg(self.process.pid, number)
        self.process.wait(timeout=_LONGEST_WAIT_SECONDS)
        self.process = None

    def append(self, event_type: str, *lines: bytes) -> None:
        with (self.events / f"{event_type}.jsonl").open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))

    def forward(self, event_type: str, *lines: bytes, shared_key: str = "") -> None:
        """Send by the generator's own sink, which waits for Fluentd's word that it has them and tries again."""
        sink = open_sink(
            f"forward://127.0.0.1:{self.ports['FORWARD']}",
            self.folder,
            acknowledge=True,
            retry_seconds=_LONGEST_WAIT_SECONDS,
            stop=threading.Event(),
            shared_key=shared_key,
        )
        try:
            sink.send(event_type, b"".join(line + b"\n" for line in lines))
        finally:
            sink.close()

    def forward_entries(self, tag: str, entries: list[Any] | bytes) -> None:
        """Send entries as they are, a list or a packed stream, and wait for the word that Fluentd has them."""
        with socket.create_connection(("127.0.0.1", self.ports["FORWARD"]), timeout=10) as connection:
            connection.sendall(packed([tag, entries, {"chunk": "these"}]))
            assert msgpack.unpackb(connection.recv(100)) == {"ack": "these"}

    def post(self, tag: str, body: bytes) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['HTTP']}/{tag}", data=body)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                log = self.log.read_text(errors="replace")[-4_000:]
                pytest.fail(f"not within {_LONGEST_WAIT_SECONDS:.0f} s: {what}\n{log}")
            time.sleep(0.2)

    def landed(self, event_type: str) -> Counter[bytes]:
        """The landed lines; each must lie in the folder of its own hour."""
        lines: Counter[bytes] = Counter()
        for found in self.store.list(f"landing/{event_type}"):
            place = parse_key(found.key)
            assert place is not None, f"'{found.key}' is not read by the platform"
            for line in gzip.decompress(self.store.get(found.key) or b"").splitlines():
                assert hour_time(int(json.loads(line)["ts"]) // HOUR_MS) == place[1], (found.key, line)
                lines[line] += 1
        return lines

    def errors(self) -> list[ErrorRecord]:
        records = []
        for found in self.store.list("errors"):
            assert parse_errors_key(found.key) is not None, f"'{found.key}' is not read by the platform"
            for line in gzip.decompress(self.store.get(found.key) or b"").splitlines():
                record = parse_error_record(line)
                assert record is not None, line
                records.append(record)
        return records

    def wait_for_lines(self, event_type: str, lines: list[bytes]) -> None:
        """Until every line is landed at least once; none may be that was not sent."""
        self.wait_for(lambda: set(self.landed(event_type)) >= set(lines), f"{len(lines)} lines landed")
        assert set(self.landed(event_type)) == set(lines)


@pytest.fixture
def collector(tmp_path: Path, s3_settings: Callable[..., Settings]) -> Iterator[Collector]:
    settings = s3_settings()
    made = Collector(tmp_path, settings, settings.s3_endpoint)
    yield made
    made.stop(signal.SIGKILL)


def test_files_forward_and_http_are_landed_once_and_the_rest_is_kept_with_its_reason(collector: Collector) -> None:
    from_file = [_event(number, hours=number % 5) for number in range(500)]
    collector.append("page_view_events", *from_file)
    collector.append("page_view_events", b"not json", b'{"ts":"abc"}', _event(7, hours=-48))
    collector.start()

    forwarded = [_event(number) for number in range(1_000)]
    collector.forward("listen_events", *forwarded)
    posted = [_event(number) for number in range(100)]
    assert collector.post("eventsim.auth_events", b"[" + b",\n".join(posted) + b"]") == 200
    assert collector.post("eventsim.auth_events", b'{"ts":') == 200
    began = datetime.now(UTC)
    # A producer may say any time; the collector files by its own clock.
    assert collector.post("eventsim.skip_events?time=0", _event(1)) == 200
    assert collector.post("elsewhere", _event(2)) == 200

    collector.wait_for_lines("page_view_events", [*from_file, _event(7, hours=-48)])
    collector.wait_for_lines("listen_events", forwarded)
    collector.wait_for_lines("auth_events", posted)
    for event_type in ("page_view_events", "listen_events", "auth_events"):
        assert set(collector.landed(event_type).values()) == {1}
    collector.wait_for(lambda: len(collector.errors()) >= 5, "five error records")
    found = {(record.raw, record.tag, record.reason) for record in collector.errors()}
    assert found == {
        (b"not json", "eventsim.page_view_events", "json_object"),
        (b'{"ts":"abc"}', "eventsim.page_view_events", "ts_epoch_milliseconds"),
        (b'{"ts":', "eventsim.auth_events", "json_object"),
        (_event(1), "eventsim.skip_events", "tag_known"),
        # No event type's prefix: it is not parsed at all.
        (_event(2), "elsewhere", "tag_known"),
    }
    ended = datetime.now(UTC)
    [of_producer] = [record for record in collector.errors() if record.raw == _event(1)]
    assert of_producer.collected_at is not None
    assert began - timedelta(seconds=1) <= of_producer.collected_at <= ended
    hours = {parse_errors_key(stored.key) for stored in collector.store.list("errors")}
    assert hours <= {moment.replace(minute=0, second=0, microsecond=0) for moment in (began, ended)}


def test_a_record_that_cannot_be_written_is_an_error_record_by_itself(collector: Collector) -> None:
    deep = b'{"ts":%d,"a":%b}' % (_FIRST_TS, b"[" * 300 + b"]" * 300)
    deepest = b'{"ts":%d,"a":%b}' % (_FIRST_TS, b"[" * 50_000 + b"]" * 50_000)
    lines = [_event(number) for number in range(100)]
    collector.append("page_view_events", *lines[:50], b'{"ts":%d,"x":1e400}' % _FIRST_TS, deep, deepest, *lines[50:])
    collector.start()
    entries = [{"n": 1}, {"n": float("nan")}, {"n": float("-inf")}, "a text", 5, [6], {"n": 2}]
    records = [{"ts": _FIRST_TS, **entry} if isinstance(entry, dict) else entry for entry in entries]
    collector.forward_entries("eventsim.listen_events", [[1, record] for record in records])
    # As one packed stream too.
    collector.forward_entries("eventsim.listen_events", b"".join(packed([1, record]) for record in records[2:5]))
    collector.wait_for_lines("page_view_events", lines)
    collector.wait_for_lines("listen_events", [b'{"ts":%d,"n":%d}' % (_FIRST_TS, number) for number in (1, 2)])
    collector.wait_for(lambda: len(collector.errors()) >= 11, "eleven error records")
    found = Counter((record.raw, record.reason) for record in collector.errors())
    minus_infinity = (b'{"ts":%d,"n":-Infinity}' % _FIRST_TS, "json_writable")
    assert found == {
        (b'{"ts":%d,"x":Infinity}' % _FIRST_TS, "json_writable"): 1,
        (deep, "json_writable"): 1,
        (b'{"ts"=>%d, "a"=>Array}' % _FIRST_TS, "json_writable"): 1,
        (b'{"ts":%d,"n":NaN}' % _FIRST_TS, "json_writable"): 1,
        minus_infinity: 2,
        (b'"a text"', "json_object"): 2,
        (b"5", "json_object"): 2,
        (b"[6]", "json_object"): 1,
    }
    assert all(not judge(record).events for record in collector.errors() if record.raw != deep)


def test_a_request_becomes_no_more_than_it_was(collector: Collector) -> None:
    """Of an array each element that is no event is an error record of its own, and none holds the whole body."""
    collector.start()
    encoded = [json.dumps({"ts": _FIRST_TS + number, "text": "y" * 400}) for number in range(1_000)]
    body = json.dumps(encoded).encode()
    event = _event(1)
    assert collector.post("eventsim.auth_events", body) == 200
    assert (
        collector.post("eventsim.status_change_events", b'[1,%b,[2,"z"],{},{"ts":%d,"n":1e400}]' % (event, _FIRST_TS))
        == 200
    )
    collector.append("page_view_events", b'[1,%b,[2,"z"]]' % event)
    long_line, long_record = b"x" * 1_000_000, b'{"text":"%b"}' % (b"w" * 100_000)
    collector.append("listen_events", long_line, long_record)
    for event_type in ("status_change_events", "page_view_events"):
        collector.wait_for_lines(event_type, [event])
    collector.wait_for(lambda: len(collector.errors()) >= 1_008, "1,008 error records")
    found = {record.tag: [] for record in collector.errors()}
    for record in collector.errors():
        found[record.tag].append(record)
    assert [record.raw for record in found["eventsim.auth_events"]] == [json.dumps(text).encode() for text in encoded]
    assert [record.raw for record in found["eventsim.page_view_events"]] == [b"1", b'[2,"z"]']
    assert {record.raw for record in found["eventsim.status_change_events"]} == {
        b"1", b'[2,"z"]', b"{}", b'{"ts":%d,"n":Infinity}' % _FIRST_TS,
    }  # fmt: skip
    for cut, whole in zip(found["eventsim.listen_events"], (long_line, long_record), strict=True):
        assert (cut.raw, cut.size, cut.sha256) == (whole[:65_536], len(whole), hashlib.sha256(whole).hexdigest())
        assert cut.is_cut
        assert judge(cut).rule == cut.reason
    stored = sum(
        len(gzip.decompress(collector.store.get(found.key) or b"")) for found in collector.store.list("errors")
    )
    assert stored < 2 * len(body) + 4 * 65_536
    log = collector.log.read_bytes()
    assert len(log) < 20_000
    assert not any(text in log for text in (b"yyyy", b"xxxx", b"wwww"))


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
    collector.wait_for(lambda: _retries(collector) > 0, "a failed flush")
    collector.stop(signal.SIGKILL)

    unanswered = iter(range(3))
    proxy.rule = lambda request: (
        Fault.ANSWER_LOST if request.method == "PUT" and next(unanswered, None) is not None else None
    )
    collector.start()
    collector.forward("listen_events", *listens[2 * third :])


def test_a_killed_collector_loses_nothing(collector: Collector) -> None:
    lines = [_event(number, hours=number % 24) for number in range(6_000)]
    for first in range(0, len(lines), 2_000):
        collector.append("listen_events", *lines[first : first + 2_000])
        collector.start()
        time.sleep(0.5)
        collector.stop(signal.SIGKILL)
    collector.start()
    collector.wait_for_lines("listen_events", lines)


def test_a_full_buffer_makes_producers_wait(collector: Collector) -> None:
    lines = [_event(number) for number in range(10_000)]
    with FaultyProxy(collector.endpoint, rule=lambda _: Fault.CONNECTION_RESET) as proxy:
        collector.endpoint = proxy.endpoint
        collector.variables = {"COLLECTOR_CHUNK_BYTES": "32k", "COLLECTOR_BUFFER_BYTES": "128k"}
        collector.start()
        producer = threading.Thread(target=collector.forward, args=("listen_events", *lines))
        producer.start()
        collector.wait_for(lambda: _buffered_bytes(collector) >= 128 * 1024, "a full buffer")
        assert producer.is_alive()
        proxy.rule = passes
        collector.wait_for_lines("listen_events", lines)
        producer.join()


def test_it_ends_with_a_full_buffer_and_says_why_events_are_among_errors(collector: Collector) -> None:
    lines = [_event(number) for number in range(20_000)]
    collector.append("listen_events", *lines)
    with FaultyProxy(collector.endpoint, rule=lambda _: Fault.CONNECTION_RESET) as proxy:
        collector.endpoint = proxy.endpoint
        collector.variables = {"COLLECTOR_CHUNK_BYTES": "32k", "COLLECTOR_BUFFER_BYTES": "128k"}
        for _ in range(2):  # the second time the buffer is full at the start
            collector.start()
            collector.wait_for(lambda: _buffered_bytes(collector) >= 128 * 1024, "a full buffer")
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


def test_the_forward_port_asks_for_the_shared_key(collector: Collector) -> None:
    collector.variables = {"COLLECTOR_SHARED_KEY": "secret"}
    collector.start()
    collector.forward("listen_events", _event(1), _event(2), shared_key="secret")
    with pytest.raises(SinkError, match="refuses the shared key"):
        collector.forward("listen_events", _event(3), shared_key="wrong")
    collector.wait_for_lines("listen_events", [_event(1), _event(2)])


def test_requests_without_an_event_are_answered_as_the_docs_say(collector: Collector) -> None:
    collector.variables = {"COLLECTOR_HTTP_BODY_BYTES": "1k"}
    collector.start()
    assert collector.post("eventsim.auth_events", b"[]") == 200
    with pytest.raises(urllib.error.HTTPError, match="413"):
        collector.post("eventsim.auth_events", b"x" * 2_000)
    address = f"http://127.0.0.1:{collector.ports['HTTP']}/eventsim.auth_events"
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert (answer.status, answer.read()) == (200, b"")
    broken = urllib.request.Request(address, data=gzip.compress(_event(1))[:-9], headers={"Content-Encoding": "gzip"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(broken, timeout=10)
    assert collector.post("eventsim.auth_events", _event(2)) == 200
    collector.wait_for_lines("auth_events", [_event(2)])
    assert collector.errors() == []


def test_both_ports_ask_for_a_certificate(collector: Collector, tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    # The authority that signed the collector's certificate is that of its producers too: itself.
    collector.variables = {
        "COLLECTOR_TLS_CERTIFICATE": str(certificate),
        "COLLECTOR_TLS_KEY": str(key),
        "COLLECTOR_TLS_CLIENT_CA": str(certificate),
    }
    collector.start()
    known, unknown = (ssl.create_default_context(cafile=str(certificate)) for _ in range(2))
    known.load_cert_chain(certificate, key)
    address = f"https://localhost:{collector.ports['HTTP']}/eventsim.auth_events"
    request = urllib.request.Request(address, data=_event(1))
    with urllib.request.urlopen(request, timeout=10, context=known) as answer:
        assert answer.status == 200
    with pytest.raises(OSError):  # noqa: PT011 - the handshake or the first answer fails, as the system has it
        urllib.request.urlopen(request, timeout=10, context=unknown)
    plain = socket.create_connection(("127.0.0.1", collector.ports["FORWARD"]), timeout=10)
    with known.wrap_socket(plain, server_hostname="localhost") as connection:
        entries = [[1, json.loads(_event(2))]]
        connection.sendall(packed(["eventsim.auth_events", entries, {"chunk": "these"}]))
        assert msgpack.unpackb(connection.recv(100)) == {"ack": "these"}
    collector.wait_for_lines("auth_events", [_event(1), _event(2)])


def test_metrics_tell_what_was_written(collector: Collector) -> None:
    collector.ports["METRICS"] = _free_port()
    try:
        collector.start()
    except pytest.fail.Exception:
        if "Unknown input plugin 'prometheus'" in collector.log.read_text():
            pytest.skip("this Fluentd has no fluent-plugin-prometheus")
        raise
    collector.append("auth_events", _event(1))
    collector.wait_for_lines("auth_events", [_event(1)])
    collector.wait_for(lambda: _written(collector) >= 1, "the metric of written chunks")


def _written(collector: Collector) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{collector.ports['METRICS']}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [line for line in lines if line.startswith("fluentd_output_status_write_count{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in wanted if 'plugin_id="land_events"' in line)


def test_a_late_event_is_a_new_object_in_its_old_hour(collector: Collector) -> None:
    collector.start()
    collector.append("listen_events", _event(1))
    collector.wait_for_lines("listen_events", [_event(1)])
    before = {found.key for found in collector.store.list("landing")}
    collector.append("listen_events", _event(2))
    collector.wait_for_lines("listen_events", [_event(1), _event(2)])
    after = {found.key for found in collector.store.list("landing")}
    assert before < after
    assert {parse_key(key) for key in after} == {parse_key(key) for key in before}


def test_it_starts_and_waits_while_s3_is_down(collector: Collector) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as nobody:
        down = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    endpoint, collector.endpoint = collector.endpoint, down
    lines = [_event(number, hours=number % 3) for number in range(300)]
    collector.append("listen_events", *lines)
    collector.start()
    collector.wait_for(lambda: _retries(collector) > 0, "a failed flush")
    assert collector.landed("listen_events") == {}
    collector.stop(signal.SIGKILL)
    collector.endpoint = endpoint
    collector.start()
    collector.wait_for_lines("listen_events", lines)
    assert set(collector.landed("listen_events").values()) == {1}


def _retries(collector: Collector) -> int:
    return sum(output.get("retry_count") or 0 for output in _outputs(collector))


def _buffered_bytes(collector: Collector) -> int:
    return sum(output.get("buffer_total_queued_size") or 0 for output in _outputs(collector))


def _outputs(collector: Collector) -> list[dict[str, Any]]:
    """What Fluentd tells of its two outputs."""
    address = f"http://127.0.0.1:{collector.ports['HEALTH']}/api/plugins.json"
    with urllib.request.urlopen(address, timeout=5) as answer:
        return [plugin for plugin in json.load(answer)["plugins"] if plugin["type"] == "s3"]
