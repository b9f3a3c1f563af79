"""The lake's object store: a local folder or an S3 bucket behind one interface (obstore).

Objects only; other modules know what they mean (landing layout, manifests, Parquet). A location is small and picklable, so that
workers of any engine can open the same store. local_folder.py and s3_bucket.py hold what differs between the kinds of stores.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import obstore

from music_platform.errors import LakeUnreachableError
from music_platform.lake.local_folder import LocalFolder
from music_platform.lake.s3_bucket import S3Bucket
from music_platform.lake.stored_objects import NO_BUCKET, StoreBackend, StoredObject
from music_platform.lake_location import LakeLocation
from music_platform.settings import Settings


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
    def is_local(self) -> bool:
        return LakeLocation.parse(self.location).is_local

    def url(self, key: str) -> str:
        """The address by which an engine or another tool opens an object."""
        return f"{self.location}/{key}"

    def put(self, key: str, content: bytes) -> str:
        """Store an object whole (readers see the old or the new one) and return its entity tag."""
        with self._failures("write", key):
            return self._backend.put(key, content)

    def get(self, key: str) -> bytes | None:
        """The content of an object; ``None`` when there is none."""
        found = self.get_with_etag(key)
        return None if found is None else found[0]

    def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        """The content and entity tag of an object; ``None`` when there is none."""
        with self._failures("read", key):
            return self._backend.get_with_etag(key)

    def replace(self, key: str, content: bytes, expected_etag: str | None) -> bool:
        """Compare and swap: store the object only if its entity tag is still the expected one.

        ``None`` expects no object. Returns False, and stores nothing, when somebody else was faster.

        ``content`` should be unique: if S3's answer is lost and the repeated request is refused, the stored content shows
        whether this call stored it.
        """
        with self._failures("write", key):
            return self._backend.replace(key, content, expected_etag)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """The objects whose keys begin with the folder ``prefix``, in no promised order."""
        with self._failures("list", prefix):
            yield from self._backend.list(prefix)

    def folders(self, prefix: str) -> list[str]:
        """The names of the folders right below the folder ``prefix``, sorted; what lies in them is not listed."""
        return self.list_level(prefix)[0]

    def list_level(self, prefix: str) -> tuple[list[str], list[StoredObject]]:
        """The names of the folders right below the folder ``prefix``, sorted, and the objects that lie directly in it."""
        with self._failures("list", prefix):
            return self._backend.list_level(prefix)

    def delete(self, keys: list[str]) -> None:
        """Delete objects; objects that are already gone are no failure."""
        if keys:
            with self._failures("delete", keys[0]):
                self._backend.delete(keys)

    def open(self, key: str) -> io.RawIOBase:
        """A seekable reader of one object that requests only the ranges it reads."""
        with self._failures("read", key):
            return _ObjectReader(self, key, obstore.head(self._backend.store, key)["size"])

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Some bytes of an object."""
        with self._failures("read", key):
            return bytes(obstore.get_range(self._backend.store, key, start=start, length=length))

    @property
    def _backend(self) -> StoreBackend:
        return _opened(self)

    @contextmanager
    def _failures(self, operation: str, key: str) -> Generator[None]:
        try:
            yield
        except (obstore.exceptions.BaseError, OSError) as error:
            reason = str(error).split("\n\nDebug source")[0]
            if NO_BUCKET in reason:
                bucket = LakeLocation.parse(self.location).bucket
                message = (
                    f"there is no bucket '{bucket}'. Correct MUSIC_PLATFORM_LAKE and MUSIC_PLATFORM_S3_ENDPOINT, or create the "
                    "bucket."
                )
            elif isinstance(error, obstore.exceptions.InvalidPathError):
                message = (
                    f"{reason}. An object there has a name that none should have; rename or remove it by the store's own "
                    "tool."
                )
            else:
                message = (
                    f"{reason}. Check that the lake is reachable, that the credentials may do this, and the disk's space; then "
                    "run the same partitions again."
                )
            raise LakeUnreachableError(f"cannot {operation} '{key}' in the lake {self.location}: {message}") from error


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


@lru_cache(maxsize=8)
def _opened(store: ObjectStore) -> StoreBackend:
    """The store behind a location, opened once per process."""
    if store.is_local:
        return LocalFolder(store.location)
    return S3Bucket(store.location, dict(store.options), store.retry_seconds)
