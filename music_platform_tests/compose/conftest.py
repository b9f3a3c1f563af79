"""deploy/compose.yaml brought up once, under a project name, ports and secrets of its own, and taken down with its volumes."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pytest

from music_platform_tests.places import REPOSITORY

_DEPLOY = REPOSITORY / "deploy"
_PORTS: tuple[str, ...] = ("WEBSERVER", "SUPERSET", "DRUID", "S3", "COLLECTOR_FORWARD", "COLLECTOR_HTTP")
_IMAGES = ("music-platform", "music-platform-druid", "music-platform-superset")
_COLLECTOR = "music-platform-collector"
_VERSION = version("music-platform")


@dataclass(frozen=True)
class Line:
    """The running line: how to reach its services, by what engine, and with which secrets."""

    compose: list[str]
    environment: dict[str, str]
    has_collector: bool
    ports: dict[str, int] = field(default_factory=dict)

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.ports[port]}"

    def run(self, *arguments: str) -> str:
        """What a command of compose prints; the test fails with all of it where the command fails."""
        ended = subprocess.run([*self.compose, *arguments], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{' '.join(arguments)}:\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def run_in_code_location(self, script: str) -> str:
        return self.run("exec", "-T", "code-location", "sh", "-c", script)


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """The whole line, started; its services become ready in their own time."""
    engine, command = _engine()
    missing = [name for name in _IMAGES if not _has_image(engine, name)]
    if missing:
        pytest.skip(f"there is no image {', '.join(missing)}: build them by deploy/docker/build")
    has_collector = _has_image(engine, _COLLECTOR)
    files = ["deploy/compose.yaml"]
    if _has_image(engine, "localhost/music-platform-base-s3", "latest"):
        files.append("deploy/docker/bases/compose.yaml")
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    environment = _secrets() | {f"{name}_PORT": str(port) for name, port in ports.items()}
    file = tmp_path_factory.mktemp("compose") / "secrets"
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
    project = f"music-platform-test-{uuid.uuid4().hex[:8]}"
    options = ["--project-name", project, "--env-file", str(file)]
    options += [word for name in files for word in ("--file", str(REPOSITORY / name))]
    if has_collector:
        options += ["--profile", "collector"]
    line = Line([*command, *options], environment, has_collector, ports)
    try:
        line.run("up", "--detach", "--no-build")
        yield line
        _keep_logs(line)
    finally:
        subprocess.run([*line.compose, "down", "--volumes", "--timeout", "5"], capture_output=True, check=False)


def _engine() -> tuple[str, list[str]]:
    """The program that knows the images, and the one that reads compose files."""
    if shutil.which("docker") and _succeeds("docker", "compose", "version") and _succeeds("docker", "info"):
        return "docker", ["docker", "compose"]
    if shutil.which("podman") and shutil.which("podman-compose"):
        return "podman", ["podman-compose"]
    pytest.skip("neither `docker compose` with its daemon nor podman with podman-compose is on PATH")


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _has_image(engine: str, name: str, tag: str = _VERSION) -> bool:
    return _succeeds(engine, "image", "inspect", f"{name}:{tag}")


def _secrets() -> dict[str, str]:
    lines = (_DEPLOY / ".env.example").read_text().splitlines()
    return {line.removesuffix("="): secrets.token_hex(16) for line in lines if line.endswith("=")}


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _keep_logs(line: Line) -> None:
    """The last lines of every service, for whoever looks into a failure."""
    folder = REPOSITORY / "artifacts" / "compose"
    folder.mkdir(parents=True, exist_ok=True)
    ended = subprocess.run([*line.compose, "logs", "--tail", "300"], capture_output=True, text=True, check=False)
    Path(folder, "logs.txt").write_text(ended.stdout + ended.stderr)
    Path(folder, "ports.json").write_text(json.dumps(line.ports))
