"""The settings for TLS and basic authentication, asked of an HTTPS server of this process with a certificate of its own.

Only the client's side is tested: the server answers one path as Druid's router would, and no Druid runs.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import trustme

from music_platform.errors import DruidRequestRefusedError, DruidUnreachableError, MusicPlatformError
from music_platform.serving.druid.client import DruidResource
from music_platform.settings import Settings

_USER, _PASSWORD = "dagster", "pass:wörd€"
_AUTHORIZATION = "Basic " + base64.b64encode(f"{_USER}:{_PASSWORD}".encode()).decode()


@dataclass
class Router:
    """The server: its address, the authority that signed its certificate, and the headers that it was sent."""

    url: str
    authority: Path
    authorizations: list[str | None] = field(default_factory=list)

    def resource(self, **settings: object) -> DruidResource:
        return DruidResource(Settings.model_validate({"druid_url": self.url, "druid_retry_seconds": 5.0} | settings))


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Router]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            router.authorizations.append(self.headers["Authorization"])
            is_known = self.headers["Authorization"] == _AUTHORIZATION
            content = json.dumps([{"answer": 1}] if is_known else {"error": "Unauthorized"}).encode()
            self.send_response(200 if is_known else 401)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name that the library calls it by)
            """Nothing: what the client saw is what is asserted."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    router = Router(f"https://127.0.0.1:{server.server_port}", tmp_path / "authority.pem")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield router
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_named_authority_and_a_user_are_answered(router: Router) -> None:
    druid = router.resource(druid_ca_file=str(router.authority), druid_user=_USER, druid_password=_PASSWORD)
    assert druid.sql("SELECT 1 AS answer") == [{"answer": 1}]
    assert router.authorizations == [_AUTHORIZATION]


def test_an_unknown_authority_is_refused_before_a_password_is_sent(router: Router) -> None:
    druid = router.resource(druid_user=_USER, druid_password=_PASSWORD)
    with pytest.raises(DruidUnreachableError, match=r"is not trusted.*MUSIC_PLATFORM_DRUID_CA_FILE"):
        druid.sql("SELECT 1 AS answer")
    assert router.authorizations == []


def test_a_certificate_of_another_name_is_refused(router: Router) -> None:
    druid = router.resource(
        druid_url=router.url.replace("127.0.0.1", "localhost"), druid_ca_file=str(router.authority), druid_user=_USER
    )
    with pytest.raises(DruidUnreachableError, match="is not trusted"):
        druid.sql("SELECT 1 AS answer")
    assert router.authorizations == []


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_a_certificate_is_not_verified_where_the_settings_say_so(router: Router) -> None:
    druid = router.resource(druid_verify_tls=False, druid_user=_USER, druid_password=_PASSWORD)
    assert druid.sql("SELECT 1 AS answer") == [{"answer": 1}]


def test_a_wrong_password_fails_at_once_and_names_the_settings(router: Router) -> None:
    druid = router.resource(druid_ca_file=str(router.authority), druid_user=_USER, druid_password="wrong")
    with pytest.raises(DruidRequestRefusedError, match=r"HTTP 401.*MUSIC_PLATFORM_DRUID_PASSWORD") as refused:
        druid.sql("SELECT 1 AS answer")
    assert "wrong" not in str(refused.value)
    assert len(router.authorizations) == 1


def test_no_user_sends_no_credentials(router: Router) -> None:
    druid = router.resource(druid_ca_file=str(router.authority))
    with pytest.raises(DruidRequestRefusedError, match="MUSIC_PLATFORM_DRUID_USER"):
        druid.sql("SELECT 1 AS answer")
    assert router.authorizations == [None]


def test_a_file_without_certificates_is_named(router: Router, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate\n")
    druid = router.resource(druid_ca_file=str(empty))
    with pytest.raises(MusicPlatformError, match=r"empty\.pem.*MUSIC_PLATFORM_DRUID_CA_FILE"):
        druid.sql("SELECT 1 AS answer")
