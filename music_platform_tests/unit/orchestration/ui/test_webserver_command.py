"""`music-platform webserver`, asked wrongly. What it serves is tried in a browser, in integration/test_dagster_ui.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from music_platform.cli.main import app
from music_platform.settings import current_settings


@pytest.fixture(autouse=True)
def _own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    current_settings.cache_clear()


def test_without_an_instance_it_serves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME")
    result = CliRunner().invoke(app, ["webserver"])
    assert result.exit_code == 2
    assert "set DAGSTER_HOME" in result.stderr


@pytest.mark.parametrize("prefix", ["dagster", "/dagster/", "/"])
def test_a_prefix_is_a_path(prefix: str) -> None:
    result = CliRunner().invoke(app, ["webserver", "--path-prefix", prefix])
    assert result.exit_code == 2
    assert "must begin with a slash" in result.stderr


def test_hosts_that_cannot_be_meant_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSIC_PLATFORM_UI_ALLOWED_HOSTS", "*")
    current_settings.cache_clear()
    result = CliRunner().invoke(app, ["webserver"])
    current_settings.cache_clear()
    assert result.exit_code == 2
    assert "MUSIC_PLATFORM_UI_ALLOWED_HOSTS: '*' is no host name" in " ".join(result.stderr.split())
