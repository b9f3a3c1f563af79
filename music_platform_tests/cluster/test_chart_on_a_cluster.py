"""The chart on the Kubernetes that KUBECONFIG names: from nothing to tables, and what is killed, moved and replaced on the way.

The tests build on one release and follow each other. Days more than a landing window ago are run by hand, so that no sensor
interferes; recent hours are the sensors'.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from music_platform.partitions import key_of_hour
from music_platform_tests.chart import CHART, RELEASE, kubectl_command, template
from music_platform_tests.cluster.release import NEXT_TAG, Release, installed_release, wait_for
from music_platform_tests.places import REPOSITORY

pytestmark = pytest.mark.timeout(3000)

_OLD_DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=10)
_HOURS = [key_of_hour(_OLD_DAY + timedelta(hours=hour)) for hour in range(24)]
_VERSIONS = Path(__file__).with_name("versions.py")


def _land(start: datetime, hours: int, users: int, seed: int) -> str:
    """A script that lands so many hours of events."""
    end = start + timedelta(hours=hours)
    folder = f"/tmp/events-{seed}"
    return (
        f"music-platform generate --output {folder} --from {start.isoformat()} --to {end.isoformat()} --users {users} "
        f"--seed {seed} --first-user-id {seed}00000 --quiet && music-platform land {folder} && rm -r {folder}"
    )


@pytest.fixture(scope="module")
def release() -> Iterator[Release]:
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster")
    asked = subprocess.run(
        [str(kubectl_command()), "version", "--request-timeout=20s"], check=False, capture_output=True
    )
    if asked.returncode:
        pytest.skip(f"the cluster of KUBECONFIG does not answer: {asked.stderr.decode()[-300:]}")
    with installed_release() as installed:
        yield installed


@pytest.fixture(scope="module")
def landed(release: Release) -> Release:
    """The old day has events of every hour."""
    release.in_code_location(_land(_OLD_DAY, 24, users=300, seed=1))
    return release


@pytest.fixture(scope="module")
def local_versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The data versions of the old day's first hour as a run on this machine makes it of the same events."""
    folder = tmp_path_factory.mktemp("local")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MUSIC_PLATFORM_LAKE": str(folder / "lake"),
        "DAGSTER_HOME": str(folder),
    }
    tags = json.dumps({"dagster/partition": _HOURS[0]})
    dagster = f"dagster job execute -m music_platform.definitions -j hourly_spine --tags '{tags}'"
    script = f"({_land(_OLD_DAY, 24, users=300, seed=1)} && {dagster}) >&2 && {sys.executable} {_VERSIONS} {_HOURS[0]}"
    made = subprocess.run(
        ["sh", "-ec", script], cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr[-3000:]
    return json.loads(made.stdout)


def test_it_is_installed_from_nothing(release: Release) -> None:
    pods = release.objects("pods", f"app.kubernetes.io/instance={RELEASE}")
    components = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods}
    assert components >= {"code-location", "webserver", "daemon", "postgres", "s3"}
    assert all(status["ready"] for pod in pods for status in pod["status"]["containerStatuses"])


@pytest.mark.parametrize("account", ["music-platform"])
def test_its_account_may_do_what_runs_take_and_nothing_else(release: Release, account: str) -> None:
    account = f"--as=system:serviceaccount:{release.namespace}:{account}"
    may = {
        question: release.kubectl("auth", "can-i", *question.split(), account, check=False).strip() == "yes"
        for question in (
            "create jobs", "delete jobs", "get jobs --subresource=status", "list pods", "delete pods",
            "get pods --subresource=log",
            "get secrets", "create pods", "create pods --subresource=exec", "update jobs", "list jobs --all-namespaces",
        )
    }  # fmt: skip
    assert [question for question, allowed in may.items() if allowed] == list(may)[:6]


