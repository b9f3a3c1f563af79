"""The collector's and the producer's manifests: what they name is pinned, and agrees with the configuration."""

from __future__ import annotations

import re
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

MANIFESTS = [REPOSITORY / "deploy" / name for name in (
    "fluentd/kubernetes.yaml", "eventsim/deployment.yaml", "eventsim/job.yaml",
)]  # fmt: skip
_PINNED_IMAGE = re.compile(r"[\w./-]+:(?!latest)[\w.-]*\d[\w.-]*")


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


def test_the_collector_s_probes_ask_its_health() -> None:
    [collector] = [container for _, container in _containers() if container["name"] == "fluentd"]
    script = "/etc/fluentd/health.rb"
    assert (REPOSITORY / "fluentd" / "health.rb").is_file()
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
    calls: list[list[str]] = []
    for manifest, container in _containers():
        if manifest.parent.name == "eventsim":
            assert container["command"] == ["music-platform", "generate"]
            calls.append(container["args"])
    assert len(calls) == 2
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


def test_the_guide_lists_every_variable_with_its_default(variables: dict[str, Variable]) -> None:
    text = (REPOSITORY / "docs" / "collecting.md").read_text()
    rows = dict(re.findall(r"^\| `(COLLECTOR_\w+)` \| (\S+|`[^`]*`) \|", text, re.MULTILINE))
    assert rows == {
        name: f"`{variable.default}`" if variable.default else "empty" for name, variable in variables.items()
    }
