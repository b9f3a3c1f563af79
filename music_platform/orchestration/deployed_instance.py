"""What a deployment's instance of Dagster needs of its surroundings: databases, the right to launch runs, a place for logs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg

from music_platform.orchestration.dagster_internals import ComputeIOType

# What dagster-k8s asks of the API server to launch a run, watch it, cancel it and say why it died.
_RIGHTS_OF_LAUNCHER = (
    ("batch", "jobs", "", ("create", "list", "delete")),
    ("batch", "jobs", "status", ("get",)),
    ("", "pods", "", ("list", "delete")),
    ("", "pods", "log", ("get",)),
    ("", "events", "", ("list",)),
)


@dataclass(frozen=True)
class InstanceStorage:
    """A storage of an instance: its class, whether it is files on a disk of this machine (SQLite), and two schemas.

    ``schema`` is the one that its database has and the one that Dagster wants; None where it has no schema.
    """

    kind: str
    is_in_files: bool
    schema: tuple[str | None, str | None] | None


@dataclass(frozen=True)
class DeployedInstance:
    """An open instance, looked at from outside of its runs. Its methods raise whatever Dagster's parts raise."""

    instance: dg.DagsterInstance

    def storages(self) -> dict[str, InstanceStorage]:
        """The storages of runs, events and schedules, by these names."""
        storages: dict[str, Any] = {
            "runs": self.instance.run_storage,
            "events": self.instance.event_log_storage,
            "schedules": self.instance.schedule_storage,
        }
        return {
            name: InstanceStorage(type(storage).__name__, _is_in_files(storage), storage.alembic_version())
            for name, storage in storages.items()
            if storage is not None
        }

    def launcher(self) -> str:
        """The class of the run launcher; it cannot be made outside of its cluster."""
        return type(self.instance.run_launcher).__name__

    def missing_rights_to_launch(self) -> Iterator[str]:
        """What ``K8sRunLauncher`` needs and this process's account may not do, such as `create jobs in namespace x`."""
        from kubernetes import client  # half a second that other deployments do not pay

        launcher: Any = self.instance.run_launcher
        reviews = client.AuthorizationV1Api()
        for group, resource, subresource, verbs in _RIGHTS_OF_LAUNCHER:
            for verb in verbs:
                wanted = client.V1ResourceAttributes(
                    namespace=launcher.job_namespace, verb=verb, group=group, resource=resource, subresource=subresource
                )
                spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=wanted)
                answer: Any = reviews.create_self_subject_access_review(client.V1SelfSubjectAccessReview(spec=spec))
                if not answer.status.allowed:
                    name = f"{resource}/{subresource}" if subresource else resource
                    yield f"{verb} {name} in namespace {launcher.job_namespace}"

    def keeps_logs(self) -> tuple[str, bool]:
        """The class of the compute log manager, and whether a small log that was written is read again; it is deleted."""
        manager = self.instance.compute_log_manager
        key, text = ["music-platform-doctor", uuid.uuid4().hex], "music-platform doctor\n"
        try:
            with manager.open_log_stream(key, ComputeIOType.STDERR) as stream:
                if stream is None:
                    return type(manager).__name__, False
                written: Any = stream  # declared as bytes, and a text in every manager of Dagster's
                written.write(text)
            kept = manager.get_log_data(key).stderr
        finally:
            manager.delete_logs(log_key=key)
        return type(manager).__name__, kept == text.encode()


def _is_in_files(storage: object) -> bool:
    return any(kind.__name__.lower().startswith("sqlite") for kind in type(storage).__mro__)
