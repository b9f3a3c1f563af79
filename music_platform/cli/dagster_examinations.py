"""What `music-platform doctor` examines of Dagster's instance: its databases, its launcher of runs, where it keeps their logs.

An examination returns problems and never raises them.
"""

from __future__ import annotations

from music_platform.cli.finding import Finding, State
from music_platform.errors import MusicPlatformError
from music_platform.orchestration.deployed_instance import DeployedInstance
from music_platform.orchestration.instance_status import open_recorded_instance
from music_platform.settings import dagster_home

_SUBJECT, _LAUNCHER, _LOGS = "Dagster's instance", "run launcher", "logs of runs"
_IN_THIS_POD = "DefaultRunLauncher"  # runs are processes of the code server, on its own disk
_ON_KUBERNETES = "K8sRunLauncher"


def dagster_instance() -> list[Finding]:
    """Opens the instance of DAGSTER_HOME, compares its databases' schemas with Dagster's, and tries its launcher and its logs."""
    try:
        instance = open_recorded_instance()
    except MusicPlatformError as error:
        advice = (
            "Start by ./run, which makes the default instance. In a deployment: check DAGSTER_POSTGRES_* and Postgres."
        )
        return [Finding(_SUBJECT, State.FAILURE, str(error), advice)]
    if instance is None:
        advice = "Start by ./run, or set DAGSTER_HOME; runs are forgotten otherwise."
        return [Finding(_SUBJECT, State.WARNING, "DAGSTER_HOME is not set", advice)]
    with instance:
        deployed = DeployedInstance(instance)
        return [_storage(deployed), *_launcher(deployed), _logs(deployed)]


def _storage(deployed: DeployedInstance) -> Finding:
    home = dagster_home()
    storages = deployed.storages()
    outdated = [
        f"{name}: {storage.schema[0]} instead of {storage.schema[1]}"
        for name, storage in storages.items()
        if storage.schema is not None and storage.schema[0] != storage.schema[1]
    ]
    if outdated:
        found = f"the schema in {home} is not that of this Dagster ({'; '.join(outdated)})"
        return Finding(_SUBJECT, State.FAILURE, found, "Stop Dagster, then: ./run dagster instance migrate")
    kinds = ", ".join(dict.fromkeys(storage.kind for storage in storages.values()))
    return Finding(_SUBJECT, State.OK, f"{home} opens ({kinds}), its schema is current")


def _launcher(deployed: DeployedInstance) -> list[Finding]:
    try:
        launcher = deployed.launcher()
        missing = list(deployed.missing_rights_to_launch()) if launcher == _ON_KUBERNETES else []
    except Exception as error:  # noqa: BLE001 - of the client of Kubernetes, which has no error of its own for all of them
        advice = "Run this in the daemon's pod, whose account launches runs; look at run_launcher in dagster.yaml."
        return [Finding(_LAUNCHER, State.FAILURE, f"it cannot be made, or its API does not answer: {error}", advice)]
    findings: list[Finding] = []
    files = [name for name, storage in deployed.storages().items() if storage.is_in_files]
    if launcher != _IN_THIS_POD and files:
        found = f"{launcher} starts runs elsewhere, and {', '.join(files)} are in files that they do not share"
        findings.append(Finding(_LAUNCHER, State.FAILURE, found, "Give dagster.yaml a storage in Postgres."))
    if missing:
        advice = "Grant it to the service account; the chart's Role music-platform has all that is needed."
        findings.append(Finding(_LAUNCHER, State.FAILURE, f"this account may not {'; '.join(missing)}", advice))
    if findings:
        return findings
    rights = "; this account may launch, watch and cancel runs" if launcher == _ON_KUBERNETES else ""
    return [Finding(_LAUNCHER, State.OK, f"{launcher}{rights}")]


def _logs(deployed: DeployedInstance) -> Finding:
    advice = "Check compute_logs in dagster.yaml, and that the identity may put, get and delete objects there."
    try:
        manager, kept = deployed.keeps_logs()
    except Exception as error:  # noqa: BLE001 - each manager has errors of its own
        return Finding(_LOGS, State.FAILURE, f"a small log cannot be kept: {type(error).__name__}: {error}", advice)
    if not kept:
        return Finding(_LOGS, State.WARNING, f"{manager} does not give back what was written", advice)
    return Finding(_LOGS, State.OK, f"{manager} keeps a small log and gives it back")
