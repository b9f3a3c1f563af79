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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import RUN_KEY_TAG
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from benchmarks.measuring import print_table
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import LANDED_KINDS, landed_key
from music_platform.landing.watch.landed_hours import days_between
from music_platform.orchestration.automation.landing_sensor import LandingWatch
from music_platform.settings import Settings
from music_platform.tables.events import EVENT_TYPES

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
        watch = LandingWatch(Settings(lake=folder, landing_quiet_seconds=0))
        instance = dg.DagsterInstance.ephemeral()
        ticks = [_tick(watch, instance) for _ in range(options.repetitions)]
        memory = ticks[-1].cursor
        _succeed(instance, ticks[-1].requests)
        later = [_tick(watch, instance, memory) for _ in range(options.repetitions)]
    days = len(days_between(LandingWatch(Settings()).rules.window_start(_NOW), _NOW + timedelta(days=1)))
    bound = math.ceil(len(keys) / _PAGE) + days * len(LANDED_KINDS)
    print_table(
        f"A tick with {len(keys):,} objects in {days} days",
        ["", "median", "least", "most"],
        [
            ["all hours changed: seconds", *_figures([tick.seconds for tick in ticks])],
            ["all hours changed: processor seconds", *_figures([tick.processor_seconds for tick in ticks])],
            ["nothing changed: seconds", *_figures([tick.seconds for tick in later])],
            ["nothing changed: processor seconds", *_figures([tick.processor_seconds for tick in later])],
        ],
    )
    print(
        f"requests of a tick where all changed: {len(ticks[-1].requests)}, where nothing did: {len(later[-1].requests)}"
    )
    print(f"bytes of the memory: {len(memory):,}")
    print(f"requests to list: {_requests_to_list(keys)}; ceil(objects / {_PAGE}) + days x kinds: {bound}")


def _keys(objects: int) -> Iterator[str]:
    """Keys spread evenly over event types and hours."""
    for number in range(objects):
        event_type = EVENT_TYPES[number % len(EVENT_TYPES)]
        hour = _NOW.replace(minute=0) - timedelta(hours=number // len(EVENT_TYPES) % _HOURS)
        yield landed_key(event_type, hour, hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True)
class _Tick:
    seconds: float
    processor_seconds: float
    requests: Sequence[dg.RunRequest]
    cursor: str


def _tick(watch: LandingWatch, instance: dg.DagsterInstance, memory: str | None = None) -> _Tick:
    """A tick; without a memory it sees every hour as changed."""
    context = dg.build_sensor_context(instance=instance, cursor=memory)
    started, processor = time.perf_counter(), time.process_time()
    result = watch.tick(context, _NOW)
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - processor
    return _Tick(seconds, processor_seconds, result.run_requests or [], result.cursor or "")


def _succeed(instance: dg.DagsterInstance, requests: Sequence[dg.RunRequest]) -> None:
    for request in requests:
        tags = {RUN_KEY_TAG: request.run_key or ""}
        instance.add_run(dg.DagsterRun(job_name="hourly_spine", status=dg.DagsterRunStatus.SUCCESS, tags=tags))


def _figures(seconds: Sequence[float]) -> list[str]:
    return [f"{function(seconds):.2f}" for function in (statistics.median, min, max)]


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
        _tick(watch, dg.DagsterInstance.ephemeral())
        return lists.count
    finally:
        server.stop()


if __name__ == "__main__":
    main()
