"""Good records of every event type, and lines as the reader of landed objects gives them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from music_platform.landing.reader import LINES_SCHEMA
from music_platform.tables.events import EventContract

HOUR = datetime(2026, 11, 1, 5, tzinfo=UTC)
HOUR_MILLISECONDS = int(HOUR.timestamp() * 1000)
HOUR_LENGTH_MILLISECONDS = 3_600_000
USER_AGENT = (
    '"Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/36.0.1985.125 Safari/537.36"'
)
USER_KEYS = ("userId", "lastName", "firstName", "gender", "registration")
SONG_KEYS = ("artist", "song", "duration")

_VALUES: dict[str, Any] = {
    "ts": HOUR_MILLISECONDS + 600_000, "sessionId": 7, "page": "NextSong", "auth": "Logged In", "method": "PUT",
    "status": 200, "level": "paid", "itemInSession": 3, "city": "Austin", "zip": "73301", "state": "TX",
    "userAgent": USER_AGENT, "lon": -97.7437, "lat": 30.2711, "userId": 5, "lastName": "Doe", "firstName": "Jane",
    "gender": "F", "registration": 1_790_000_000_000, "artist": "Pixies", "song": "Debaser", "duration": 171.59791,
    "success": True,
}  # fmt: skip


def good_record(event: EventContract, **changes: Any) -> dict[str, Any]:
    """A record that breaks no rule, with some values changed; None leaves the key out, as the producers do."""
    record = {key: _VALUES[key] for key in event.keys if key not in ("tag", "location")} | changes
    return {key: value for key, value in record.items() if value is not None}


def to_line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def lines_of(lines: Sequence[bytes], *, object_key: str = "landed-object", hour: datetime = HOUR) -> pa.RecordBatch:
    """Lines without their line feeds as a batch in LINES_SCHEMA, none of them at fault."""
    rows = len(lines)
    columns = [
        pa.array([line + b"\n" for line in lines], pa.binary()),
        pa.nulls(rows, pa.string()),
        pa.nulls(rows, pa.string()),
        pa.array([object_key] * rows, pa.string()),
        pa.array(range(1, rows + 1), pa.int64()),
        pa.array([hour] * rows, pa.timestamp("us", tz="UTC")),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=LINES_SCHEMA)
