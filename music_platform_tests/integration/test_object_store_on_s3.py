"""The object store on S3: with whose credentials it asks and where, and what it says of a bucket that is not there."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from music_platform.errors import LakeUnreachableError
from music_platform.lake.object_store import ObjectStore
from music_platform.settings import Settings

_OPERATIONS: dict[str, Callable[[ObjectStore], object]] = {
    "read 'folder/object'": lambda store: store.get("folder/object"),
    "read 'folder/manifest'": lambda store: store.get_with_etag("folder/manifest"),
    "list 'folder'": lambda store: list(store.list("folder")),
    "write 'folder/object'": lambda store: store.put("folder/object", b"new"),
    "write 'folder/manifest'": lambda store: store.replace("folder/manifest", b"new", None),
    "delete 'folder/object'": lambda store: store.delete(["folder/object"]),
}


@dataclass
class _Listener:
    """A server that answers each request with an object, and remembers what it was asked."""

    url: str
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[_Listener]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(200)
            for name, value in (
                ("Content-Length", "5"),
                ("ETag", '"tag"'),
                ("Last-Modified", "Sun, 01 Nov 2026 05:00:00 GMT"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"whole")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = _Listener(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def _settings(endpoint: str, **others: object) -> Settings:
    values: dict[str, object] = {"lake": "s3://bucket/lake", "s3_endpoint": endpoint, "s3_retry_seconds": 2.0}
    return Settings(**(values | others))  # type: ignore[arg-type]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's AWS session in the environment of the process."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "shell",
        "AWS_SECRET_ACCESS_KEY": "shell-secret",
        "AWS_SESSION_TOKEN": "shell-token",
    }.items():
        monkeypatch.setenv(name, value)


def test_with_an_access_key_nothing_of_the_shells_credentials_is_sent(
    shell: None, listener: _Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    settings = _settings(listener.url, s3_access_key_id="configured", s3_secret_access_key=SecretStr("secret"))
    store = ObjectStore.from_settings(settings)
    for _ in range(3):
        assert pickle.loads(pickle.dumps(store)).get("object") == b"whole"  # workers get a pickled one
    assert len(listener.headers) == 3
    for headers in listener.headers:
        assert "Credential=configured/" in headers["authorization"]
        assert "x-amz-security-token" not in headers


def test_without_an_access_key_the_shells_session_is_used(shell: None, listener: _Listener) -> None:
    assert ObjectStore.from_settings(_settings(listener.url)).get("object") == b"whole"
    assert "Credential=shell/" in listener.headers[0]["authorization"]
    assert listener.headers[0]["x-amz-security-token"] == "shell-token"


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_no_endpoint_of_the_shell_takes_the_place_of_the_settings(
    listener: _Listener, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "shell")
    monkeypatch.setenv(variable, listener.url)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    # A lake of its own each time, because a store once opened is kept.
    elsewhere = _settings("http://127.0.0.1:1", lake=f"s3://bucket/{variable}", s3_retry_seconds=0.2)
    with pytest.raises(LakeUnreachableError, match=r"127\.0\.0\.1:1"):
        ObjectStore.from_settings(elsewhere).get("object")
    assert os.environ[variable] == listener.url  # other libraries in the process still find it
    assert listener.headers == []


@pytest.mark.parametrize("operation", _OPERATIONS)
def test_a_bucket_that_does_not_exist_is_named(s3_settings: Callable[..., Settings], operation: str) -> None:
    store = ObjectStore.from_settings(s3_settings(lake="s3://mistyped/lake"))
    with pytest.raises(LakeUnreachableError, match=f"cannot {operation} .*: there is no bucket 'mistyped'"):
        _OPERATIONS[operation](store)


def test_an_object_that_does_not_exist_is_none(s3_settings: Callable[..., Settings]) -> None:
    store = ObjectStore.from_settings(s3_settings())
    assert store.get("folder/object") is None
    assert list(store.list("folder")) == []


def test_keys_that_none_should_have_are_listed_with_the_others(s3_settings: Callable[..., Settings]) -> None:
    import boto3

    settings = s3_settings()
    store = ObjectStore.from_settings(settings)
    store.put("landing/a/good", b"1")
    bucket, _, base = settings.lake.removeprefix("s3://").partition("/")
    client = boto3.client(
        "s3", region_name=settings.s3_region, endpoint_url=settings.s3_endpoint_url,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=settings.s3_secret_access_key.get_secret_value(),
    )  # fmt: skip
    for key in ("landing/a//odd", "landing//odd", "landing/a/./odd"):
        client.put_object(Bucket=bucket, Key=f"{base}/{key}".lstrip("/"), Body=b"22")
    found = {stored.key: stored for stored in store.list("landing")}
    assert set(found) == {"landing/a/good", "landing/a//odd", "landing//odd", "landing/a/./odd"}
    assert found["landing/a//odd"].size == 2
    read = store.get_with_etag("landing/a/good")
    assert read is not None
    assert found["landing/a/good"].etag == read[1]
    assert store.folders("landing") == ["a"]
