"""Runs of jobs through Dagster, in this process and on an instance in a folder, for the measurements."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import dagster as dg

from music_platform.definitions import build_definitions
from music_platform.settings import Settings

_LOCAL_INSTANCE = Path(__file__).resolve().parents[1] / "deploy" / "local" / "dagster.yaml"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class JobRunner:
    """Materializes and checks a job's partitions of a lake in one run, recorded in an instance with SQLite storage."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance, job_name: str) -> None:
        logging.getLogger("alembic").setLevel(logging.WARNING)
        self._instance = instance
        self._job = build_definitions(settings).resolve_job_def(job_name)

    def run(self, first: str, last: str | None = None) -> dg.ExecuteInProcessResult:
        """One partition, or a range of partitions as one run."""
        if last is None:
            return self._job.execute_in_process(instance=self._instance, partition_key=first, run_config=_QUIET)
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        return self._job.execute_in_process(instance=self._instance, tags=tags, run_config=_QUIET)


def new_instance(folder: str | Path) -> dg.DagsterInstance:
    """An instance in a folder, configured as `./run` configures the one of this machine."""
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(_LOCAL_INSTANCE, home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)  # the file refers to it
    return dg.DagsterInstance.from_config(str(home))
