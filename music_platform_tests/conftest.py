"""Which tests run and where, and fixtures that several folders of tests share: reference data, an S3 server, lakes.

Only what more than one folder needs belongs here.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from pydantic import SecretStr
from xdist.scheduler import LoadScopeScheduling

from music_platform.settings import Settings
from music_platform_tests.places import SAMPLE_FOLDER

_TESTS = Path(__file__).resolve().parent
_REPOSITORY = _TESTS.parent
_MARKS_OF_FOLDERS = {"integration": "integration", "faults": "fault", "compose": "compose", "cluster": "cluster"}
_SERVER_START_SECONDS = 60.0

SettingsFactory = Callable[..., Settings]

_DEFAULT_MARKS = "not long and not compose and not cluster"  # as pyproject.toml has it
_QUICK_MARKS = f"{_DEFAULT_MARKS} and not integration and not fault"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the integration and fault tests too, as CI does")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Without --all, a path or -m, the quick tests run: the unit tests and the tests of the assets."""
    if _everything_is_asked_for(config) and not config.option.all and config.option.markexpr == _DEFAULT_MARKS:
        config.option.markexpr = _QUICK_MARKS


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder of a test says its lane; a mark on a test elsewhere says that it belongs there too."""
    for item in items:
        for folder, mark in _MARKS_OF_FOLDERS.items():
            if _TESTS / folder in item.path.parents:
                item.add_marker(mark)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A worker for each processor; none, which is to say this process, where paths are named: a few tests start sooner so."""
    if not _everything_is_asked_for(config):
        return 0
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _FileByFile(config, log)


class _FileByFile(LoadScopeScheduling):
    """Gives a worker whole files, so that a fixture of a file or session is made once; all of Druid's tests share one Druid."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "druid" if "/integration/druid/" in file else file


def _everything_is_asked_for(config: pytest.Config) -> bool:
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS


@dataclass(frozen=True)
class S3Server:
    """A running S3 server: how to reach it, and a client for what the tests themselves do there."""

    endpoint: str
    access_key_id: str
    secret_access_key: str
    region: str = "us-east-1"

    def client(self) -> Any:
        """A boto3 S3 client of this server."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
        )

    def new_bucket(self) -> str:
        """Create an empty bucket and return its name."""
        bucket = f"lake-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=bucket)
        return bucket


@pytest.fixture(scope="session")
def sample_folder() -> Path:
    """What the real Eventsim and the real Fluentd wrote."""
    return SAMPLE_FOLDER


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server (moto) in a process of its own, so that a test which holds the GIL cannot stall it."""
    with running_s3_server(tmp_path_factory.mktemp("s3_server") / "log.txt") as server:
        yield server


@contextmanager
def running_s3_server(log: Path, environment: Mapping[str, str] | None = None) -> Generator[S3Server]:
    """An S3 server of its own, with further environment variables; ``log`` gets what it prints."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    try:
        _wait_until_it_listens(process, port, log)
        yield S3Server(f"http://127.0.0.1:{port}", "test-key", "test-secret")
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def strict_s3_server(tmp_path: Path) -> Iterator[S3Server]:
    """An S3 server that knows nobody's credentials: after the bucket is made, it refuses every request."""
    with running_s3_server(tmp_path / "strict_s3_server.txt", {"INITIAL_NO_AUTH_ACTION_COUNT": "1"}) as server:
        yield server


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _SERVER_START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the S3 server ended with {process.returncode}: {log.read_text()}")
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the S3 server does not listen after {_SERVER_START_SECONDS} s: {log.read_text()}")


@pytest.fixture
def s3_settings(s3_server: S3Server) -> SettingsFactory:
    """A factory of Settings whose lake is a prefix of a new bucket; keyword arguments are other settings."""

    def make(**others: Any) -> Settings:
        values: dict[str, Any] = {
            "lake": f"s3://{s3_server.new_bucket()}/lake",
            "s3_endpoint": s3_server.endpoint,
            "s3_region": s3_server.region,
            "s3_access_key_id": s3_server.access_key_id,
            "s3_secret_access_key": SecretStr(s3_server.secret_access_key),
            "s3_retry_seconds": 10.0,  # a server that is gone should fail a test soon
        }
        return Settings(**(values | others))

    return make


@pytest.fixture
def local_settings(tmp_path: Path) -> SettingsFactory:
    """A factory of Settings whose lake is a new folder; keyword arguments are other settings."""

    def make(**others: Any) -> Settings:
        values: dict[str, Any] = {"lake": str(tmp_path / f"lake-{uuid.uuid4().hex[:12]}")}
        return Settings(**(values | others))

    return make


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.integration)])
def settings(request: pytest.FixtureRequest) -> Settings:
    """Settings with an empty lake: once in a local folder, once on the S3 server."""
    factory: SettingsFactory = request.getfixturevalue(f"{request.param}_settings")
    return factory()
