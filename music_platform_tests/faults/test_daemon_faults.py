"""The automation under Dagster's own daemon, killed and cut off: in the end all tables are those of a full recomputation."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._grpc.client import DagsterGrpcClient

from music_platform.settings import Settings
from music_platform_tests.faults.faulty_proxy import Fault, FaultyProxy, Request, passes
from music_platform_tests.faults.live_platform import LivePlatform, landed_objects, midnight, recomputed

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(900)]

_AUTOMATION = {
    "landing_poll_seconds": 5, "landing_quiet_seconds": 2.0, "landing_longest_wait_seconds": 20.0,
    "daily_quiet_seconds": 2.0, "daily_longest_wait_seconds": 60.0,
}  # fmt: skip
StartPlatform = Callable[[Settings], LivePlatform]

_DAILY_JOB = "__ASSET_JOB"  # as Dagster names runs that the automation condition requests
_OUTAGE_SECONDS = 12.0
_RETRY_SECONDS = 18.0  # as much longer than the outage as the default is than two minutes


@pytest.fixture
def start_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartPlatform]:
    """Makes the test's platform, of which no process outlives the test."""
    home = tmp_path / "dagster"
    monkeypatch.setenv("DAGSTER_HOME", str(home))  # the instance's configuration refers to it
    platforms: list[LivePlatform] = []

    def start(settings: Settings) -> LivePlatform:
        platforms.append(LivePlatform(settings, home))
        return platforms[-1]

    yield start
    for platform in platforms:
        platform.close()


def _statuses(platform: LivePlatform) -> set[dg.DagsterRunStatus]:
    return {run.status for job in ("hourly_spine", _DAILY_JOB) for run in platform.runs(job)}


def test_two_days_of_backlog_survive_a_daemon_that_is_killed_at_every_moment_of_a_tick(
    local_settings: Callable[..., Settings], start_platform: StartPlatform, tmp_path: Path
) -> None:
    start = midnight(2)
    settings = local_settings(start=start, **_AUTOMATION)
    platform = start_platform(settings)
    objects = landed_objects(tmp_path / "generated", start, 48)
    late = [key for key in objects if "hour=05" in key or "hour=23" in key][1::2]
    platform.land({key: content for key, content in objects.items() if key not in late})

    platform.daemon_dies("LISTED")
    assert platform.runs("hourly_spine") == []
    platform.daemon_dies("RECORDED")
    assert platform.runs("hourly_spine") == []
    platform.daemon_dies("SUBMITTED")
    assert len(platform.runs("hourly_spine")) == 2  # of a day each, neither begun
    with platform.daemon():
        platform.wait_until(recomputed(tmp_path / "backlog", platform.objects, start))
        assert len(platform.runs("hourly_spine")) == 2
        assert len(platform.runs(_DAILY_JOB)) <= 4

        # Late objects, of the same second as others; and an object once more, which is no change.
        again = next(iter(platform.objects))
        platform.land({key: objects[key] for key in late} | {again: platform.objects[again]})
        for key in late:
            os.utime(Path(settings.lake, key), (start.timestamp(), start.timestamp()))
        platform.wait_until(recomputed(tmp_path / "whole", platform.objects, start))
    assert _statuses(platform) == {dg.DagsterRunStatus.SUCCESS}


@pytest.fixture
def proxy(s3_server: Any) -> Iterator[FaultyProxy]:
    with FaultyProxy(s3_server.endpoint) as proxy:
        yield proxy


def test_a_reload_amid_a_tick_and_an_outage_of_s3_lose_and_double_nothing(
    s3_settings: Callable[..., Settings], proxy: FaultyProxy, start_platform: StartPlatform, tmp_path: Path
) -> None:
    start = midnight(1)
    settings = s3_settings(start=start, s3_endpoint=proxy.endpoint, s3_retry_seconds=_RETRY_SECONDS, **_AUTOMATION)
    platform = start_platform(settings)
    objects = landed_objects(tmp_path / "generated", start + timedelta(hours=21), 3, users=300)
    late = sorted(objects)[::3]
    socket = str(tmp_path / "code.sock")
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(
        f"load_from:\n  - grpc_server: {{socket: {socket}, location_name: music_platform.definitions}}\n"
    )
    server = ["code-server", "start", "-s", socket, "-m", "music_platform.definitions"]
    with platform.process("code_server", [str(_dagster()), *server]):
        client = DagsterGrpcClient(socket=socket)
        _wait_for(lambda: _answers(client), "code server")
        with platform.daemon(["-w", str(workspace)]):
            _reload_amid_a_tick(platform, proxy, client, {key: objects[key] for key in objects if key not in late})
            platform.wait_until(recomputed(tmp_path / "first", platform.objects, start))

            _cut_off_amid_a_run(platform, proxy, {key: objects[key] for key in late})
            platform.wait_until(recomputed(tmp_path / "second", platform.objects, start))


def _reload_amid_a_tick(
    platform: LivePlatform, proxy: FaultyProxy, client: DagsterGrpcClient, objects: dict[str, bytes]
) -> None:
    """Land the objects and load the code anew while the tick that finds them waits for the answer to its listing."""
    is_listing, is_reloaded = threading.Event(), threading.Event()
    platform.land(objects)

    def hold_listings(request: Request) -> Fault | None:
        if request.method == "GET" and "landing%2F" in request.path and not is_reloaded.is_set():
            is_listing.set()
            is_reloaded.wait(60)
        return None

    proxy.rule = hold_listings
    assert is_listing.wait(60), platform.log("daemon")
    client.reload_code(timeout=60)
    is_reloaded.set()
    proxy.rule = passes


def _cut_off_amid_a_run(platform: LivePlatform, proxy: FaultyProxy, objects: dict[str, bytes]) -> None:
    """Land the objects and let S3 be gone for a while from the moment when their run begins to write."""
    is_writing = threading.Event()
    platform.land(objects)

    def look_for_writes(request: Request) -> Fault | None:
        if request.method == "PUT" and "bronze" in request.path:
            is_writing.set()
        return Fault.CONNECTION_RESET if is_writing.is_set() else None

    before = len(proxy.requests)
    proxy.rule = look_for_writes
    assert is_writing.wait(120), platform.log("daemon")
    time.sleep(_OUTAGE_SECONDS)
    proxy.rule = passes
    assert sum(fault is Fault.CONNECTION_RESET for _, fault in proxy.requests[before:]) > 2


def _answers(client: DagsterGrpcClient) -> bool:
    try:
        return client.ping("") is not None
    except dg.DagsterError:
        return False


def _dagster() -> Path:
    return Path(sys.executable).with_name("dagster")


def _wait_for(found: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.2)
