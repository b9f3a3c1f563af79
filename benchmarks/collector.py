"""What an event costs the collector: processor time of Fluentd's worker, from the first event to the last one in S3.

python -m benchmarks.collector                                   # files, the forward port and HTTP
python -m benchmarks.collector --beside /tmp/earlier/fluentd     # and those of another configuration, in turn

Needs a `fluentd` with its S3 plugin on the PATH. Processor time, since seconds are those of the machine's other work too.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

from benchmarks.landed_events import EVENTS_PER_LISTENER_DAY
from benchmarks.measuring import median_ratio, print_table
from music_platform.eventsim import GeneratorOptions, generate_files
from music_platform.eventsim.sinks import open_sink
from music_platform.tables.events import EVENT_TYPES

_CONFIGURATION = Path(__file__).resolve().parents[1] / "fluentd"
_KEY_ID, _SECRET = "key", "secret"
_BUCKET = "music-platform"
_LONGEST_SECONDS = 600.0
_ARRAY = 1_000
Events = dict[str, list[bytes]]


@dataclass(frozen=True)
class _Collector:
    """A running Fluentd."""

    process: subprocess.Popen[bytes]
    events: Path
    ports: dict[str, int]

    def processor_seconds(self) -> float:
        """Of the worker, the process that takes the events."""
        [worker] = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        numbers = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, numbers[11:13])) / os.sysconf("SC_CLK_TCK")

    def is_done(self, rows: int) -> bool:
        """Whether so many events were taken and all are in S3."""
        address = f"http://127.0.0.1:{self.ports['HEALTH']}/api/plugins.json?type=s3&with_config=no"
        with urllib.request.urlopen(address, timeout=30) as answer:
            outputs = {plugin["plugin_id"]: plugin for plugin in json.load(answer)["plugins"]}
        if outputs["land_errors"]["emit_records"]:
            raise RuntimeError("the collector refused events")
        taken = outputs["land_events"]
        return taken["emit_records"] >= rows and taken["buffer_total_queued_size"] == 0

    def tail(self, events: Events) -> None:
        for name, lines in events.items():
            whole = self.events.with_name(f"{name}.whole")
            whole.write_bytes(b"".join(line + b"\n" for line in lines))
            whole.rename(self.events / f"{name}.jsonl")

    def forward(self, events: Events) -> None:
        address = f"forward://127.0.0.1:{self.ports['FORWARD']}"
        sink = open_sink(address, self.events, acknowledge=True, retry_seconds=60.0, stop=threading.Event())
        for name, lines in events.items():
            sink.send(name, b"".join(line + b"\n" for line in lines))
        sink.close()

    def post(self, events: Events) -> None:
        for name, lines in events.items():
            for first in range(0, len(lines), _ARRAY):
                body = b"[" + b",".join(lines[first : first + _ARRAY]) + b"]"
                address = f"http://127.0.0.1:{self.ports['HTTP']}/eventsim.{name}"
                request = urllib.request.Request(address, data=body, headers={"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=_LONGEST_SECONDS) as answer:
                    answer.read()


_WAYS: dict[str, Callable[[_Collector, Events], None]] = {
    "files": _Collector.tail,
    "forward": _Collector.forward,
    f"HTTP, arrays of {_ARRAY:,}": _Collector.post,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000, help="events, about (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--beside", type=Path, help="folder of another configuration")
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the S3 server's word on each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=_KEY_ID,
            aws_secret_access_key=_SECRET,
        )
        client.create_bucket(Bucket=_BUCKET)
        _measure(options, endpoint)
    finally:
        server.stop()


def _measure(options: argparse.Namespace, endpoint: str) -> None:
    configurations = {"this": _CONFIGURATION} | ({"beside": options.beside} if options.beside else {})
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-") as folder:
        events = _events(options.rows, Path(folder, "generated"))
        rows = sum(map(len, events.values()))
        table = []
        for way, send in _WAYS.items():
            seconds: dict[str, list[float]] = {name: [] for name in configurations}
            for _ in range(options.repetitions):
                for name, configuration in configurations.items():
                    seconds[name].append(_cost(configuration, endpoint, lambda it, send=send: send(it, events), rows))
            table += [[way, name, *_figures(rows, seconds[name], seconds["this"])] for name in configurations]
    head = ["", "configuration", "µs an event", "events a processor second", "this / it"]
    print_table(f"{rows:,} events", head, table)


def _figures(rows: int, seconds: Sequence[float], of_this: Sequence[float]) -> list[str]:
    median = statistics.median(seconds)
    return [f"{median / rows * 1e6:.1f}", f"{rows / median:,.0f}", f"{median_ratio(of_this, seconds):.2f}"]


def _events(rows: int, folder: Path) -> Events:
    folder.mkdir()
    listeners = max(1, round(rows / EVENTS_PER_LISTENER_DAY))
    generate_files(GeneratorOptions(users=listeners, seed=1, start=datetime(2026, 1, 5, tzinfo=UTC), days=1), folder)
    return {name: (folder / f"{name}.jsonl").read_bytes().splitlines() for name in EVENT_TYPES}


def _cost(configuration: Path, endpoint: str, send: Callable[[_Collector], None], rows: int) -> float:
    """Processor seconds of the worker for these events."""
    with _running(configuration, endpoint) as collector:
        before = collector.processor_seconds()
        send(collector)
        _wait_for(lambda: collector.is_done(rows), "the events in S3")
        return collector.processor_seconds() - before


@contextmanager
def _running(configuration: Path, endpoint: str) -> Generator[_Collector]:
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-") as folder:
        events = Path(folder, "events")
        events.mkdir()
        ports = {name: _free_port() for name in ("FORWARD", "HTTP", "HEALTH")}
        environment = os.environ | {
            "COLLECTOR_STATE": f"{folder}/state",
            "COLLECTOR_EVENTS": str(events),
            "COLLECTOR_S3_ENDPOINT": endpoint,
            "COLLECTOR_S3_BUCKET": _BUCKET,
            "COLLECTOR_S3_ACCESS_KEY_ID": _KEY_ID,
            "COLLECTOR_S3_SECRET_ACCESS_KEY": _SECRET,
            "COLLECTOR_FLUSH_SECONDS": "1",
            **{f"COLLECTOR_{name}_PORT": str(port) for name, port in ports.items()},
        }
        with Path(folder, "log.txt").open("wb") as log:
            guards = configuration / "guards.rb"
            loaded = ["-r", str(guards)] if guards.exists() else []
            command = ["fluentd", *loaded, "--config", str(configuration / "fluent.conf")]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            collector = _Collector(process, events, ports)
            _wait_for(lambda: all(map(_listens, ports.values())), "Fluentd's ports")
            yield collector
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {_LONGEST_SECONDS:.0f} s: {what}")
        time.sleep(0.2)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return probe.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
