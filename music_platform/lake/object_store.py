"""The lake's object store: a local folder or an S3 bucket behind one interface (obstore).

Objects only: what they mean (landing layout, manifests, Parquet) is known elsewhere. A location is small and picklable, so
that workers of any engine can open the same store.
"""

from __future__ import annotations

import fcntl
import io
import math
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import obstore
from obstore.store import LocalStore, S3Store

from music_platform.errors import LakeUnreachableError
from music_platform.lake_location import LakeLocation
from music_platform.settings import Settings, without_foreign_s3_endpoint

_LONGEST_REQUEST_SECONDS = 60.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0
_NO_BUCKET = "<Code>NoSuchBucket</Code>"  # S3's answer
_HALF_WRITTEN_SECONDS = 3600.0  # no write takes that long
_HALF_WRITTEN = re.compile(r"\..+\.[0-9a-f]{32}")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class StoredObject:
    """One object of the lake: its key relative to the lake, size in bytes, entity tag and time of last change.

    A local folder has no entity tags. There it is made of size and time of last change, which a copy of the lake (``cp -a``)
    keeps; it is not the one that ``get_with_etag`` gives and ``replace`` takes, which tells even writes of one moment apart.
    """

    key: str
    size: int
    etag: str
    last_modified: datetime


def is_half_written(key: str) -> bool:
    """Whether the name is that of a file which a write to a local lake left when it was killed."""
    return _HALF_WRITTEN.fullmatch(key.rpartition("/")[2]) is not None


