"""music-platform doctor: what it finds of a machine and its settings, what it advises, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from music_platform.cli.main import app
from music_platform.settings import current_settings

_EXAMINED = {
    "python",
    "packages",
    "credentials",
    "code location",
    "Dagster's instance",
    "ports",
    "java",
    "disk",
    "memory",
}


def examined(commands: CliRunner) -> tuple[int, dict[str, dict[str, Any]]]:
    result = commands.invoke(app, ["doctor", "--json"])
    assert result.stdout, (result.output, result.exception)
    report = json.loads(result.stdout)
    assert report["healthy"] is (result.exit_code == 0)
    return result.exit_code, {finding["subject"].split(" /")[0]: finding for finding in report["findings"]}


def test_a_sound_machine_passes_and_nothing_is_left_in_the_lake(commands: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    code, found = examined(commands)
    assert {subject: finding for subject, finding in found.items() if finding["state"] == "failure"} == {}
    assert code == 0
    assert set(found) >= _EXAMINED
    assert found["lake"]["state"] == "ok"
    assert [path for path in (tmp_path / "lake").rglob("*") if path.is_file() and not path.name.startswith(".")] == []


def test_a_lake_that_cannot_be_written_is_a_failure_with_advice(commands: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where the folder must be")
    code, found = examined(commands)
    assert code == 1
    assert found["lake"]["state"] == "failure"
    assert found["lake"]["advice"]


def test_a_bucket_that_is_not_there_is_a_failure_and_the_secret_is_not_told(
    commands: CliRunner, s3_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("LAKE", "s3://no-such-bucket/lake"),
        ("S3_ENDPOINT", s3_server.endpoint),
        ("S3_ACCESS_KEY_ID", "somebody"),
        ("S3_SECRET_ACCESS_KEY", "hunter2-secret"),
        ("S3_RETRY_SECONDS", "2"),
    ):
        monkeypatch.setenv(f"MUSIC_PLATFORM_{name}", value)
    current_settings.cache_clear()
    result = commands.invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "no-such-bucket" in result.output
    assert "hunter2-secret" not in result.output


def test_druid_that_does_not_run_is_told_by_the_exit_code(
    commands: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSIC_PLATFORM_DRUID_FOLDER", str(tmp_path / "druid"))
    current_settings.cache_clear()
    result = commands.invoke(app, ["druid", "status"])
    assert result.exit_code == 1
    assert "music-platform druid up starts it" in " ".join(result.output.split())
    down = commands.invoke(app, ["druid", "down"])
    assert down.exit_code == 0
    assert "was not running" in down.output
