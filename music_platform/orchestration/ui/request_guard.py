"""The guard before Dagster's UI: what a page of another site can make a browser send is refused. Knows nothing of Dagster's code.

Whoever may open the UI may do everything in it, and Dagster asks for no token: it takes mutations by GET, by POST with any
content type, and over WebSockets from any origin and under any host name. So a page in another tab could stop a sensor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

from music_platform.host_names import host_and_port

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

ALWAYS_ALLOWED_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
ALLOWED_HOSTS_VARIABLE = "MUSIC_PLATFORM_UI_ALLOWED_HOSTS"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_METHODS = ("GET", "HEAD", "POST")
_GRAPHQL = "/graphql"
_FROM_THIS_SITE = ("same-origin", "none")  # none: typed, or opened from a bookmark
_POLICY_VIOLATION = 1008

RESPONSE_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    # Beside Dagster's own policy, which says nothing of these; a browser keeps both.
    (
        b"content-security-policy",
        b"img-src 'self' data: blob:; media-src 'self'; font-src 'self' data:; connect-src 'self'; frame-src 'self'; "
        b"form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)


@dataclass(frozen=True)
class Refusal:
    """Why a request is not passed on: an HTTP status and a sentence for whoever sent it."""

    status: int
    reason: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class RequestGuard:
    """An ASGI application that passes on to another what comes from its own pages, and refuses the rest.

    ``allowed_hosts`` are the names by which the UI is reached, beside ``ALWAYS_ALLOWED_HOSTS``: exact and without port.
    """

    def __init__(self, application: Application, allowed_hosts: Collection[str] = ()) -> None:
        self._application = application
        self._hosts = ALWAYS_ALLOWED_HOSTS | {host.lower() for host in allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):  # the beginning and the end of the server
            await self._application(scope, receive, send)
            return
        refusal = refusal_of(scope, self._hosts)
        if refusal is None:
            await self._application(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()  # the request to open it; closed instead of accepted, it is answered with status 403
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": ""})
        else:
            await _respond(refusal, send)


def refusal_of(scope: Scope, hosts: Collection[str]) -> Refusal | None:
    """Why a request is refused; None for one that is passed on."""
    headers = _Headers(scope)
    return (
        _of_host(headers, hosts)
        or _of_origin(headers)
        or _of_site(scope, headers)
        or (_of_method(scope, headers) if scope["type"] == "http" else None)
    )


class _Headers:
    def __init__(self, scope: Scope) -> None:
        self._pairs: list[tuple[bytes, bytes]] = list(scope["headers"])

    def all(self, name: str) -> list[str]:
        return [value.decode("latin-1") for key, value in self._pairs if key.lower() == name.encode()]

    def first(self, name: str) -> str | None:
        """The one that Dagster's framework would take."""
        return next(iter(self.all(name)), None)


def _of_host(headers: _Headers, hosts: Collection[str]) -> Refusal | None:
    """A name that someone else's server resolved to this machine is no name of this UI (DNS rebinding)."""
    found = headers.all("host")
    named = host_and_port(found[0]) if len(found) == 1 else None
    if named is None:
        return Refusal(400, "The request must name one host.")
    if named[0] in hosts:
        return None
    return Refusal(
        421,
        f"This UI is not served as '{named[0]}'. Where that is its name, add it to {ALLOWED_HOSTS_VARIABLE} (host names, "
        "separated by commas) and start the UI again.",
    )


def _of_origin(headers: _Headers) -> Refusal | None:
    """A browser names the page that sends a POST or opens a WebSocket: it must be one of this very host and port."""
    host = host_and_port(headers.all("host")[0])
    for origin in headers.all("origin"):
        scheme, _, authority = origin.partition("://")
        named = host_and_port(authority)
        default = _DEFAULT_PORTS.get(scheme)
        if (
            host is None
            or named is None
            or default is None
            or (named[0], named[1] or default) != (host[0], host[1] or default)
        ):
            return Refusal(
                403,
                "Requests of other sites' pages are refused. Where a proxy stands before the UI, it must pass the Host header "
                "on as it came.",
            )
    return None


def _of_site(scope: Scope, headers: _Headers) -> Refusal | None:
    """Browsers say of a request whether another site made it. Such a one may open a page, and do nothing else."""
    if all(site in _FROM_THIS_SITE for site in headers.all("sec-fetch-site")):
        return None
    opens_a_page = (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and headers.all("sec-fetch-mode") == ["navigate"]
        and headers.all("sec-fetch-dest") == ["document"]
    )
    return None if opens_a_page else Refusal(403, "Requests of other sites' pages are refused.")


def _of_method(scope: Scope, headers: _Headers) -> Refusal | None:
    """A request that changes something is a POST of JSON, which no other site's page can send unasked."""
    method, path = scope["method"], scope["path"].rstrip("/")
    if method not in _METHODS:
        return Refusal(405, f"{method} is not allowed.", ((b"allow", ", ".join(_METHODS).encode()),))
    if method == "POST":
        content_type = (headers.first("content-type") or "").partition(";")[0].strip().lower()
        if content_type != "application/json" or len(headers.all("content-type")) != 1:
            return Refusal(415, "A POST must have the content type application/json.")
    elif path.endswith(_GRAPHQL) and "text/html" not in (
        headers.first("accept") or ""
    ):  # with it, a page to write queries
        return Refusal(405, "GraphQL is sent by POST.", ((b"allow", b"POST"),))
    return None


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_lacking(message)]
        await send(message)

    return send_with_headers


def _lacking(message: Message) -> Iterator[tuple[bytes, bytes]]:
    present = {bytes(name).lower() for name, _ in message.get("headers", ())}
    return (
        (name, value) for name, value in RESPONSE_HEADERS if name == b"content-security-policy" or name not in present
    )


async def _respond(refusal: Refusal, send: Send) -> None:
    body = f"{refusal.reason}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *refusal.headers,
        *RESPONSE_HEADERS,
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
