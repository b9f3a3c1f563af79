"""Keys of the star schema and identities of events by their formulas, from plain values."""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Any

import xxhash

from music_platform.tables.columns import UNKNOWN_KEY
from music_platform.tables.contract import ColumnType
from music_platform.tables.events import EVENT_CONTRACTS

_SEED = 42  # Spark's
_SEPARATOR, _ABSENT = "\u001f", "\u0000"


def surrogate_key(*values: str | int | None) -> str:
    """xxHash64 over each value's text, if there is one, and over whether there is none; each hash seeds the next."""
    digest = _SEED
    for value in values:
        if value is not None:
            digest = xxhash.xxh64_intdigest(str(value).encode(), seed=digest)
        digest = xxhash.xxh64_intdigest(struct.pack("<i", value is None), seed=digest)
    return f"{digest:016x}"


def user_key(user_id: int | None) -> str:
    return UNKNOWN_KEY if user_id is None else surrogate_key(user_id)


def song_key(artist: str | None, song: str | None, duration_seconds: float | None) -> str:
    if song is None or duration_seconds is None:
        return UNKNOWN_KEY
    return surrogate_key(artist, song, milliseconds_of(duration_seconds))


def location_key(zip_code: str, city: str, state: str, latitude: float, longitude: float) -> str:
    return surrogate_key(zip_code, city, state, _nearest(latitude * 1_000_000), _nearest(longitude * 1_000_000))


def milliseconds_of(duration_seconds: float) -> int:
    return _nearest(duration_seconds * 1000)


def event_id(event_type: str, record: dict[str, Any]) -> str:
    """The first 128 bits of SHA-256 over the event type and all fields, texts and fractions by their bits as well.

    Fields that were added to an event type count only where they are present: here in no record.
    """
    fields = [field for field in EVENT_CONTRACTS[event_type].fields if not field.is_added]
    assert record.keys().isdisjoint(field.key for field in EVENT_CONTRACTS[event_type].fields if field.is_added)
    parts = [event_type]
    bits = _SEED
    for field in fields:
        value = record.get(field.key)
        if field.key_type is not ColumnType.DOUBLE:
            parts.append(_ABSENT if value is None else str(value).lower() if isinstance(value, bool) else str(value))
        if field.key_type in (ColumnType.STRING, ColumnType.DOUBLE):
            if value is not None:
                content = value.encode() if isinstance(value, str) else struct.pack("<d", value)
                bits = xxhash.xxh64_intdigest(content, seed=bits)
            bits = xxhash.xxh64_intdigest(struct.pack("<i", value is None), seed=bits)
    [signed] = struct.unpack("<q", struct.pack("<Q", bits))
    parts += [str(signed), _ABSENT, ""]  # no unknown fields, and no fault
    return hashlib.sha256(_SEPARATOR.join(parts).encode()).hexdigest()[:32]


def _nearest(number: float) -> int:
    return math.floor(number + 0.5)