@dataclass(frozen=True)
class ObjectStore:
    """Objects below one location, by keys relative to it.

    Transient failures (broken connections, HTTP 5xx, throttling) are retried with exponential backoff for ``retry_seconds``;
    then ``LakeUnreachableError`` names the operation, the object and the location.
    """

    location: str
    options: tuple[tuple[str, Any], ...] = field(default=(), repr=False)  # holds the secret key
    retry_seconds: float = 180.0

    @classmethod
    def from_settings(cls, settings: Settings) -> ObjectStore:
        options = settings.object_store_options()
        client_options = tuple(options.pop("client_options", {}).items())
        items = tuple(options.items())
        return cls(settings.lake, items + (("client_options", client_options),) * bool(client_options),
                   settings.s3_retry_seconds)  # fmt: skip

    @property
    def _place(self) -> LakeLocation:
        return LakeLocation.parse(self.location)

    @property
    def is_local(self) -> bool:
        return self._place.is_local

    def url(self, key: str) -> str:
        """The address by which an engine or another tool opens an object."""
        return f"{self.location}/{key}"

    def put(self, key: str, content: bytes) -> str:
        """Store an object whole (readers see the old or the new one) and return its entity tag."""
        with self._failures("write", key):
            if self.is_local:
                return self._put_local(key, content)
            return obstore.put(self._store, key, content)["e_tag"] or ""

    def get(self, key: str) -> bytes | None:
        """The content of an object; ``None`` when there is none."""
        found = self.get_with_etag(key)
        return None if found is None else found[0]

    def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        """The content and entity tag of an object; ``None`` when there is none."""
        with self._failures("read", key):
            try:
                result = obstore.get(self._store, key)
            except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
                if _NO_BUCKET in str(error):
                    raise
                return None
            return bytes(result.bytes()), result.meta["e_tag"] or ""

    def replace(self, key: str, content: bytes, expected_etag: str | None) -> bool:
        """Compare and swap: store the object only if its entity tag is still the expected one.

        ``None`` expects no object. Returns False, and stores nothing, when somebody else was faster. On S3 this is a
        conditional PUT (If-Match, If-None-Match). A local folder offers no such thing; there a lock file serializes
        the comparison and the rename among the processes of one machine.

        ``content`` should be like no other's: where an answer of S3 is lost and the repeated request is refused, the
        content that is stored tells whether it was this very call that stored it.
        """
        if not self.is_local:
            with self._failures("write", key):
                mode: Any = "create" if expected_etag is None else {"e_tag": expected_etag}
                try:
                    self._insist(lambda: obstore.put(self._store, key, content, mode=mode))
                except (obstore.exceptions.AlreadyExistsError, obstore.exceptions.PreconditionError):
                    stored = self.get_with_etag(key)
                    return stored is not None and stored[0] == content
                return True
        with self._local_lock():
            found = self.get_with_etag(key)
            if (None if found is None else found[1]) != expected_etag:
                return False
            self.put(key, content)
            return True

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """The objects whose keys begin with the folder ``prefix``, in no promised order."""
        with self._failures("list", prefix):
            try:
                found = self._insist(lambda: obstore.list(self._store, prefix.rstrip("/") or None).collect())
            except obstore.exceptions.InvalidPathError:
                yield from self._walk(prefix) if self.is_local else self._list_any(prefix)
                return
        yield from map(self._stored_object, found)

    def folders(self, prefix: str) -> list[str]:
        """The names of the folders right below the folder ``prefix``, sorted; what lies in them is not listed."""
        return self.list_level(prefix)[0]

    def list_level(self, prefix: str) -> tuple[list[str], list[StoredObject]]:
        """The names of the folders right below the folder ``prefix``, sorted, and the objects that lie directly in it."""
        with self._failures("list", prefix):
            try:
                found = self._insist(lambda: obstore.list_with_delimiter(self._store, prefix.rstrip("/") or None))
            except obstore.exceptions.InvalidPathError:
                if self.is_local:
                    return self._scan(prefix)
                below = len(prefix.rstrip("/")) + 1 if prefix else 0
                stored = list(self._list_any(prefix))
                folders = {found.key[below:].partition("/")[0] for found in stored if "/" in found.key[below:]}
                return sorted(folders - {""}), [found for found in stored if "/" not in found.key[below:]]
        folders = sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found["common_prefixes"])
        return folders, [self._stored_object(meta) for meta in found["objects"]]

    def _list_any(self, prefix: str) -> Iterator[StoredObject]:
        """As ``list``, of a bucket with a key that obstore takes for none, such as one with two slashes in a row.

        Such objects can be listed, and not read.
        """
        import boto3  # rarely needed, and slow to load

        options = dict(self.options)
        keys = {
            "aws_access_key_id": options.get("access_key_id"),
            "aws_secret_access_key": options.get("secret_access_key"),
        }
        client: Any = boto3.client("s3", region_name=options["region"], endpoint_url=options["endpoint"], **keys)
        bucket, base = self._place.bucket, self._place.key_prefix
        folder = f"{base}{prefix.rstrip('/')}/" if prefix else base
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder):
            for found in page.get("Contents", ()):
                meta = {"path": found["Key"].removeprefix(base), "size": found["Size"], "e_tag": found["ETag"],
                        "last_modified": found["LastModified"]}  # fmt: skip
                yield self._stored_object(meta)

    def _walk(self, prefix: str) -> Iterator[StoredObject]:
        """As ``list``, of a local folder with a name that no object can have: such files can be listed, and not read."""
        folders, objects = self._scan(prefix)
        yield from objects
        for name in folders:
            yield from self._walk(f"{prefix.rstrip('/')}/{name}".lstrip("/"))

    def _scan(self, prefix: str) -> tuple[list[str], list[StoredObject]]:
        """As ``list_level``; bytes of a name that are not UTF-8 become lone surrogates, as Python has it."""
        folders, objects = [], []
        with os.scandir(Path(self.location, prefix)) as entries:
            for entry in sorted(entries, key=lambda found: found.name):
                if entry.is_dir():
                    folders.append(entry.name)
                    continue
                about = entry.stat()
                meta = {
                    "path": f"{prefix.rstrip('/')}/{entry.name}".lstrip("/"),
                    "size": about.st_size,
                    "e_tag": None,
                    "last_modified": datetime.fromtimestamp(about.st_mtime_ns // 1000 / 1e6, UTC),
                }
                objects.append(self._stored_object(meta))
        return folders, objects

    def _stored_object(self, meta: Any) -> StoredObject:
        etag = f"{meta['last_modified'].timestamp():.6f}-{meta['size']}" if self.is_local else meta["e_tag"] or ""
        return StoredObject(meta["path"], meta["size"], etag, meta["last_modified"])

    def delete(self, keys: list[str]) -> None:
        """Delete objects; those that are gone already are no failure."""
        if not keys:
            return
        with self._failures("delete", keys[0]):
            if not self.is_local:
                self._insist(lambda: obstore.delete(self._store, keys))
                return
            for key in keys:  # a local delete of several stops at the first that is gone
                Path(self.location, key).unlink(missing_ok=True)

    def open(self, key: str) -> io.RawIOBase:
        """A seekable reader of one object, which requests only the ranges that are read."""
        with self._failures("read", key):
            return _ObjectReader(self, key, obstore.head(self._store, key)["size"])

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Some bytes of an object."""
        with self._failures("read", key):
            return bytes(obstore.get_range(self._store, key, start=start, length=length))

    @property
    def _store(self) -> LocalStore | S3Store:
        return _open_store(self)

    def _insist(self, request: Callable[[], _Result]) -> _Result:
        """Repeat a request whose connection broke.

        obstore repeats what failed with an answer, but no conditional PUT and no deletion, since it cannot know that they
        may be done twice here, and no listing that broke off within its answer.
        """
        deadline, pause = time.monotonic() + self.retry_seconds, _FIRST_PAUSE_SECONDS
        while True:
            try:
                return request()
            except obstore.exceptions.GenericError as error:
                # Only the text tells a broken connection from an answer that says no.
                if "HTTP error" not in str(error) or time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _put_local(self, key: str, content: bytes) -> str:
        """Write beside the object and rename: a kill leaves the old object or the new one.

        obstore would do the same, but hides what a killed process leaves half-written from every listing, so that
        nobody could sweep it.
        """
        path = Path(self.location, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_half_written(path.parent)
        half_written = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            half_written.write_bytes(content)
            half_written.replace(path)
        except OSError:
            half_written.unlink(missing_ok=True)
            raise
        return obstore.head(self._store, key)["e_tag"] or ""

    @contextmanager
    def _failures(self, operation: str, key: str) -> Iterator[None]:
        try:
            yield
        except (obstore.exceptions.BaseError, OSError) as error:
            reason = str(error).split("\n\nDebug source")[0]
            if _NO_BUCKET in reason:
                raise LakeUnreachableError(
                    f"cannot {operation} '{key}' in the lake {self.location}: there is no bucket '{self._place.bucket}'. Correct "
                    "MUSIC_PLATFORM_LAKE and MUSIC_PLATFORM_S3_ENDPOINT, or create the bucket."
                ) from error
            if isinstance(error, obstore.exceptions.InvalidPathError):
                raise LakeUnreachableError(
                    f"cannot {operation} '{key}' in the lake {self.location}: {reason}. An object there has a name that none "
                    "should have; rename or remove it by the store's own tool."
                ) from error
            raise LakeUnreachableError(
                f"cannot {operation} '{key}' in the lake {self.location}: {reason}. Check that the lake is reachable, "
                "that the credentials may do this, and the disk's space; then run the same partitions again."
            ) from error

    @contextmanager
    def _local_lock(self) -> Iterator[None]:
        path = Path(self.location, ".publish.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # the kernel frees it when the process dies
            yield
        finally:
            os.close(handle)


class _ObjectReader(io.RawIOBase):
    def __init__(self, store: ObjectStore, key: str, size: int) -> None:
        self._store, self._key, self._size, self._position = store, key, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._position)
        if length <= 0:
            return 0
        buffer[:length] = self._store.read_range(self._key, self._position, length)
        self._position += length
        return length


@lru_cache(maxsize=4096)
def _sweep_half_written(folder: Path) -> None:
    """Remove what killed writes left in a folder; once a process, so that many writes cost one listing."""
    oldest_kept = time.time() - _HALF_WRITTEN_SECONDS
    with suppress(OSError), os.scandir(folder) as entries:  # what cannot be swept must not keep a write from its end
        for entry in entries:
            if is_half_written(entry.name) and entry.stat().st_mtime < oldest_kept:
                Path(entry.path).unlink()


@lru_cache(maxsize=8)
def _open_store(location: ObjectStore) -> LocalStore | S3Store:
    if location.is_local:
        return LocalStore(location.location, mkdir=True)
    options = dict(location.options)
    # Half, so that a request whose answer never comes is tried again as well.
    timeout = timedelta(seconds=min(_LONGEST_REQUEST_SECONDS, location.retry_seconds / 2))
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
            location.location,
            client_options=client_options,
            retry_config={
                # The time alone is to end it: no pause is shorter than the first.
                "max_retries": math.ceil(location.retry_seconds / _FIRST_PAUSE_SECONDS),
                "retry_timeout": timedelta(seconds=location.retry_seconds),
                "backoff": {
                    "init_backoff": timedelta(seconds=_FIRST_PAUSE_SECONDS),
                    "max_backoff": timedelta(seconds=_LONGEST_PAUSE_SECONDS),
                    "base": 3,  # of a random pause up to so many times the last: with 2 they would hardly grow
                },
            },
            **options,
        )
