"""Starting and stopping a local service: one process at a time, whatever service it is, and however it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from music_platform.errors import LocalDruidError
from music_platform.local.druid.local_druid import LocalDruid
from music_platform.local.service import ServiceError, exclusively
from music_platform.local.superset.server import LocalSuperset
from music_platform.settings import Settings

_HOLDER = """
import sys, time
from pathlib import Path
from music_platform.errors import MusicPlatformError
from music_platform.local.service import exclusively

with exclusively(Path(sys.argv[1]), MusicPlatformError("held")):
    print("holds", flush=True)
    time.sleep(60)
"""


def test_another_process_is_reported_by_the_service_and_let_in_after_a_kill(tmp_path: Path) -> None:
    settings = Settings(druid_folder=str(tmp_path), superset_home=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", _HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "holds\n"
            with pytest.raises(LocalDruidError, match="another command is starting or stopping the Druid"):
                LocalDruid(settings).down()
            with pytest.raises(ServiceError, match="another process is starting or stopping the Superset"):
                LocalSuperset(settings).down()
        finally:
            holder.kill()
    with exclusively(tmp_path, ServiceError("held by a process that was killed")):
        assert LocalDruid(settings).status() is None
