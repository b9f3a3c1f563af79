"""The chart's Dagster instance: Dagster takes it, its limits are the local one's, and a run becomes the Job that is meant.

No cluster is asked; music_platform_tests/cluster runs it on one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import dagster as dg
import kubernetes
import kubernetes_validate
import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import construct_dagster_k8s_job

from music_platform.settings import Settings
from music_platform_tests.chart import KUBERNETES, VALUES, environment_of, manifests, named
from music_platform_tests.places import REPOSITORY

every_values = pytest.mark.parametrize("values", [None, *VALUES], ids=lambda path: path.stem if path else "defaults")


def _instance(values: Path | None) -> dict[str, Any]:
    return yaml.safe_load(named(manifests(values), "ConfigMap", "dagster")["data"]["dagster.yaml"])


@every_values
def test_dagster_takes_the_instance(values: Path | None, tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(_instance(values)))
    reference = InstanceRef.from_dir(str(tmp_path))
    assert reference.run_storage_data is not None
    assert (
        reference.run_storage_data.class_name == "DagsterPostgresStorage"
        or "Postgres" in reference.run_storage_data.class_name
    )
    assert reference.compute_logs_data.class_name == "S3ComputeLogManager"
    for component, configuration in (
        (K8sRunLauncher, _instance(values)["run_launcher"]["config"]),
        (S3ComputeLogManager, _instance(values)["compute_logs"]["config"]),
    ):
        checked = process_config(component.config_type(), configuration)
        assert checked.success, checked.errors


def test_its_limits_are_those_of_one_machine() -> None:
    local = yaml.safe_load((REPOSITORY / "deploy" / "local" / "dagster.yaml").read_text())
    chart = _instance(None)
    for part in ("telemetry", "nux", "run_coordinator", "concurrency", "run_retries", "sensors", "retention"):
        assert chart[part] == local[part], part
    # A pod may wait for a node; a lost one is to be found sooner than a process that every look would start Python for.
    differing = {"start_timeout_seconds", "poll_interval_seconds"}
    unlike = chart["run_monitoring"].items() ^ local["run_monitoring"].items()
    assert {name for name, _ in unlike} == differing


def test_no_run_outlives_the_grace_of_the_files_it_has_yet_to_publish() -> None:
    monitoring = _instance(None)["run_monitoring"]
    longest = (
        monitoring["max_runtime_seconds"] + monitoring["poll_interval_seconds"] + monitoring["cancel_timeout_seconds"]
    )
    assert longest < Settings.model_fields["leftover_grace_seconds"].default


def test_workspace_names_the_code_location_s_service() -> None:
    found = manifests()
    workspace = yaml.safe_load(named(found, "ConfigMap", "dagster")["data"]["workspace.yaml"])
    [server] = [location["grpc_server"] for location in workspace["load_from"]]
    [port] = named(found, "Service", server["host"])["spec"]["ports"]
    assert port["port"] == server["port"]


def _job_of_a_run(values: Path | None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The Job that Dagster's launcher makes with the chart's configuration."""
    monkeypatch.setattr("dagster_k8s.launcher.load_kubernetes_config", lambda **_: None)
    configuration = process_config(K8sRunLauncher.config_type(), _instance(values)["run_launcher"]["config"]).value
    assert configuration is not None
    launcher = K8sRunLauncher(**configuration, k8s_client_batch_api=Mock(), k8s_client_core_api=Mock())
    run = dg.DagsterRun(job_name="hourly_spine", run_id="8c2c1b5a", status=DagsterRunStatus.STARTING)
    context = K8sContainerContext.create_for_run(run, launcher, include_run_tags=True)
    job = construct_dagster_k8s_job(
        job_config=context.get_k8s_job_config(job_image="music-platform:0.1.0", run_launcher=launcher),
        args=["dagster", "api", "execute_run", "{}"],
        job_name="dagster-run-8c2c1b5a",
        component="run_worker",
        user_defined_k8s_config=context.run_k8s_config,
    )
    plain = kubernetes.client.ApiClient().sanitize_for_serialization(job)
    assert isinstance(plain, dict)
    return plain


@every_values
def test_the_job_of_a_run_is_one_of_kubernetes(values: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    kubernetes_validate.validate(_job_of_a_run(values, monkeypatch), KUBERNETES, strict=True)


@every_values
def test_a_run_has_the_environment_of_the_code_location(values: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    pod = _job_of_a_run(values, monkeypatch)["spec"]["template"]["spec"]
    location = named(manifests(values), "Deployment", "code-location")["spec"]["template"]["spec"]
    [run], [served] = pod["containers"], location["containers"]
    assert environment_of(served).items() <= environment_of(run).items()
    assert served["envFrom"] == run["envFrom"]
    assert pod["serviceAccountName"] == location["serviceAccountName"]
    assert {mount["mountPath"] for mount in run["volumeMounts"]} == {"/opt/dagster/home", "/tmp"}


def test_a_run_s_pod_is_bounded_and_tried_once_by_kubernetes(monkeypatch: pytest.MonkeyPatch) -> None:
    job = _job_of_a_run(None, monkeypatch)
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["ttlSecondsAfterFinished"] == 86400
    pod = job["spec"]["template"]
    assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "run"
    [container] = pod["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "4Gi"
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_only_a_run_with_a_job_for_each_step_may_ask_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = next(path for path in VALUES if path.stem == "everything")
    pod = _job_of_a_run(everything, monkeypatch)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is True
    assert pod["nodeSelector"] == {"pool": "runs"}
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
