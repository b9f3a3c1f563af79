"""Fixtures of the tests that run the platform's own definitions on a local lake."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_platform import LocalPlatform

from music_platform.settings import Settings


@pytest.fixture
def platform(tmp_path: Path) -> LocalPlatform:
    """A platform with an empty lake."""
    return LocalPlatform(Settings(lake=str(tmp_path / "lake")))
