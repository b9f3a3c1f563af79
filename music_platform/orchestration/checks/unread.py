"""Landed objects that no partition reads, as a check: nobody else would notice data where no run looks.

Runs by the clock (automation/schedules.py) and in `music-platform check`, not with a run of an hour: these objects belong to no
hour that is run.
"""

from __future__ import annotations

from collections.abc import Collection

from music_platform.lake.lake import Lake
from music_platform.landing.unread import UnreadFindings, find_unread
from music_platform.landing.unread_messages import describe_left, describe_unread
from music_platform.orchestration.checks.outcome import CheckOutcome, first_problems
from music_platform.tables.contract import Layer

UNREAD_CHECK = "every_landed_object_is_read"
_BUDGET_SECONDS = 120.0


def check_objects_are_read(kind: str, lake: Lake, days: Collection[str] | None = None) -> CheckOutcome:
    """Whether a partition reads, or will read, each landed object of a kind (one of landing.unread.KINDS).

    With ``days``, looks only into the folders of these days and at objects in no day's folder.
    """
    found = find_unread(lake, [kind], days=days, budget_seconds=_BUDGET_SECONDS)
    return CheckOutcome(
        table=f"{Layer.LANDING}/{kind}",
        check=UNREAD_CHECK,
        passed=not found.objects,
        description=_describe(found, lake),
        numbers={
            "unread_objects": len(found.objects),
            "unread_bytes": sum(unread.stored.size for unread in found.objects),
            "folders_not_looked_into": len(found.left),
        },
    )


def _describe(found: UnreadFindings, lake: Lake) -> str:
    problems = [describe_unread(group, lake.settings.start) for group in found.groups]
    described = (
        first_problems(problems) if problems else "every object is read by the partition of its hour, or will be"
    )
    return f"{described}; {describe_left(found.left)}" if found.left else described
