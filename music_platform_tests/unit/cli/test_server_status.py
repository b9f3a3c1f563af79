"""The servers of the settings as `status` sees them: each answers, does not, or is not used."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from music_platform.cli import server_status
from music_platform.cli.server_status import ServerStatus, ask_servers
from music_platform.settings import Settings


class Answering:
    """A server of texts by path; what is not there is answered with 404."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = answers.get(self.path.partition("?")[0])
                self.send_response(200 if text is not None else 404)
                self.end_headers()
                self.wfile.write((text or "").encode())

            def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Answering]:
    answering = Answering()
    yield answering
    answering.server.shutdown()
    answering.server.server_close()


def asked(tmp_path: Path, **changes: Any) -> dict[str, ServerStatus]:
    places: dict[str, Any] = {"druid_folder": str(tmp_path / "druid"), "superset_home": str(tmp_path / "superset")}
    return {found.name: found for found in ask_servers(Settings(**(places | changes)))()}


def free_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_what_is_not_used_is_no_problem(tmp_path: Path) -> None:
    found = asked(tmp_path)
    assert list(found) == ["engine", "Druid", "Superset", "collector"]
    assert [server.works for server in found.values()] == [True, None, None, None]
    assert found["engine"].found.startswith("Sail ")


def test_a_local_druid_that_was_killed_is_named_with_the_command_that_starts_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "druid" / "logs" / "java.pid"
    pid_file.parent.mkdir(parents=True)
    pid_file.write_text(json.dumps({"pid": 2**22 + 1, "created": 0.0}))  # above the highest pid
    found = asked(tmp_path)["Druid"]
    assert (found.works, found.found) == (False, "the local Druid does not run")
    assert "./run music-platform druid up" in found.advice


def test_another_druid_that_does_not_answer(tmp_path: Path) -> None:
    url = free_url()
    found = asked(tmp_path, druid_enabled=True, druid_url=url)["Druid"]
    assert found.works is False
    assert f"Druid at {url} did not answer" in found.found
    assert "MUSIC_PLATFORM_DRUID_URL" in found.found


def test_superset(tmp_path: Path, server: Answering) -> None:
    settings = {"druid_enabled": True, "superset_enabled": True, "superset_url": server.url}
    found = asked(tmp_path, **settings)["Superset"]
    assert (found.works, found.found) == (False, f"{server.url} answers with HTTP 404")
    server.answers["/health"] = "OK"
    assert asked(tmp_path, **settings)["Superset"].works
    gone = asked(tmp_path, **(settings | {"superset_url": free_url()}))["Superset"]
    assert gone.works is False
    assert "nothing listens there" in gone.found
    assert "./run music-platform superset up" in gone.advice


def test_the_collector(tmp_path: Path, server: Answering) -> None:
    def found() -> ServerStatus:
        return asked(tmp_path, collector_health_url=server.url)["collector"]

    assert found().works is False
    plugin: dict[str, Any] = {"plugin_id": "landing", "buffer_queue_length": 3, "retry_count": 2}
    server.answers["/api/plugins.json"] = json.dumps({"plugins": [plugin, {"plugin_id": "in"}]})
    assert (found().works, found().found) == (True, f"answers at {server.url}; 3 chunks wait, 2 retries")
    server.answers["/api/plugins.json"] = json.dumps({"plugins": [plugin | {"retry": {"steps": 4}}]})
    assert found().works is False
    assert "it cannot deliver now" in found().found
    assert asked(tmp_path, collector_health_url=free_url())["collector"].works is False


def test_an_engine_elsewhere(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"sc://127.0.0.1:{listening.getsockname()[1]}"
        assert asked(tmp_path, spark_remote=url)["engine"].works
    found = asked(tmp_path, spark_remote=url)["engine"]
    assert found.works is False
    assert "MUSIC_PLATFORM_SPARK_REMOTE" in found.advice


def test_a_server_that_says_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Answering
) -> None:
    go = threading.Event()

    def waits(_: Settings) -> ServerStatus:
        go.wait(60)
        return ServerStatus("Druid", True, "at last")

    monkeypatch.setattr(server_status, "_ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(server_status, "_druid", waits)
    found = asked(tmp_path)["Druid"]
    go.set()
    assert found.works is False
    assert "did not answer within" in found.found
