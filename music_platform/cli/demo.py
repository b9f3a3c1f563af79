"""`music-platform demo`: the main job end to end on this machine, from generated (or given) events to checked gold."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from music_platform.cli.console import console, errors_as_messages, fail, settings_of_command, warn
from music_platform.cli.demo_druid import druid_of_demo
from music_platform.cli.demo_recommendations import print_recommendations
from music_platform.cli.demo_superset import require_superset_can_start, superset_of_demo
from music_platform.cli.land import files_of_paths, warn_of_error_records
from music_platform.cli.progress import counting, working
from music_platform.cli.results import print_results
from music_platform.errors import MusicPlatformError
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import LANDING_PREFIX, parse_key
from music_platform.lake.manifest import Manifest, read_manifest
from music_platform.landing.gzip_lines import count_lines
from music_platform.landing.writer import LandingSummary, land_files
from music_platform.partitions import (
    day_of_key,
    days_in_range,
    describe_partitions,
    hour_of_key,
    hours_of_day,
    key_of_hour,
)
from music_platform.settings import Settings
from music_platform.tables.bronze import BRONZE
from music_platform.tables.catalogue import made_tables
from music_platform.tables.contract import Cadence, TableContract
from music_platform.tables.events import EVENT_TYPES
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER

_DAYS = 3
_USERS = 1_000
_TASTE = 3.0  # sharp: in three days of a thousand listeners a model can find it
_FAULTS = 0.002  # a few dozen of each kind, so that quarantine and reconciliation have something to show
LIVE_USERS = 100_000  # some 40 events a second
_TABLES = made_tables(is_served=False).values()  # what Druid alone reads is made with its datasources
_HOURLY = [contract for contract in _TABLES if contract.cadence is Cadence.HOURLY]
_DAILY = [contract for contract in _TABLES if contract.cadence is Cadence.DAILY]


@dataclass
class _Phase:
    name: str
    seconds: float


def demo(
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Folder with Eventsim's files, instead of generated ones.", show_default=False),
    ] = None,
    users: Annotated[
        int | None,
        typer.Option(
            "--users", min=1, help=f"Virtual listeners: {_USERS:,}, or {LIVE_USERS:,} with --live.", show_default=False
        ),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="Days to generate, up to yesterday.")] = _DAYS,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the generator.")] = 1,
    live: Annotated[
        float | None,
        typer.Option(
            "--live",
            min=1,
            help="Seconds of listeners in real time under Dagster's daemon, instead.",
            show_default=False,
        ),
    ] = None,
    with_druid: Annotated[
        bool, typer.Option("--druid/--no-druid", help="Serve gold from Druid, which starts while the tables are built.")
    ] = True,
    faults: Annotated[
        float,
        typer.Option(
            "--faults", min=0, max=1, help="Share of lines that are broken, late, or land twice; see generate."
        ),
    ] = _FAULTS,
    superset: Annotated[
        bool, typer.Option("--superset", help="Then show the dashboards in Superset; needs gold in Druid.")
    ] = False,
) -> None:
    """Generate events, land them, materialize and check the hourly and the daily tables, a run each, and show the result."""
    if live is not None:
        from music_platform.cli.demo_live import demo_live  # Dagster's daemon takes its time to import

        demo_live(live, users or LIVE_USERS, seed, _TASTE)
        return
    users = users or _USERS
    if superset and not with_druid:
        fail("--superset shows what Druid serves: leave out --no-druid")
    settings = settings_of_command()
    if superset:
        with errors_as_messages():
            require_superset_can_start(settings)
    lake = Lake(settings)
    phases: list[_Phase] = []
    problem: MusicPlatformError | None = None
    with (
        errors_as_messages(),
        druid_of_demo(settings, is_wanted=with_druid) as druid,
        superset_of_demo(settings, is_wanted=superset) as dashboards,
    ):
        with tempfile.TemporaryDirectory(prefix="music-platform-demo-") as folder:
            if source is None:
                source = Path(folder)
                with _timed(phases, "generate"):
                    _generate(source, users, days, seed, faults)
            with _timed(phases, "land"):
                summary = _land(lake, source)
        warn_of_error_records(summary, lake.store)
        partitions = _hours_with_a_partition(lake, summary)
        dates = list(dict.fromkeys(map(day_of_key, partitions)))
        with _timed(phases, "hourly tables, checked"):
            warnings = _materialize(settings, "hourly tables", _paths(_HOURLY), partitions)
        # If Druid is up, the datasources of the days are filled in the run of their tables: a run less.
        is_up = druid is not None and druid.is_up()
        if druid is not None and is_up:
            with _timed(phases, "daily, and in Druid"):
                paths = _paths(_DAILY) + druid.assets(Cadence.DAILY)
                warnings += _materialize(druid.settings, "daily tables, and in Druid", paths, dates)
        else:
            with _timed(phases, "daily tables, checked"):
                warnings += _materialize(settings, "daily tables", _paths(_DAILY), dates)
        if druid is not None and druid.wait():
            with _timed(phases, "hourly, in Druid" if is_up else "Druid, checked"):
                hourly = druid.assets(Cadence.HOURLY)
                warnings += _materialize(druid.settings, "hourly, in Druid", hourly, partitions)
                if not is_up:
                    daily = druid.assets(Cadence.DAILY)
                    warnings += _materialize(druid.settings, "daily, in Druid", daily, dates)
        else:
            druid = None
        if dashboards is not None and druid is not None:
            try:
                with _timed(phases, "dashboards"):
                    dashboards.publish(druid.settings)
            except MusicPlatformError as error:
                problem = error  # what was built is shown before
        _show(lake, partitions, dates, phases)
        print_results(lake, dates)
        print_recommendations(lake, dates)
        if druid is not None:
            druid.show(dates)
        if dashboards is not None:
            dashboards.show()
    if problem is not None:
        fail(str(problem))
    if superset and druid is None:
        fail("no dashboards without Druid, which could not be started: see the warning above")
    _end(lake, warnings)


def _generate(folder: Path, users: int, days: int, seed: int, faults: float) -> None:
    from music_platform.eventsim import GeneratorOptions, generate_files  # only when there is something to generate

    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - timedelta(days=days)
    options = GeneratorOptions(users=users, seed=seed, start=start, end=today, taste=_TASTE, faults=faults)
    with counting("generate", "page views") as update:
        generate_files(
            options,
            folder,
            progress=lambda so_far: update(so_far.page_views, so_far.now - so_far.start, so_far.end - so_far.start),
        )


def _land(lake: Lake, folder: Path) -> LandingSummary:
    files = files_of_paths([folder])
    total = sum(file.path.stat().st_size for file in files if file.path is not None)
    read = lines = 0
    with counting("land", "lines") as update:

        def show(more_bytes: int, more_lines: int) -> None:
            nonlocal read, lines
            read, lines = read + more_bytes, lines + more_lines
            update(lines, read, total)

        return land_files(lake.store, files, show)


def _paths(tables: list[TableContract]) -> list[str]:
    return [contract.path for contract in tables]


def _materialize(settings: Settings, title: str, paths: list[str], partitions: list[str]) -> list[str]:
    """Build and check assets (``<layer>/<name>``) in one run; returns what the checks warn of."""
    with working("Dagster loads the definitions"):  # importing it reads the settings, and takes seconds the first time
        from music_platform.cli.runs import materialize
        from music_platform.orchestration.runs import open_instance, warnings_of

        instance = open_instance()
    return warnings_of(materialize(instance, settings, paths, partitions, title))


def _hours_with_a_partition(lake: Lake, summary: LandingSummary) -> list[str]:
    """All hours of the days from the first to the last landed event, as far as they have a partition.

    Tells what lies outside, and ends the command when nothing lies within.
    """
    if summary.first_hour is None or summary.last_hour is None:
        fail("nothing was landed: the files hold no event; give --from a folder with Eventsim's files")
    start, now = lake.settings.start, datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    within: set[datetime] = set()
    early: dict[str, datetime] = {}  # hours by key of the landed object
    late: dict[str, datetime] = {}
    for stored in lake.store.list(LANDING_PREFIX):
        place = parse_key(stored.key)
        if place is None or not summary.first_hour <= place[1] <= summary.last_hour:
            continue
        if place[1] < start:
            early[stored.key] = place[1]
        elif place[1] > now:
            late[stored.key] = place[1]
        else:
            within.add(place[1])
    if early:
        warn(f"{_lines_and_hours(lake, early)}: before MUSIC_PLATFORM_START, which is {start:%Y-%m-%dT%H:%M}")
    if late:
        warn(f"{_lines_and_hours(lake, late)}: later than the current hour, {key_of_hour(now)}")
    if not within:
        fail(
            f"no landed event lies between {key_of_hour(start)} (MUSIC_PLATFORM_START) and {key_of_hour(now)}, the current "
            "hour: there is nothing to materialize"
        )
    days = days_in_range(day_of_key(key_of_hour(min(within))), day_of_key(key_of_hour(max(within))))
    return [hour for day in days for hour in hours_of_day(day) if start <= hour_of_key(hour) <= now]


def _lines_and_hours(lake: Lake, hours: dict[str, datetime]) -> str:
    lines = sum(lake.map_parallel(lambda key: count_lines(lake.store.get(key) or b""), list(hours)))
    first, last = key_of_hour(min(hours.values())), key_of_hour(max(hours.values()))
    return f"{lines:,} lines of {len(set(hours.values())):,} hours ({first} to {last}) stay in landing"


def _show(lake: Lake, partitions: list[str], days: list[str], phases: list[_Phase]) -> None:
    table = Table(
        "table", "partitions", "rows", "bytes", "files", title=describe_partitions(partitions), title_justify="left"
    )
    manifests: dict[str, list[Manifest]] = {}
    for contract in (*_HOURLY, *_DAILY):
        keys = partitions if contract.cadence is Cadence.HOURLY else days
        found = lake.map_parallel(lambda key, of=contract: read_manifest(lake.store, of, key), keys)
        of_table = manifests[contract.path] = [entry[0] for entry in found if entry is not None]
        table.add_row(
            contract.path,
            f"{len(of_table):,}",
            f"{sum(manifest.rows for manifest in of_table):,}",
            f"{sum(manifest.bytes for manifest in of_table):,}",
            f"{sum(len(manifest.files) for manifest in of_table):,}",
        )
    console.print(table)
    totals = {
        layer: sum(manifest.rows for name in EVENT_TYPES for manifest in manifests[contracts[name].path])
        for layer, contracts in (("bronze", BRONZE), ("silver", SILVER), ("quarantine", QUARANTINE))
    }
    duplicates = sum(
        manifest.counts.get("duplicates", 0) for name in EVENT_TYPES for manifest in manifests[SILVER[name].path]
    )
    console.print(
        f"{totals['bronze']:,} landed lines = {totals['silver']:,} silver rows + {duplicates:,} duplicates "
        f"+ {totals['quarantine']:,} quarantined"
    )
    for phase in phases:
        console.print(f"  {phase.name:<24}{phase.seconds:6.1f} s {totals['bronze'] / phase.seconds:12,.0f} events/s")


def _end(lake: Lake, warnings: list[str]) -> None:
    passed = "All checks passed."
    if warnings:
        passed = (
            f"All blocking checks passed; {len(warnings)} warning{'s' * (len(warnings) > 1)}: {'; '.join(warnings)}."
        )
    ending = Text.assemble(
        f"{passed} Now: ", ("./run dev", "bold"), f" opens the asset graph in Dagster's UI; the lake is {lake.location}"
    )
    console.print(ending, soft_wrap=True)


@contextmanager
def _timed(phases: list[_Phase], name: str) -> Generator[None]:
    started = time.monotonic()
    yield
    phases.append(_Phase(name, time.monotonic() - started))
