"""music-platform druid as a process, on a Druid that runs and on none; and the demo that is served from it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from music_platform.cli.main import app
from music_platform.local.druid.local_druid import LocalDruid
from music_platform.settings import Settings, current_settings, process_environment

pytestmark = pytest.mark.timeout(600)
COMMAND = [sys.executable, "-c", "from music_platform.cli.process import music_platform; music_platform()"]


def command(settings: Settings, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a shell runs it, on the Druid of the settings, with a lake and an instance in the folder."""
    home = folder / "dagster"
    home.mkdir(exist_ok=True)
    environment = process_environment(
        without=("SPARK_",),
        DAGSTER_HOME=str(home),
        MUSIC_PLATFORM_LAKE=str(folder / "lake"),
        MUSIC_PLATFORM_DRUID_FOLDER=settings.druid_folder,
        MUSIC_PLATFORM_DRUID_PORT_OFFSET=str(settings.druid_port_offset),
    )
    return subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=300)


def test_the_demo_is_served_from_druid(running_druid: LocalDruid, tmp_path: Path) -> None:
    ended = command(running_druid.settings, tmp_path, "demo", "--users", "40", "--days", "1", "--faults", "0")
    assert ended.returncode == 0, ended.stderr
    assert "All checks passed" in ended.stdout
    for question in ("Where do listeners listen?", "Which songs lead", "How long are sessions"):
        assert re.search(rf"{re.escape(question)}.{{0,60}}? rows in [0-9,]+ ms", " ".join(ended.stdout.split())), (
            ended.stdout
        )
    assert "./run music-platform druid down stops it" in ended.stdout


def test_the_demo_goes_on_where_druid_cannot_start(running_druid: LocalDruid, tmp_path: Path) -> None:
    settings = running_druid.settings.model_copy(update={"druid_folder": str(tmp_path / "other")})
    ended = command(settings, tmp_path, "demo", "--users", "20", "--days", "1", "--faults", "0")  # its ports are taken
    assert ended.returncode == 0, ended.stderr
    assert "warning: without Druid: port" in ended.stderr
    assert "All checks passed" in ended.stdout


def test_up_status_logs_and_down(running_druid: LocalDruid, tmp_path: Path) -> None:
    settings = running_druid.settings
    again = command(settings, tmp_path, "druid", "up")
    assert (again.returncode, "Druid was up already" in again.stdout) == (0, True), again.stderr
    status = command(settings, tmp_path, "druid", "status")
    assert status.returncode == 0, status.stderr
    assert status.stdout.count("healthy") == 6
    log = command(settings, tmp_path, "druid", "logs", "broker", "--lines", "3")
    assert (log.returncode, len(log.stdout.splitlines())) == (0, 3), log.stderr
    unknown = command(settings, tmp_path, "druid", "logs", "no-such-service")
    assert (unknown.returncode, "coordinator-overlord" in unknown.stderr) == (2, True)
    down = command(settings, tmp_path, "druid", "down")
    assert (down.returncode, down.stdout.strip()) == (0, "Druid is down"), down.stderr
    assert running_druid.status() is None
    gone = command(settings, tmp_path, "druid", "status")
    assert (gone.returncode, "druid up starts it" in gone.stderr) == (1, True)
    up = command(settings, tmp_path, "druid", "up")
    assert (up.returncode, "Druid is up after" in up.stdout) == (0, True), up.stderr
    assert command(settings, tmp_path, "druid", "status").returncode == 0


def test_druid_that_does_not_run_is_reported_by_the_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSIC_PLATFORM_DRUID_FOLDER", str(tmp_path / "druid"))
    current_settings.cache_clear()
    try:
        result = CliRunner().invoke(app, ["druid", "status"])
        assert result.exit_code == 1
        assert "music-platform druid up starts it" in " ".join(result.output.split())
        down = CliRunner().invoke(app, ["druid", "down"])
        assert down.exit_code == 0
        assert "was not running" in down.output
    finally:
        current_settings.cache_clear()
