"""What every kind of store has in common: the description of one object, and what a kind must offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import obstore
from obstore.store import LocalStore, S3Store

NO_BUCKET = "<Code>NoSuchBucket</Code>"  # S3's answer


@dataclass(frozen=True)
class StoredObject:
    """One object of the lake: its key relative to the lake, size in bytes, entity tag and time of last change.

    A local folder has no entity tags. There it is made of size and time of last change, which a copy of the lake (``cp -a``)
    keeps. The one of ``get_with_etag`` and ``replace`` differs: it distinguishes even writes of the same moment.
    """

    key: str
    size: int
    etag: str
    last_modified: datetime


class StoreBackend(ABC):
    """A kind of store: how it is opened and read, and what each kind writes, lists and deletes in its own way.

    The methods do what ``ObjectStore``'s methods of the same name promise; that class also converts their errors.
    """

    @cached_property
    def store(self) -> LocalStore | S3Store:
        """The store itself, opened when it is first needed."""
        return self._open()

    def get_with_etag(self, key: str) -> tuple[bytes, str] | None:
        try:
            result = obstore.get(self.store, key)
        except FileNotFoundError as error:
            if NO_BUCKET in str(error):
                raise
            return None
        return bytes(result.bytes()), result.meta["e_tag"] or ""

    @abstractmethod
    def _open(self) -> LocalStore | S3Store: ...

    @abstractmethod
    def put(self, key: str, content: bytes) -> str: ...

    @abstractmethod
    def replace(self, key: str, content: bytes, expected_etag: str | None) -> bool: ...

    @abstractmethod
    def list(self, prefix: str) -> Iterator[StoredObject]: ...

    @abstractmethod
    def list_level(self, prefix: str) -> tuple[list[str], list[StoredObject]]: ...

    @abstractmethod
    def delete(self, keys: list[str]) -> None: ...
