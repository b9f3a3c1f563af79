"""The collector itself, where a `fluentd` with its S3 plugin is on the PATH: what goes in is landed, through every fault.

Each test runs it on the project's configuration, against a real S3 server.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from music_platform.eventsim.sinks import open_sink
from music_platform.landing.error_records import ErrorRecord, parse_error_record
from music_platform.landing.event_lines import HOUR_MS, hour_time
from music_platform.landing.layout import parse_errors_key, parse_key
from music_platform.resources.object_store import ObjectStore
from music_platform.settings import Settings

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        shutil.which("fluentd") is None,
        reason="no fluentd on the PATH; it and fluent-plugin-s3 are Ruby gems, see docs/collecting.md",
    ),
]
_CONFIGURATION = Path(__file__).resolve().parents[2] / "fluentd" / "fluent.conf"
_FIRST_TS = 1_793_509_200_000  # 2026-11-01 05:00 UTC
_LONGEST_WAIT_SECONDS = 60.0


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return probe.getsockname()[1]


def _event(number: int, *, hours: float = 0.0) -> bytes:
    return b'{"ts":%d,"sessionId":%d,"page":"Home"}' % (_FIRST_TS + int(hours * HOUR_MS) + number, number + 1)


@dataclass
class Collector:
    """Fluentd on the project's configuration; killed and started again by the tests, on the same state."""

    folder: Path
    settings: Settings
    endpoint: str
    process: subprocess.Popen[bytes] | None = None
    ports: dict[str, int] = field(
        default_factory=lambda: {name: _free_port() for name in ("FORWARD", "HTTP", "HEALTH")}
    )

    def __post_init__(self) -> None:
        self.store = ObjectStore.from_settings(self.settings)
        self.events = self.folder / "events"
        self.events.mkdir()

    def start(self) -> None:
        bucket, _, prefix = self.settings.lake.removeprefix("s3://").partition("/")
        variables = {
            "COLLECTOR_STATE": str(self.folder / "state"),
            "COLLECTOR_EVENTS": str(self.events),
            "COLLECTOR_S3_BUCKET": bucket,
            "COLLECTOR_S3_PREFIX": f"{prefix}/",
            "COLLECTOR_S3_ENDPOINT": self.endpoint,
            "COLLECTOR_S3_ACCESS_KEY_ID": self.settings.s3_access_key_id,
            "COLLECTOR_S3_SECRET_ACCESS_KEY": self.settings.s3_secret_access_key.get_secret_value(),
            "COLLECTOR_FLUSH_SECONDS": "1",
            "COLLECTOR_RETRY_SECONDS": "1",
            **{f"COLLECTOR_{name}_PORT": str(port) for name, port in self.ports.items()},
        }
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                ["fluentd", "-c", str(_CONFIGURATION)],
                env=os.environ | variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_for(self._is_healthy, "Fluentd answers")

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.ports['HEALTH']}/api/plugins.json", timeout=1
            ) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, its worker too."""
        if self.process is None:
            return
        os.killpg(self.process.pid, number)
        self.process.wait(timeout=_LONGEST_WAIT_SECONDS)
        self.process = None

    def append(self, event_type: str, *lines: bytes) -> None:
        with (self.events / f"{event_type}.jsonl").open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))

    def post(self, tag: str, body: bytes) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['HTTP']}/{tag}", data=body)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                log = (self.folder / "log.txt").read_text(errors="replace")[-4_000:]
                pytest.fail(f"not within {_LONGEST_WAIT_SECONDS:.0f} s: {what}\n{log}")
            time.sleep(0.2)

    def landed(self, event_type: str) -> Counter[bytes]:
        """The landed lines; each must lie in the folder of its own hour."""
        lines: Counter[bytes] = Counter()
        for found in self.store.list(f"landing/{event_type}"):
            place = parse_key(found.key)
            assert place is not None, f"'{found.key}' is not read by the platform"
            for line in gzip.decompress(self.store.get(found.key) or b"").splitlines():
                assert hour_time(int(json.loads(line)["ts"]) // HOUR_MS) == place[1], (found.key, line)
                lines[line] += 1
        return lines

    def errors(self) -> list[ErrorRecord]:
        records = []
        for found in self.store.list("errors"):
            assert parse_errors_key(found.key) is not None, f"'{found.key}' is not read by the platform"
            for line in gzip.decompress(self.store.get(found.key) or b"").splitlines():
                record = parse_error_record(line)
                assert record is not None, line
                records.append(record)
        return records

    def wait_for_lines(self, event_type: str, lines: list[bytes]) -> None:
        """Until every line is landed at least once; none may be that was not sent."""
        self.wait_for(lambda: set(self.landed(event_type)) >= set(lines), f"{len(lines)} lines landed")
        assert set(self.landed(event_type)) == set(lines)


@pytest.fixture
def collector(tmp_path: Path, s3_settings: Callable[..., Settings]) -> Iterator[Collector]:
    settings = s3_settings()
    made = Collector(tmp_path, settings, settings.s3_endpoint)
    yield made
    made.stop(signal.SIGKILL)


def test_files_forward_and_http_are_landed_once_and_the_rest_is_kept_with_its_reason(collector: Collector) -> None:
    from_file = [_event(number, hours=number % 5) for number in range(500)]
    collector.append("page_view_events", *from_file)
    collector.append("page_view_events", b"not json", b'{"ts":"abc"}', _event(7, hours=-48))
    collector.start()

    forwarded = [_event(number) for number in range(1_000)]
    sink = open_sink(
        f"forward://127.0.0.1:{collector.ports['FORWARD']}",
        collector.folder,
        acknowledge=True,
        retry_seconds=10,
        stop=threading.Event(),
    )
    sink.send("listen_events", b"".join(line + b"\n" for line in forwarded))
    sink.close()
    posted = [_event(number) for number in range(100)]
    assert collector.post("eventsim.auth_events", b"[" + b",\n".join(posted) + b"]") == 200
    assert collector.post("eventsim.auth_events", b'{"ts":') == 200
    assert collector.post("eventsim.skip_events", _event(1)) == 200
    assert collector.post("elsewhere", _event(2)) == 200

    collector.wait_for_lines("page_view_events", [*from_file, _event(7, hours=-48)])
    collector.wait_for_lines("listen_events", forwarded)
    collector.wait_for_lines("auth_events", posted)
    for event_type in ("page_view_events", "listen_events", "auth_events"):
        assert set(collector.landed(event_type).values()) == {1}
    collector.wait_for(lambda: len(collector.errors()) >= 5, "five error records")
    found = {(record.raw, record.tag, record.reason) for record in collector.errors()}
    assert found == {
        (b"not json", "eventsim.page_view_events", "json_object"),
        (b'{"ts":"abc"}', "eventsim.page_view_events", "ts_epoch_milliseconds"),
        (b'{"ts":', "eventsim.auth_events", "json_object"),
        (_event(1), "eventsim.skip_events", "tag_known"),
        # No event type's prefix: it is not parsed at all.
        (_event(2), "elsewhere", "tag_known"),
    }


def test_a_killed_collector_loses_nothing(collector: Collector) -> None:
    lines = [_event(number, hours=number % 24) for number in range(6_000)]
    for first in range(0, len(lines), 2_000):
        collector.append("listen_events", *lines[first : first + 2_000])
        collector.start()
        time.sleep(0.5)
        collector.stop(signal.SIGKILL)
    collector.start()
    collector.wait_for_lines("listen_events", lines)


def test_a_late_event_is_a_new_object_in_its_old_hour(collector: Collector) -> None:
    collector.start()
    collector.append("listen_events", _event(1))
    collector.wait_for_lines("listen_events", [_event(1)])
    before = {found.key for found in collector.store.list("landing")}
    collector.append("listen_events", _event(2))
    collector.wait_for_lines("listen_events", [_event(1), _event(2)])
    after = {found.key for found in collector.store.list("landing")}
    assert before < after
    assert {parse_key(key) for key in after} == {parse_key(key) for key in before}


def test_it_starts_and_waits_while_s3_is_down(collector: Collector) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as nobody:
        down = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    endpoint, collector.endpoint = collector.endpoint, down
    lines = [_event(number, hours=number % 3) for number in range(300)]
    collector.append("listen_events", *lines)
    collector.start()
    collector.wait_for(lambda: _retries(collector) > 0, "a failed flush")
    assert collector.landed("listen_events") == {}
    collector.stop(signal.SIGKILL)
    collector.endpoint = endpoint
    collector.start()
    collector.wait_for_lines("listen_events", lines)
    assert set(collector.landed("listen_events").values()) == {1}


def _retries(collector: Collector) -> int:
    address = f"http://127.0.0.1:{collector.ports['HEALTH']}/api/plugins.json"
    with urllib.request.urlopen(address, timeout=5) as answer:
        plugins: list[dict[str, Any]] = json.load(answer)["plugins"]
    return sum(plugin.get("retry_count") or 0 for plugin in plugins if plugin["type"] == "s3")
