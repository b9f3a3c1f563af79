"""The music-platform doctor command on a machine that is well, and on what it is there to find: each is really made so."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from music_platform.cli import dagster_examinations, machine_examinations, platform_examinations
from music_platform.cli.finding import Finding, State
from music_platform.cli.main import app
from music_platform.lake.lake import Lake
from music_platform.local import dagster
from music_platform.orchestration.runs import open_instance
from music_platform.settings import Settings, current_settings
from music_platform.tables.catalogue import made_tables
from music_platform_tests.integration.command_line import in_its_own_process

_SUBJECTS = {
    "python",
    "packages",
    "recommendations",
    "credentials",
    "engine in this process",
    "code location",
    "Dagster's instance",
    "run launcher",
    "logs of runs",
    "ports",
    "java",
    "disk",
    "memory",
}


def told(commands: CliRunner) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code and the findings by subject; that of the lake is called "lake"."""
    result = commands.invoke(app, ["doctor", "--json"])
    report = json.loads(result.stdout)
    assert report["healthy"] == (result.exit_code == 0)
    return result.exit_code, {found["subject"].split(" /")[0].split(" s3:")[0]: found for found in report["findings"]}


def only(findings: list[Finding]) -> Finding:
    [finding] = findings
    return finding


@pytest.fixture
def lake_folder(commands: CliRunner) -> Path:
    folder = Path(current_settings().lake)
    folder.mkdir()
    return folder


def test_a_machine_that_is_well(commands: CliRunner, lake_folder: Path) -> None:
    code, findings = told(commands)
    assert code == 0
    assert set(findings) == {*_SUBJECTS, "lake"}
    for subject in (*_SUBJECTS - {"disk", "memory", "java"}, "lake"):  # those three depend on the machine
        assert findings[subject]["state"] == "ok", findings[subject]
    assert int(findings["code location"]["found"].split(" assets, ")[0]) > len(
        made_tables(is_served=False)
    )  # and landing's
    assert findings["python"]["found"].startswith(".".join(map(str, sys.version_info[:3])))
    assert list(lake_folder.iterdir()) == [lake_folder / ".publish.lock"]  # the store's own


def test_the_findings_are_lines_for_people(commands: CliRunner, lake_folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(lake_folder.parent / "nowhere"))
    ended = in_its_own_process("doctor")
    assert ended.returncode == 1
    assert "failure  Dagster's instance: " in ended.stdout
    assert "         Start by ./run, which makes the default instance." in ended.stdout
    assert "ok       packages: dagster 1." in ended.stdout
    assert "1 failures, " in ended.stdout


def test_a_lake_that_is_not_there_yet_is_a_warning(commands: CliRunner) -> None:
    code, findings = told(commands)
    assert code == 0
    assert findings["lake"]["state"] == "warning"
    assert not Path(current_settings().lake).exists()


