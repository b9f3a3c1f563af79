"""Sessions of HTTP clients: the certificates that they trust and the requests that they repeat."""

from __future__ import annotations

import socket
import ssl
from http.client import HTTPException
from typing import Any

import requests
from requests.adapters import HTTPAdapter


class _TrustingAdapter(HTTPAdapter):
    """Trusts the machine's own authorities too, such as a company's proxy; requests alone brings a list of its own."""

    def __init__(self, context: ssl.SSLContext, connections: int) -> None:
        self._context = context
        super().__init__(pool_maxsize=connections)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=self._context)

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        return super().proxy_manager_for(*arguments, **options, ssl_context=self._context)


def new_session(*, ca_file: str = "", verify_tls: bool = True, connections: int = 10) -> requests.Session:
    """A session that trusts the machine's authorities and those of a PEM file.

    Raises ``OSError`` when that file cannot be read, also where it holds no certificate.
    """
    session = requests.Session()
    if verify_tls:
        context = ssl.create_default_context()
        if ca_file:
            context.load_verify_locations(cafile=ca_file)
        session.mount("https://", _TrustingAdapter(context, connections))
    else:
        session.verify = False
    session.mount("http://", HTTPAdapter(pool_maxsize=connections))
    return session


def why_unanswered(error: requests.RequestException) -> str:
    """Why no answer came, in words; the error's own text names pools and objects of the client."""
    if isinstance(error, requests.Timeout):
        return "it took too long"
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    if isinstance(cause, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(cause, socket.gaierror):
        return "there is no host of that name"
    if isinstance(cause, ConnectionError | HTTPException):
        return "the connection was closed"
    return f"{type(cause).__name__}: {cause}"