def test_the_api_server_takes_every_object_of_the_whole_chart(release: Release) -> None:
    rendered = template("--values", str(CHART / "ci" / "trial.yaml"), "--no-hooks", "--namespace", release.namespace)
    # Another release would own the objects that exist: in a namespace of its own the server looks at all of them as new ones.
    other = f"{release.namespace}-dry"
    release.kubectl("create", "namespace", other)
    try:
        text = rendered.stdout.replace(f"namespace: {release.namespace}", f"namespace: {other}")
        taken = subprocess.run(
            [str(kubectl_command()), "apply", "--namespace", other, "--dry-run=server", "--filename", "-"],
            input=text, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert taken.returncode == 0, taken.stderr
        assert "StatefulSet" in text
        assert taken.stdout.count("created (server dry run)") > 40
    finally:
        release.kubectl("delete", "namespace", other, "--wait=false")


def test_an_hour_is_made_by_a_job_as_on_one_machine(landed: Release, local_versions: dict[str, str]) -> None:
    run = landed.launch("hourly_spine", _HOURS[:1])
    assert landed.await_end(run) == "SUCCESS"
    job = landed.job_of(run)
    assert job["spec"]["backoffLimit"] == 0
    assert _versions_of(landed, _HOURS[0]) == local_versions
    assert len(local_versions) > 10


def _versions_of(release: Release, partition: str) -> dict[str, str]:
    script = _VERSIONS.read_text()
    return json.loads(
        release.kubectl("exec", "--stdin", "deployment/code-location", "--", "python", "-", partition, stdin=script)
    )


def test_a_run_s_log_is_read_through_the_ui(landed: Release) -> None:
    run = landed.runs(dagster__partition=_HOURS[0])[0]["runId"]
    events = landed.ask(
        "query($r: ID!) {logsForRun(runId: $r) {... on EventConnection {events {__typename ... on LogsCapturedEvent "
        "{fileKey}}}}}",
        {"r": run},
    )["logsForRun"]["events"]
    [key] = [event["fileKey"] for event in events if event["__typename"] == "LogsCapturedEvent"]
    kept = landed.ask(
        "query($k: [String!]!) {capturedLogs(logKey: $k) {stdout stderr}}", {"k": [run, "compute_logs", key]}
    )["capturedLogs"]
    assert "STEP_SUCCESS" in (kept["stderr"] or "") + (kept["stdout"] or "")


def test_a_run_whose_pod_is_killed_starts_again_in_a_new_job(landed: Release) -> None:
    before = _versions_of(landed, _HOURS[0])
    run = landed.launch("hourly_spine", _HOURS)
    landed.await_step(run)
    landed.kubectl("delete", "pod", landed.pod_of(run), "--grace-period=0", "--force")
    again = landed.await_retry(run)
    assert landed.await_end(again) == "SUCCESS"
    assert landed.job_of(again)["metadata"]["name"] != landed.job_of(run)["metadata"]["name"]
    assert _versions_of(landed, _HOURS[0]) == before


def test_an_upgrade_loses_no_run(landed: Release) -> None:
    next_tag = os.environ.get(NEXT_TAG)
    before = _image_of(
        landed.objects("deployments", "app.kubernetes.io/component=code-location")[0]["spec"]["template"]
    )
    run = landed.launch("hourly_spine", _HOURS)
    landed.await_step(run)
    replaced = {pod["metadata"]["name"] for pod in landed.objects("pods", "app.kubernetes.io/component=daemon")}
    sets = [
        "settings.MUSIC_PLATFORM_LANDING_POLL_SECONDS=6",
        *([f"images.platform.tag={next_tag}"] if next_tag else []),
    ]
    landed.upgrade(*sets)
    assert landed.await_end(run) == "SUCCESS"
    assert _image_of(landed.job_of(run)["spec"]["template"]) == before
    assert not replaced & {
        pod["metadata"]["name"] for pod in landed.objects("pods", "app.kubernetes.io/component=daemon")
    }
    after = landed.launch("hourly_spine", _HOURS[:1])
    assert landed.await_end(after) == "SUCCESS"
    image = _image_of(landed.job_of(after)["spec"]["template"])
    assert image.endswith(f":{next_tag}") if next_tag else image == before


def _image_of(pod: dict[str, Any]) -> str:
    return pod["spec"]["containers"][0]["image"]


def test_a_run_that_runs_out_of_memory_starts_again_in_a_new_job(landed: Release) -> None:
    before = _versions_of(landed, _HOURS[0])
    run = landed.launch("hourly_spine", _HOURS)
    landed.await_step(run)
    pod = landed.pod_of(run)
    # Many processes of 200 MB each: the largest of all, which the kernel kills, stays the run's own.
    hog = """
import os, time
for _ in range(20):
    if not os.fork():
        held = b"x" * (200 * 2**20)
        time.sleep(60)
        os._exit(0)
"""
    landed.kubectl("exec", pod, "--", "python", "-c", hog, check=False)

    def killed() -> str | None:
        [status] = json.loads(landed.kubectl("get", "pod", pod, "--output", "json"))["status"]["containerStatuses"]
        return status["state"].get("terminated", {}).get("reason")

    assert wait_for("the end of the pod", killed) == "OOMKilled"
    again = landed.await_retry(run)
    assert landed.await_end(again) == "SUCCESS"
    assert _versions_of(landed, _HOURS[0]) == before


def test_a_run_survives_a_new_code_location(landed: Release) -> None:
    run = landed.launch("hourly_spine", _HOURS)
    landed.await_step(run)
    landed.kubectl("rollout", "restart", "deployment/code-location")
    landed.kubectl("rollout", "status", "deployment/code-location", "--timeout=300s")
    assert landed.await_end(run) == "SUCCESS"
    assert landed.runs(dagster__parent_run_id=run) == []


def test_a_cancelled_run_ends_with_its_pod(landed: Release) -> None:
    run = landed.launch("hourly_spine", _HOURS)
    landed.await_step(run)
    landed.ask("mutation($r: String!) {terminateRun(runId: $r) {__typename}}", {"r": run})
    assert landed.await_end(run) == "CANCELED"
    wait_for("the end of the pod", lambda: not landed.objects("pods", f"dagster/run-id={run}"), 120)


def test_a_day_is_made_by_a_job(landed: Release) -> None:
    hours = landed.launch("hourly_spine", _HOURS)
    assert landed.await_end(hours) == "SUCCESS"
    day = landed.launch("daily_tier", [_OLD_DAY.strftime("%Y-%m-%d")])
    assert landed.await_end(day) == "SUCCESS"


def test_newly_landed_objects_are_run_by_the_sensor(landed: Release) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    landed.in_code_location(_land(hour, 1, users=100, seed=2))
    _await_hour(landed, hour)


def test_daemon_and_postgres_may_be_replaced_while_a_sensor_looks(landed: Release) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=8)
    landed.in_code_location(_land(hour, 1, users=100, seed=3))
    landed.kubectl("delete", "pod", "--selector", "app.kubernetes.io/component in (daemon, postgres)", "--wait=false")
    _await_hour(landed, hour)
    landed.kubectl("rollout", "status", "deployment/daemon", "--timeout=300s")
    assert landed.runs(dagster__partition=_HOURS[0])  # Postgres kept what it had


def _await_hour(release: Release, hour: datetime) -> None:
    partition = key_of_hour(hour)
    versions = wait_for(
        f"the tables of {partition}",
        lambda: (found := _versions_of(release, partition)).get("gold/fact_page_views") and found,
    )
    assert {"bronze/listen_events", "silver/listen_events"} <= set(versions)


def test_a_run_moves_off_a_node_that_is_drained(landed: Release) -> None:
    run = landed.launch("hourly_spine", _HOURS)
    landed.await_step(run)
    [pod] = landed.objects("pods", f"dagster/run-id={run}")
    node = pod["spec"]["nodeName"]
    # Only the run's pod: other pods of a shared cluster stay.
    selector = f"--pod-selector=dagster/run-id={run}"
    landed.kubectl(
        "drain", node, selector, "--delete-emptydir-data", "--ignore-daemonsets", "--force", "--timeout=180s"
    )
    try:
        again = landed.await_retry(run)
    finally:
        landed.kubectl("uncordon", node)
    assert landed.await_end(again) == "SUCCESS"


def test_helm_s_test_lands_events_and_finds_them(landed: Release) -> None:
    said = landed.helm("test", RELEASE, "--timeout", "15m", "--logs")
    assert "silver has" in said
    assert "gold has" in said
