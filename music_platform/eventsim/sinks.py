"""Where streamed lines go: files that grow, a Fluentd forward port, or an HTTP server.

When lines are made and how they look does not belong here.
"""

import http.client
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

import msgpack

from music_platform.eventsim.errors import GeneratorError, SinkError
from music_platform.eventsim.shared_key import GREETING, greet

TAG_PREFIX = "eventsim"
_LINES_A_MESSAGE = 2_000
_FIRST_BACKOFF_SECONDS = 0.2
_LONGEST_BACKOFF_SECONDS = 10.0
_TIMEOUT_SECONDS = 30.0
_RETRIED_HTTP_STATUSES = frozenset({408, 425, 429})


class Sink(Protocol):
    """Takes lines of one event type; ``send`` returns once they are delivered as surely as the receiver allows."""

    def send(self, event_type: str, text: bytes) -> None:
        """Deliver whole lines of UTF-8 JSON, each ended by a newline. Raises ``SinkError``."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def open_sink(
    target: str,
    output: Path,
    *,
    acknowledge: bool,
    retry_seconds: float,
    stop: threading.Event,
    shared_key: str = "",
) -> Sink:
    """The sink that ``target`` names: ``files``, ``forward://host:port`` or ``http://host:port``.

    ``shared_key`` is that of the forward port; empty where it asks for none. Failed deliveries are tried again with growing
    pauses for ``retry_seconds``, or until ``stop`` is set. Raises ``GeneratorError`` for any other target.
    """
    if target == "files":
        return FileSink(output)
    try:
        address = urlsplit(target)
        host, port = address.hostname, address.port
    except ValueError:
        host = port = None
        address = urlsplit("")
    retry = _Retry(target, retry_seconds, stop)
    if address.scheme == "forward" and host and port and address.path in ("", "/"):
        return ForwardSink(host, port, retry, acknowledge=acknowledge, shared_key=shared_key)
    if address.scheme == "http" and host:
        return HttpSink(host, port or 80, address.path.rstrip("/"), retry)
    raise GeneratorError(
        f"There is no sink {target!r}: write files, forward://host:port (Fluentd) or http://host:port. Check --sink."
    )


class _Retry:
    """Tries a delivery again with growing pauses while its receiver cannot be reached."""

    def __init__(self, target: str, seconds: float, stop: threading.Event) -> None:
        self.target = target
        self.seconds = seconds
        self.stop = stop

    def run(self, deliver: Callable[[], None], disconnect: Callable[[], None]) -> None:
        began, pause = time.monotonic(), _FIRST_BACKOFF_SECONDS
        while True:
            try:
                deliver()
                return
            except (OSError, http.client.HTTPException, msgpack.exceptions.UnpackException) as error:
                disconnect()
                problem = str(error) or type(error).__name__
            if time.monotonic() - began + pause > self.seconds or self.stop.wait(pause):
                tried = time.monotonic() - began
                raise SinkError(
                    f"{self.target} does not take events ({problem}); tried for {tried:.0f} s. Start the receiver and "
                    "run again; events of this step may be missing there."
                )
            pause = min(pause * 2, _LONGEST_BACKOFF_SECONDS)


def _messages(text: bytes) -> Iterator[list[bytes]]:
    # Not splitlines: it takes U+0085 and others, which stand in titles, for the end of a line.
    lines = text.split(b"\n")[:-1]
    for first in range(0, len(lines), _LINES_A_MESSAGE):
        yield lines[first : first + _LINES_A_MESSAGE]


def _as_json(line: bytes) -> bytes:
    """A line that was cut off becomes a record of its text, as a collector's agent sends what it cannot parse."""
    return line if line.endswith(b"}") else json.dumps({"message": line.decode(errors="replace")}).encode()


