"""What the guard passes on to the UI and what it refuses, request by request, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from music_platform.orchestration.ui.request_guard import Message, Receive, RequestGuard, Scope, Send

_HOST = ("host", "127.0.0.1:3000")
_JSON = ("content-type", "application/json")
_OWN = ("origin", "http://127.0.0.1:3000")
_HTML = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
Headers = Sequence[tuple[str, str]]


async def _application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return
    headers = [(b"content-security-policy", b"script-src 'nonce-1'"), (b"Referrer-Policy", b"no-referrer")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"the UI"})


def send_to_guard(scope: Scope, allowed: Sequence[str] = ()) -> list[Message]:
    """What the guard answers."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect" if scope["type"] == "websocket" else "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(RequestGuard(_application, allowed)(scope, receive, send))
    return sent


def http(
    method: str, path: str, *headers: tuple[str, str], query: str = "", allowed: Sequence[str] = ()
) -> tuple[int, str]:
    """Status and body of the answer to a request."""
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope: dict[str, Any] = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": pairs,
    }  # fmt: skip
    start, body = send_to_guard(scope, allowed)
    return start["status"], body["body"].decode()


def websocket(*headers: tuple[str, str]) -> list[str]:
    """The kinds of messages that answer a request to open a WebSocket."""
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return [message["type"] for message in send_to_guard({"type": "websocket", "path": "/graphql", "headers": pairs})]


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost:3000", "LOCALHOST", "[::1]:3000", "[::1]", "127.0.0.1"])
def test_this_machine_s_names_are_allowed(host: str) -> None:
    assert http("GET", "/assets", ("host", host)) == (200, "the UI")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.2", "localhost.",
             "[::2]:3000"],
)  # fmt: skip
def test_another_host_is_refused_with_the_setting_that_would_allow_it(host: str) -> None:
    status, body = http("GET", "/", ("host", host))
    assert status == 421
    assert "MUSIC_PLATFORM_UI_ALLOWED_HOSTS" in body
    assert websocket(("host", host)) == ["websocket.close"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3000", "EVIL.example"])
def test_a_host_of_the_setting_is_allowed_exactly(host: str) -> None:
    assert http("GET", "/", ("host", host), allowed=["Evil.Example"])[0] == 200
    assert http("GET", "/", ("host", f"a.{host}"), allowed=["Evil.Example"])[0] == 421


@pytest.mark.parametrize(
    "headers",
    [[], [("host", "")], [("host", "127.0.0.1/evil")], [("host", "evil@127.0.0.1")], [("host", "127.0.0.1:x")],
     [("host", "127.0.0.1"), ("host", "evil.example")], [("host", "127.0.0.1 evil")]],
)  # fmt: skip
def test_a_request_names_exactly_one_host(headers: Headers) -> None:
    assert http("GET", "/", *headers)[0] == 400


@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/prefix/graphql"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_graphql_by_get_is_refused(method: str, path: str) -> None:
    for accept in ([], [("accept", "*/*")], [("accept", "image/avif,image/webp,*/*;q=0.8")]):
        assert http(method, path, _HOST, *accept, query="query=mutation{stopSensor}")[0] == 405
        assert http(method, path, _HOST, *accept, ("sec-fetch-site", "same-origin"), query="query={x}")[0] == 405


def test_the_page_to_write_queries_stays() -> None:
    assert http("GET", "/graphql", _HOST, _HTML)[0] == 200
    # Only the first header counts for Dagster's framework, so it must be the one that is looked at.
    assert http("GET", "/graphql", _HOST, ("accept", "*/*"), _HTML, query="query={x}")[0] == 405


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "text/plain;application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/graphql", "application/jsonp", ""],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/graphql", "/report_asset_materialization/silver/listen_events"])
def test_a_post_of_anything_but_json_is_refused(path: str, content_type: str) -> None:
    assert http("POST", path, _HOST, ("content-type", content_type), query="query=mutation{x}")[0] == 415
    assert http("POST", path, _HOST, query="query=mutation{x}")[0] == 415
    assert http("POST", path, _HOST, _JSON, ("content-type", content_type))[0] == 415


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_a_post_of_json_passes_from_the_own_page_and_from_commands(content_type: str) -> None:
    own = ("content-type", content_type)
    assert http("POST", "/graphql", _HOST, own)[0] == 200
    assert http("POST", "/graphql", _HOST, own, _OWN, ("sec-fetch-site", "same-origin"))[0] == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"])
