"""An HTTP proxy on loopback that stands before the S3 server and breaks requests as a test tells it to.

It knows HTTP and faults; what S3 or the lake make of them stands in the tests.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_OF_THE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "host"}


class Fault(StrEnum):
    """What happens to a request."""

    INTERNAL_ERROR = "500 without reaching the server"
    SLOW_DOWN = "503 without reaching the server"
    CONNECTION_RESET = "reset without reaching the server"
    STALL = "passed on after a delay"
    ANSWER_LOST = "done by the server, then reset"
    ANSWER_REPLACED = "done by the server, then answered with 500"
    ANSWER_CUT = "answered in part, then reset"


@dataclass(frozen=True)
class Request:
    """A request as it arrives."""

    method: str
    path: str
    is_conditional: bool


Rule = Callable[[Request], Fault | None]


def passes(_: Request) -> None:
    """The rule that finds no fault."""


@dataclass
class FaultyProxy:
    """Passes requests on to ``upstream`` (``http://host:port``) except where ``rule`` finds a fault for them.

    Conditional requests go one at a time: S3 compares and swaps atomically, and the test server only nearly so.
    """

    upstream: str
    rule: Rule = passes
    stall_seconds: float = 0.0
    requests: list[tuple[Request, Fault | None]] = field(default_factory=list)

    def __enter__(self) -> FaultyProxy:
        proxy = self
        one_at_a_time = threading.Lock()
        address = urlsplit(self.upstream)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, TimeoutError):  # the client went away: killed, or tired of waiting
                    self.close_connection = True

            def do_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                is_conditional = bool(self.headers.get("If-Match") or self.headers.get("If-None-Match"))
                request = Request(self.command, self.path, is_conditional)
                fault = proxy.rule(request)
                proxy.requests.append((request, fault))
                if fault is Fault.STALL:
                    time.sleep(proxy.stall_seconds)
                if fault is Fault.CONNECTION_RESET:
                    self._reset()
                elif fault in (Fault.INTERNAL_ERROR, Fault.SLOW_DOWN):
                    self._answer(
                        500 if fault is Fault.INTERNAL_ERROR else 503, {}, b"<Error><Code>Broken</Code></Error>"
                    )
                else:
                    status, headers, content = self._pass_on(body, is_conditional)
                    if fault is Fault.ANSWER_LOST:
                        self._reset()
                    elif fault is Fault.ANSWER_CUT:
                        self._answer(status, headers, content, keep_back=len(content) // 2)
                        self._reset()
                    elif fault is Fault.ANSWER_REPLACED:
                        self._answer(500, {}, b"<Error><Code>InternalError</Code></Error>")
                    else:
                        self._answer(status, headers, content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any  # noqa: N815 (http.server's names)

            def _pass_on(self, body: bytes, is_conditional: bool) -> tuple[int, dict[str, str], bytes]:
                connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
                headers = {
                    name: value for name, value in self.headers.items() if name.lower() not in _OF_THE_CONNECTION
                }
                try:
                    with one_at_a_time if is_conditional and self.command == "PUT" else nullcontext():
                        connection.request(self.command, self.path, body or None, headers)
                        answer = connection.getresponse()
                        return answer.status, dict(answer.getheaders()), answer.read()
                finally:
                    connection.close()

            def _answer(self, status: int, headers: dict[str, str], content: bytes, keep_back: int = 0) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in _OF_THE_CONNECTION and (name.lower() != "content-length"):
                        self.send_header(name, value)
                length = headers.get("Content-Length") or headers.get("content-length")
                self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content[: len(content) - keep_back])

            def _reset(self) -> None:
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"