class FileSink:
    """Appends to ``<folder>/<event_type>.jsonl``; lines are in the file when ``send`` returns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, BinaryIO] = {}

    def send(self, event_type: str, text: bytes) -> None:
        """Append the lines."""
        path = self.folder / f"{event_type}.jsonl"
        try:
            if event_type not in self._files:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._files[event_type] = path.open("ab", buffering=0)
            remaining = memoryview(text)
            while remaining:
                remaining = remaining[self._files[event_type].write(remaining) :]
        except OSError as error:
            raise SinkError(f"Cannot write {path}: {error.strerror}. Check --output.") from error

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()


class ForwardSink:
    """Sends to a Fluentd ``forward`` source, tag ``eventsim.<event_type>``, in the protocol's Forward mode.

    With ``acknowledge`` each message waits for the receiver's word that it has it; a message without an answer is sent
    again, so a receiver can get one twice but misses none. Source: Fluentd's wiki, Forward Protocol Specification v1.
    """

    def __init__(self, host: str, port: int, retry: _Retry, *, acknowledge: bool = True, shared_key: str = "") -> None:
        self._address = (host, port)
        self._retry = retry
        self._acknowledge = acknowledge
        self._shared_key = shared_key
        self._socket: socket.socket | None = None

    def send(self, event_type: str, text: bytes) -> None:
        """Send the lines, some thousand in a message; an event's time is its ``ts`` in whole seconds."""
        for lines in _messages(text):
            records = [json.loads(_as_json(line)) for line in lines]
            entries = [[record["ts"] // 1_000 if "ts" in record else int(time.time()), record] for record in records]
            option: dict[str, Any] = {"size": len(entries)}
            chunk = uuid.uuid4().hex if self._acknowledge else None
            if chunk is not None:
                option["chunk"] = chunk
            message: Any = msgpack.packb([f"{TAG_PREFIX}.{event_type}", entries, option])
            self._retry.run(lambda m=message, c=chunk: self._deliver(m, c), self.close)

    def _deliver(self, message: bytes, chunk: str | None) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=_TIMEOUT_SECONDS)
            if self._shared_key:
                greet(self._socket, self._shared_key)
        self._socket.sendall(message)
        if chunk is not None:
            self._await_acknowledgement(self._socket, chunk)

    @staticmethod
    def _await_acknowledgement(connection: socket.socket, chunk: str) -> None:
        unpacker = msgpack.Unpacker(unicode_errors="replace")  # a greeting holds bytes
        while True:
            received = connection.recv(4_096)
            if not received:
                raise ConnectionError("the connection was closed before the message was acknowledged")
            unpacker.feed(received)
            for answer in unpacker:
                if isinstance(answer, list) and answer[:1] == [GREETING]:
                    raise SinkError("The receiver asks for a shared key. Set MUSIC_PLATFORM_FORWARD_SHARED_KEY.")
                if isinstance(answer, dict) and answer.get("ack") == chunk:
                    return

    def close(self) -> None:
        """Close the connection; the next message opens another one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class HttpSink:
    """POSTs JSON arrays to ``/eventsim.<event_type>``, as Fluentd's ``http`` source and others take them."""

    def __init__(self, host: str, port: int, prefix: str, retry: _Retry) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
        self._prefix = prefix
        self._retry = retry

    def send(self, event_type: str, text: bytes) -> None:
        """Send the lines, some thousand in a request; a refusal (4xx) is not tried again."""
        path = f"{self._prefix}/{TAG_PREFIX}.{event_type}"
        for lines in _messages(text):
            body = b"[" + b",".join(map(_as_json, lines)) + b"]"
            self._retry.run(lambda b=body: self._deliver(path, b), self.close)

    def _deliver(self, path: str, body: bytes) -> None:
        self._connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        answer = response.read()
        if 200 <= response.status < 300:
            return
        reason = f"HTTP {response.status} {answer[:200].decode(errors='replace').strip()}"
        if response.status >= 500 or response.status in _RETRIED_HTTP_STATUSES:
            raise ConnectionError(reason)
        raise SinkError(f"{self._retry.target}{path} refused events: {reason}. Check --sink.")

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        self._connection.close()
