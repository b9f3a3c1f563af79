"""Why a server did not answer is said in words, not by the names of the client's objects."""

from __future__ import annotations

import socket
import threading

import pytest
import requests

from music_platform.errors import DruidUnreachableError
from music_platform.http_sessions import new_session, why_unanswered
from music_platform.serving.druid.client import DruidResource
from music_platform.settings import Settings


def why(url: str, timeout: float = 10.0) -> str:
    session = new_session()
    session.trust_env = False
    with pytest.raises(requests.RequestException) as raised:
        session.get(url, timeout=timeout)
    return why_unanswered(raised.value)


def test_nothing_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert why(f"http://127.0.0.1:{port}") == "nothing listens there"


def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert why(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.1) == "it took too long"


def test_a_server_that_hangs_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert why(f"http://127.0.0.1:{server.getsockname()[1]}") == "the connection was closed"
        thread.join()


def test_a_host_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert why("http://druid.invalid") == "there is no host of that name"


def test_a_druid_that_does_not_run_is_started_by_the_command_that_is_named() -> None:
    settings = Settings(druid_retry_seconds=0.1, druid_port_offset=31_000)
    with pytest.raises(DruidUnreachableError) as raised:
        DruidResource(settings).version()
    text = str(raised.value)
    assert "nothing listens there" in text
    assert "./run music-platform druid up" in text
    assert "HTTPConnectionPool" not in text
