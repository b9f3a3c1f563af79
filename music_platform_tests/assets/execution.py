"""Runs of jobs in the test's process, executed as Dagster's own runs are: by the executor of the job's definitions.

``JobDefinition.execute_in_process`` would replace it by one that runs a step at a time.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from music_platform.orchestration.automation.run_tags import PARTITION, RANGE_END, RANGE_START

_JOBS: dict[str, dg.JobDefinition] = {}


def execute(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    first: str | None = None,
    last: str | None = None,
    *,
    tables: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    run_config: Mapping[str, Any] | None = None,
    raise_on_error: bool = True,
) -> dg.JobExecutionResult:
    """Run a job, or some of its tables, for a partition, for a range of them in one run, or for none.

    Raises what a step raised, unless ``raise_on_error`` is off.
    """
    partitions = {}
    if first is not None:
        partitions = {PARTITION: first} if last is None else {RANGE_START: first, RANGE_END: last}
    name = uuid.uuid4().hex
    _JOBS[name] = job
    try:
        return dg.execute_job(
            dg.build_reconstructable_job(__name__, job_of_test.__name__, reconstructable_kwargs={"name": name}),
            instance,
            run_config=run_config,
            tags={**(tags or {}), **partitions},
            raise_on_error=raise_on_error,
            asset_selection=[dg.AssetKey(table.split("/")) for table in tables] or None,
        )
    finally:
        del _JOBS[name]


def job_of_test(name: str) -> dg.JobDefinition:
    """Dagster executes a job that it can find again by a name: this one finds it in the same process."""
    return _JOBS[name]
