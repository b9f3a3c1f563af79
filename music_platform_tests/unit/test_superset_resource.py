"""Superset's session on a server that ends connections; what Superset itself answers is tested on a real one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import requests

from music_platform.resources.superset import SupersetError, SupersetResource

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class _ForgetfulServer:
    """Answers the first request of each connection and hangs up on the second, as a server does with an idle connection."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                for is_first in (True, False):
                    request = connection.recv(65_536)
                    if not request:
                        break
                    self.requests.append(request.split(b" ", 1)[0].decode())
                    if is_first:
                        connection.sendall(ANSWER)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def server() -> Iterator[_ForgetfulServer]:
    server = _ForgetfulServer()
    yield server
    server.close()


def _superset(server: _ForgetfulServer) -> SupersetResource:
    superset = SupersetResource(server.url, "admin", "secret")
    superset._session = requests.Session()
    return superset


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_what_may_be_repeated_is_sent_again_where_the_connection_had_ended(
    server: _ForgetfulServer, method: str
) -> None:
    superset = _superset(server)
    for _ in range(2):
        assert superset.request(method, "/api/v1/dataset/1").ok
    assert server.requests == [method] * 3


def test_what_changes_more_each_time_is_not(server: _ForgetfulServer) -> None:
    superset = _superset(server)
    assert superset.request("POST", "/api/v1/dashboard/import/").ok
    with pytest.raises(SupersetError, match=r"does not answer \(ConnectionError\)"):
        superset.request("POST", "/api/v1/dashboard/import/")
    assert server.requests == ["POST"] * 2


def test_a_server_that_is_not_there_is_told_by_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    superset = SupersetResource(url, "admin", "secret")
    superset._session = requests.Session()
    with pytest.raises(SupersetError, match=rf"{url} does not answer \(ConnectionError\).*superset up"):
        superset.request("GET", "/api/v1/dataset/1")