def test_a_lake_that_cannot_be_made_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    finding = only(platform_examinations.lake(Settings(lake=str(tmp_path / "file" / "lake"))))
    assert finding.state is State.FAILURE
    assert f"cannot be made in {tmp_path / 'file'}" in finding.found


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_a_failure(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    finding = only(platform_examinations.lake(Settings(lake=str(tmp_path))))
    tmp_path.chmod(0o755)
    assert finding.state is State.FAILURE
    assert "Give this user the right" in finding.advice


def test_a_folder_on_which_nothing_can_be_written_is_a_failure() -> None:
    """Not even by root."""
    if not Path("/proc/self").is_dir():
        pytest.skip("this machine has no /proc")
    finding = only(platform_examinations.lake(Settings(lake="/proc/self")))
    assert finding.state is State.FAILURE
    assert "cannot write 'doctor-" in finding.found
    assert "Give this user the right" in finding.advice


@pytest.mark.integration
def test_a_lake_on_s3_is_well_and_left_as_it_was(s3_settings: Callable[..., Settings]) -> None:
    settings = s3_settings()
    assert only(platform_examinations.lake(settings)).state is State.OK
    assert only(machine_examinations.clock(settings)).state is State.OK
    assert only(platform_examinations.credentials(settings)).found == "from MUSIC_PLATFORM_S3_ACCESS_KEY_ID"
    assert list(Lake(settings).store.list("")) == []


@pytest.mark.integration
def test_refused_credentials_are_reported_and_not_shown(
    commands: CliRunner, monkeypatch: pytest.MonkeyPatch, strict_s3_server: Any
) -> None:
    for name, value in {
        "LAKE": f"s3://{strict_s3_server.new_bucket()}/lake",
        "S3_ENDPOINT": strict_s3_server.endpoint,
        "S3_ACCESS_KEY_ID": "wrong-key",
        "S3_SECRET_ACCESS_KEY": "wrong-secret",
    }.items():
        monkeypatch.setenv(f"MUSIC_PLATFORM_{name}", value)
    current_settings.cache_clear()
    code, findings = told(commands)
    assert code == 1
    assert findings["lake"]["state"] == "failure"
    assert "403" in findings["lake"]["found"]
    assert "what the identity may do" in findings["lake"]["advice"]
    assert "wrong-secret" not in json.dumps(findings)


@pytest.mark.integration
def test_a_bucket_that_does_not_exist_is_named(s3_settings: Callable[..., Settings]) -> None:
    finding = only(platform_examinations.lake(s3_settings(lake="s3://no-such-bucket/lake")))
    assert finding.state is State.FAILURE
    assert "there is no bucket 'no-such-bucket'" in finding.found


def test_a_server_that_is_not_there_is_reported() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
        settings = Settings(
            lake="s3://bucket/lake",
            s3_endpoint=endpoint,
            s3_access_key_id="key",
            s3_secret_access_key=SecretStr("secret"),
            s3_retry_seconds=1.0,
        )
        assert only(platform_examinations.lake(settings)).state is State.FAILURE
        clock = only(machine_examinations.clock(settings))
    assert clock.state is State.WARNING
    assert f"{endpoint} does not answer" in clock.found


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"s3_access_key_id": "key"}, "S3_ACCESS_KEY_ID is set and MUSIC_PLATFORM_S3_SECRET_ACCESS_KEY is not"),
        (
            {"s3_secret_access_key": SecretStr("hush")},
            "S3_SECRET_ACCESS_KEY is set and MUSIC_PLATFORM_S3_ACCESS_KEY_ID is not",
        ),
    ],
)
def test_half_a_key_pair_is_a_failure(given: dict[str, Any], told: str) -> None:
    finding = only(platform_examinations.credentials(Settings(lake="s3://bucket/lake", **given)))
    assert finding.state is State.FAILURE
    assert told in finding.found
    assert "hush" not in finding.found


@pytest.mark.parametrize(
    ("variables", "source"),
    [
        ({}, "the instance's role"),
        ({"AWS_ACCESS_KEY_ID": "shell-key"}, "AWS_ACCESS_KEY_ID"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}, "the web identity of AWS_WEB_IDENTITY_TOKEN_FILE"),
        ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/role"}, "the container's role"),
        ({"AWS_ACCESS_KEY_ID": "shell-key", "AWS_WEB_IDENTITY_TOKEN_FILE": "/token"}, "AWS_ACCESS_KEY_ID"),
    ],
)
def test_the_source_of_credentials_is_reported(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], source: str
) -> None:
    monkeypatch.setattr(os, "environ", dict(variables))
    finding = only(platform_examinations.credentials(Settings(lake="s3://bucket/lake")))
    assert (finding.state, finding.found) == (State.OK, f"from {source}")


