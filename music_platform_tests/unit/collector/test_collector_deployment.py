"""The collector's and the producer's images and manifests: what they name exists, is pinned, and agrees with the configuration.

No image is built here; that takes Docker and a registry.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from music_platform.cli.main import load_command
from music_platform.collector import parse_configuration
from music_platform.collector.embedded_code import Variable
from music_platform.settings import Settings
from music_platform_tests.places import REPOSITORY

DOCKERFILES = sorted((REPOSITORY / "deploy").glob("*/Dockerfile"))
MANIFESTS = [REPOSITORY / "deploy" / name for name in (
    "fluentd/kubernetes.yaml", "fluentd/compose.yaml", "eventsim/deployment.yaml", "eventsim/job.yaml",
)]  # fmt: skip
_INSTRUCTIONS = {
    "FROM", "ENV", "RUN", "COPY", "USER", "WORKDIR", "VOLUME", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT", "CMD",
}  # fmt: skip
_PINNED_IMAGE = re.compile(r"[\w./-]+:(?!latest)[\w.-]*\d[\w.-]*")


def _instructions(dockerfile: Path) -> list[tuple[str, str]]:
    text = "\n".join(line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#"))
    lines = text.replace("\\\n", " ").splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines if line.strip())]


def _documents(manifest: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(manifest.read_text()))


def _containers() -> Iterator[tuple[Path, dict[str, Any]]]:
    for manifest in MANIFESTS:
        for document in _documents(manifest):
            for container in document.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
                yield manifest, container


@pytest.fixture(scope="module")
def variables() -> dict[str, Variable]:
    """Every variable that the configuration asks for, whatever is switched on."""
    file = REPOSITORY / "fluentd" / "fluent.conf"
    names = ("SHARED_KEY", "METRICS_PORT", "TLS_CERTIFICATE", "TLS_CLIENT_CA")
    switched_on = {f"COLLECTOR_{name}": "1" for name in names}
    return parse_configuration(file, {}).variables | parse_configuration(file, switched_on).variables


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_an_image_is_made_of_pinned_parts_that_exist(dockerfile: Path) -> None:
    instructions = _instructions(dockerfile)
    assert {name for name, _ in instructions} <= _INSTRUCTIONS
    assert instructions[0][0] == "FROM"
    assert _PINNED_IMAGE.fullmatch(instructions[0][1])
    for name, rest in instructions:
        if name == "COPY":
            *sources, _ = shlex.split(rest)
            assert [source for source in sources if not (REPOSITORY / source).exists()] == []
            ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
            assert {f"!{source}" for source in sources} <= set(ignored)
        elif name in ("ENTRYPOINT", "CMD"):
            assert all(isinstance(word, str) for word in json.loads(rest))
        elif name == "RUN":
            assert re.findall(r"gem install(?! --no-document \S+ --version \d+\.\d+\.\d+\b)", rest) == []
            assert re.findall(r"pip install(?! --no-cache-dir \w+==\d)", rest) == []
    last_user = [rest for name, rest in instructions if name == "USER"][-1]
    assert last_user not in ("root", "0")


def test_the_collector_s_image_has_the_plugins_and_ports_of_its_configuration(variables: dict[str, Variable]) -> None:
    instructions = _instructions(REPOSITORY / "deploy" / "fluentd" / "Dockerfile")
    gems = {gem for name, rest in instructions if name == "RUN" for gem in re.findall(r"--no-document (\S+)", rest)}
    assert gems == {"fluentd", "fluent-plugin-s3", "fluent-plugin-prometheus"}
    [exposed] = [set(rest.split()) for name, rest in instructions if name == "EXPOSE"]
    defaults = {variables[f"COLLECTOR_{name}_PORT"].default for name in ("FORWARD", "HTTP", "HEALTH")}
    assert exposed == defaults | {"24231"}
    [environment] = [
        dict(word.split("=", 1) for word in shlex.split(rest)) for name, rest in instructions if name == "ENV"
    ]
    assert {name for name in environment if name.startswith("COLLECTOR_")} <= set(variables)
    assert environment["COLLECTOR_STATE"] == variables["COLLECTOR_STATE"].default
    assert environment["COLLECTOR_EVENTS"] == variables["COLLECTOR_EVENTS"].default


def test_variables_of_the_manifests_are_those_of_the_configuration(variables: dict[str, Variable]) -> None:
    found = set()
    for manifest in MANIFESTS:
        found |= set(re.findall(r"COLLECTOR_[A-Z0-9_]+", manifest.read_text()))
    assert found
    assert found <= set(variables)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_runs_pinned_images(manifest: Path) -> None:
    documents = _documents(manifest)
    assert documents
    images = re.findall(r"image: (\S+)", manifest.read_text())
    assert images
    assert [image for image in images if not _PINNED_IMAGE.fullmatch(image)] == []


def test_the_network_policy_names_ports_and_producers_that_exist() -> None:
    documents = _documents(REPOSITORY / "deploy" / "fluentd" / "kubernetes.yaml")
    [policy] = [document["spec"] for document in documents if document["kind"] == "NetworkPolicy"]
    [pods] = [document["spec"]["template"] for document in documents if document["kind"] == "StatefulSet"]
    assert policy["podSelector"]["matchLabels"] == pods["metadata"]["labels"]
    allowed = [port["port"] for rule in policy["ingress"] for port in rule["ports"]]
    assert sorted(allowed) == sorted(port["name"] for port in pods["spec"]["containers"][0]["ports"])
    [producers] = [rule["from"] for rule in policy["ingress"] if {"port": "forward"} in rule["ports"]]
    apps = {
        document["spec"]["template"]["metadata"]["labels"]["app"]
        for name in ("deployment.yaml", "job.yaml")
        for document in _documents(REPOSITORY / "deploy" / "eventsim" / name)
    }
    assert set(producers[0]["podSelector"]["matchExpressions"][0]["values"]) == apps


def test_pods_bound_their_memory() -> None:
    containers = list(_containers())
    assert len(containers) == 3
    assert all(container["resources"]["limits"]["memory"] for _, container in containers)


def test_the_collector_starts_with_its_configuration_and_guards() -> None:
    dockerfile = dict(_instructions(REPOSITORY / "deploy" / "fluentd" / "Dockerfile"))
    assert dockerfile["COPY"] == "fluentd/ /etc/fluentd/"
    name, *arguments = json.loads(dockerfile["ENTRYPOINT"])
    assert (name, arguments[::2]) == ("fluentd", ["-r", "--config"])
    assert all((REPOSITORY / path.removeprefix("/etc/")).is_file() for path in arguments[1::2])


def test_the_collector_s_probes_ask_its_health() -> None:
    [collector] = [container for _, container in _containers() if container["name"] == "fluentd"]
    dockerfile = dict(_instructions(REPOSITORY / "deploy" / "fluentd" / "Dockerfile"))
    script = "/etc/fluentd/health.rb"
    assert (REPOSITORY / "fluentd" / "health.rb").is_file()
    assert json.loads(dockerfile["HEALTHCHECK"].partition("CMD ")[2]) == ["ruby", script, "live"]
    slowest = 15  # seconds: the monitor, two ports and two looks
    for probe, asked in (("livenessProbe", "live"), ("readinessProbe", "ready")):
        assert collector[probe]["exec"]["command"] == ["ruby", script, asked]
        assert collector[probe]["timeoutSeconds"] >= slowest
    # A restart comes later than the end of service, and never for one failure.
    assert collector["livenessProbe"]["failureThreshold"] > collector["readinessProbe"]["failureThreshold"] > 1


def test_the_collector_s_buffer_is_on_a_disk_that_outlives_its_pod(variables: dict[str, Variable]) -> None:
    [stateful] = [found for found in _documents(MANIFESTS[0]) if found["kind"] == "StatefulSet"]
    [claim] = stateful["spec"]["volumeClaimTemplates"]
    [container] = stateful["spec"]["template"]["spec"]["containers"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted[claim["metadata"]["name"]] == variables["COLLECTOR_STATE"].default
    buffer = next(entry["value"] for entry in container["env"] if entry["name"] == "COLLECTOR_BUFFER_BYTES")
    assert int(buffer.removesuffix("g")) < int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))


def test_the_producer_s_arguments_are_those_of_generate() -> None:
    generate = load_command("generate")
    image = dict(_instructions(REPOSITORY / "deploy" / "eventsim" / "Dockerfile"))
    entry = json.loads(image["ENTRYPOINT"])
    assert entry[:2] == ["music-platform", "generate"]
    calls = [[*entry[2:], *json.loads(image["CMD"])]]
    for manifest, container in _containers():
        if manifest.parent.name == "eventsim":
            command = container.get("command", entry)
            assert command[:2] == entry[:2]
            calls.append([*command[2:], *container["args"]])
    assert len(calls) == 3
    for call in calls:
        with click.Context(generate) as context:
            assert generate.parse_args(context, list(call)) == []
            assert context.params["sink"] == "forward://collector:24224"


def test_the_producer_s_pods_take_the_key_that_the_collector_asks_for() -> None:
    [collector] = [container for _, container in _containers() if container["name"] == "fluentd"]
    [source] = [entry["secretRef"] for entry in collector["envFrom"]]
    producers = [container for _, container in _containers() if container["name"] == "eventsim"]
    assert len(producers) == 2
    for container in producers:
        [variable] = container["env"]
        assert variable["name"] == "MUSIC_PLATFORM_FORWARD_SHARED_KEY"
        assert "forward_shared_key" in Settings.model_fields
        assert variable["valueFrom"]["secretKeyRef"] == source | {"key": "COLLECTOR_SHARED_KEY"}


def test_compose_s_services_agree() -> None:
    [compose] = _documents(REPOSITORY / "deploy" / "fluentd" / "compose.yaml")
    services = compose["services"]
    for service in services.values():
        if "build" in service:
            assert (REPOSITORY / service["build"]["dockerfile"]).is_file()
        volumes = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert volumes <= set(compose["volumes"])
        assert set(service.get("depends_on", [])) <= set(services)
    environment, server = services["collector"]["environment"], services["s3"]["environment"]
    assert environment["COLLECTOR_S3_ENDPOINT"] == "http://s3:9000"
    assert environment["COLLECTOR_S3_ACCESS_KEY_ID"] == server["MINIO_ROOT_USER"]
    assert environment["COLLECTOR_S3_SECRET_ACCESS_KEY"] == server["MINIO_ROOT_PASSWORD"]
    assert "s3/music-platform" in services["bucket"]["command"][0]  # the default of COLLECTOR_S3_BUCKET


def test_the_guide_lists_every_variable_with_its_default(variables: dict[str, Variable]) -> None:
    text = (REPOSITORY / "docs" / "collecting.md").read_text()
    rows = dict(re.findall(r"^\| `(COLLECTOR_\w+)` \| (\S+|`[^`]*`) \|", text, re.MULTILINE))
    assert rows == {
        name: f"`{variable.default}`" if variable.default else "empty" for name, variable in variables.items()
    }
