"""Requests to Druid's router: credentials, trust, retries, and the words in which Druid refuses."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth

from music_platform.errors import DruidRequestRefusedError, DruidUnreachableError, MusicPlatformError
from music_platform.http_sessions import new_session, why_unanswered
from music_platform.settings import Settings

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 10.0
_MOST_REDIRECTS = 5  # services that have just started can send a request in circles
_RAISES: Any = object()
# A service that is starting, restarting or overloaded. 500 is among them only where Druid says that it lacks a server:
# it answers a query that it cannot carry out with 500 too.
_TRANSIENT = {429, 502, 503, 504}
_LOST_SERVER = (
    "Faulty channel",
    "Channel disconnected",
    "Connection refused",
    "Connection reset",
    "No default server",
    "no available brokers",
)
_LONGEST_TEXT = 2000
_NO_SEGMENTS = "No used segment found"


@dataclass(frozen=True)
class _Wanted:
    """What an answer must be: an object or a list, with a key or none; and what stands for it where nothing is there."""

    form: type[dict[Any, Any]] | type[list[Any]]
    key: str | None
    absent: Any

    @property
    def may_be_absent(self) -> bool:
        return self.absent is not _RAISES

    def is_met_by(self, content: Any) -> bool:
        return isinstance(content, self.form) and (self.key is None or self.key in content)


class DruidRequests:
    """A router of Druid, asked until it answers or the settings' time is over."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.druid_router
        self._is_local = not settings.druid_url
        self._retry_seconds = settings.druid_retry_seconds
        try:
            self._session = new_session(ca_file=settings.druid_ca_file, verify_tls=settings.druid_verify_tls)
        except OSError as error:
            raise MusicPlatformError(
                f"the certificates in {settings.druid_ca_file} cannot be read: {error}. Check MUSIC_PLATFORM_DRUID_CA_FILE."
            ) from error
        self._session.max_redirects = _MOST_REDIRECTS
        if urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1"):
            self._session.trust_env = False  # no proxy of the shell stands between this machine and itself
        if settings.druid_user:
            # As bytes in UTF-8, as RFC 7617 has it: requests takes a text for Latin-1, and refuses other letters.
            password = settings.druid_password.get_secret_value().encode()
            self._session.auth = HTTPBasicAuth(settings.druid_user.encode(), password)

    def get(
        self, path: str, query: Mapping[str, str] | None = None, *, absent: Any = _RAISES, key: str | None = None
    ) -> Any:
        """The JSON object at a path, which must have the key; ``absent`` where Druid answers that nothing is there."""
        wanted = _Wanted(dict, key, absent)
        return self._ask("GET", path, wanted, self._retry_seconds, _READ_SECONDS, params=query)

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        absent: Any = _RAISES,
        retry_seconds: float | None = None,
        timeout: float = _READ_SECONDS,
        form: type[dict[Any, Any]] | type[list[Any]] = dict,
        key: str | None = None,
    ) -> Any:
        """The JSON that answers a body: an object, which must have the key, or (``form``) a list.

        The body is sent again when no answer came, so it must be safe to take twice.
        """
        wanted = _Wanted(form, key, absent)
        return self._ask("POST", path, wanted, retry_seconds or self._retry_seconds, timeout, json=body)

    def refuses_without_login(self, path: str) -> bool:
        """Whether Druid refuses a path to those who send no login."""
        try:
            # A function that adds nothing: without one, requests would take a login from a .netrc.
            answer = self._session.get(f"{self.url}{path}", timeout=_CONNECT_SECONDS, auth=lambda request: request)
        except requests.RequestException as error:
            raise DruidUnreachableError(
                f"Druid at {self.url} did not answer GET {path}: {why_unanswered(error)}. {self._advice}"
            ) from error
        return answer.status_code in (requests.codes.unauthorized, requests.codes.forbidden)

    def _ask(
        self, method: str, path: str, wanted: _Wanted, retry_seconds: float, timeout: float, **content: Any
    ) -> Any:
        deadline = time.monotonic() + retry_seconds
        pause = _FIRST_WAIT_SECONDS
        while True:
            try:
                answer = self._session.request(
                    method, f"{self.url}{path}", timeout=(_CONNECT_SECONDS, timeout), **content
                )
            except requests.exceptions.SSLError as error:
                raise DruidUnreachableError(
                    f"the certificate of Druid at {self.url} is not trusted: {error}. Name its authority by "
                    "MUSIC_PLATFORM_DRUID_CA_FILE."
                ) from error
            except (requests.ConnectionError, requests.Timeout, requests.TooManyRedirects) as error:
                problem, cause = why_unanswered(error), error
            else:
                if not _is_transient(answer):
                    return self._content_of(answer, path, wanted)
                problem, cause = f"HTTP {answer.status_code}: {_text_of(answer)}", None
            if time.monotonic() + pause > deadline:
                raise DruidUnreachableError(
                    f"Druid at {self.url} did not answer {method} {path} within {retry_seconds:g} s: {problem}. {self._advice}"
                ) from cause
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_WAIT_SECONDS)

    def _content_of(self, answer: requests.Response, path: str, wanted: _Wanted) -> Any:
        if answer.ok:
            return self._json_of(answer, path, wanted)
        if answer.status_code == requests.codes.not_found and wanted.may_be_absent:
            return wanted.absent
        if answer.status_code in (requests.codes.unauthorized, requests.codes.forbidden):
            raise DruidRequestRefusedError(
                f"Druid at {self.url} refused {path} (HTTP {answer.status_code}): check MUSIC_PLATFORM_DRUID_USER, "
                "MUSIC_PLATFORM_DRUID_PASSWORD and the rights of that user"
            )
        raise DruidRequestRefusedError(
            f"Druid at {self.url} refused {path} (HTTP {answer.status_code}): {_text_of(answer)}"
        )

    def _json_of(self, answer: requests.Response, path: str, wanted: _Wanted) -> Any:
        if wanted.may_be_absent and _says_that_nothing_is_there(answer):
            return wanted.absent
        try:
            content = answer.json()
        except requests.JSONDecodeError:
            content = None
        if not wanted.is_met_by(content):
            text = answer.text.strip()[:_LONGEST_TEXT] or "nothing"
            raise DruidRequestRefusedError(
                f"{self.url} answered {path} with HTTP {answer.status_code} and not with the JSON that Druid sends: {text}. "
                "Does another server, a proxy or a page of a login answer there? Check MUSIC_PLATFORM_DRUID_URL."
            )
        return content

    @property
    def _advice(self) -> str:
        if self._is_local:
            return "Start it: ./run music-platform druid up; if it runs, ./run music-platform druid status says what it lacks."
        return "Check MUSIC_PLATFORM_DRUID_URL, and whether its router, broker and coordinator are up."


def error_text(texts: Iterable[Any]) -> str:
    """The first text that there is, without the frames of its stack; Druid's own log has those."""
    text = next((str(text) for text in texts if text), "it tells no reason; its log has more")
    lines = [line for line in text.splitlines() if not line.startswith(("\tat ", "\t...", "    at "))]
    return " ".join(line.strip() for line in lines)[:_LONGEST_TEXT]


def _says_that_nothing_is_there(answer: requests.Response) -> bool:
    """Of a datasource without segments Druid says nothing, of an interval without any it says so in plain text."""
    return answer.status_code == requests.codes.no_content or answer.text.startswith(_NO_SEGMENTS)


def _is_transient(answer: requests.Response) -> bool:
    if answer.status_code == requests.codes.server_error:
        return any(sign in answer.text for sign in _LOST_SERVER)
    return answer.status_code in _TRANSIENT


def _text_of(answer: requests.Response) -> str:
    """What Druid says is wrong; its errors come as JSON of several forms, or as a page."""
    try:
        content = answer.json()
    except requests.JSONDecodeError:
        return error_text([answer.text])
    if not isinstance(content, dict):
        return error_text([content])
    return error_text([content.get("errorMessage"), content.get("error"), content])
