"""Landed objects to measure with: the Eventsim sample, replicated until there are enough events, or our own generator's.

A replica has session and user numbers of its own, so that no line is a duplicate; its times stay, so that a sample of two
weeks becomes two weeks of a larger service.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from isal import igzip

from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import landed_key, list_landing, parse_key
from music_platform.partitions import hour_of_key, key_of_hour, keys_in_range
from music_platform.tables.events import EVENT_TYPES

SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "eventsim" / "sample"
TIME = re.compile(rb'"ts":(\d+)')
_NUMBERS = re.compile(rb'"(sessionId|userId)":(\d+)')
_REPLICA_DISTANCE = {b"sessionId": 10_000_000, b"userId": 1_000_000}
_SAMPLE_DAYS = 15
EVENTS_PER_LISTENER_DAY = 18.5  # of our own generator, about


def add_sample_options(parser: argparse.ArgumentParser, *, rows: int = 1_000_000, days: int = 1) -> None:
    """The options that say what is landed, and where the work is done."""
    parser.add_argument(
        "--events", type=Path, help="folder of an Eventsim sample (default: beside the project, if there)"
    )
    parser.add_argument("--rows", type=int, default=rows, help="events, about (default: %(default)s)")
    parser.add_argument("--days", type=int, default=days, help="days that they fall into (default: %(default)s)")
    parser.add_argument("--folder", help="where to work, in a temporary folder that is removed (default: the system's)")


def land(lake: Lake, events: int, days: int = _SAMPLE_DAYS, sample: Path | None = None) -> list[str]:
    """Land about ``events`` events of the sample's first days, one object an hour and event type; gives the hours' keys.

    Without a sample folder (``<event_type>.jsonl`` or ``.jsonl.xz``) the project's generator makes them.
    """
    folder = SAMPLE if sample is None else sample
    if folder.is_dir():
        return _land_hours(lake, {name: _lines_of(folder, name) for name in EVENT_TYPES}, events, days)
    from music_platform.eventsim import GeneratorOptions, generate_files  # only when there is no sample

    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-") as generated:
        start = datetime(2026, 1, 1, tzinfo=UTC)
        options = GeneratorOptions(
            users=max(int(events / days / EVENTS_PER_LISTENER_DAY), 1),
            seed=1,
            start=start,
            end=start + timedelta(days),
        )
        made = generate_files(options, Path(generated))
        return _land_hours(lake, {name: path.read_bytes() for name, path in made.files.items()}, made.total_rows, days)


def land_hour(lake: Lake, event_type: str, hour: datetime, lines: bytes) -> None:
    """Land an hour's lines as one object."""
    chunk_id = hashlib.md5(lines, usedforsecurity=False).hexdigest()
    lake.store.put(landed_key(event_type, hour, chunk_id), igzip.compress(lines, compresslevel=2))


def hour_of_landed_key(key: str) -> datetime:
    """The hour of a landed object's folder."""
    parsed = parse_key(key)
    if parsed is None:
        raise ValueError(f"'{key}' is no landed object's key")
    return parsed[1]


def moved(lines: bytes, back: timedelta) -> bytes:
    """The same events, earlier."""
    milliseconds = round(back.total_seconds() * 1000)
    return TIME.sub(lambda match: b'"ts":%d' % (int(match[1]) - milliseconds), lines)


def repeat_before(source: Lake, hours: list[str], days: int, target: Lake) -> list[str]:
    """Land the source's events of the hours in each of so many days before; gives those days' hours."""
    for name in EVENT_TYPES:
        folders = list_landing(source.store, name, hours).values()
        for stored in chain.from_iterable(folder.objects for folder in folders):
            text, hour = igzip.decompress(source.store.get(stored.key) or b""), hour_of_landed_key(stored.key)
            for day in range(1, days + 1):
                land_hour(target, name, hour - timedelta(day), moved(text, timedelta(day)))
    return [key_of_hour(hour_of_key(key) - timedelta(day)) for day in range(days, 0, -1) for key in hours]


def _lines_of(folder: Path, event_type: str) -> bytes:
    packed = folder / f"{event_type}.jsonl.xz"
    return lzma.decompress(packed.read_bytes()) if packed.is_file() else (folder / f"{event_type}.jsonl").read_bytes()


def _land_hours(lake: Lake, content: dict[str, bytes], events: int, days: int) -> list[str]:
    hours = {name: _by_hour(lines) for name, lines in content.items()}
    end = min(hour for by_hour in hours.values() for hour in by_hour) + timedelta(days)
    hours = {name: {hour: block for hour, block in by_hour.items() if hour < end} for name, by_hour in hours.items()}
    available = sum(block.count(b"\n") for by_hour in hours.values() for block in by_hour.values())
    replicas = max(round(events / available), 1)
    for event_type, by_hour in hours.items():
        for hour, block in by_hour.items():
            land_hour(lake, event_type, hour, b"".join(replica(block, number) for number in range(replicas)))
    all_hours = sorted({hour for by_hour in hours.values() for hour in by_hour})
    return keys_in_range(key_of_hour(all_hours[0]), key_of_hour(all_hours[-1]))


def _by_hour(content: bytes) -> dict[datetime, bytes]:
    lines: dict[int, list[bytes]] = defaultdict(list)
    for line, hour in _lines_with_hours(content):
        lines[hour].append(line)
    return {datetime.fromtimestamp(hour * 3600, UTC): b"\n".join(group) + b"\n" for hour, group in lines.items()}


def _lines_with_hours(content: bytes) -> Iterator[tuple[bytes, int]]:
    for line in content.split(b"\n"):
        if line:
            match = TIME.search(line)
            milliseconds = int(match[1]) if match else json.loads(line)["ts"]
            yield line, milliseconds // 3_600_000


def replica(block: bytes, number: int) -> bytes:
    """The same lines of other listeners in other sessions; number 0 is the block itself."""

    def shift(match: re.Match[bytes]) -> bytes:
        return b'"%s":%d' % (match[1], int(match[2]) + number * _REPLICA_DISTANCE[match[1]])

    return _NUMBERS.sub(shift, block) if number else block
