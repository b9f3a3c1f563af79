"""The collector of each test, where a `fluentd` with its S3 plugin is on the PATH."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from music_platform.settings import Settings
from music_platform_tests.integration.fluentd.collector import Collector, SmallDisk


@pytest.fixture
def collector(tmp_path: Path, s3_settings: Callable[..., Settings]) -> Iterator[Collector]:
    if shutil.which("fluentd") is None:
        pytest.skip("no fluentd on the PATH; it and fluent-plugin-s3 are Ruby gems, see docs/collecting.md")
    settings = s3_settings()
    made = Collector(tmp_path, settings, settings.s3_endpoint)
    yield made
    made.stop(signal.SIGKILL)


@pytest.fixture
def small_disk(collector: Collector) -> Iterator[SmallDisk]:
    """The disk of the collector's state, 3 MB. Skips where nothing may be mounted."""
    state = collector.folder / "state"
    state.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", state]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    collector.variables = {"COLLECTOR_CHUNK_BYTES": "256k"}
    yield SmallDisk(state)
    collector.stop(signal.SIGKILL)
    subprocess.run(["umount", "--lazy", state], check=True)
