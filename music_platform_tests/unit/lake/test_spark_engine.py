"""A Spark Connect url at which nobody answers is told at once, and by its name."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from music_platform.errors import MusicPlatformError
from music_platform.lake import spark
from music_platform.lake.spark import SparkEngine


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "form", ["sc://127.0.0.1:{}", "sc://127.0.0.1:{}/", "sc://localhost:{}/;user_id=a;use_ssl=true"]
)
def test_a_url_at_which_nobody_listens_is_reported_at_once(unused_port: int, form: str) -> None:
    url = form.format(unused_port)
    begun = time.monotonic()
    with pytest.raises(MusicPlatformError) as raised:
        _ = SparkEngine(remote=url).spark_session
    assert time.monotonic() - begun < 15
    assert f"no Spark session at {url}: " in str(raised.value)
    assert "Check MUSIC_PLATFORM_SPARK_REMOTE" in str(raised.value)


def test_the_port_is_spark_connects_own_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def refuse(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(spark.socket, "create_connection", refuse)
    for url in ("sc://host", "sc://host/;user_id=a", "sc://[::1]:7/"):
        with pytest.raises(MusicPlatformError, match="Connection refused"):
            _ = SparkEngine(remote=url).spark_session
    assert asked == [("host", 15002), ("host", 15002), ("::1", 7)]


@pytest.mark.parametrize("url", ["host:15002", "http://host", "sc://", "sc://host:port", "sc://host/path"])
def test_a_url_of_another_form_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark.socket, "create_connection", lambda *_, **__: socket.socket())
    with pytest.raises(MusicPlatformError, match="no Spark session at"):
        _ = SparkEngine(remote=url).spark_session


_INTERRUPTED_AFTER_A_THREAD_OPENED_THE_ENGINE = """
import os, signal, threading, time
from music_platform.lake.spark import SparkEngine
spark = SparkEngine()
opening = [threading.Thread(target=lambda: spark.spark_session.range(3).count()) for _ in range(4)]
for thread in opening:
    thread.start()
for thread in opening:
    thread.join()
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
except KeyboardInterrupt:
    print("interrupted, and the engine counts", spark.spark_session.range(3).count())
"""


def test_an_interrupt_is_the_runs_and_not_the_engines() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED_AFTER_A_THREAD_OPENED_THE_ENGINE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "interrupted, and the engine counts 3\n", done.stderr
