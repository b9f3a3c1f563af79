"""What holds for every pod of the chart: least rights, bounded memory, known variables, secrets by reference, callers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from music_platform.cli.main import load_command
from music_platform.collector import parse_configuration
from music_platform.settings import Settings
from music_platform_tests.chart import VALUES, containers, environment_of, manifests, named, pods
from music_platform_tests.places import REPOSITORY

_EVERYTHING = next(path for path in VALUES if path.stem == "everything")
_ENDS_BY_ITSELF = {"Job/dagster-migration", "Pod/landing-test", "Deployment/eventsim"}
# What reads no setting of the platform, but shares its names.
_OF_SUPERSET = {"MUSIC_PLATFORM_SUPERSET_METADATA_URI", "MUSIC_PLATFORM_SUPERSET_GUEST_PASSWORD"}

every_values = pytest.mark.parametrize("values", [None, *VALUES], ids=lambda path: path.stem if path else "defaults")


@every_values
def test_containers_have_no_rights_that_they_do_not_need(values: Path | None) -> None:
    found = list(containers(manifests(values)))
    assert found
    for owner, pod, container in found:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"], owner
        assert not security["allowPrivilegeEscalation"], owner
        assert security["capabilities"] == {"drop": ["ALL"]}, owner
        of_pod = pod["spec"]["securityContext"]
        assert of_pod["runAsNonRoot"], owner
        assert of_pod["runAsUser"] > 0, owner
        assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}, owner
        assert not pod["spec"].get("hostNetwork"), owner
        assert pod["spec"]["enableServiceLinks"] is False, owner
        assert all("hostPath" not in volume for volume in pod["spec"].get("volumes", []))
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}, owner


@every_values
def test_containers_ask_for_what_they_need_and_bound_their_memory(values: Path | None) -> None:
    for owner, _, container in containers(manifests(values)):
        resources = container["resources"]
        assert resources["requests"]["cpu"], owner
        assert resources["requests"]["memory"], owner
        assert resources["limits"]["memory"], owner


@every_values
def test_what_serves_is_asked_whether_it_does(values: Path | None) -> None:
    for owner, pod in pods(manifests(values)):
        [container] = pod["spec"]["containers"]
        if owner not in _ENDS_BY_ITSELF:
            assert container["livenessProbe"], owner
            # Nobody calls the daemon; it has started once its heartbeats are there.
            assert container["startupProbe" if owner == "Deployment/daemon" else "readinessProbe"], owner


@every_values
def test_images_are_pinned(values: Path | None) -> None:
    for owner, _, container in containers(manifests(values)):
        assert re.search(r":(?!latest$)[\w.-]*\d[\w.-]*$|@sha256:[0-9a-f]{64}$", container["image"]), owner


@every_values
def test_only_who_launches_and_cancels_runs_may_ask_the_api(values: Path | None) -> None:
    asks = {owner for owner, pod in pods(manifests(values)) if pod["spec"]["automountServiceAccountToken"]}
    opens_the_instance = {"Deployment/daemon", "Deployment/webserver", "Job/dagster-migration"}
    assert asks == opens_the_instance | ({"Deployment/spark-connect"} & asks)


def test_the_role_reads_no_secret_and_changes_nothing_but_jobs_and_their_pods() -> None:
    role = named(manifests(), "Role", "music-platform")
    granted = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert granted == {
        ("jobs", "create"), ("jobs", "list"), ("jobs", "delete"), ("jobs/status", "get"),
        ("pods", "list"), ("pods", "delete"), ("pods/log", "get"), ("events", "list"),
    }  # fmt: skip


@every_values
def test_secrets_are_named_and_never_made(values: Path | None) -> None:
    found = manifests(values)
    assert "Secret" not in {item["kind"] for item in found}
    secret = re.compile(r"PASSWORD|SECRET|SHARED_KEY|accessKey|secretKey|ACCESS_KEY")
    for owner, _, container in containers(found):
        for name, variable in environment_of(container).items():
            if secret.search(name):
                assert "secretKeyRef" in variable["valueFrom"], f"{owner}: {name}"
    for item in found:
        if item["kind"] == "ConfigMap":
            assert not [name for name in item["data"] if secret.search(name)]


@every_values
def test_every_setting_is_one_of_the_platform(values: Path | None) -> None:
    known = {f"MUSIC_PLATFORM_{name.upper()}" for name in Settings.model_fields}
    assert "MUSIC_PLATFORM_LAKE" in known
    used = set(re.findall(r"\bMUSIC_PLATFORM_[A-Z0-9_]+\b", yaml.safe_dump_all(manifests(values))))
    assert used
    assert used - known <= _OF_SUPERSET


def test_every_variable_of_the_collector_is_one_of_its_configuration() -> None:
    file = REPOSITORY / "fluentd" / "fluent.conf"
    switched_on = {
        f"COLLECTOR_{name}": "1" for name in ("SHARED_KEY", "METRICS_PORT", "TLS_CERTIFICATE", "TLS_CLIENT_CA")
    }
    known = parse_configuration(file, {}).variables | parse_configuration(file, switched_on).variables
    collector = _container(_EVERYTHING, "StatefulSet", "collector")
    assert set(environment_of(collector)) <= set(known)
    assert environment_of(collector)["COLLECTOR_SHARED_KEY"]["valueFrom"]["secretKeyRef"]["name"] == "collector"


def test_the_collector_s_buffer_is_on_a_disk_that_outlives_its_pod() -> None:
    found = manifests()
    [claim] = named(found, "StatefulSet", "collector")["spec"]["volumeClaimTemplates"]
    collector = _container(None, "StatefulSet", "collector")
    assert {"name": claim["metadata"]["name"], "mountPath": "/var/lib/fluentd"} in collector["volumeMounts"]
    buffer = environment_of(collector)["COLLECTOR_BUFFER_BYTES"]["value"]
    assert int(buffer.removesuffix("g")) < int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))


def test_the_collector_s_probes_ask_its_health() -> None:
    collector = _container(None, "StatefulSet", "collector")
    assert (REPOSITORY / "fluentd" / "health.rb").is_file()
    slowest = 15  # seconds: the monitor, two ports and two looks
    for probe, asked in (("livenessProbe", "live"), ("readinessProbe", "ready")):
        assert collector[probe]["exec"]["command"] == ["ruby", "/etc/fluentd/health.rb", asked]
        assert collector[probe]["timeoutSeconds"] >= slowest
    # A restart comes later than the end of service, and never for one failure.
    assert collector["livenessProbe"]["failureThreshold"] > collector["readinessProbe"]["failureThreshold"] > 1


def test_the_producer_s_arguments_are_those_of_generate() -> None:
    eventsim = _container(_EVERYTHING, "Deployment", "eventsim")
    assert eventsim["command"][:2] == ["music-platform", "generate"]
    generate = load_command("generate")
    with click.Context(generate) as context:
        assert generate.parse_args(context, [*eventsim["command"][2:], *eventsim["args"]]) == []
        assert context.params["sink"] == "forward://collector:24224"
    assert (
        environment_of(eventsim)["MUSIC_PLATFORM_FORWARD_SHARED_KEY"]["valueFrom"]["secretKeyRef"]["key"]
        == "shared-key"
    )


@every_values
def test_commands_of_the_platform_exist(values: Path | None) -> None:
    for owner, _, container in containers(manifests(values)):
        if container.get("command", [""])[0] == "music-platform":
            assert load_command(container["command"][1]) is not None, owner


def test_a_changed_setting_restarts_what_reads_it() -> None:
    before = manifests(None)
    after = manifests(None, "settings.MUSIC_PLATFORM_LANDING_QUIET_SECONDS=5", "druid.config.druid_x=1")
    changed = {
        owner
        for (owner, pod), (_, other) in zip(pods(before), pods(after), strict=True)
        if pod["metadata"].get("annotations") != other["metadata"].get("annotations")
    }
    druid = {"broker", "coordinator", "indexer", "router"}
    assert changed == {
        "Deployment/code-location", "Deployment/webserver", "Deployment/daemon", "StatefulSet/druid-historical",
        *(f"Deployment/druid-{name}" for name in druid),
    }  # fmt: skip


def test_a_policy_lets_in_what_calls_a_service_and_nobody_else() -> None:
    policies = {
        item["metadata"]["name"]: item["spec"] for item in manifests(_EVERYTHING) if item["kind"] == "NetworkPolicy"
    }
    everything = policies.pop("music-platform")
    assert everything["policyTypes"] == ["Ingress"]
    assert "ingress" not in everything  # nothing but what another policy lets in
    assert _callers(policies["webserver"], 3000) == {"test"}
    assert _callers(policies["code-location"], 4000) == {"webserver", "daemon"}
    assert _callers(policies["collector"], 24224) == {"eventsim", "test"}
    assert {"podSelector": {"matchLabels": {"sends-events": "true"}}} in policies["collector"]["ingress"][0]["from"]
    assert "superset" not in _callers(policies["s3"], 9000)
    assert "collector" not in _callers(policies["postgres"], 5432)
    services = ("broker", "coordinator", "historical", "indexer", "router")
    assert _callers(policies["zookeeper"], 2181) == {f"druid-{name}" for name in services}
    served = {item["metadata"]["name"] for item in manifests(_EVERYTHING) if item["kind"] == "Service"}
    assert served <= set(policies)


def _callers(policy: dict[str, Any], port: int) -> set[str]:
    """The components that a policy lets in to a port."""
    return {
        component
        for rule in policy["ingress"]
        if {"port": port} in rule.get("ports", [{"port": port}])
        for peer in rule["from"]
        for expression in peer.get("podSelector", {}).get("matchExpressions", [])
        for component in expression["values"]
    }


def test_a_drain_is_never_held_up() -> None:
    budgets = [item["spec"] for item in manifests() if item["kind"] == "PodDisruptionBudget"]
    assert budgets
    assert all(budget["maxUnavailable"] == 1 for budget in budgets)


def test_pods_run_where_the_values_say() -> None:
    for owner, pod in pods(manifests(_EVERYTHING)):
        if owner == "Pod/landing-test":  # as the runs, which have a place of their own
            assert pod["spec"]["nodeSelector"] == {"pool": "runs"}
        else:
            assert pod["spec"]["nodeSelector"] == {"kubernetes.io/arch": "amd64"}, owner
            assert pod["spec"]["tolerations"][0]["key"] == "data", owner
        assert pod["spec"]["priorityClassName"] == "data", owner
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}], owner


def _container(values: Path | None, kind: str, name: str) -> dict[str, Any]:
    [container] = named(manifests(values), kind, name)["spec"]["template"]["spec"]["containers"]
    return container
