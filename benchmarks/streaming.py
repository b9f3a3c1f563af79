"""A stream of events under Dagster's own daemon: runs, requests to list, backlog over time, and whether all of it arrived.

python -m benchmarks.streaming                               # five minutes at 2,000 events a second, and the accounting
python -m benchmarks.streaming --earlier                     # the same, after what the current hour would hold until now
python -m benchmarks.streaming --seconds 3600                # a whole hour

Time is real: events land in the hour that is still filling, a few seconds after they happened. They are those of our own
generator, of each listener so many replicas as the rate takes. The lake is a local folder; requests to list are told from the
sensor's ticks, each of which makes one for each day, event type and 1,000 objects.
"""

from __future__ import annotations

import argparse
import gzip
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from benchmarks.landed_events import TIME, replica
from benchmarks.measuring import print_table
from music_platform.eventsim import GeneratorOptions, generate_files
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import landed_key
from music_platform.lake.manifest import Manifest, read_manifest
from music_platform.landing.watch.landed_hours import days_between
from music_platform.orchestration.automation.landing_sensor import SENSOR_NAME, LandingWatch
from music_platform.partitions import day_of_key, key_of_hour
from music_platform.settings import Settings
from music_platform.tables.bronze import BRONZE
from music_platform.tables.contract import TableContract
from music_platform.tables.events import EVENT_TYPES
from music_platform.tables.gold.fact_page_views import FACT_PAGE_VIEWS
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold.fact_streams import FACT_STREAMS
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER
from music_platform_tests.dagster_runs import new_instance

_LISTENERS = 20_000
_HOURS_AHEAD = 2
_SLICE_SECONDS = 5
_LOOK_SECONDS = 10.0
_PATIENCE_SECONDS = 900.0
_PAGE = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="of streaming (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=2_000, help="events a second (default: %(default)s)")
    parser.add_argument("--earlier", action="store_true", help="land first what the current hour would hold until now")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="music-platform-streaming-") as folder:
        settings = Settings(lake=f"{folder}/lake")
        os.environ["MUSIC_PLATFORM_LAKE"] = settings.lake
        instance = new_instance(f"{folder}/dagster")
        stream = Stream.generated(Lake(settings), options.rate, options.seconds)
        print(f"{stream.replicas} replicas of {_LISTENERS:,} listeners")
        if options.earlier:
            stream.land_until(time.time())
        stream.skip_until(time.time())
        with _daemon(Path(folder, "daemon.txt")):
            looks = _watch(stream, instance, options.seconds)
        _tell(settings, stream, instance, looks)


@dataclass
class Stream:
    """Events by slices of some seconds, each landed once it is over; and what has been landed so far."""

    lake: Lake
    replicas: int
    slices: dict[int, dict[str, bytes]]
    landed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Lines by event type and hour."""
    objects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Objects by event type and day."""

    @classmethod
    def generated(cls, lake: Lake, rate: int, seconds: float) -> Stream:
        """Of the current hour and as many more as the stream may last."""
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        end = start + timedelta(hours=_HOURS_AHEAD + math.ceil(seconds / 3600))
        slices: dict[int, dict[str, list[bytes]]] = defaultdict(lambda: defaultdict(list))
        with tempfile.TemporaryDirectory(prefix="music-platform-streaming-") as folder:
            made = generate_files(GeneratorOptions(users=_LISTENERS, seed=1, start=start, end=end), Path(folder))
            for event_type, path in made.files.items():
                for line in path.read_bytes().splitlines(keepends=True):
                    moment = int(TIME.search(line)[1]) // 1000  # pyright: ignore[reportOptionalSubscript]
                    slices[moment // _SLICE_SECONDS][event_type].append(line)
        replicas = max(round(rate * (end - start).total_seconds() / made.total_rows), 1)
        joined = {
            number: {name: b"".join(lines) for name, lines in by_type.items()} for number, by_type in slices.items()
        }
        return cls(lake, replicas, dict(sorted(joined.items())))

    def skip_until(self, moment: float) -> None:
        """Forget the slices that were over before, as far as they have not been landed."""
        self.slices = {number: kept for number, kept in self.slices.items() if (number + 1) * _SLICE_SECONDS > moment}

    def land_until(self, moment: float) -> None:
        """Land the slices that are over, an object each for every event type."""
        for number in [number for number in self.slices if (number + 1) * _SLICE_SECONDS <= moment]:
            hour = datetime.fromtimestamp(number * _SLICE_SECONDS, UTC).replace(minute=0, second=0)
            for event_type, lines in self.slices.pop(number).items():
                content = b"".join(replica(lines, copy) for copy in range(self.replicas))
                key = landed_key(event_type, hour, f"{number:032x}")
                self.lake.store.put(key, gzip.compress(content, compresslevel=1))
                self.landed[event_type, key_of_hour(hour)] += content.count(b"\n")
                self.objects[event_type, f"{hour:%Y-%m-%d}"] += 1


@dataclass(frozen=True)
class Look:
    """What there was some seconds after the start: lines landed, rows in bronze and in silver, and runs ever requested."""

    second: float
    landed: int
    in_bronze: int
    in_silver: int
    runs: int


def _watch(stream: Stream, instance: dg.DagsterInstance, seconds: float) -> list[Look]:
    """Land in time, and look now and then, until the stream is over and all of it is in the tables."""
    started, looks, next_look = time.monotonic(), [], 0.0
    while (second := time.monotonic() - started) < seconds + _PATIENCE_SECONDS:
        if second < seconds:
            stream.land_until(time.time())
        if second >= next_look:
            looks.append(_look(stream, instance, second))
            next_look += _LOOK_SECONDS
            if second >= seconds and _is_done(stream, instance):
                break
        time.sleep(0.5)
    return looks


def _look(stream: Stream, instance: dg.DagsterInstance, second: float) -> Look:
    return Look(
        second,
        stream.landed.total(),
        sum(_rows(stream.lake, BRONZE[name], hour) for name, hour in stream.landed),
        sum(_rows(stream.lake, SILVER[name], hour) for name, hour in stream.landed),
        instance.get_runs_count(),
    )


def _is_done(stream: Stream, instance: dg.DagsterInstance) -> bool:
    """Whether every table holds what it should and no run is under way."""
    return not any(_differences(stream)) and not instance.get_runs_count(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))


