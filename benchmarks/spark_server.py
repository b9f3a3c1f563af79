"""Apache Spark's own Connect server, from the pyspark wheel, for as long as a measurement needs it. Needs Java 17."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pyspark

_CORES = os.cpu_count() or 1
_START_SECONDS = 120.0


@contextmanager
def spark_connect_server() -> Generator[tuple[str, float]]:
    """The url of a server on ``local[<cores>]`` and the seconds that it took to start; ends it afterwards."""
    home = Path(pyspark.__file__).parent
    with socket.socket() as probe, tempfile.TemporaryDirectory(prefix="music-platform-spark-") as folder:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        log = Path(folder, "log.txt")
        command = [
            str(home / "bin" / "spark-class"), "org.apache.spark.deploy.SparkSubmit",
            "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
            "--master", f"local[{_CORES}]", "--driver-memory", "4g",
            "--conf", f"spark.connect.grpc.binding.port={port}",
            "--conf", "spark.connect.grpc.binding.address=127.0.0.1",
            "--conf", f"spark.sql.shuffle.partitions={4 * _CORES}",
            "--conf", f"spark.local.dir={folder}",
            "--conf", "spark.ui.enabled=false",
            "spark-internal",
        ]  # fmt: skip
        environment = os.environ | {
            "SPARK_HOME": str(home),
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]),
        }
        started = time.perf_counter()
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_until_it_listens(process, port, log)
            yield f"sc://127.0.0.1:{port}", time.perf_counter() - started
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def java_is_there() -> bool:
    """Whether a server can be started at all."""
    return shutil.which("java") is not None


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"Spark's server ended with {process.returncode}:\n{log.read_text()[-4000:]}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"Spark's server does not listen after {_START_SECONDS:.0f} s:\n{log.read_text()[-4000:]}")
