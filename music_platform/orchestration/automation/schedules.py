"""What runs by the clock, all in UTC: the checks that look at all hours, compaction and retention."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from music_platform.orchestration.automation.jobs import CLOCK_CHECKS, OPERATIONS_STATE


def housekeeping_schedules(
    retention: dg.JobDefinition, compaction: dg.JobDefinition
) -> Sequence[dg.ScheduleDefinition]:
    """The schedules of these jobs and of the checks by the clock."""
    return [
        _schedule(CLOCK_CHECKS, "20 * * * *", "After the hour closed."),
        _schedule(OPERATIONS_STATE, "25 * * * *", "After the checks by the clock."),
        _schedule(compaction, "40 2 * * *", "After the day closed."),
        _schedule(retention, "10 3 * * *", "When little else runs."),
    ]


def _schedule(job: Any, cron: str, description: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )
