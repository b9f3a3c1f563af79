"""The collector of each test, where a `fluentd` with its S3 plugin is on the PATH."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from collector import Collector

from music_platform.settings import Settings


@pytest.fixture
def collector(tmp_path: Path, s3_settings: Callable[..., Settings]) -> Iterator[Collector]:
    if shutil.which("fluentd") is None:
        pytest.skip("no fluentd on the PATH; it and fluent-plugin-s3 are Ruby gems, see docs/collecting.md")
    settings = s3_settings()
    made = Collector(tmp_path, settings, settings.s3_endpoint)
    yield made
    made.stop(signal.SIGKILL)
