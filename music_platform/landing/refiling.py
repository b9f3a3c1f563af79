"""Refiling objects that no partition reads: their lines are landed, and only then is the object removed. Objects that are not
to be refiled are set aside whole.

Events are landed as from a file, each into its own hour, and error records into the hour of refiling. unread.py finds these
objects.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from music_platform.errors import LandedObjectGoneError
from music_platform.inert_text import inert
from music_platform.lake.landing_layout import SET_ASIDE_PREFIX, error_objects, errors_key, parse_errors_key
from music_platform.lake.object_store import ObjectStore
from music_platform.landing.chunks import BLOCK_BYTES
from music_platform.landing.event_files import EventFile, LandingInputError, blocks, opened
from music_platform.landing.event_lines import sort_block
from music_platform.landing.unread import NO_KIND, Reason, UnreadObject
from music_platform.landing.writer import LandingSummary, land_files
from music_platform.tables.collector_errors import COLLECTOR_ERRORS

_GZIP_MAGIC = b"\x1f\x8b"
_OF_UNFINISHED = re.compile(r"#\d+\Z")  # names that obstore keeps for its own unfinished files in a local folder
_CHUNK_ID = re.compile(r"_(?P<chunk_id>[0-9a-f]{32})\.")


@dataclass(frozen=True)
class Refiled:
    """An object that was refiled and removed; ``summary`` is of its events, ``error_key`` the new key of its error records."""

    key: str
    summary: LandingSummary | None = None
    error_key: str | None = None


def event_type_of(unread: UnreadObject, event_type: str | None) -> str | None:
    """The event type under which an object's lines are landed: its folder's, else the given one; None if unknown."""
    return event_type if unread.place.kind == NO_KIND else unread.place.kind


def can_be_refiled(unread: UnreadObject) -> bool:
    """Whether an object is in a wrong place. Events before the first partition are not: only their hour is not read."""
    if not is_readable_name(unread.stored.key):
        return False
    return unread.place.reason is not Reason.BEFORE_START or unread.place.kind == COLLECTOR_ERRORS.name


def is_readable_name(key: str) -> bool:
    """Whether the store reads objects of that name. Others are listed, and only the store's own tool can rename them."""
    return inert(key) == key and not {"", ".", ".."} & set(key.split("/")) and _OF_UNFINISHED.search(key) is None


def refile(store: ObjectStore, unread: UnreadObject, kind: str, start: datetime, now: datetime) -> Refiled:
    """Refile one object as its kind, an event type or ``collector_errors``, and remove it.

    Repeating an interrupted call lands nothing twice. ``start`` is the first hour that has a partition.

    Raises LandingInputError for an object that cannot be read to its end and for one without a single event: both stay.
    Raises LandedObjectGoneError for one that is gone, and LakeUnreachableError as the store does.
    """
    key = unread.stored.key
    content = store.get(key)
    if content is None:
        raise LandedObjectGoneError(f"'{key}' was listed and is gone; look again with 'music-platform landing unread'")
    if kind == COLLECTOR_ERRORS.name:
        refiled = Refiled(key, error_key=_refile_error_records(store, key, content, start, now))
    else:
        refiled = Refiled(key, summary=_refile_events(store, key, content, kind, now))
    store.delete([key])
    return refiled


def set_aside(store: ObjectStore, key: str) -> str:
    """Move an object unchanged to set_aside/ and return its new key. An interrupted call can be repeated.

    Raises LandedObjectGoneError for one that is gone, and LakeUnreachableError as the store does.
    """
    content = store.get(key)
    if content is None:
        raise LandedObjectGoneError(f"'{key}' was listed and is gone; look again with 'music-platform landing unread'")
    new_key = f"{SET_ASIDE_PREFIX}/{key}"
    if store.get(new_key) not in (None, content):  # another one of this key was set aside before
        new_key = f"{new_key}.{hashlib.sha256(content).hexdigest()[:16]}"
    store.put(new_key, content)
    store.delete([key])
    return new_key


def _refile_events(store: ObjectStore, key: str, content: bytes, event_type: str, now: datetime) -> LandingSummary:
    with tempfile.TemporaryDirectory(prefix="music-platform-refile-") as folder:
        path = Path(folder, "object")
        path.write_bytes(content)
        file = EventFile(path, event_type, shown_as=key)
        if not _holds_events(file, now):
            raise LandingInputError(f"'{key}' holds no event; look at it, and remove it if it is of no use")
        return land_files(store, [file], now=now)


def _holds_events(file: EventFile, now: datetime) -> bool:
    with opened(file) as (stream, _):
        return any(sort_block(block, file.event_type, now).by_hour for block in blocks(stream, file, BLOCK_BYTES))


def _refile_error_records(store: ObjectStore, key: str, content: bytes, start: datetime, now: datetime) -> str:
    """The object's content in the hour of now. It keeps its chunk id, by which `land` knows it, unless another object has it."""
    packed = content if content.startswith(_GZIP_MAGIC) else gzip.compress(content, mtime=0)
    named = _CHUNK_ID.search(key.rpartition("/")[2])
    ids = [*([] if named is None else [named["chunk_id"]]), hashlib.sha256(packed).hexdigest()[:32]]
    # An object filed under a future hour is there because of a wrong clock, and is refiled itself.
    known = {
        chunk_id: there
        for chunk_id, there in error_objects(store, since=start).items()
        if (hour := parse_errors_key(there)) is not None and hour <= now
    }
    for chunk_id in ids:
        if chunk_id in known and store.get(known[chunk_id]) == packed:
            return known[chunk_id]
    free = next(chunk_id for chunk_id in ids if chunk_id not in known)
    new_key = errors_key(now.replace(minute=0, second=0, microsecond=0), free)
    store.put(new_key, packed)
    return new_key
