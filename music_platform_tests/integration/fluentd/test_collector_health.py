"""The pod's probes: liveness fails where a restart helps, readiness where no events are taken."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from music_platform_tests.faults.faulty_proxy import Fault, FaultyProxy, passes
from music_platform_tests.integration.fluentd.collector import FLUENTD, Collector, SmallDisk, event

pytestmark = pytest.mark.integration
_HEALTH = FLUENTD / "health.rb"
_SMALL_BUFFER = {"COLLECTOR_CHUNK_BYTES": "32k", "COLLECTOR_BUFFER_BYTES": "128k"}


def _probe(collector: Collector, name: str) -> str | None:
    """What is wrong, by the probe of this name."""
    asked = subprocess.run(
        ["ruby", _HEALTH, name], env=collector.environment(), capture_output=True, text=True, check=False
    )
    assert asked.returncode == (1 if asked.stderr else 0), asked.stderr
    return asked.stderr.strip() or None


def _assert_healthy(collector: Collector) -> None:
    assert (_probe(collector, "live"), _probe(collector, "ready")) == (None, None)


def _changed(collector: Collector, file: str, text: str) -> None:
    """Let the collector run on a copy of the configuration in which this file has another text."""
    collector.configuration = collector.folder / "fluentd"
    shutil.copytree(FLUENTD, collector.configuration)
    (collector.configuration / file).write_text(text)


def test_a_collector_that_works_is_live_and_ready(collector: Collector) -> None:
    lines = [event(number) for number in range(50_000)]
    collector.append("listen_events", *lines)
    (collector.events / "auth_events").write_bytes(b'{"ts":')  # its producer is at it, or has ended amid a line
    collector.start()
    _assert_healthy(collector)
    collector.wait_for_lines("listen_events", lines)
    _assert_healthy(collector)
    assert collector.errors() == []


@pytest.mark.parametrize("of", [{"COLLECTOR_SHARED_KEY": "secret"}, {"COLLECTOR_BIND": "0.0.0.0"}], ids=["key", "bind"])
def test_health_is_asked_by_the_variables_of_the_configuration(collector: Collector, of: dict[str, str]) -> None:
    collector.variables = of
    collector.start()
    _assert_healthy(collector)


def test_health_of_ports_with_tls_is_that_they_are_open(collector: Collector, tmp_path: Path) -> None:
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    collector.variables = {"COLLECTOR_TLS_CERTIFICATE": str(certificate), "COLLECTOR_TLS_KEY": str(key)}
    collector.start()
    _assert_healthy(collector)


def test_a_record_that_comes_back_for_ever_is_not_live(collector: Collector) -> None:
    """A label of errors that leads back to the events, as the linter forbids."""
    back = "<label @ERROR>\n<match **>\n@type relabel\n@label @EVENTS\n</match>\n</label>\n"
    _changed(collector, "errors.conf", back + "<label @FLUENT_LOG>\n<match **>\n@type null\n</match>\n</label>\n")
    collector.append("listen_events", b'{"ts":"abc"}', event(1))
    collector.start()
    time.sleep(2)  # it is watched from here on
    assert [_probe(collector, "live") is None for _ in range(4)] == [False] * 4


def test_a_process_that_stands_still_is_not_live(collector: Collector) -> None:
    collector.start()
    assert collector.process is not None
    workers = subprocess.run(["pgrep", "-P", str(collector.process.pid)], capture_output=True, text=True, check=True)
    [worker] = map(int, workers.stdout.split())
    os.kill(worker, signal.SIGSTOP)
    assert _probe(collector, "live") == "Fluentd does not answer"
    os.kill(worker, signal.SIGCONT)
    _assert_healthy(collector)


def test_a_closed_port_is_neither_live_nor_ready(collector: Collector) -> None:
    sources = (FLUENTD / "sources.conf").read_text()
    before, forward, after = sources.partition("<source>\n  @type forward")
    _changed(collector, "sources.conf", before + after[after.index("</source>") + len("</source>") :])
    assert forward
    collector.start()
    for name in ("live", "ready"):
        assert _probe(collector, name) == "port closed: forward"


def test_with_a_full_buffer_it_is_live_and_not_ready(collector: Collector) -> None:
    lines = [event(number) for number in range(20_000)]
    with FaultyProxy(collector.endpoint, rule=lambda _: Fault.CONNECTION_RESET) as proxy:
        collector.endpoint = proxy.endpoint
        collector.variables = _SMALL_BUFFER
        collector.append("listen_events", *lines)
        collector.start()
        collector.wait_for(lambda: _probe(collector, "ready") is not None, "the buffer is full")
        for _ in range(3):
            assert _probe(collector, "ready") == "buffer full: land_events"
            assert _probe(collector, "live") is None
        proxy.rule = passes
        collector.wait_for_lines("listen_events", lines)
        _assert_healthy(collector)


def test_while_s3_is_down_it_is_live_and_ready(collector: Collector) -> None:
    lines = [event(number) for number in range(1_000)]
    with FaultyProxy(collector.endpoint, rule=lambda _: Fault.CONNECTION_RESET) as proxy:
        collector.endpoint = proxy.endpoint
        collector.start()
        collector.forward("listen_events", *lines)
        collector.wait_for(lambda: collector.retries() > 3, "failed flushes")
        _assert_healthy(collector)
        proxy.rule = passes
        collector.wait_for_lines("listen_events", lines)


def test_with_a_full_disk_it_is_live_and_not_ready_and_a_restart_helps_afterwards(
    collector: Collector, small_disk: SmallDisk
) -> None:
    lines = [event(number) for number in range(5_000)]
    collector.append("page_view_events", lines[0])
    collector.start()
    collector.wait_for_lines("page_view_events", lines[:1])
    small_disk.fill()
    collector.append("page_view_events", *lines[1:])
    # A new file: Fluentd cannot note that it reads it, and looks for no new files any more.
    collector.append("listen_events", *lines)
    collector.wait_for(lambda: b"Stopping the timer" in collector.log.read_bytes(), "the look for new files to end")
    collector.wait_for(lambda: _probe(collector, "ready") is not None, "the disk is full")
    for _ in range(3):
        assert "No space left on device" in (_probe(collector, "ready") or "")
        assert _probe(collector, "live") is None
    small_disk.empty()
    collector.wait_for_lines("page_view_events", lines)
    assert "listen_events.jsonl" in (_probe(collector, "live") or "")
    collector.stop(signal.SIGKILL)
    collector.start()
    collector.wait_for_lines("listen_events", lines)
    _assert_healthy(collector)
