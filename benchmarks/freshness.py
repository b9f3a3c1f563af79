"""Freshness under the local Dagster with a live producer: from an object landed to its rows readable in silver and gold.

python -m benchmarks.freshness                               # five minutes
python -m benchmarks.freshness --quiet 20 --longest-wait 120 --seconds 900    # the settings' defaults: few, larger batches

Everything is as `./run dev` starts it, in folders of its own; objects land every few seconds in the hour that is still filling.
A batch is what one run was the first to take. Seconds beyond the debounce count from the moment when the sensor's rules let the
hour go, or from landing where that was later, to when a reader found the rows in the published tables.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from benchmarks.measuring import print_table
from music_platform.lake.lake import Lake
from music_platform.local.dagster import local_dagster
from music_platform.local.freshness import Debounce, FreshnessWatch, LandedObject
from music_platform.local.producer import LiveProducer
from music_platform.orchestration.runs import daemon_evaluates_sensors
from music_platform.settings import Settings
from music_platform_tests.dagster_runs import new_instance

_LOOK_SECONDS = 0.25
_DRAIN_SECONDS = 180.0
_LAYERS = ("bronze", "silver", "gold")


@dataclass(frozen=True)
class _Run:
    """When a run got how far, in seconds since 1970; the layers by the end of their last step."""

    run_id: str
    requested: float
    launched: float
    started: float
    first_step: float
    layers: dict[str, float]
    ended: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="of producing (default: %(default)s)")
    parser.add_argument("--users", type=int, default=100_000, help="virtual listeners (default: %(default)s)")
    parser.add_argument("--landing-seconds", type=float, default=5.0, help="between landings (default: %(default)s)")
    parser.add_argument("--quiet", type=float, default=10.0, help="debounce (default: %(default)s)")
    parser.add_argument("--longest-wait", type=float, default=30.0, help="debounce (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave lake, instance and logs where they are")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="music-platform-freshness-"))
    try:
        _measure(folder, options)
    finally:
        if options.keep:
            print(f"kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _measure(folder: Path, options: argparse.Namespace) -> None:
    os.environ["MUSIC_PLATFORM_LAKE"] = str(folder / "lake")
    os.environ["MUSIC_PLATFORM_LANDING_QUIET_SECONDS"] = str(options.quiet)
    os.environ["MUSIC_PLATFORM_LANDING_LONGEST_WAIT_SECONDS"] = str(options.longest_wait)
    lake = Lake(Settings())
    home = folder / "dagster"
    instance = new_instance(home)
    serves = partial(daemon_evaluates_sensors, instance, time.time())
    with (
        local_dagster(home, serves, print),
        LiveProducer(lake.store, users=options.users, seed=1, seconds=options.landing_seconds) as producer,
    ):
        watch = FreshnessWatch(lake)
        _look_for(watch, options.seconds)
        producer.stop()
        deadline = time.monotonic() + _DRAIN_SECONDS
        _look_for(watch, _LOOK_SECONDS)
        while watch.unreadable() and time.monotonic() < deadline:
            _look_for(watch, _LOOK_SECONDS)
        runs = _ended_runs(instance, deadline)
        _tell(watch, Debounce(options.quiet, options.longest_wait), [_timed(instance, record) for record in runs
              if record.dagster_run.job_name == "hourly_spine" and record.dagster_run.is_success])  # fmt: skip
    differences = watch.differences()
    print(
        f"\n{producer.lines:,} lines landed in {producer.objects:,} objects, {len(watch.unreadable())} of them not readable "
        f"at the end; {len(runs)} runs, {sum(record.dagster_run.job_name == 'hourly_spine' for record in runs)} of them hourly; "
        f"from landing to gold {'; '.join(differences) or 'every row is there once'}"
    )


def _look_for(watch: FreshnessWatch, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        watch.look()
        if time.monotonic() >= deadline:
            return
        time.sleep(_LOOK_SECONDS)


def _ended_runs(instance: dg.DagsterInstance, deadline: float) -> Sequence[dg.RunRecord]:
    """All runs, once none is in progress."""
    while time.monotonic() < deadline and instance.get_runs_count(dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)):
        time.sleep(_LOOK_SECONDS)
    return instance.get_run_records()


def _timed(instance: dg.DagsterInstance, record: dg.RunRecord) -> _Run:
    run_id = record.dagster_run.run_id
    steps = [step for step in instance.get_run_step_stats(run_id) if step.start_time and step.end_time]
    launched = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.PIPELINE_STARTING).records
    layers = {
        layer: max(step.end_time or 0.0 for step in steps if step.step_key.startswith(_step_names(layer)))
        for layer in _LAYERS
    }
    return _Run(
        run_id=run_id,
        requested=record.create_timestamp.timestamp(),
        launched=launched[0].timestamp,
        started=record.start_time or 0.0,
        first_step=min(step.start_time or 0.0 for step in steps),
        layers=layers,
        ended=record.end_time or 0.0,
    )


def _step_names(layer: str) -> tuple[str, ...]:
    """How the layer's steps begin that a row waits for."""
    return {"bronze": ("bronze__",), "silver": ("silver_and_quarantine", "silver__"), "gold": ("gold__fact",)}[layer]


def _tell(watch: FreshnessWatch, debounce: Debounce, runs: Sequence[_Run]) -> None:
    beyond = watch.lags_beyond(debounce, {run.run_id: run.requested for run in runs})
    print_table(
        f"From landed to readable, {len(beyond):,} objects in {len(watch.batches())} batches",
        ["seconds", "p50", "p95", "most"],
        [_row("in all", watch.lags()), _row("beyond the debounce", beyond)],
    )
    by_run = {run.run_id: run for run in runs}
    batches = [(by_run[run_id], batch) for (run_id, _), batch in watch.batches().items() if run_id in by_run]
    phases = {
        "sensor: debounce over to run requested": [
            max(run.requested - _due(batch, debounce), 0.0) for run, batch in batches
        ],
        "queue: requested to launched": [run.launched - run.requested for run, _ in batches],
        "process: launched to started": [run.started - run.launched for run, _ in batches],
        "plan: started to first step": [run.first_step - run.started for run, _ in batches],
        "bronze": [run.layers["bronze"] - run.first_step for run, _ in batches],
        "silver": [run.layers["silver"] - run.layers["bronze"] for run, _ in batches],
        "gold": [run.layers["gold"] - run.layers["silver"] for run, _ in batches],
        "what follows: checks, end of the process": [run.ended - run.layers["gold"] for run, _ in batches],
    }
    print_table(
        "How it is spent, by batch", ["seconds", "p50", "p95", "most"], [_row(*phase) for phase in phases.items()]
    )


def _due(batch: Sequence[LandedObject], debounce: Debounce) -> float:
    return debounce.ends(landed.landed_at for landed in batch)


def _row(name: str, seconds: Sequence[float]) -> list[str]:
    if not seconds:
        return [name, "", "", ""]
    ordered = sorted(seconds)
    p95 = ordered[math.ceil(0.95 * len(ordered)) - 1]
    return [name, *(f"{value:.1f}" for value in (statistics.median(ordered), p95, ordered[-1]))]


if __name__ == "__main__":
    main()
