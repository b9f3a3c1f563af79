"""The chart with Spark's Connect server: two executor pods make the tables of the embedded engine, also when one is killed."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from music_platform.partitions import key_of_hour
from music_platform_tests.cluster.release import ENDED, Release, wait_for

pytestmark = pytest.mark.timeout(1500)

_VALUES = Path(__file__).with_name("spark.yaml")
_VERSIONS = Path(__file__).with_name("versions.py").read_text()
_DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=10)
_HOURS = [key_of_hour(_DAY + timedelta(hours=hour)) for hour in range(8)]
_FIRST, _DISTURBED = _HOURS[:4], _HOURS[4:]
_EXECUTORS = "app.kubernetes.io/component=spark-executor"
_LAND = (
    f"music-platform generate --output /tmp/events --from {_DAY.isoformat()} --days 1 --users 300 --seed 1 --quiet; "
    "music-platform land /tmp/events"
)


class _ReleaseWithSpark(Release):
    def _values(self) -> list[str]:
        return [*super()._values(), "--values", str(_VALUES)]

    def executors(self) -> list[str]:
        """The executor pods that are ready to work."""
        return [
            pod["metadata"]["name"]
            for pod in self.objects("pods", _EXECUTORS)
            if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
        ]

    def two_executors(self) -> list[str]:
        return wait_for("two executors", lambda: found if len(found := self.executors()) == 2 else None)

    def versions(self, hours: list[str], environment: str = "") -> dict[str, dict[str, str]]:
        """The data versions of every table that was made of these hours, in the lake of the release or of an environment."""
        found: dict[str, dict[str, str]] = {}
        for hour in hours:
            script = f"{environment} python - {hour}"
            command = ["exec", "--stdin", "deployment/code-location", "--", "sh", "-c", script]
            found[hour] = json.loads(self.kubectl(*command, stdin=_VERSIONS))
        return found


@pytest.fixture(scope="module")
def release() -> Iterator[_ReleaseWithSpark]:
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster")
    installed = _ReleaseWithSpark(f"music-platform-spark-{secrets.token_hex(3)}")
    try:
        installed.install()
        installed.in_code_location(_LAND)
        yield installed
    finally:
        installed.remove()


@pytest.fixture(scope="module")
def embedded(release: _ReleaseWithSpark) -> dict[str, dict[str, str]]:
    """The data versions as the embedded engine makes them of the same events, in a folder of the code location's pod."""
    here = "MUSIC_PLATFORM_LAKE=/tmp/lake MUSIC_PLATFORM_SPARK_REMOTE="
    tags = {"dagster/asset_partition_range_start": _HOURS[0], "dagster/asset_partition_range_end": _HOURS[-1]}
    release.in_code_location(
        f"export {here} DAGSTER_HOME=/tmp/dagster; mkdir -p $DAGSTER_HOME; {_LAND}; "
        f"dagster job execute -m music_platform.definitions -j hourly_spine --tags '{json.dumps(tags)}'"
    )
    return release.versions(_HOURS, here)


def test_two_executors_make_the_same_tables(release: _ReleaseWithSpark, embedded: dict[str, dict[str, str]]) -> None:
    release.two_executors()
    assert release.await_end(release.launch("hourly_spine", _FIRST)) == "SUCCESS"
    assert release.versions(_FIRST) == {hour: embedded[hour] for hour in _FIRST}


def test_an_executor_killed_in_the_middle_changes_no_table(
    release: _ReleaseWithSpark, embedded: dict[str, dict[str, str]]
) -> None:
    [victim, _] = release.two_executors()
    run = release.launch("hourly_spine", _DISTURBED)
    release.await_step(run)
    release.kubectl("delete", "pod", victim, "--grace-period=0", "--force")
    assert release.run(run)["status"] not in ENDED
    assert release.await_end(run) == "SUCCESS"
    assert release.versions(_DISTURBED) == {hour: embedded[hour] for hour in _DISTURBED}
    assert victim not in release.two_executors()


def test_doctor_asks_the_executors(release: _ReleaseWithSpark) -> None:
    report = json.loads(
        release.kubectl("exec", "deployment/daemon", "--", "music-platform", "doctor", "--json", check=False)
    )
    engine = [finding for finding in report["findings"] if finding["subject"].startswith("engine ")]
    assert [finding["state"] for finding in engine] == ["ok", "ok"], engine
    [launcher] = [finding for finding in report["findings"] if finding["subject"] == "run launcher"]
    assert launcher["state"] == "ok", launcher
