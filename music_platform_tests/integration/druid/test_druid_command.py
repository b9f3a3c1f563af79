"""music-platform druid: what it says of a Druid that does not run."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from music_platform.cli.main import app
from music_platform.settings import current_settings


def test_druid_that_does_not_run_is_told_by_the_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
