"""What music-platform doctor finds wrong with what a deployment talks to: run launcher, logs of runs, Druid, Superset.

Kubernetes, Druid and Superset are stood in for by a server on loopback that answers as they do where the fault cannot be made
with the real one.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from music_platform.cli import dagster_examinations, server_examinations
from music_platform.cli.finding import Finding, State
from music_platform.orchestration.deployed_instance import DeployedInstance, InstanceStorage
from music_platform.settings import Settings
from music_platform_tests.conftest import S3Server
from music_platform_tests.integration.test_doctor_command import only
from music_platform_tests.places import REPOSITORY

Answers = Callable[[str, str, dict[str, str], bytes], tuple[int, Any]]
"""Status and JSON for a request: its method, path, headers, body."""


@pytest.fixture
def answering() -> Iterator[Callable[[Answers], str]]:
    """Makes servers on loopback of a function that answers; returns their urls."""
    servers: list[ThreadingHTTPServer] = []

    def start(answers: Answers) -> str:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, content = answers(self.command, self.path, dict(self.headers), body)
                text = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = answer  # noqa: N815 (names that http.server calls)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def instance_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets DAGSTER_HOME to an instance with these sections beside those of the local one."""

    def make(**sections: Any) -> None:
        home = tmp_path / "dagster"
        home.mkdir()
        shutil.copy(REPOSITORY / "deploy" / "local" / "dagster.yaml", home)
        with (home / "dagster.yaml").open("a") as file:
            yaml.safe_dump(sections, file)
        monkeypatch.setenv("DAGSTER_HOME", str(home))

    return make


_IN_POSTGRES = InstanceStorage("PostgresRunStorage", is_in_files=False, schema=("a", "a"))


def _by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def _on_kubernetes(folder: Path, url: str) -> dict[str, Any]:
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
                "clusters": [{"name": "here", "cluster": {"server": url}}],
                "users": [{"name": "here", "user": {"token": "token"}}],
            }
        )
    )
    config = {
        "load_incluster_config": False, "kubeconfig_file": str(kubeconfig), "job_namespace": "music",
        "service_account_name": "music-platform", "instance_config_map": "dagster", "dagster_home": "/opt/dagster",
    }  # fmt: skip
    return {"run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": config}}


