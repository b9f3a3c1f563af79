"""A lake in a local folder: each object is a file, written beside its place and renamed into it."""

from __future__ import annotations

import fcntl
import os
import re
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import obstore
from obstore.store import LocalStore

from music_platform.lake.stored_objects import StoreBackend, StoredObject

_HALF_WRITTEN_SECONDS = 3600.0  # no write takes that long
_HALF_WRITTEN = re.compile(r"\..+\.[0-9a-f]{32}")


def is_half_written(key: str) -> bool:
    """Whether the name is that of a file left by a killed write to a local lake."""
    return _HALF_WRITTEN.fullmatch(key.rpartition("/")[2]) is not None


class LocalFolder(StoreBackend):
    """The files below a folder. Listing it does not make it; reading and writing do."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def _open(self) -> LocalStore:
        return LocalStore(self._folder, mkdir=True)

    def put(self, key: str, content: bytes) -> str:
        """Write beside the object and rename: a kill leaves the old object or the new one.

        obstore would do the same, but it hides a killed process's half-written files from every listing, so nobody could remove
        them.
        """
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_half_written(path.parent)
        half_written = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            half_written.write_bytes(content)
            half_written.replace(path)
        except OSError:
            half_written.unlink(missing_ok=True)
            raise
        return obstore.head(self.store, key)["e_tag"] or ""

    def replace(self, key: str, content: bytes, expected_etag: str | None) -> bool:
        """A folder has no compare and swap, so a lock file serializes it among the processes of one machine."""
        with self._locked():
            found = self.get_with_etag(key)
            if (None if found is None else found[1]) != expected_etag:
                return False
            self.put(key, content)
            return True

    def list(self, prefix: str) -> Iterator[StoredObject]:
        folders, objects = self.list_level(prefix)
        yield from objects
        for name in folders:
            yield from self.list(f"{prefix.rstrip('/')}/{name}".lstrip("/"))

    def list_level(self, prefix: str) -> tuple[list[str], list[StoredObject]]:
        """Bytes of a name that are not UTF-8 become lone surrogates, as Python has it.

        Does not use obstore, which hides names that end in # and digits and refuses control characters: such files can be
        listed but not read.
        """
        folders, objects = [], []
        try:
            entries = sorted(os.scandir(self._folder / prefix), key=lambda found: found.name)
        except (FileNotFoundError, NotADirectoryError):
            return [], []
        for entry in entries:
            if entry.is_dir():
                folders.append(entry.name)
                continue
            try:
                about = entry.stat()
            except FileNotFoundError:  # removed meanwhile, or a link to nothing
                continue
            key = f"{prefix.rstrip('/')}/{entry.name}".lstrip("/")
            changed = datetime.fromtimestamp(about.st_mtime_ns // 1000 / 1e6, UTC)
            objects.append(StoredObject(key, about.st_size, f"{changed.timestamp():.6f}-{about.st_size}", changed))
        return folders, objects

    def delete(self, keys: list[str]) -> None:
        for key in keys:  # obstore's delete of several stops at the first that is gone
            (self._folder / key).unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Generator[None]:
        path = self._folder / ".publish.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # the kernel frees it when the process dies
            yield
        finally:
            os.close(handle)


@lru_cache(maxsize=4096)
def _sweep_half_written(folder: Path) -> None:
    """Remove the files of killed writes from a folder; once per process, so that many writes cost one listing."""
    oldest_kept = time.time() - _HALF_WRITTEN_SECONDS
    with suppress(OSError), os.scandir(folder) as entries:  # a file that cannot be removed must not fail a write
        for entry in entries:
            if is_half_written(entry.name) and entry.stat().st_mtime < oldest_kept:
                Path(entry.path).unlink()
