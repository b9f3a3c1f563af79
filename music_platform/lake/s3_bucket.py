"""A lake in an S3 bucket: opens the bucket, and repeats requests that obstore does not repeat."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import obstore
from obstore.store import S3Store

from music_platform.lake.stored_objects import StoreBackend, StoredObject
from music_platform.lake_location import LakeLocation
from music_platform.settings import without_foreign_s3_endpoint

_LONGEST_REQUEST_SECONDS = 60.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0
_Result = TypeVar("_Result")


class S3Bucket(StoreBackend):
    """The objects of a bucket below a prefix. ``options`` are those of obstore's S3Store."""

    def __init__(self, url: str, options: Mapping[str, Any], retry_seconds: float) -> None:
        self._url = url
        self._options = options
        self._retry_seconds = retry_seconds

    def _open(self) -> S3Store:
        options = dict(self._options)
        # Half, so that a request without an answer is tried again as well.
        timeout = timedelta(seconds=min(_LONGEST_REQUEST_SECONDS, self._retry_seconds / 2))
        client_options: Any = dict(options.pop("client_options", ())) | {"timeout": timeout}
        if "access_key_id" in options:
            # As options, a key pair would be completed by a session token from the environment.
            credential = {
                "access_key_id": options.pop("access_key_id"),
                "secret_access_key": options.pop("secret_access_key"),
                "token": None,
                "expires_at": None,
            }
            options |= {"credential_provider": lambda: credential, "skip_signature": False}
        with without_foreign_s3_endpoint(options["endpoint"]):
            return S3Store.from_url(
                self._url,
                client_options=client_options,
                retry_config={
                    # Only the time ends it: no pause is shorter than the first.
                    "max_retries": math.ceil(self._retry_seconds / _FIRST_PAUSE_SECONDS),
                    "retry_timeout": timedelta(seconds=self._retry_seconds),
                    "backoff": {
                        "init_backoff": timedelta(seconds=_FIRST_PAUSE_SECONDS),
                        "max_backoff": timedelta(seconds=_LONGEST_PAUSE_SECONDS),
                        "base": 3,  # of a random pause up to so many times the last: with 2 they would hardly grow
                    },
                },
                **options,
            )

    def put(self, key: str, content: bytes) -> str:
        return obstore.put(self.store, key, content)["e_tag"] or ""

    def replace(self, key: str, content: bytes, expected_etag: str | None) -> bool:
        """A conditional PUT (If-Match, If-None-Match)."""
        mode: Any = "create" if expected_etag is None else {"e_tag": expected_etag}
        try:
            self._insist(lambda: obstore.put(self.store, key, content, mode=mode))
        except (obstore.exceptions.AlreadyExistsError, obstore.exceptions.PreconditionError):
            stored = self.get_with_etag(key)
            return stored is not None and stored[0] == content
        return True

    def list(self, prefix: str) -> Iterator[StoredObject]:
        try:
            found = self._insist(lambda: obstore.list(self.store, prefix.rstrip("/") or None).collect())
        except obstore.exceptions.InvalidPathError:
            return self._list_any(prefix)
        return map(_stored_object, found)

    def list_level(self, prefix: str) -> tuple[list[str], list[StoredObject]]:
        try:
            found = self._insist(lambda: obstore.list_with_delimiter(self.store, prefix.rstrip("/") or None))
        except obstore.exceptions.InvalidPathError:
            below = len(prefix.rstrip("/")) + 1 if prefix else 0
            stored = list(self._list_any(prefix))
            folders = {found.key[below:].partition("/")[0] for found in stored if "/" in found.key[below:]}
            return sorted(folders - {""}), [found for found in stored if "/" not in found.key[below:]]
        folders = sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found["common_prefixes"])
        return folders, list(map(_stored_object, found["objects"]))

    def delete(self, keys: list[str]) -> None:
        self._insist(lambda: obstore.delete(self.store, keys))

    def _list_any(self, prefix: str) -> Iterator[StoredObject]:
        """As ``list``, for a bucket with a key that obstore refuses, such as one with two slashes in a row.

        Such objects can be listed but not read.
        """
        import boto3  # rarely needed, and slow to load

        client: Any = boto3.client(
            "s3",
            region_name=self._options["region"],
            endpoint_url=self._options["endpoint"],
            aws_access_key_id=self._options.get("access_key_id"),
            aws_secret_access_key=self._options.get("secret_access_key"),
        )
        place = LakeLocation.parse(self._url)
        base = place.key_prefix
        folder = f"{base}{prefix.rstrip('/')}/" if prefix else base
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=folder):
            for found in page.get("Contents", ()):
                key = found["Key"].removeprefix(base)
                yield StoredObject(key, found["Size"], found["ETag"] or "", found["LastModified"])

    def _insist(self, request: Callable[[], _Result]) -> _Result:
        """Repeat a request whose connection broke.

        obstore repeats requests that failed with an answer. It does not repeat a conditional PUT or a deletion, since it cannot
        know that they are safe to repeat here, nor a listing that broke off within its answer.
        """
        deadline, pause = time.monotonic() + self._retry_seconds, _FIRST_PAUSE_SECONDS
        while True:
            try:
                return request()
            except obstore.exceptions.GenericError as error:
                # Only the text distinguishes a broken connection from a refusal.
                if "HTTP error" not in str(error) or time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _stored_object(meta: Any) -> StoredObject:
    return StoredObject(meta["path"], meta["size"], meta["e_tag"] or "", meta["last_modified"])
