"""Lands records that the collector could not file but that are events by the current rules.

error_records.py decides which records these are; the objects of errors/ are only read.
"""

from __future__ import annotations

import gzip
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from music_platform.errors import LandedObjectGoneError
from music_platform.lake.landing_layout import landed_key
from music_platform.lake.object_store import ObjectStore
from music_platform.landing.byte_order_marks import without_marks
from music_platform.landing.error_records import judge, parse_error_record
from music_platform.landing.event_lines import hour_time
from music_platform.landing.gzip_lines import ObjectFault, decode


@dataclass(frozen=True)
class ReplaySummary:
    """The outcome for error records: ``events`` of them are landed now, or were already (objects unchanged).

    ``hours`` are those of the objects written, by event type.
    """

    records: int = 0
    events: int = 0
    objects_written: int = 0
    objects_unchanged: int = 0
    hours: dict[str, set[datetime]] = field(default_factory=dict)


def replay_error_records(store: ObjectStore, keys: Sequence[str], *, reason: str | None = None) -> ReplaySummary:
    """Land the events among the records of objects of errors/, each object's by type and hour.

    With a ``reason``, only records that the collector refused for it.

    Idempotent: the key of a landed object depends on the object of errors/ and on the events alone, and existing objects stay
    untouched. If more records of an object are events than last time, the earlier ones land again with them, and silver removes
    them as duplicates.

    Raises LandedObjectGoneError for an object that is gone.
    """
    summary = ReplaySummary()
    for key in keys:
        content = store.get(key)
        if content is None:
            raise LandedObjectGoneError(f"'{key}' was listed and is gone; find out what deletes objects of errors/")
        events: defaultdict[tuple[str, datetime], list[bytes]] = defaultdict(list)
        records = taken = 0
        for line in _lines(content):
            records += 1
            record = parse_error_record(line)
            event_type = None if record is None else record.event_type
            if record is None or event_type is None or (reason is not None and record.reason != reason):
                continue
            found = judge(record).events
            taken += bool(found)
            for group in found:
                events[event_type, hour_time(group.hour)].append(group.content)
        summary = replace(summary, records=summary.records + records, events=summary.events + taken)
        for (event_type, hour), lines in events.items():
            summary = _land(store, key, event_type, hour, b"".join(lines), summary)
    return summary


def _lines(content: bytes) -> list[bytes]:
    """The readable lines of an object that are not blank."""
    pieces = [piece for piece in decode(content) if not isinstance(piece, ObjectFault)]
    return [line for piece in pieces for line in without_marks(piece).split(b"\n") if line.strip()]


def _land(
    store: ObjectStore, origin: str, event_type: str, hour: datetime, content: bytes, summary: ReplaySummary
) -> ReplaySummary:
    chunk_id = hashlib.sha256(f"replay of {origin}\n".encode() + content).hexdigest()[:32]  # as long as Fluentd's
    key = landed_key(event_type, hour, chunk_id)
    if store.get(key) is not None:
        return replace(summary, objects_unchanged=summary.objects_unchanged + 1)
    store.put(key, gzip.compress(content, mtime=0))
    hours = summary.hours | {event_type: summary.hours.get(event_type, set()) | {hour}}
    return replace(summary, objects_written=summary.objects_written + 1, hours=hours)
