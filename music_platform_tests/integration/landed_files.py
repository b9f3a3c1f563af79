"""What the tests of landing share: files of events, and what lies in the lake once they are landed."""

from __future__ import annotations

import gzip
import os
import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from music_platform.lake.landing_layout import ERRORS_PREFIX, LANDING_PREFIX, parse_key
from music_platform.lake.object_store import ObjectStore
from music_platform.landing.event_files import EventFile, event_files

FIRST_TS = 1_793_491_200_000  # 2026-11-01T00:00Z
HOUR_MS = 3_600_000
ERROR_KEY = re.compile(r"errors/dt=\d{4}-\d\d-\d\d/\d{10}_[0-9a-f]{32}\.json\.gz")
Hours = dict[tuple[str, datetime], list[bytes]]


def objects_of(store: ObjectStore, prefix: str = "") -> dict[str, bytes]:
    found = {stored.key: store.get(stored.key) for stored in store.list(prefix)}
    return {key: content for key, content in sorted(found.items()) if content is not None}


def landed_lines(store: ObjectStore) -> Hours:
    hours: Hours = defaultdict(list)
    for key, content in objects_of(store, LANDING_PREFIX).items():
        place = parse_key(key)
        assert place is not None, key
        text = gzip.decompress(content)
        assert text.endswith(b"\n")
        hours[place] += text[:-1].split(b"\n")
    return dict(hours)


def error_records(store: ObjectStore) -> list[bytes]:
    records = []
    for key, content in objects_of(store, ERRORS_PREFIX).items():
        assert ERROR_KEY.fullmatch(key), key
        records += gzip.decompress(content)[:-1].split(b"\n")
    return records


def event_line(ts: int, number: int = 0, filler: int = 0) -> bytes:
    return b'{"ts":%d,"n":%d,"filler":"%b"}\n' % (ts, number, b"x" * filler)


def hour_place(hours: int) -> tuple[str, datetime]:
    return "listen_events", datetime.fromtimestamp(FIRST_TS // 1000 + hours * 3600, UTC)


def event_file(folder: Path, content: bytes, name: str = "listen_events") -> list[EventFile]:
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (1_800_000_000.25, 1_800_000_000.25))
    return event_files([path])
