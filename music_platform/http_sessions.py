"""Sessions of HTTP clients: the certificates that they trust and the requests that they repeat."""

from __future__ import annotations

import ssl
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
