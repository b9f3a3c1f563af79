"""The whole platform under Dagster's own daemon, as tests start, kill and disturb it; and what its tables are to hold.

Faults and what is expected after each stand in the tests.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from music_platform.definitions import build_definitions
from music_platform.eventsim import GeneratorOptions, generate_files
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import LANDING_PREFIX, parse_key
from music_platform.lake.manifest import read_manifest
from music_platform.lake.object_store import ObjectStore
from music_platform.landing.event_files import EventFile
from music_platform.landing.writer import land_files
from music_platform.partitions import day_of_key, key_of_hour, keys_in_range
from music_platform.settings import Settings
from music_platform.tables.catalogue import TABLES

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_FOLDER = Path(__file__).parent
_TEMPLATE = _FOLDER.parents[1] / "deploy" / "local" / "dagster.yaml"
_MODULE = ["-m", "music_platform.definitions"]
_PATIENCE_SECONDS = 400.0
_LOOK_SECONDS = 0.5

Versions = dict[tuple[str, str], str]
"""The data version, which follows from the rows alone, of each published table and partition."""


def landed_objects(folder: Path, start: datetime, hours: int, *, users: int = 150) -> dict[str, bytes]:
    """Objects of a few listeners' events by key, as the collector lands them; an hour with events has several."""
    folder.mkdir()
    options = GeneratorOptions(users=users, seed=3, start=start, end=start + timedelta(hours=hours))
    files = generate_files(options, folder / "events").files
    store = ObjectStore.from_settings(Settings(lake=str(folder / "lake")))
    for event_type, path in files.items():
        lines = path.read_bytes().splitlines(keepends=True)
        for part in range(2):  # of each hour an object, and one more
            piece = folder / f"{event_type}.{part}"
            piece.write_bytes(b"".join(lines[part::2]))
            land_files(store, [EventFile(piece, event_type)])
    return {stored.key: store.get(stored.key) or b"" for stored in store.list(LANDING_PREFIX)}


def hours_of(keys: Sequence[str]) -> list[str]:
    """Every hour from the first to the last in which the keys' objects lie."""
    hours = [key_of_hour(parsed[1]) for parsed in map(parse_key, keys) if parsed is not None]
    return keys_in_range(min(hours), max(hours))


def versions(lake: Lake, hours: Sequence[str]) -> Versions:
    """What is published of the hours and their days."""
    days = sorted({day_of_key(hour) for hour in hours})
    wanted = [(table, partition) for table in TABLES.values()
              for partition in (hours if table.cadence.value == "hourly" else days)]  # fmt: skip
    found = lake.map_parallel(lambda one: read_manifest(lake.store, *one), wanted)
    return {(table.path, partition): manifest[0].data_version
            for (table, partition), manifest in zip(wanted, found, strict=True) if manifest is not None}  # fmt: skip


def recomputed(folder: Path, objects: dict[str, bytes], start: datetime) -> Versions:
    """What a fresh lake holds in which everything landed before all of it was made, in one run of each tier."""
    settings = Settings(lake=str(folder), start=start)
    lake, hours = Lake(settings), hours_of(list(objects))
    for key, content in objects.items():
        lake.store.put(key, content)
    definitions = build_definitions(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        for job, partitions in (("hourly_spine", hours), ("daily_tier", sorted({day_of_key(hour) for hour in hours}))):
            tags = {RANGE_START: partitions[0], RANGE_END: partitions[-1]}
            result = definitions.resolve_job_def(job).execute_in_process(instance=instance, tags=tags)
            assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
    return versions(lake, hours)


@dataclass
class LivePlatform:
    """A lake, an instance as the local deployment has it, and processes of Dagster's on them."""

    settings: Settings
    home: Path
    objects: dict[str, bytes] = field(default_factory=dict)
    _groups: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home.mkdir()
        shutil.copy(_TEMPLATE, self.home / "dagster.yaml")
        self.lake = Lake(self.settings)

    @contextmanager
    def instance(self) -> Generator[dg.DagsterInstance]:
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            yield instance

    @property
    def environment(self) -> dict[str, str]:
        values = {name: value for name, value in os.environ.items() if not name.startswith("MUSIC_PLATFORM_")}
        for name in self.settings.model_fields_set:
            value = getattr(self.settings, name)
            told = value.get_secret_value() if hasattr(value, "get_secret_value") else value
            values[f"MUSIC_PLATFORM_{name.upper()}"] = told.isoformat() if isinstance(told, datetime) else str(told)
        return values | {"DAGSTER_HOME": str(self.home)}

    def land(self, objects: dict[str, bytes]) -> None:
        """Land objects, the newest hours last; they belong to what is to be recomputed."""
        for key, content in sorted(objects.items()):
            self.lake.store.put(key, content)
        self.objects |= objects

    @contextmanager
    def process(self, name: str, command: Sequence[str]) -> Generator[subprocess.Popen[bytes]]:
        """A process that ends with the block; what it started goes on until ``close``, as after a kill."""
        with (self.home / f"{name}.txt").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self.environment,
                cwd=self.home,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._groups.append(process.pid)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            process.kill()
            process.wait()

    def close(self) -> None:
        """End all that is left of the processes."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def daemon(self, options: Sequence[str] = _MODULE) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """Dagster's daemon."""
        return self.process("daemon", [str(Path(sys.executable).with_name("dagster-daemon")), "run", *options])

    def daemon_dies(self, moment: str) -> None:
        """Run the daemon until it dies at that moment of a tick of the landing sensor."""
        command = [sys.executable, str(_FOLDER / "dying_daemon.py"), moment, *_MODULE]
        with self.process("dying_daemon", command) as daemon:
            assert daemon.wait(timeout=_PATIENCE_SECONDS) == -signal.SIGKILL, self.log("dying_daemon")

    def log(self, name: str) -> str:
        """The end of what a process printed."""
        return (self.home / f"{name}.txt").read_text(errors="replace")[-4000:]

    def wait_until(self, expected: Versions) -> None:
        """Wait until the tables are the expected ones and nothing is under way any more."""
        hours = hours_of(list(self.objects))
        deadline = time.monotonic() + _PATIENCE_SECONDS
        with self.instance() as instance:
            while time.monotonic() < deadline:
                is_busy = instance.get_runs_count(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES))
                if not is_busy and versions(self.lake, hours) == expected:
                    return
                time.sleep(_LOOK_SECONDS)
        found = versions(self.lake, hours)
        differing = sorted(key for key in expected | found if expected.get(key) != found.get(key))
        assert not differing, f"{len(differing)} partitions differ: {differing[:10]}; {self.log('daemon')}"
        raise AssertionError(f"runs are still under way; {self.log('daemon')}")

    def runs(self, job: str) -> list[dg.DagsterRun]:
        with self.instance() as instance:
            return list(instance.get_runs(dg.RunsFilter(job_name=job)))


def midnight(days_ago: int) -> datetime:
    """The start of a day."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)