def test_a_code_location_that_does_not_load_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pyspark.py").write_text("raise ImportError('pyspark is broken here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finding = only(platform_examinations.code_location())
    assert finding.state is State.FAILURE
    assert "pyspark is broken here" in finding.found


def test_packages_that_do_not_agree_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, version in (("dagster_aws", "0.28.0"), ("pyarrow", "3.0.0")):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(tmp_path)
    findings = platform_examinations.packages()
    assert {finding.state for finding in findings} == {State.FAILURE}
    told = "\n".join(finding.found for finding in findings)
    assert "music-platform needs dagster-aws==0.29.27, installed is 0.28.0" in told
    assert "installed is 3.0.0" in told


@pytest.mark.skipif(sys.platform != "linux", reason="the wheels for macOS hold no OpenMP")
def test_an_openmp_that_cannot_be_loaded_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "libgomp.so.1").write_text("no library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    report = json.loads(in_its_own_process("doctor", "--json").stdout)
    [finding] = [found for found in report["findings"] if found["subject"] == "recommendations"]
    assert finding["state"] == "failure"
    assert "libgomp.so.1" in finding["found"]
    assert "Debian: libgomp1" in finding["advice"]


def test_an_instance_of_an_older_dagster_is_reported(commands: CliRunner, tmp_path: Path) -> None:
    with open_instance():
        pass
    assert [finding.state for finding in dagster_examinations.dagster_instance()] == [State.OK] * 3
    with sqlite3.connect(tmp_path / "dagster" / "schedules" / "schedules.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '0da417ae1b81'")
    finding = dagster_examinations.dagster_instance()[0]
    assert finding.state is State.FAILURE
    assert "schedules: 0da417ae1b81 instead of " in finding.found
    assert "./run dagster instance migrate" in finding.advice


def test_an_instance_that_does_not_open_is_reported(commands: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "dagster" / "dagster.yaml").write_text("storage: [")
    finding = only(dagster_examinations.dagster_instance())
    assert finding.state is State.FAILURE
    assert f"DAGSTER_HOME={tmp_path / 'dagster'} cannot be opened" in finding.found


def test_a_port_that_is_taken_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for module in (machine_examinations, dagster):
            monkeypatch.setattr(module, "PORTS", range(port, port + 1))
        finding = only(machine_examinations.ports())
    assert finding.state is State.WARNING
    assert f"none from {port} to {port} is free" in finding.found


@pytest.mark.parametrize(
    ("script", "state", "found"),
    [
        ("echo 'openjdk version \"17.0.15\" 2025-04-15' >&2", State.OK, '"17.0.15" at '),
        ("echo 'java version \"1.8.0_312\"' >&2", State.WARNING, '"1.8.0_312" at '),
        ("exit 1", State.WARNING, "does not print its version"),
        (None, State.WARNING, "does not run"),
    ],
)
def test_the_java_of_java_home_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str | None, state: State, found: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if script is not None:
        command = tmp_path / "bin" / "java"
        command.parent.mkdir()
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
    finding = only(machine_examinations.java())
    assert finding.state is state
    assert found in finding.found


def test_no_java_is_no_defect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = only(machine_examinations.java())
    assert (finding.state, finding.found[:5]) == (State.OK, "none;")


@pytest.fixture
def server_with_clock() -> Iterator[Callable[[timedelta], Settings]]:
    """A factory of settings whose S3 server is one on loopback, with a clock that is off by so much."""
    off = timedelta()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(403)
            self.send_header("Date", format_datetime(datetime.now(UTC) + off, usegmt=True))
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Quiet."""

    def make(clock: timedelta) -> Settings:
        nonlocal off
        off = clock
        return Settings(lake="s3://bucket/lake", s3_endpoint=f"http://127.0.0.1:{server.server_address[1]}")

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield make
        server.shutdown()


@pytest.mark.parametrize(
    ("off", "state", "found"),
    [
        (timedelta(), State.OK, "within 30 s"),
        (timedelta(minutes=5), State.WARNING, "s behind http"),
        (timedelta(minutes=-20), State.FAILURE, "s ahead of http"),
    ],
)
def test_a_clock_that_is_off_is_reported(
    server_with_clock: Callable[[timedelta], Settings], off: timedelta, state: State, found: str
) -> None:
    finding = only(machine_examinations.clock(server_with_clock(off)))
    assert finding.state is state
    assert found in finding.found
