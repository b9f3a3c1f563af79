"""A tick of the landing sensor with many objects in its window: seconds, requests to list, size of the memory.

python -m benchmarks.sensor_tick

Seconds are those of a local lake. Requests are counted at a real S3 server in this process (moto), whose own seconds would
say nothing about S3. The objects are all but empty: a tick opens none.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from benchmarks.measuring import print_table
from music_platform.automation.landed_hours import days_between
from music_platform.automation.landing_sensor import LandingWatch
from music_platform.contracts.events import EVENT_TYPES
from music_platform.landing.layout import LANDED_KINDS, landed_key
from music_platform.resources.lake import Lake
from music_platform.settings import Settings

_NOW = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
_HOURS = 96
_PAGE = 1_000
_BUCKET = "lake"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=100_000, help="in the window (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="(default: %(default)s)")
    options = parser.parse_args()
    keys = list(_keys(options.objects))
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-") as folder:
        for key in keys:
            path = Path(folder, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        ticks = [_tick(LandingWatch(Settings(lake=folder))) for _ in range(options.repetitions)]
    seconds = [taken for taken, _, _ in ticks]
    processor = [taken for _, taken, _ in ticks]
    days = len(days_between(LandingWatch(Settings()).rules.window_start(_NOW), _NOW + timedelta(days=1)))
    bound = math.ceil(len(keys) / _PAGE) + days * len(LANDED_KINDS)
    print_table(
        f"A tick with {len(keys):,} objects in {days} days",
        ["", "median", "least", "most"],
        [
            ["seconds", *(f"{function(seconds):.2f}" for function in (statistics.median, min, max))],
            ["processor seconds", *(f"{function(processor):.2f}" for function in (statistics.median, min, max))],
        ],
    )
    print(f"bytes of the memory: {ticks[-1][2]:,}")
    print(f"requests to list: {_requests_to_list(keys)}; ceil(objects / {_PAGE}) + days x kinds: {bound}")


def _keys(objects: int) -> Iterator[str]:
    """Keys spread evenly over event types and hours."""
    for number in range(objects):
        event_type = EVENT_TYPES[number % len(EVENT_TYPES)]
        hour = _NOW.replace(minute=0) - timedelta(hours=number // len(EVENT_TYPES) % _HOURS)
        yield landed_key(event_type, hour, hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest())


def _tick(watch: LandingWatch) -> tuple[float, float, int]:
    """Seconds, processor seconds and size of the memory of a first tick, which sees every hour as changed."""
    context = dg.build_sensor_context(instance=dg.DagsterInstance.ephemeral())
    started, processor = time.perf_counter(), time.process_time()
    result = watch.tick(context, _NOW)
    return time.perf_counter() - started, time.process_time() - processor, len(result.cursor or "")


class _CountedLists(logging.Handler):
    """Counts the server's lines of requests to list a bucket."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "list-type=2" in record.getMessage()


def _requests_to_list(keys: list[str]) -> int:
    server = ThreadedMotoServer("127.0.0.1", 0)
    lists, log = _CountedLists(), logging.getLogger("werkzeug")
    log.addHandler(lists)
    log.setLevel(logging.INFO)
    log.propagate = False
    server.start()
    try:
        host, port = server.get_host_and_port()
        backend = s3_backends["123456789012"]["aws"]
        backend.create_bucket(_BUCKET, "us-east-1")
        for key in keys:
            backend.put_object(_BUCKET, key, b"x")
        settings = Settings(
            lake=f"s3://{_BUCKET}",
            s3_endpoint=f"http://{host}:{port}",
            s3_access_key_id="key",
            s3_secret_access_key=SecretStr("secret"),
        )
        watch = LandingWatch(settings, listing_seconds=600.0)
        watch.lake = Lake(settings)  # patient: a request that is given up and made again would be counted twice
        _tick(watch)
        return lists.count
    finally:
        server.stop()


if __name__ == "__main__":
    main()