def test_other_methods_are_refused(method: str) -> None:
    assert http(method, "/graphql", _HOST, _JSON)[0] == 405


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:26998", "http://127.0.0.1:3001", "http://127.0.0.1", "http://localhost:3000", "http://evil.example:3000",
     "https://evil.example", "null", "", "file://", "http://127.0.0.1:3000.evil.example", "http://evil@127.0.0.1:3000",
     "chrome-extension://127.0.0.1:3000"],
)  # fmt: skip
def test_requests_of_other_origins_are_refused(origin: str) -> None:
    assert http("POST", "/graphql", _HOST, _JSON, ("origin", origin))[0] == 403
    assert http("GET", "/server_info", _HOST, ("origin", origin))[0] == 403
    assert websocket(_HOST, ("origin", origin)) == ["websocket.close"]


def test_one_foreign_origin_of_two_is_enough() -> None:
    assert http("POST", "/graphql", _HOST, _JSON, _OWN, ("origin", "http://evil.example"))[0] == 403


@pytest.mark.parametrize(
    ("host", "origin"),
    [("127.0.0.1:3000", "http://127.0.0.1:3000"), ("dagster.example.org", "https://dagster.example.org"),
     ("dagster.example.org", "http://dagster.example.org"), ("dagster.example.org:443", "https://dagster.example.org"),
     ("[::1]:3000", "http://[::1]:3000")],
)  # fmt: skip
def test_the_own_origin_passes_also_behind_a_proxy_with_tls(host: str, origin: str) -> None:
    assert (
        http("POST", "/graphql", ("host", host), _JSON, ("origin", origin), allowed=["dagster.example.org"])[0] == 200
    )


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_other_sites_open_pages_and_do_nothing_else(site: str) -> None:
    page = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"))
    told = ("sec-fetch-site", site)
    assert http("GET", "/assets", _HOST, _HTML, told, *page)[0] == 200
    assert http("GET", "/assets", _HOST, told, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image"))[0] == 403
    assert http("GET", "/assets", _HOST, _HTML, told, page[0], ("sec-fetch-dest", "iframe"))[0] == 403
    assert http("GET", "/assets", _HOST, told)[0] == 403
    assert http("POST", "/graphql", _HOST, _JSON, told, *page)[0] == 403
    assert http("GET", "/graphql", _HOST, ("accept", "*/*"), told, *page)[0] == 405
    assert websocket(_HOST, _OWN, told, *page) == ["websocket.close"]


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_what_the_ui_and_the_address_bar_ask_for_passes(site: str) -> None:
    told = ("sec-fetch-site", site)
    assert http("GET", "/assets", _HOST, told, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script"))[0] == 200
    assert websocket(_HOST, _OWN, told) == ["websocket.accept"]
    assert websocket(_HOST) == ["websocket.accept"]  # a command sends no origin


def test_answers_bear_the_headers_that_are_lacking() -> None:
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    headers = send_to_guard(scope)[0]["headers"]
    policies = [value for name, value in headers if name == b"content-security-policy"]
    assert policies[0] == b"script-src 'nonce-1'"  # Dagster's own stays, with its nonce
    assert b"img-src 'self'" in policies[1]
    assert b"frame-ancestors 'none'" in policies[1]
    assert [value for name, value in headers if name.lower() == b"referrer-policy"] == [b"no-referrer"]
    assert {b"x-frame-options", b"x-content-type-options"} < {name for name, _ in headers}


def test_a_refusal_is_plain_text_and_repeats_no_markup() -> None:
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"<b>evil</b>")]}
    start, body = send_to_guard(scope)
    assert (start["status"], dict(start["headers"])[b"content-type"]) == (400, b"text/plain; charset=utf-8")
    assert b"<" not in body["body"]


def test_beginning_and_end_of_the_server_pass() -> None:
    reached: list[str] = []

    async def application(scope: Scope, _receive: Receive, _send: Send) -> None:
        reached.append(scope["type"])

    async def nothing(*_: object) -> Any:
        return None

    asyncio.run(RequestGuard(application)({"type": "lifespan"}, nothing, nothing))
    assert reached == ["lifespan"]
