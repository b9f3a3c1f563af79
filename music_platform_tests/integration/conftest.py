"""Fixtures that several integration tests share: the command on an empty lake, and a lake's store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from music_platform.lake.object_store import ObjectStore
from music_platform.settings import Settings, current_settings
from music_platform_tests.places import REPOSITORY


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """A runner of the command on an empty lake and an instance in this test's folder."""
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(REPOSITORY / "deploy" / "local" / "dagster.yaml", home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("MUSIC_PLATFORM_LAKE", str(tmp_path / "lake"))
    current_settings.cache_clear()
    yield CliRunner()
    current_settings.cache_clear()


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    return ObjectStore.from_settings(settings)
