"""Fixtures of the tests that run the platform's own definitions on a local lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from music_platform.settings import Settings
from music_platform_tests.assets.local_platform import LocalPlatform


@pytest.fixture
def platform(tmp_path: Path) -> LocalPlatform:
    """A platform with an empty lake."""
    return LocalPlatform(Settings(lake=str(tmp_path / "lake")))