def _reviews(*refused: str) -> Answers:
    """The answers of an API server that allows everything but this, such as ``create jobs``."""

    def answers(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        assert path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        review = json.loads(body)
        wanted = review["spec"]["resourceAttributes"]
        assert wanted["namespace"] == "music"
        asked = f"{wanted['verb']} {wanted['resource']}/{wanted.get('subresource') or ''}".rstrip("/")
        return 201, review | {"status": {"allowed": asked not in refused}}

    return answers


def test_a_launcher_whose_account_may_do_all_it_must(
    answering: Callable[[Answers], str],
    instance_of: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instance_of(**_on_kubernetes(tmp_path, answering(_reviews())))
    monkeypatch.setattr(DeployedInstance, "storages", lambda _: {"runs": _IN_POSTGRES})
    found = _by_subject(dagster_examinations.dagster_instance())
    assert {finding.state for finding in found.values()} == {State.OK}
    assert found["run launcher"].found == "K8sRunLauncher; this account may launch, watch and cancel runs"
    assert "(PostgresRunStorage)" in found["Dagster's instance"].found


def test_rights_that_the_launcher_lacks_are_named(
    answering: Callable[[Answers], str],
    instance_of: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instance_of(**_on_kubernetes(tmp_path, answering(_reviews("create jobs", "get pods/log"))))
    monkeypatch.setattr(DeployedInstance, "storages", lambda _: {"runs": _IN_POSTGRES})
    finding = _by_subject(dagster_examinations.dagster_instance())["run launcher"]
    assert finding.state is State.FAILURE
    assert "may not create jobs in namespace music; get pods/log in namespace music" in finding.found


def test_a_launcher_of_jobs_beside_files_of_one_pod(
    answering: Callable[[Answers], str], instance_of: Callable[..., None], tmp_path: Path
) -> None:
    instance_of(**_on_kubernetes(tmp_path, answering(_reviews())))
    finding = _by_subject(dagster_examinations.dagster_instance())["run launcher"]
    assert finding.state is State.FAILURE
    assert "runs, events, schedules are in files" in finding.found


def test_a_launcher_outside_of_its_cluster(instance_of: Callable[..., None], tmp_path: Path) -> None:
    sections = _on_kubernetes(tmp_path, "http://127.0.0.1:1")
    sections["run_launcher"]["config"] |= {"load_incluster_config": True}
    del sections["run_launcher"]["config"]["kubeconfig_file"]
    instance_of(**sections)
    finding = _by_subject(dagster_examinations.dagster_instance())["run launcher"]
    assert finding.state is State.FAILURE
    assert "it cannot be made" in finding.found


def test_databases_that_do_not_answer(instance_of: Callable[..., None]) -> None:
    place = {"scheme": "postgresql+psycopg2", "hostname": "127.0.0.1", "port": 1, "username": "dagster", "db_name": "dagster",
             "password": "hush"}  # fmt: skip
    storage = {
        "module": "dagster_postgres.run_storage",
        "class": "PostgresRunStorage",
        "config": {"postgres_db": place},
    }
    instance_of(run_storage=storage)
    finding = only(dagster_examinations.dagster_instance())
    assert finding.state is State.FAILURE
    assert "hush" not in finding.found
    assert "DAGSTER_POSTGRES_" in finding.advice


def _logs_in(bucket: str, server: S3Server, folder: Path) -> dict[str, Any]:
    config = {"bucket": bucket, "prefix": "logs", "endpoint_url": server.endpoint, "local_dir": str(folder / "logs")}
    return {
        "compute_logs": {
            "module": "dagster_aws.s3.compute_log_manager",
            "class": "S3ComputeLogManager",
            "config": config,
        }
    }


def test_logs_in_a_bucket(
    s3_server: S3Server, instance_of: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", s3_server.region)
    bucket = s3_server.new_bucket()
    instance_of(**_logs_in(bucket, s3_server, tmp_path))
    finding = _by_subject(dagster_examinations.dagster_instance())["logs of runs"]
    assert (finding.state, finding.found) == (State.OK, "S3ComputeLogManager keeps a small log and gives it back")
    assert "Contents" not in s3_server.client().list_objects_v2(Bucket=bucket)


def test_logs_that_cannot_be_kept(
    s3_server: S3Server, instance_of: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", s3_server.region)
    instance_of(**_logs_in("no-such-bucket", s3_server, tmp_path))
    finding = _by_subject(dagster_examinations.dagster_instance())["logs of runs"]
    assert finding.state is State.FAILURE
    assert "NoSuchBucket" in finding.found


def _druid(servers: dict[str, int], login: str = "") -> Answers:
    """A router with these services, which asks for a login of this header if there is one."""

    def answers(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        if login and headers.get("Authorization") != login:
            return 401, {"error": "Unauthorized"}
        if path == "/status":
            return 200, {"version": "33.0.0"}
        assert "sys.servers" in json.loads(body)["query"]
        return 200, [{"server_type": kind, "servers": number} for kind, number in servers.items()]

    return answers


_SERVICES = {"broker": 1, "coordinator": 1, "historical": 2, "indexer": 1, "router": 1}
_LOGIN = "Basic ZHJ1bW1lcjpiZWF0"  # drummer:beat


@pytest.mark.parametrize(
    ("servers", "states", "found"),
    [
        (_SERVICES, [State.OK], "version 33.0.0; 1 broker, 1 coordinator, 2 historical, 1 indexer, 1 router"),
        (_SERVICES | {"historical": 0}, [State.FAILURE], "no historical: nothing serves segments"),
        ({"broker": 1}, [State.FAILURE, State.FAILURE], "no historical: nothing serves segments"),
    ],
)
def test_druid_and_its_services(
    answering: Callable[[Answers], str], servers: dict[str, int], states: list[State], found: str
) -> None:
    settings = Settings(druid_enabled=True, druid_url=answering(_druid(servers)))
    findings = server_examinations.druid(settings)
    assert [finding.state for finding in findings] == states
    assert findings[0].found == found


def test_druids_login(answering: Callable[[Answers], str], monkeypatch: pytest.MonkeyPatch) -> None:
    url = answering(_druid(_SERVICES, _LOGIN))
    user: dict[str, Any] = {"druid_user": "drummer", "druid_password": SecretStr("beat")}
    monkeypatch.setattr(server_examinations, "_LOOPBACK", ())  # as if it were elsewhere
    assert only(server_examinations.druid(Settings(druid_enabled=True, druid_url=url, **user))).state is State.OK
    refused = only(server_examinations.druid(Settings(druid_enabled=True, druid_url=url)))
    assert refused.state is State.FAILURE
    assert "MUSIC_PLATFORM_DRUID_USER" in refused.found
    open_to_all = server_examinations.druid(
        Settings(druid_enabled=True, druid_url=answering(_druid(_SERVICES)), **user)
    )
    assert [finding.state for finding in open_to_all] == [State.OK, State.WARNING]
    assert open_to_all[1].found == "it answers without a login"
    assert "MUSIC_PLATFORM_DRUID_USER is set" in open_to_all[1].advice


def test_a_druid_that_is_not_there_and_none(local_settings: Callable[..., Settings]) -> None:
    assert server_examinations.druid(local_settings()) == []
    settings = local_settings(druid_enabled=True, druid_url="http://127.0.0.1:1", druid_retry_seconds=0.1)
    assert only(server_examinations.druid(settings)).state is State.FAILURE


def _superset(password: str, dashboards: int) -> Answers:
    def answers(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        if path == "/api/v1/security/login":
            is_right = json.loads(body)["password"] == password
            return (200, {"access_token": "token"}) if is_right else (401, {"message": "Not authorized"})
        if path.startswith("/api/v1/security/csrf_token"):
            return 200, {"result": "csrf"}
        return 200, {"count": dashboards, "result": [{"id": number} for number in range(dashboards)]}

    return answers


@pytest.mark.parametrize(
    ("password", "dashboards", "state", "found"),
    [
        ("right", 5, State.OK, "the login of 'admin' works; 5 dashboards"),
        ("right", 0, State.WARNING, "the login of 'admin' works; 0 dashboards"),
        ("wrong", 5, State.FAILURE, "refuses the login of 'admin'"),
    ],
)
def test_superset(
    answering: Callable[[Answers], str], password: str, dashboards: int, state: State, found: str
) -> None:
    url = answering(_superset("right", dashboards))
    settings = Settings(
        druid_enabled=True, superset_enabled=True, superset_url=url, superset_password=SecretStr(password)
    )
    finding = only(server_examinations.superset(settings))
    assert finding.state is state
    assert found in finding.found
    assert password not in finding.advice


def test_a_superset_that_is_not_there_and_none(local_settings: Callable[..., Settings]) -> None:
    assert server_examinations.superset(local_settings()) == []
    settings = local_settings(
        druid_enabled=True, superset_enabled=True, superset_url="http://127.0.0.1:1", superset_password=SecretStr("x")
    )
    assert only(server_examinations.superset(settings)).state is State.FAILURE
