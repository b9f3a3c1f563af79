"""deploy/compose.yaml: its form, and that its names are those of the settings, the images and the collector's configuration.

Nothing is started here: `./run test -m compose` does that.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from music_platform.cli.main import load_command
from music_platform.collector import parse_configuration
from music_platform.local.druid.configuration import CLUSTER_FOLDER, read_properties
from music_platform.settings import Settings
from music_platform_tests.places import REPOSITORY
from music_platform_tests.unit.deploy.dockerfiles import Dockerfile

_DEPLOY = REPOSITORY / "deploy"
_COMPOSE = _DEPLOY / "compose.yaml"
_WITHOUT_REGISTRY = _DEPLOY / "docker" / "bases" / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")
_UNITS = {"m": 1, "g": 1024}
_MOST_MEBIBYTES = 16 * 1024
_WRITABLE = {
    "code-location": {"/tmp", "/opt/dagster/home"},
    "collector": {"/tmp", "/var/lib/fluentd"},
    "druid-historical": {"/tmp", "/var/lib/druid"},
    "superset": {"/tmp", "/var/lib/superset"},
}


def _services(file: Path = _COMPOSE) -> dict[str, dict[str, Any]]:
    return yaml.safe_load(file.read_text())["services"]


@pytest.mark.parametrize("file", [_COMPOSE, _WITHOUT_REGISTRY], ids=["compose", "without registry"])
def test_it_has_the_form_of_a_compose_file(file: Path) -> None:
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", file]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_its_services_have_the_names_of_every_deployment() -> None:
    druid = {f"druid-{name}" for name in ("coordinator", "broker", "historical", "indexer", "router")}
    platform = {"code-location", "webserver", "daemon", "eventsim"}
    assert set(_services()) == platform | druid | {"postgres", "s3", "collector", "zookeeper", "superset"}


def test_variables_of_the_platform_are_settings() -> None:
    variables = {name for service in _services().values() for name in service.get("environment", {})}
    names = {name.removeprefix("MUSIC_PLATFORM_").lower() for name in variables if name.startswith("MUSIC_PLATFORM_")}
    assert "lake" in names
    assert names - set(Settings.model_fields) == set()


def test_the_settings_accept_what_compose_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _services()["code-location"]["environment"].items():
        monkeypatch.setenv(name, _VARIABLE.sub("secret", value))
    settings = Settings()
    assert (settings.lake, settings.s3_endpoint_url) == ("s3://music-platform/lake", "http://s3:9000")
    assert settings.druid_enabled
    assert settings.superset_enabled


def test_secrets_come_from_the_file_of_secrets_alone() -> None:
    text = _COMPOSE.read_text()
    example = dict(line.split("=", 1) for line in (_DEPLOY / ".env.example").read_text().splitlines() if line[0] != "#")
    assert set(example.values()) == {""}
    required = {name for name, kind, _ in _VARIABLE.findall(text) if kind == "?"}
    assert required == set(example)
    for service in _services().values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD$|SECRET|SHARED_KEY$|_secretKey$|_password$", name):
                assert _VARIABLE.fullmatch(value), name


def test_ports_are_published_on_loopback_alone() -> None:
    published = [port for service in _services().values() for port in service.get("ports", [])]
    assert published
    for port in published:
        found = re.fullmatch(r"127\.0\.0\.1:\$\{(\w+):-(\d+)\}:(\d+)", port)
        assert found
        assert found[2] == found[3]
        assert found[1] in (_DEPLOY / ".env.example").read_text()


def test_services_are_hardened_and_bounded() -> None:
    total = 0
    for name, service in _services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges"], name
        assert name == "eventsim" or service["healthcheck"]["test"], name
        size, unit = re.fullmatch(r"(\d+)([mg])", service["mem_limit"]).groups()  # type: ignore[union-attr]
        total += int(size) * _UNITS[unit]
    assert total <= _MOST_MEBIBYTES


def test_nothing_waits_for_a_health_that_an_engine_may_not_know() -> None:
    services = _services()
    for service in services.values():
        needed = service.get("depends_on", [])
        assert isinstance(needed, list)
        assert set(needed) <= set(services)


def test_what_it_mounts_exists_and_what_programs_write_is_writable() -> None:
    compose = yaml.safe_load(_COMPOSE.read_text())
    named: set[str] = set()
    for name, service in compose["services"].items():
        targets = set(service.get("tmpfs", []))
        for volume in service.get("volumes", []):
            source, _, target = volume.removesuffix(":ro").rpartition(":")
            targets.add(target)
            if not source:
                continue
            if source.startswith("."):
                assert (_DEPLOY / source).is_file()
            else:
                named.add(source)
        assert _WRITABLE.get(name, set()) <= targets
    assert named == set(compose["volumes"])


def test_images_are_built_from_their_dockerfiles() -> None:
    for name, service in _services().items():
        if name in ("postgres", "s3"):
            assert re.fullmatch(r"[\w./-]+:v?\d[\w.]*", service["image"])
            continue
        build = service["build"]
        dockerfile = Dockerfile.read(REPOSITORY / build["dockerfile"])
        assert build.get("target", "") in {stage.name for stage in dockerfile.stages}
        version = re.search(r'^version = "(.*)"$', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)
        assert version is not None
        assert service["image"].endswith(f":${{MUSIC_PLATFORM_VERSION:-{version[1]}}}")


def test_the_producer_s_arguments_are_those_of_generate() -> None:
    program, command, *arguments = _services()["eventsim"]["command"]
    assert (program, command) == ("music-platform", "generate")
    generate = load_command("generate")
    with click.Context(generate) as context:
        assert generate.parse_args(context, arguments) == []
        assert context.params["sink"] == "forward://collector:24224"


def test_the_collector_s_variables_are_those_of_its_configuration() -> None:
    services = _services()
    environment = services["collector"]["environment"]
    configuration = parse_configuration(REPOSITORY / "fluentd" / "fluent.conf", dict.fromkeys(environment, "1"))
    assert set(environment) <= set(configuration.variables)
    platform = services["code-location"]["environment"]
    bucket, prefix = environment["COLLECTOR_S3_BUCKET"], environment["COLLECTOR_S3_PREFIX"]
    assert f"s3://{bucket}/{prefix}" == f"{platform['MUSIC_PLATFORM_LAKE']}/"
    assert environment["COLLECTOR_S3_ENDPOINT"] == platform["MUSIC_PLATFORM_S3_ENDPOINT"]
    producer = services["eventsim"]["environment"]
    assert producer["MUSIC_PLATFORM_FORWARD_SHARED_KEY"] == environment["COLLECTOR_SHARED_KEY"]
    assert services["collector"]["healthcheck"]["test"] == ["CMD", "ruby", "/etc/fluentd/health.rb", "live"]


def test_druid_s_services_are_asked_on_their_own_ports() -> None:
    for name, service in _services().items():
        if not name.startswith("druid-"):
            continue
        [role] = service["command"]
        assert name == f"druid-{role}" == service["environment"]["druid_host"]
        folder = "coordinator-overlord" if role == "coordinator" else role
        port = read_properties(CLUSTER_FOLDER / folder / "runtime.properties")["druid.plaintextPort"]
        assert service["healthcheck"]["test"][-1] == f"http://127.0.0.1:{port}/status/health"


def test_without_a_registry_other_bases_run_the_same_services() -> None:
    services, others = _services(), _services(_WITHOUT_REGISTRY)
    assert set(others) <= set(services)
    build = (_WITHOUT_REGISTRY.parent / "build").read_text()
    for name, service in others.items():
        if "image" in service:
            assert service["image"].removeprefix("localhost/") in build
        for variable in service.get("environment", {}):
            assert variable in services[name]["environment"]


def test_dagster_s_instance_is_the_local_one_but_for_its_storages() -> None:
    local = yaml.safe_load((_DEPLOY / "local" / "dagster.yaml").read_text())
    compose = yaml.safe_load((_DEPLOY / "compose" / "dagster.yaml").read_text())
    del local["event_log_storage"]
    assert compose.pop("storage")["postgres"]["postgres_db"]["scheme"] == "postgresql+psycopg2"
    assert compose.pop("compute_logs")["class"] == "S3ComputeLogManager"
    # A container that ended is noticed sooner than a process of a laptop has to be.
    assert compose["run_monitoring"].pop("poll_interval_seconds") < local["run_monitoring"].pop("poll_interval_seconds")
    assert compose == local
