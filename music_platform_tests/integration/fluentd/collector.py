"""The collector under test: Fluentd on the project's configuration, against a real S3 server."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import pytest

from music_platform.eventsim.sinks import open_sink
from music_platform.lake.landing_layout import parse_errors_key, parse_key
from music_platform.lake.object_store import ObjectStore
from music_platform.landing.error_records import ErrorRecord, parse_error_record
from music_platform.landing.event_lines import HOUR_MS, hour_time
from music_platform.settings import Settings
from music_platform_tests.places import REPOSITORY

FLUENTD = REPOSITORY / "fluentd"
FIRST_TS = 1_793_509_200_000  # 2026-11-01 05:00 UTC
LONGEST_WAIT_SECONDS = 60.0


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return probe.getsockname()[1]


def event(number: int, *, hours: float = 0.0) -> bytes:
    return b'{"ts":%d,"sessionId":%d,"page":"Home"}' % (FIRST_TS + int(hours * HOUR_MS) + number, number + 1)


def packed(value: object) -> bytes:
    """A value in the form of the forward protocol."""
    content = msgpack.packb(value)
    assert content is not None
    return content


@dataclass
class Collector:
    """Fluentd on the project's configuration; killed and started again by the tests, on the same state."""

    folder: Path
    settings: Settings
    endpoint: str
    configuration: Path = FLUENTD
    guards: Sequence[str] = ("-r", str(FLUENTD / "guards.rb"))
    process: subprocess.Popen[bytes] | None = None
    variables: dict[str, str] = field(default_factory=dict)  # of this test alone
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in ("FORWARD", "HTTP", "HEALTH")})

    def __post_init__(self) -> None:
        self.store = ObjectStore.from_settings(self.settings)
        self.log = self.folder / "log.txt"
        self.events = self.folder / "events"
        self.events.mkdir()

    def environment(self) -> dict[str, str]:
        """The variables of its configuration and of its health."""
        bucket, _, prefix = self.settings.lake.removeprefix("s3://").partition("/")
        return os.environ | {
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
            **self.variables,
        }

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["fluentd", *self.guards, "--config", str(self.configuration / "fluent.conf")],
                env=self.environment(),
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
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self.process.pid, number)
        self.process.wait(timeout=LONGEST_WAIT_SECONDS)
        self.process = None

    def append(self, event_type: str, *lines: bytes) -> None:
        with (self.events / f"{event_type}.jsonl").open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))

    def forward(self, event_type: str, *lines: bytes, shared_key: str = "") -> None:
        """Send by the generator's own sink, which waits for Fluentd's word that it has them and tries again."""
        sink = open_sink(
            f"forward://127.0.0.1:{self.ports['FORWARD']}",
            self.folder,
            acknowledge=True,
            retry_seconds=LONGEST_WAIT_SECONDS,
            stop=threading.Event(),
            shared_key=shared_key,
        )
        try:
            sink.send(event_type, b"".join(line + b"\n" for line in lines))
        finally:
            sink.close()

    def forward_entries(self, tag: str, entries: list[Any] | bytes) -> None:
        """Send entries as they are, a list or a packed stream, and wait for the word that Fluentd has them."""
        with socket.create_connection(("127.0.0.1", self.ports["FORWARD"]), timeout=10) as connection:
            connection.sendall(packed([tag, entries, {"chunk": "these"}]))
            assert msgpack.unpackb(connection.recv(100)) == {"ack": "these"}

    def post(self, tag: str, body: bytes) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['HTTP']}/{tag}", data=body)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                log = self.log.read_text(errors="replace")[-4_000:]
                pytest.fail(f"not within {LONGEST_WAIT_SECONDS:.0f} s: {what}\n{log}")
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

    def outputs(self) -> list[dict[str, Any]]:
        """What Fluentd tells of its two outputs."""
        address = f"http://127.0.0.1:{self.ports['HEALTH']}/api/plugins.json"
        with urllib.request.urlopen(address, timeout=5) as answer:
            return [plugin for plugin in json.load(answer)["plugins"] if plugin["type"] == "s3"]

    def retries(self) -> int:
        return sum(output.get("retry_count") or 0 for output in self.outputs())

    def buffered_bytes(self) -> int:
        return sum(output.get("buffer_total_queued_size") or 0 for output in self.outputs())


@dataclass
class SmallDisk:
    """A disk of a few megabytes that a test can fill."""

    folder: Path

    def fill(self) -> None:
        with (self.folder / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4_096))

    def empty(self) -> None:
        (self.folder / "ballast").unlink()
