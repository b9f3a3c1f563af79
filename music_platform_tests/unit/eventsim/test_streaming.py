"""Streams and their sinks, against small receivers in this process."""

import hashlib
import json
import secrets
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgpack
import pytest

from music_platform.eventsim import EVENT_TYPES, GeneratorError, GeneratorOptions, SinkError, generate_files
from music_platform.eventsim.options import make_plan
from music_platform.eventsim.sinks import FileSink, open_sink
from music_platform.eventsim.streaming import Pace, stream

_OPTIONS = GeneratorOptions(users=200, start=datetime(2026, 11, 2, tzinfo=UTC), days=1, seed=3)
_AT_ONCE = Pace(speed=None)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("files")
    generate_files(_OPTIONS, folder)
    return {
        event_type: [json.loads(line) for line in (folder / f"{event_type}.jsonl").read_bytes().split(b"\n")[:-1]]
        for event_type in EVENT_TYPES
    }


def _run(
    target: str,
    pace: Pace = _AT_ONCE,
    *,
    acknowledge: bool = True,
    retry_seconds: float = 5.0,
    shared_key: str = "",
) -> None:
    stop = threading.Event()
    sink = open_sink(
        target,
        Path("unused"),
        acknowledge=acknowledge,
        retry_seconds=retry_seconds,
        stop=stop,
        shared_key=shared_key,
    )
    try:
        stream(make_plan(_OPTIONS), sink, pace, stop)
    finally:
        sink.close()


class _ForwardReceiver:
    """Takes Forward messages; drops the first connection in the middle when told to, and asks for a key where it has one."""

    def __init__(self, *, drop_first: bool, shared_key: bytes = b"", answers_with: bytes = b"") -> None:
        self.shared_key = shared_key
        self.answers_with = answers_with or shared_key  # another key than that which it asks for: an impostor
        self.events: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        self.connections = 0
        self.drop_first = drop_first
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        unpacker = msgpack.Unpacker()
        with connection:
            if self.shared_key and not self._greet(connection, unpacker):
                return
            while received := connection.recv(65_536):
                if self.drop_first and number == 1:
                    return
                unpacker.feed(received)
                for tag, entries, option in unpacker:
                    assert option["size"] == len(entries)
                    self.events[tag].extend((time_, record) for time_, record in entries)
                    if "chunk" in option:
                        connection.sendall(msgpack.packb({"ack": option["chunk"]}) or b"")

    def _greet(self, connection: socket.socket, unpacker: msgpack.Unpacker) -> bool:
        """The handshake from the receiver's side; whether the producer knows the key."""
        nonce = secrets.token_bytes(16)
        connection.sendall(msgpack.packb(["HELO", {"nonce": nonce, "auth": "", "keepalive": True}]) or b"")
        unpacker.feed(connection.recv(65_536))
        message = next(iter(unpacker), None)
        if message is None or message[0] != "PING":
            while connection.recv(
                65_536
            ):  # until the producer gives up: closing on unread bytes could hide the greeting
                pass
            return False
        _, host, salt, digest, _, _ = message
        is_right = digest == hashlib.sha512(salt.encode() + host.encode() + nonce + self.shared_key).hexdigest()
        own = hashlib.sha512(salt.encode() + b"receiver" + nonce + self.answers_with).hexdigest()
        pong = ["PONG", True, "", "receiver", own] if is_right else ["PONG", False, "shared_key mismatch", "", ""]
        connection.sendall(msgpack.packb(pong) or b"")
        return is_right


@pytest.fixture
def forward_receiver(request: pytest.FixtureRequest) -> Iterator[_ForwardReceiver]:
    receiver = _ForwardReceiver(drop_first=getattr(request, "param", False))
    yield receiver
    receiver.server.close()


