"""`music-platform demo --live SECONDS`: listeners, landing, sensor, runs and tables live, with the lag from landing to gold."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from rich.live import Live
from rich.table import Table
from rich.text import Text

from music_platform.cli.console import console, errors_as_messages, fail, readable_duration, settings_of_command
from music_platform.lake.lake import Lake
from music_platform.local.dagster import local_dagster
from music_platform.local.freshness import FACTS, Debounce, FreshnessWatch, LandedObject
from music_platform.local.producer import LiveProducer
from music_platform.orchestration.runs import Instance, RunCounts, daemon_evaluates_sensors, open_instance
from music_platform.partitions import describe_partitions
from music_platform.settings import dagster_home
from music_platform.tables.bronze import BRONZE
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER

_LANDING_SECONDS = 3.0
# Shorter than the defaults, so that two minutes show several runs.
_DEBOUNCE = Debounce(quiet_seconds=5.0, longest_wait_seconds=15.0)
_LOOK_SECONDS = 0.5
_DRAIN_SECONDS = 180.0  # for the tables to catch up once the producer has stopped
_IDLE_SECONDS = (
    12.0  # longer than the debounce and a tick: without a run in that time, the sensor has nothing left to request
)
_DAY_SECONDS = "86400"


def demo_live(seconds: float, users: int, seed: int, taste: float) -> None:
    """Produce and land events for so many seconds while the local Dagster makes the tables; then wait for the last of them.

    Ends the command with exit code 1 when something was lost, failed or did not become readable in time.
    """
    settings = settings_of_command()
    home = dagster_home()
    if home is None:
        fail("--live needs Dagster's instance: set DAGSTER_HOME, or call it by ./run", 2)
    lake = Lake(settings)
    with errors_as_messages(), open_instance() as instance:
        began = datetime.now(UTC)
        environment = {
            "MUSIC_PLATFORM_LANDING_QUIET_SECONDS": str(_DEBOUNCE.quiet_seconds),
            "MUSIC_PLATFORM_LANDING_LONGEST_WAIT_SECONDS": str(_DEBOUNCE.longest_wait_seconds),
            # A lake's history and the days are left to `./run dev`.
            "MUSIC_PLATFORM_LANDING_WINDOW_HOURS": "1",
            "MUSIC_PLATFORM_DAILY_QUIET_SECONDS": _DAY_SECONDS,
            "MUSIC_PLATFORM_DAILY_LONGEST_WAIT_SECONDS": _DAY_SECONDS,
        }
        console.print("starting Dagster's UI and daemon")
        serves = partial(daemon_evaluates_sensors, instance, began.timestamp())
        with local_dagster(home, serves, console.print, **environment) as address:
            console.print(Text.assemble("live: ", (address, "bold"), f"; the lake is {lake.location}"), soft_wrap=True)
            watch = FreshnessWatch(lake)
            producer = LiveProducer(lake.store, users=users, seed=seed, seconds=_LANDING_SECONDS, taste=taste)
            with producer:
                _follow(watch, producer, instance, began, seconds)
        problems = _problems(watch, producer, RunCounts.of(instance, began))
    _print_freshness(watch, producer, RunCounts.of(instance, began))
    if problems:
        fail("; ".join(problems))


def _follow(watch: FreshnessWatch, producer: LiveProducer, instance: Instance, began: datetime, seconds: float) -> None:
    """Show what happens while the producer runs, and until the tables hold all that it landed."""
    started, runs = time.monotonic(), RunCounts()
    with Live(console=console, auto_refresh=False, transient=True) as display:

        def show(phase: str) -> None:
            nonlocal runs
            watch.look()
            runs = RunCounts.of(instance, began)
            display.update(_progress(watch, producer, runs, phase), refresh=True)
            time.sleep(_LOOK_SECONDS)

        while (left := seconds - (time.monotonic() - started)) > 0:
            producer.raise_failure()
            show(f"producing, {readable_duration(left)} left")
        producer.stop()
        stopped = busy_at = time.monotonic()
        while time.monotonic() - busy_at < _IDLE_SECONDS and time.monotonic() - stopped < _DRAIN_SECONDS:
            show("producer stopped, the tables catch up")
            if watch.unreadable() or runs.in_progress or runs.queued:
                busy_at = time.monotonic()


def _progress(watch: FreshnessWatch, producer: LiveProducer, runs: RunCounts, phase: str) -> Table:
    table = Table("layer", "rows", "objects", "lag", title=phase, caption=str(runs), title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    now = datetime.now(UTC).timestamp()
    objects = list(watch.objects.values())
    in_gold = [landed for landed in objects if landed.event_type in FACTS]
    table.add_row("landing", f"{producer.lines:,}", f"{producer.objects:,}", "")
    for layer, contracts, missing, of in (
        ("bronze", BRONZE.values(), [landed for landed in objects if landed.run_id is None], objects),
        ("silver", SILVER.values(), [landed for landed in objects if landed.silver_at is None], objects),
        ("gold", FACTS.values(), [landed for landed in in_gold if landed.gold_at is None], in_gold),
    ):
        rows, done = watch.rows(contracts), len(of) - len(missing)
        table.add_row(layer, f"{rows:,}", f"{done:,} of {len(of):,}", f"{_age_of_oldest(missing, now):.0f} s")
    return table


def _age_of_oldest(waiting: Sequence[LandedObject], now: float) -> float:
    return max((now - landed.landed_at for landed in waiting), default=0.0)


def _problems(watch: FreshnessWatch, producer: LiveProducer, runs: RunCounts) -> list[str]:
    """What is wrong at the end: every landed line must be in bronze once, and every layer reconciled with the next."""
    problems = []
    late = watch.unreadable()
    if late:
        problems.append(
            f"{len(late):,} of {len(watch.objects):,} objects did not become readable, such as {late[0].key}"
        )
    if (found := watch.lines()) != producer.lines:
        problems.append(f"{producer.lines:,} lines were landed and the new objects hold {found:,}")
    problems += watch.differences()
    if runs.failed:
        problems.append(f"runs failed: {runs.failed}; ./run dev shows them")
    if not producer.lines:
        problems.append("no event was produced: give more --users or more seconds")
    return problems


def _print_freshness(watch: FreshnessWatch, producer: LiveProducer, runs: RunCounts) -> None:
    facts = ", ".join(f"{watch.rows([contract]):,} in {contract.path}" for contract in FACTS.values())
    quarantined = watch.rows(QUARANTINE.values())
    console.print(
        f"{producer.lines:,} lines landed in {producer.objects:,} objects; {describe_partitions(watch.hours())} hold "
        f"{watch.rows(BRONZE.values()):,} rows in bronze, {watch.rows(SILVER.values()):,} in silver, {quarantined:,} in "
        f"quarantine, {facts}",
        soft_wrap=True,
    )
    console.print(str(runs))
    for name, lags in (
        ("from landed to readable", watch.lags()),
        ("of it beyond the debounce", watch.lags_beyond(_DEBOUNCE, runs.requested)),
    ):
        if lags:
            p95 = sorted(lags)[math.ceil(0.95 * len(lags)) - 1]
            console.print(f"  {name:<28}p50 {statistics.median(lags):5.1f} s   p95 {p95:5.1f} s")
