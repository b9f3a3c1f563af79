"""What goes in by files, the forward port and HTTP is landed; who may send, and what is answered."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgpack
import pytest

from music_platform.eventsim import SinkError
from music_platform.lake.landing_layout import parse_errors_key, parse_key
from music_platform_tests.integration.fluentd.collector import Collector, event, packed

pytestmark = pytest.mark.integration


def test_files_forward_and_http_are_landed_once_and_the_rest_is_kept_with_its_reason(collector: Collector) -> None:
    from_file = [event(number, hours=number % 5) for number in range(500)]
    collector.append("page_view_events", *from_file)
    collector.append("page_view_events", b"not json", b'{"ts":"abc"}', event(7, hours=-48))
    collector.start()

    forwarded = [event(number) for number in range(1_000)]
    collector.forward("listen_events", *forwarded)
    posted = [event(number) for number in range(100)]
    assert collector.post("eventsim.auth_events", b"[" + b",\n".join(posted) + b"]") == 200
    assert collector.post("eventsim.auth_events", b'{"ts":') == 200
    began = datetime.now(UTC)
    # A producer may say any time; the collector files by its own clock.
    assert collector.post("eventsim.skip_events?time=0", event(1)) == 200
    assert collector.post("elsewhere", event(2)) == 200

    collector.wait_for_lines("page_view_events", [*from_file, event(7, hours=-48)])
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
        (event(1), "eventsim.skip_events", "tag_known"),
        # No event type's prefix: it is not parsed at all.
        (event(2), "elsewhere", "tag_known"),
    }
    ended = datetime.now(UTC)
    [of_producer] = [record for record in collector.errors() if record.raw == event(1)]
    assert of_producer.collected_at is not None
    assert began - timedelta(seconds=1) <= of_producer.collected_at <= ended
    hours = {parse_errors_key(stored.key) for stored in collector.store.list("errors")}
    assert hours <= {moment.replace(minute=0, second=0, microsecond=0) for moment in (began, ended)}


def test_the_forward_port_asks_for_the_shared_key(collector: Collector) -> None:
    collector.variables = {"COLLECTOR_SHARED_KEY": "secret"}
    collector.start()
    collector.forward("listen_events", event(1), event(2), shared_key="secret")
    with pytest.raises(SinkError, match="refuses the shared key"):
        collector.forward("listen_events", event(3), shared_key="wrong")
    collector.wait_for_lines("listen_events", [event(1), event(2)])


def test_requests_without_an_event_are_answered_as_the_docs_say(collector: Collector) -> None:
    collector.variables = {"COLLECTOR_HTTP_BODY_BYTES": "1k"}
    collector.start()
    assert collector.post("eventsim.auth_events", b"[]") == 200
    with pytest.raises(urllib.error.HTTPError, match="413"):
        collector.post("eventsim.auth_events", b"x" * 2_000)
    address = f"http://127.0.0.1:{collector.ports['HTTP']}/eventsim.auth_events"
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert (answer.status, answer.read()) == (200, b"")
    broken = urllib.request.Request(address, data=gzip.compress(event(1))[:-9], headers={"Content-Encoding": "gzip"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(broken, timeout=10)
    assert collector.post("eventsim.auth_events", event(2)) == 200
    collector.wait_for_lines("auth_events", [event(2)])
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
    request = urllib.request.Request(address, data=event(1))
    with urllib.request.urlopen(request, timeout=10, context=known) as answer:
        assert answer.status == 200
    with pytest.raises(OSError):  # noqa: PT011 - the handshake or the first answer fails, as the system has it
        urllib.request.urlopen(request, timeout=10, context=unknown)
    plain = socket.create_connection(("127.0.0.1", collector.ports["FORWARD"]), timeout=10)
    with known.wrap_socket(plain, server_hostname="localhost") as connection:
        entries = [[1, json.loads(event(2))]]
        connection.sendall(packed(["eventsim.auth_events", entries, {"chunk": "these"}]))
        assert msgpack.unpackb(connection.recv(100)) == {"ack": "these"}
    collector.wait_for_lines("auth_events", [event(1), event(2)])


def test_a_late_event_is_a_new_object_in_its_old_hour(collector: Collector) -> None:
    collector.start()
    collector.append("listen_events", event(1))
    collector.wait_for_lines("listen_events", [event(1)])
    before = {found.key for found in collector.store.list("landing")}
    collector.append("listen_events", event(2))
    collector.wait_for_lines("listen_events", [event(1), event(2)])
    after = {found.key for found in collector.store.list("landing")}
    assert before < after
    assert {parse_key(key) for key in after} == {parse_key(key) for key in before}
