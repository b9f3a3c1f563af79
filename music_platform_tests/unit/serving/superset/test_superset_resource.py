"""Superset's session on a server that ends connections; what Superset itself answers is tested on a real one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from music_platform.serving.superset.client import SupersetError, SupersetResource

LOGIN = ["POST", "GET", "GET"]  # the second comes by the connection of the first


class _Handler(BaseHTTPRequestHandler):
    """Answers the first request of each connection and hangs up on the second, as a server does with an idle connection."""

    protocol_version = "HTTP/1.1"
    seen: list[str]
    has_answered = False

    def _take(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append(self.command)
        if self.has_answered:
            self.close_connection = True
            return
        self.has_answered = True
        content = b'{"access_token": "token", "result": "csrf"}'  # enough for a login
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = _take  # noqa: N815 (http.server's names)

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002


@pytest.fixture
def seen() -> list[str]:
    """The methods of the requests that the server got."""
    return []


@pytest.fixture
def superset(seen: list[str]) -> Iterator[SupersetResource]:
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"seen": seen})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield SupersetResource(f"http://127.0.0.1:{server.server_port}", "admin", "secret")
        server.shutdown()


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_may_be_repeated_is_sent_again_where_the_connection_had_ended(
    superset: SupersetResource, seen: list[str], method: str
) -> None:
    assert superset.request(method, "/api/v1/dataset/1").ok
    assert seen == [*LOGIN, method, method]


def test_what_changes_more_each_time_is_not(superset: SupersetResource, seen: list[str]) -> None:
    with pytest.raises(SupersetError, match=r"does not answer \(ConnectionError\)"):
        superset.request("POST", "/api/v1/assets/import/")
    assert seen == [*LOGIN, "POST"]


def test_a_server_that_is_not_there_is_reported_by_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(SupersetError, match=rf"{url} does not answer \(ConnectionError\).*superset up"):
        SupersetResource(url, "admin", "secret").request("GET", "/api/v1/dataset/1")
