"""`music-platform demo`: the main job end to end on this machine, from generated (or given) events to checked silver."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from music_platform.cli.console import console, fail, failures_told
from music_platform.contracts.events import EVENT_TYPES
from music_platform.contracts.tables import BRONZE, QUARANTINE, SILVER, TABLES
from music_platform.io_managers.manifest import Manifest, read_manifest
from music_platform.landing.layout import LANDING_PREFIX, parse_key
from music_platform.partitions import describe_partitions, key_of_hour, keys_in_range
from music_platform.resources.lake import Lake
from music_platform.settings import Settings, current_settings

_DAYS = 3
_USERS = 1_000


@dataclass
class _Phase:
    name: str
    seconds: float


def demo(
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Folder with Eventsim's files, instead of generated ones.", show_default=False),
    ] = None,
    users: Annotated[int, typer.Option("--users", min=1, help="Virtual listeners to generate.")] = _USERS,
    days: Annotated[int, typer.Option("--days", min=1, help="Days to generate, up to yesterday.")] = _DAYS,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the generator.")] = 1,
) -> None:
    """Generate events, land them, materialize bronze, silver and quarantine in one run, check them, and show the result."""
    settings = current_settings()
    lake = Lake(settings)
    phases: list[_Phase] = []
    with failures_told():
        before = set(_landed_keys(lake))
        with tempfile.TemporaryDirectory(prefix="music-platform-demo-") as folder:
            if source is None:
                source = Path(folder)
                with _timed(phases, "generate"):
                    _generate(source, users, days, seed)
            with _timed(phases, "land"):
                _land(lake, source)
        partitions = _hours_of(lake, before)
        with _timed(phases, "materialize and check"):
            _materialize(settings, partitions)
    _show(lake, partitions, phases)


def _generate(folder: Path, users: int, days: int, seed: int) -> None:
    from music_platform.eventsim import GeneratorOptions, generate_files  # only when there is something to generate

    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    options = GeneratorOptions(users=users, seed=seed, start=today - timedelta(days=days), end=today)
    with _bar("generate", "page views") as update:
        generate_files(
            options,
            folder,
            progress=lambda so_far: update(so_far.page_views, so_far.now - so_far.start, so_far.end - so_far.start),
        )


def _land(lake: Lake, folder: Path) -> None:
    from music_platform.landing.event_files import event_files
    from music_platform.landing.writer import land_files

    files = event_files([folder])
    total = sum(file.path.stat().st_size for file in files if file.path is not None)
    read = lines = 0
    with _bar("land", "lines") as update:

        def tell(more_bytes: int, more_lines: int) -> None:
            nonlocal read, lines
            read, lines = read + more_bytes, lines + more_lines
            update(lines, read, total)

        land_files(lake.store, files, tell)


def _materialize(settings: Settings, partitions: list[str]) -> None:
    from music_platform.cli.runs import materialize, open_instance  # Dagster's imports take seconds

    materialize(open_instance(), settings, list(TABLES), partitions, f"materialize {describe_partitions(partitions)}")


def _landed_keys(lake: Lake) -> Iterator[str]:
    return (stored.key for stored in lake.store.list(LANDING_PREFIX))


def _hours_of(lake: Lake, known: set[str]) -> list[str]:
    """All hours between the first and the last that the demo landed in; of all landed ones when it landed nothing new."""
    keys = list(_landed_keys(lake))
    parsed = [parse_key(key) for key in keys if key not in known] or [parse_key(key) for key in keys]
    hours = sorted(place[1] for place in parsed if place is not None)
    if not hours:
        fail("nothing was landed; give --from a folder with Eventsim's files")
    return keys_in_range(key_of_hour(hours[0]), key_of_hour(min(hours[-1], datetime.now(UTC))))


def _show(lake: Lake, partitions: list[str], phases: list[_Phase]) -> None:
    table = Table(
        "table", "partitions", "rows", "bytes", "files", title=describe_partitions(partitions), title_justify="left"
    )
    manifests: dict[str, list[Manifest]] = {}
    for contract in TABLES.values():
        found = lake.map_parallel(lambda key, of=contract: read_manifest(lake.store, of, key), partitions)
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
    console.print("All checks passed. Now: [bold]./run dev[/] opens the asset graph in Dagster's UI; the lake is "
                  f"{lake.location}", soft_wrap=True)  # fmt: skip


@contextmanager
def _timed(phases: list[_Phase], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    phases.append(_Phase(name, time.monotonic() - started))


@contextmanager
def _bar(title: str, unit: str) -> Iterator[Callable[[int, float, float], None]]:
    with Progress(
        TextColumn(title),
        BarColumn(),
        TextColumn("{task.fields[count]:,} " + unit),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        task = progress.add_task(title, count=0)

        def update(count: int, done: float, total: float) -> None:
            progress.update(task, count=count, completed=done, total=total)

        yield update