def _differences(stream: Stream) -> list[str]:
    """Every table whose rows are not those that landed, with both numbers."""
    wrong: list[str] = []

    def compare(table: TableContract, partition: str, expected: int) -> None:
        found = _rows(stream.lake, table, partition)
        if found != expected:
            wrong.append(f"{table.path} {partition}: {found:,} rows, {expected:,} landed")

    plays: Counter[str] = Counter()
    for (event_type, hour), lines in stream.landed.items():
        compare(BRONZE[event_type], hour, lines)
        compare(SILVER[event_type], hour, lines)
        compare(QUARANTINE[event_type], hour, 0)
        if event_type == "listen_events":
            compare(FACT_STREAMS, hour, lines)
            plays[day_of_key(hour)] += lines
        if event_type == "page_view_events":
            compare(FACT_PAGE_VIEWS, hour, lines)
    for day, lines in plays.items():
        compare(FACT_PLAYS, day, lines)
    return wrong


def _manifest(lake: Lake, table: TableContract, partition: str) -> Manifest | None:
    found = read_manifest(lake.store, table, partition)
    return None if found is None else found[0]


def _rows(lake: Lake, table: TableContract, partition: str) -> int:
    manifest = _manifest(lake, table, partition)
    return 0 if manifest is None else manifest.rows


@contextmanager
def _daemon(log: Path) -> Generator[None]:
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", "music_platform.definitions"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
            process.kill()


def _tell(settings: Settings, stream: Stream, instance: dg.DagsterInstance, looks: Sequence[Look]) -> None:
    shown = looks[: -1 : math.ceil(len(looks) / 15)]
    print_table(
        "Backlog over time",
        ["second", "lines landed", "not in bronze", "not in silver", "runs so far"],
        [[f"{look.second:.0f}", f"{look.landed:,}", f"{look.landed - look.in_bronze:,}", f"{look.landed - look.in_silver:,}",
          str(look.runs)] for look in [*shown, looks[-1]]],
    )  # fmt: skip
    records = instance.get_run_records()
    rows = []
    for job, name in (("hourly_spine", "hourly_spine"), ("__ASSET_JOB", "daily tier")):
        own = [record for record in records if record.dagster_run.job_name == job]
        seconds = [record.end_time - record.start_time for record in own if record.end_time and record.start_time]
        failed = sum(not record.dagster_run.is_success for record in own)
        rows.append([name, str(len(own)), str(failed), f"{max(seconds, default=0):.0f}"])
    print_table("Runs", ["job", "runs", "failed", "longest, s"], rows)

    ticks = _ticks(instance)
    rules = LandingWatch(settings).rules
    now = datetime.now(UTC)
    folders = [(event_type, day) for event_type in EVENT_TYPES
               for day in days_between(rules.window_start(now), now + timedelta(days=1))]  # fmt: skip
    a_tick = sum(max(math.ceil(stream.objects[folder] / _PAGE), 1) for folder in folders)
    objects = stream.objects.total()
    print(f"{objects:,} objects; {ticks:,} ticks of the landing sensor, at most {a_tick} requests to list each")

    duplicates = sum(
        found.counts.get("duplicates", 0) for name, hour in stream.landed
        if (found := _manifest(stream.lake, SILVER[name], hour)) is not None
    )  # fmt: skip
    wrong = _differences(stream)
    print(f"{stream.landed.total():,} lines landed, {looks[-1].in_silver:,} rows in silver, {duplicates} duplicates")
    print("\n".join(wrong) if wrong else "Every table holds what landed: nothing lost, nothing doubled")
    if wrong or duplicates:
        sys.exit(1)


def _ticks(instance: dg.DagsterInstance) -> int:
    states = [state for state in instance.all_instigator_state() if state.name == SENSOR_NAME]
    return sum(len(instance.get_ticks(state.instigator_origin_id, state.selector_id)) for state in states)


if __name__ == "__main__":
    main()
