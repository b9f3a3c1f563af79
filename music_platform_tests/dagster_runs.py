"""Runs of jobs through Dagster, in this process and on an instance in a folder, for tests and benchmarks.

The executor is the platform's own, as in every run that Dagster launches.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import dagster as dg

from music_platform.definitions import build_definitions
from music_platform.settings import Settings
from music_platform_tests.places import REPOSITORY

_LOCAL_INSTANCE = REPOSITORY / "deploy" / "local" / "dagster.yaml"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class JobRunner:
    """Materializes and checks a job's partitions of a lake in one run, recorded in an instance with SQLite storage."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance, job_name: str) -> None:
        logging.getLogger("alembic").setLevel(logging.WARNING)
        self._instance = instance
        self._job = dg.build_reconstructable_job(
            __name__, job_of_lake.__name__, reconstructable_kwargs={"lake": settings.lake, "job_name": job_name}
        )

    def run(self, first: str, last: str | None = None) -> str:
        """One partition, or a range of partitions as one run; gives its id. Raises what a step raised."""
        tags = {"dagster/partition": first}
        if last is not None:
            tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        return dg.execute_job(self._job, self._instance, run_config=_QUIET, tags=tags, raise_on_error=True).run_id


def job_of_lake(lake: str, job_name: str) -> dg.JobDefinition:
    """A job of the platform on a lake; Dagster calls it where it runs the job."""
    return build_definitions(Settings(lake=lake)).resolve_job_def(job_name)


def new_instance(folder: str | Path) -> dg.DagsterInstance:
    """An instance in a folder, configured as `./run` configures the one of this machine."""
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(_LOCAL_INSTANCE, home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)  # the file refers to it
    return dg.DagsterInstance.from_config(str(home))