class _HttpReceiver(ThreadingHTTPServer):
    """Takes POSTs; the first ones are answered by the given statuses."""

    def __init__(self, statuses: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), _HttpHandler)
        self.statuses = statuses
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        threading.Thread(target=self.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()


class _HttpHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, _HttpReceiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == 200:
            assert self.headers["Content-Type"] == "application/json"
            self.server.events[self.path].extend(json.loads(body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the base class's name)
        """Keep the test's output quiet."""


@pytest.fixture
def http_receiver(request: pytest.FixtureRequest) -> Iterator[_HttpReceiver]:
    receiver = _HttpReceiver(list(getattr(request, "param", [])))
    yield receiver
    receiver.shutdown()
    receiver.server_close()


@pytest.mark.parametrize("forward_receiver", [False, True], indirect=True)
def test_forward_delivers_every_event_once_acknowledged(forward_receiver: _ForwardReceiver, expected: Any) -> None:
    _run(f"forward://127.0.0.1:{forward_receiver.port}")
    assert forward_receiver.connections == (2 if forward_receiver.drop_first else 1)
    for event_type, records in expected.items():
        received = forward_receiver.events[f"eventsim.{event_type}"]
        assert [record for _, record in received] == records
        assert [time_ for time_, _ in received] == [record["ts"] // 1_000 for record in records]


def test_forward_with_a_shared_key_delivers_every_event(expected: Any) -> None:
    receiver = _ForwardReceiver(drop_first=True, shared_key=b"secret")
    with receiver.server:
        _run(f"forward://127.0.0.1:{receiver.port}", shared_key="secret")
    assert receiver.connections == 2
    for event_type, records in expected.items():
        assert [record for _, record in receiver.events[f"eventsim.{event_type}"]] == records


@pytest.mark.parametrize(
    ("shared_key", "answers_with", "problem"),
    [
        ("wrong", "secret", "refuses the shared key .shared_key mismatch."),
        ("", "secret", "asks for a shared key"),
        ("secret", "other", "does not know the shared key itself"),
    ],
)
def test_a_shared_key_that_does_not_agree_is_named_and_not_tried_again(
    shared_key: str, answers_with: str, problem: str
) -> None:
    receiver = _ForwardReceiver(drop_first=False, shared_key=b"secret", answers_with=answers_with.encode())
    with receiver.server, pytest.raises(SinkError, match=problem):
        _run(f"forward://127.0.0.1:{receiver.port}", shared_key=shared_key)
    assert receiver.connections == 1
    assert receiver.events == {}


def test_forward_without_acknowledgement(forward_receiver: _ForwardReceiver, expected: Any) -> None:
    _run(f"forward://127.0.0.1:{forward_receiver.port}", acknowledge=False)
    deadline = time.monotonic() + 10
    count = sum(len(records) for records in expected.values())
    while sum(len(events) for events in forward_receiver.events.values()) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sum(len(events) for events in forward_receiver.events.values()) == count


@pytest.mark.parametrize("http_receiver", [[], [503, 429]], indirect=True)
def test_http_delivers_every_event(http_receiver: _HttpReceiver, expected: Any) -> None:
    _run(f"http://127.0.0.1:{http_receiver.server_port}")
    assert dict(http_receiver.events) == {f"/eventsim.{name}": records for name, records in expected.items() if records}


@pytest.mark.parametrize("http_receiver", [[400]], indirect=True)
def test_a_refusal_is_not_tried_again(http_receiver: _HttpReceiver) -> None:
    with pytest.raises(SinkError, match=r"refused events: HTTP 400"):
        _run(f"http://127.0.0.1:{http_receiver.server_port}")
    assert not http_receiver.events


@pytest.mark.parametrize("scheme", ["forward", "http"])
def test_a_receiver_that_stays_away_is_named(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SinkError, match=rf"{scheme}://127.0.0.1:{port} does not take events"):
        _run(f"{scheme}://127.0.0.1:{port}", retry_seconds=0.3)


@pytest.mark.parametrize("target", ["", "file", "forward://", "forward://host", "forward://host:x", "ftp://host:1"])
def test_a_sink_that_does_not_exist_is_named(target: str) -> None:
    with pytest.raises(GeneratorError, match="--sink"):
        open_sink(target, Path("unused"), acknowledge=True, retry_seconds=1, stop=threading.Event())


def test_files_grow_by_the_same_lines_as_in_batch(tmp_path: Path, expected: Any) -> None:
    sink = FileSink(tmp_path)
    summary = stream(make_plan(_OPTIONS), sink, Pace(speed=200_000.0), threading.Event())
    sink.close()
    for event_type, records in expected.items():
        path = tmp_path / f"{event_type}.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        assert [json.loads(line) for line in lines] == records
        assert summary.rows[event_type] == len(records)


def test_a_stream_by_taste_sends_the_same_as_files_and_its_truth(tmp_path: Path) -> None:
    options = replace(_OPTIONS, taste=1.0, truth=tmp_path / "truth of files")
    generate_files(options, tmp_path / "files")
    sink = FileSink(tmp_path / "stream")
    plan = make_plan(replace(options, truth=tmp_path / "truth of stream"))
    stream(plan, sink, Pace(speed=200_000.0), threading.Event())
    sink.close()
    for one, other in (("files", "stream"), ("truth of files", "truth of stream")):
        contents = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in (one, other)]
        assert {name: content for name, content in contents[0].items() if content} == contents[1]


def test_a_stream_stops_after_its_duration(tmp_path: Path) -> None:
    plan = make_plan(replace(_OPTIONS, days=100))
    began = time.monotonic()
    summary = stream(plan, FileSink(tmp_path), Pace(speed=3_600.0, duration=0.6), threading.Event())
    assert time.monotonic() - began < 10
    assert 1_000 < summary.end - summary.start < 20 * 3_600


def test_a_stream_stops_between_steps_when_asked(tmp_path: Path) -> None:
    stop = threading.Event()
    plan = make_plan(replace(_OPTIONS, days=100))
    summary = stream(plan, FileSink(tmp_path), Pace(speed=3_600.0), stop, lambda _: stop.set())
    written = sum(len(path.read_bytes().split(b"\n")) - 1 for path in tmp_path.iterdir())
    assert written == summary.total_rows
