"""The live demo under Dagster's own UI and daemon: from listeners to gold by itself, and everything stopped at its end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
import pytest
from typer.testing import CliRunner

from music_platform.local.freshness import Debounce
from music_platform.tables.catalogue import GOLD
from music_platform_tests.integration.command_line import COMMAND
from music_platform_tests.waiting import wait_until

pytestmark = pytest.mark.long


@contextmanager
def live(seconds: int) -> Generator[subprocess.Popen[str]]:
    """The command in a process of its own; whatever it started is ended with the test."""
    process = subprocess.Popen(
        [*COMMAND, "demo", "--live", str(seconds), "--users", "50000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        for left in served():
            left.kill()
        process.kill()
        process.wait()


def served() -> list[psutil.Process]:
    """The processes that work on this test's instance, but for the command and the test itself."""
    home = os.environ["DAGSTER_HOME"]
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DAGSTER_HOME") == home and "app()" not in " ".join(process.cmdline()):
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return [process for process in found if process.pid != os.getpid()]


def test_live_events_reach_gold_by_themselves(commands: CliRunner, tmp_path: Path) -> None:
    with live(10) as process:
        output, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
        assert not served()
    assert " runs finished, 0 of them failed, 0 in progress" in output
    assert "of it beyond the debounce" in output
    assert list((tmp_path / "lake" / GOLD["fact_streams"].path).rglob("*.parquet"))
    with dg.DagsterInstance.get() as instance:
        assert {run.job_name for run in instance.get_runs()} >= {"hourly_spine"}


def test_an_interrupt_ends_the_daemon_too(commands: CliRunner, tmp_path: Path) -> None:
    with live(300) as process:
        wait_until(lambda: list((tmp_path / "lake" / "landing").rglob("*.json.gz")), seconds=120)
        assert served()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=90)
        assert process.returncode == 130, errors
        assert "Traceback" not in errors
        assert not served()


@pytest.mark.parametrize(
    ("landed", "end"),
    [
        ([0.0], 20.0),
        ([0.0, 10.0, 25.0], 45.0),
        ([0.0, 10.0, 31.0], 30.0),  # quiet before the third came
        ([float(second) for second in range(0, 200, 5)], 120.0),
    ],
)
def test_a_debounce_ends_when_it_is_quiet_or_was_long_enough(landed: list[float], end: float) -> None:
    assert Debounce(quiet_seconds=20.0, longest_wait_seconds=120.0).ends(landed) == end
