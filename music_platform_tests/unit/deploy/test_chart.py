"""The chart renders for each kind of deployment into objects that Kubernetes takes, and refuses values that cannot be meant."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from music_platform_tests.chart import CHART, KUBERNETES, VALUES, manifests, named, run_helm, template

_OF_THE_OPERATOR = {"ServiceMonitor", "PrometheusRule"}
_ALL = [None, *VALUES]


def _name(values: Path | None) -> str:
    return values.stem if values else "defaults"


@pytest.mark.parametrize("values", _ALL, ids=_name)
def test_helm_finds_nothing_to_complain_of(values: Path | None) -> None:
    linted = run_helm("lint", "--strict", str(CHART), *(("--values", str(values)) if values else ()))
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize("values", _ALL, ids=_name)
def test_each_object_is_one_of_kubernetes(values: Path | None) -> None:
    found = manifests(values)
    assert found
    for item in found:
        if item["kind"] not in _OF_THE_OPERATOR:
            kubernetes_validate.validate(item, KUBERNETES, strict=True)


@pytest.mark.parametrize("values", _ALL, ids=_name)
def test_names_are_unique_and_every_reference_is_met(values: Path | None) -> None:
    found = manifests(values)
    names = [(item["kind"], item["metadata"]["name"]) for item in found]
    assert len(names) == len(set(names))
    text = yaml.safe_dump_all(found)
    references = {"ConfigMap": r"configMap(?:Ref)?:\n\s+name: (\S+)", "ServiceAccount": r"serviceAccountName: (\S+)"}
    for kind, pattern in references.items():
        assert {(kind, name) for name in re.findall(pattern, text)} <= set(names)


@pytest.mark.parametrize("values", _ALL, ids=_name)
def test_services_lead_to_ports_of_pods(values: Path | None) -> None:
    found = manifests(values)
    for service in (item for item in found if item["kind"] == "Service"):
        name = service["metadata"]["name"]
        [owner] = [
            item for item in found if item["kind"] in ("Deployment", "StatefulSet") and item["metadata"]["name"] == name
        ]
        pod = owner["spec"]["template"]
        assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        assert owner["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
        ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@pytest.mark.parametrize("values", _ALL, ids=_name)
def test_urls_within_the_cluster_name_services_and_their_ports(values: Path | None) -> None:
    found = manifests(values)
    services = [item for item in found if item["kind"] == "Service"]
    served = {f"{item['metadata']['name']}:{port['port']}" for item in services for port in item["spec"]["ports"]}
    if named(found, "ConfigMap", "music-platform")["data"].get("MUSIC_PLATFORM_SPARK_REMOTE"):
        served.add("spark-connect:15002")
    text = yaml.safe_dump_all(found, width=10_000)
    asked = set(re.findall(r"(?:http|forward|sc)://([a-z0-9-]+:\d+)", text))
    asked |= set(re.findall(r"@([a-z0-9-]+:\d+)/", text)) | set(
        re.findall(r"jdbc:postgresql://([a-z0-9-]+:\d+)/", text)
    )
    assert asked <= served


def test_the_alert_rules_are_those_of_the_collector(tmp_path: Path) -> None:
    rule = named(manifests(CHART / "ci" / "everything.yaml"), "PrometheusRule", "collector")
    collector = yaml.safe_load((CHART.parents[2] / "fluentd" / "alerts.yaml").read_text())
    assert rule["spec"] == collector
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    checked = subprocess.run(
        [promtool, "check", "rules", str(tmp_path / "rules.yaml")], check=False, capture_output=True
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["webserver.replica=2"], "replica"),
        (["lake.url=/var/lake"], "lake/url|lake.url"),
        (["lake.endpoint=s3.example.org"], "endpoint"),
        (["images.platform.tag=latest"], "tag"),
        (["images.platform.digest=sha256:12"], "digest"),
        (["runs.resources.limits=null"], "limits|memory"),
        (["settings.PLATFORM_LAKE=x"], "PLATFORM_LAKE|propertyNames|pattern"),
        (["settings.MUSIC_PLATFORM_DRUID_PASSWORD=x"], "MUSIC_PLATFORM_DRUID_PASSWORD|not"),
        (["settings.MUSIC_PLATFORM_LAKE=s3://a/b"], "another value of the chart sets it"),
        (["s3.enabled=true"], "lake.secret must name the Secret"),
        (["s3.enabled=true", "lake.secret=a", "lake.endpoint=http://s3.example.org"], "two S3 servers"),
        (["postgres.enabled=false"], "postgres.host: name the server"),
        (["postgres.host=postgres.example.org"], "two servers"),
        (["druid.url=http://druid:8888"], "two Druids"),
        (["druid.enabled=false"], "dashboards need Druid"),
        (["collector.enabled=false", "eventsim.enabled=true"], "it sends to the collector"),
        (["postgres.secret="], "secret"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_values_that_cannot_be_meant_are_refused(sets: list[str], message: str) -> None:
    refused = template(*(word for one in sets for word in ("--set", one)))
    assert refused.returncode != 0
    assert re.search(message, refused.stderr), refused.stderr


def test_the_chart_s_versions_are_the_package_s() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (CHART.parents[2] / "pyproject.toml").read_text()
    assert f'version = "{chart["appVersion"]}"' in project
    assert chart["version"] == chart["appVersion"]
