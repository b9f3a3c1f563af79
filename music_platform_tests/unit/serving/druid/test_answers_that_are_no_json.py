"""Answers in which Druid says something else than JSON, or in which something else than Druid answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from music_platform.errors import DruidRequestRefusedError
from music_platform.serving.druid.client import DruidResource, Origin
from music_platform.settings import Settings

_ORIGIN = Origin("a-run", "druid/streams")
_INTERVAL = "2026-11-01T05:00:00.000Z/2026-11-01T06:00:00.000Z"


@dataclass
class Router:
    """A server that answers everything with the same content."""

    url: str = ""
    status: int = 200
    content: str = ""

    def druid(self) -> DruidResource:
        return DruidResource(Settings(druid_url=self.url, druid_retry_seconds=5.0))


@pytest.fixture
def router() -> Iterator[Router]:
    router = Router()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            content = router.content.encode()
            self.send_response(router.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name that the library calls it by)
            """Nothing: what the client saw is what is asserted."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    router.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield router
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_interval_without_segments_is_loaded(router: Router) -> None:
    router.content = "No used segment found for the given datasource and interval"
    assert router.druid().loaded_percent("streams", _INTERVAL) == 100.0
    router.druid().wait_until_loaded("streams", _INTERVAL, 0.0)


def test_a_datasource_without_segments_is_loaded(router: Router) -> None:
    router.status = 204
    assert router.druid().loaded_percent("streams", _INTERVAL) == 100.0
    with pytest.raises(DruidRequestRefusedError, match=r"HTTP 204 .*nothing"):
        router.druid().sql("SELECT 1")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("<html><body>Log in</body></html>", "<html><body>Log in</body></html>"),
        ("", "nothing"),
        ("null", "null"),
        ('"a text"', "a text"),
        ("{broken", "{broken"),
    ],
)
def test_what_is_not_druids_json_is_shown_and_never_a_traceback(router: Router, content: str, told: str) -> None:
    router.content = content
    druid = router.druid()
    for ask in (
        lambda: druid.sql("SELECT 1"),
        lambda: druid.loaded_percent("streams", _INTERVAL),
        lambda: druid.mark_unused("streams", _INTERVAL),
        lambda: druid.submit_task({"type": "noop"}, _ORIGIN),
        lambda: druid.wait_for_task("a-task"),
    ):
        with pytest.raises(DruidRequestRefusedError, match=r"HTTP 200 .*MUSIC_PLATFORM_DRUID_URL") as refused:
            ask()
        assert told in str(refused.value)


def test_what_only_looks_like_no_segments_is_no_answer_to_a_query(router: Router) -> None:
    router.content = "No used segment found"
    with pytest.raises(DruidRequestRefusedError, match="No used segment found"):
        router.druid().sql("SELECT 1")


def test_json_of_another_form_is_no_answer(router: Router) -> None:
    router.content = "{}"
    with pytest.raises(DruidRequestRefusedError, match="not with the JSON that Druid sends"):
        router.druid().sql("SELECT 1")
    for content in ("[]", "{}"):
        router.content = content
        for ask in (
            lambda: router.druid().submit_task({"type": "noop"}, _ORIGIN),
            lambda: router.druid().wait_for_task("a"),
        ):
            with pytest.raises(DruidRequestRefusedError, match="not with the JSON that Druid sends"):
                ask()
