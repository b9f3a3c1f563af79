"""A release of the chart on a real cluster: helm, kubectl, and Dagster's API through the UI."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests

from music_platform_tests.chart import CHART, RELEASE, helm_command, kubectl_command

VALUES = Path(__file__).with_name("values.yaml")
FURTHER_VALUES = "CLUSTER_TEST_VALUES"
"""The variable with a file of what this cluster needs: a storage class, a registry. Druid is tested where it switches it on."""
NEXT_TAG = "CLUSTER_TEST_NEXT_TAG"
"""The variable with another tag of the platform's image, to which the upgrade goes; without it the upgrade changes settings."""
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
RUN_SECONDS = 900.0
_SECRETS = {
    "music-platform-postgres": ("postgres", "dagster", "druid", "superset"),
    "music-platform-superset": ("secret-key", "admin-password", "guest-password"),
    "music-platform-s3": ("access-key-id", "secret-access-key"),
}
_Found = TypeVar("_Found")


def wait_for(what: str, look: Callable[[], _Found | None], seconds: float = RUN_SECONDS) -> _Found:
    """What ``look`` finds; fails with ``what`` after so many seconds of None or False."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(1)
    return found


class Release:
    """The chart in a namespace of its own."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._forward: subprocess.Popen[str] | None = None
        self._url = ""

    # -- helm and kubectl

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """The output of kubectl; an error with kubectl's own words where it fails."""
        ended = subprocess.run(
            [str(kubectl_command()), "--namespace", self.namespace, *arguments],
            input=stdin, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 0 or not check, f"kubectl {' '.join(arguments)}: {ended.stderr}"
        return ended.stdout

    def objects(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        return json.loads(self.kubectl("get", kind, "--selector", selector, "--output", "json"))["items"]

    def helm(self, *arguments: str) -> str:
        ended = subprocess.run(
            [str(helm_command()), *arguments, "--namespace", self.namespace],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, (
            f"helm {' '.join(arguments)}: {ended.stderr}\n{self.kubectl('get', 'pods', check=False)}"
        )
        return ended.stdout

    def install(self) -> None:
        self.kubectl("create", "namespace", self.namespace)
        for name, keys in _SECRETS.items():
            literals = [f"--from-literal={key}={secrets.token_hex(16)}" for key in keys]
            self.kubectl("create", "secret", "generic", name, *literals)
        self.helm("install", RELEASE, str(CHART), *self._values(), "--wait", "--timeout", "10m")

    def upgrade(self, *sets: str) -> None:
        words = [word for one in sets for word in ("--set-string", one)]
        self.helm("upgrade", RELEASE, str(CHART), *self._values(), *words, "--wait", "--timeout", "10m")

    def remove(self) -> None:
        self._stop_forwarding()
        self.kubectl("delete", "namespace", self.namespace, "--wait=false", check=False)

    def in_code_location(self, script: str) -> str:
        """The output of a shell script in the container that serves the definitions."""
        return self.kubectl("exec", "deployment/code-location", "--", "sh", "-ec", script)

    def _values(self) -> list[str]:
        further = os.environ.get(FURTHER_VALUES)
        return [word for file in (str(VALUES), further) if file for word in ("--values", file)]

    # -- Dagster

    def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """An answer of Dagster's GraphQL; tried again while the UI's pod is replaced."""

        def answer() -> dict[str, Any] | None:
            try:
                response = requests.post(
                    f"{self._address()}/graphql", json={"query": query, "variables": variables or {}}, timeout=60
                )
                response.raise_for_status()
            except requests.RequestException:
                self._stop_forwarding()
                return None
            return response.json()

        found = wait_for("an answer of the UI", answer, 180)
        assert "errors" not in found, found["errors"]
        return found["data"]

    def launch(self, job: str, partitions: Sequence[str]) -> str:
        """Launch a run of a partition, or of a range from the first to the last; returns its id."""
        ends = {"dagster/partition": partitions[0]}
        if len(partitions) > 1:
            ends = {f"dagster/asset_partition_range_{end}": partitions[at] for end, at in (("start", 0), ("end", -1))}
        parameters = {
            "selector": {
                "repositoryName": "__repository__",
                "repositoryLocationName": "music_platform",
                "pipelineName": job,
            },
            "mode": "default",
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in ends.items()]},
        }
        launched = self.ask(
            "mutation($p: ExecutionParams!) {launchPipelineExecution(executionParams: $p) {__typename "
            "... on LaunchRunSuccess {run {runId}} ... on PythonError {message} ... on InvalidSubsetError {message}}}",
            {"p": parameters},
        )["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return launched["run"]["runId"]

    def run(self, run_id: str) -> dict[str, Any]:
        return self.ask(
            "query($r: ID!) {runOrError(runId: $r) {... on Run {runId status tags {key value} "
            "stats {... on RunStatsSnapshot {stepsSucceeded}}}}}",
            {"r": run_id},
        )["runOrError"]

    def runs(self, **tags: str) -> list[dict[str, Any]]:
        """Runs with these tags, the newest first; underscores of a name stand for slashes."""
        wanted = [{"key": key.replace("__", "/"), "value": value} for key, value in tags.items()]
        return self.ask(
            "query($f: RunsFilter!) {runsOrError(filter: $f) {... on Runs {results {runId status jobName tags {key value}}}}}",
            {"f": {"tags": wanted}},
        )["runsOrError"]["results"]

    def await_step(self, run_id: str) -> None:
        """Wait until the run is in the middle: one step is done, others are not."""

        def is_in_the_middle() -> bool:
            found = self.run(run_id)
            assert found["status"] not in ENDED, f"run {run_id} ended before it was disturbed: {found['status']}"
            return found["status"] == "STARTED" and found["stats"]["stepsSucceeded"] > 0

        wait_for(f"a step of run {run_id}", is_in_the_middle)

    def await_end(self, run_id: str) -> str:
        def status() -> str | None:
            found = self.run(run_id)["status"]
            return found if found in ENDED else None

        return wait_for(f"the end of run {run_id}", status)

    def await_retry(self, run_id: str) -> str:
        """The id of the run that Dagster starts in place of one that failed."""
        assert self.await_end(run_id) == "FAILURE"
        [again] = wait_for("a retry", lambda: self.runs(dagster__parent_run_id=run_id), 120)
        return again["runId"]

    def job_of(self, run_id: str) -> dict[str, Any]:
        """The Kubernetes Job of a run."""
        [job] = self.objects("jobs", f"dagster/run-id={run_id}")
        return job

    def pod_of(self, run_id: str) -> str:
        [pod] = self.objects("pods", f"dagster/run-id={run_id}")
        return pod["metadata"]["name"]

    # -- the way to the UI

    def _address(self) -> str:
        if self._forward is None:
            self._forward, self._url = forwarded(self.namespace, "webserver", 3000)
        return self._url

    def _stop_forwarding(self) -> None:
        if self._forward is not None:
            stop(self._forward)
            self._forward = None


def forwarded(namespace: str, service: str, port: int) -> tuple[subprocess.Popen[str], str]:
    """A port of this machine that leads to a service, and who forwards it."""
    process = subprocess.Popen(
        [str(kubectl_command()), "--namespace", namespace, "port-forward", f"service/{service}", f":{port}"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.readline()
    found = re.search(r"127\.0\.0\.1:(\d+)", said)
    if found is None:
        stop(process)
        raise requests.ConnectionError(f"service {service} cannot be reached: {said}")
    return process, f"http://127.0.0.1:{found[1]}"


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait(timeout=30)


@contextmanager
def installed_release() -> Generator[Release]:
    """The chart installed from nothing, and removed with its namespace."""
    release = Release(f"music-platform-test-{secrets.token_hex(3)}")
    try:
        release.install()
        yield release
    finally:
        release.remove()
