"""The job that compacts the small files of closed days; what a compaction is stands in io_managers/compaction.py."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from music_platform.lake.compaction import compact_partitions
from music_platform.lake.lake import Lake
from music_platform.partitions import DAILY_KEY_FORMAT, hours_of_day
from music_platform.tables.contract import Cadence, TableContract


class CompactionConfig(dg.Config):
    """``days`` to compact, as YYYY-MM-DD; by default those that closed last."""

    days: list[str] = Field(default_factory=list)


def compaction_job(tables: Iterable[TableContract], closed_days: int) -> dg.JobDefinition:
    """The job over all tables; without days in its configuration it takes so many days before the current one."""
    contracts = list(tables)

    @dg.op
    def compact_closed_days(
        context: dg.OpExecutionContext, config: CompactionConfig, lake: dg.ResourceParam[Lake]
    ) -> None:
        now = datetime.now(UTC)
        today = now.strftime(DAILY_KEY_FORMAT)
        days = config.days or [
            (now - timedelta(days=ago)).strftime(DAILY_KEY_FORMAT) for ago in range(1, closed_days + 1)
        ]
        for day in days:
            _require_closed(day, today)
        partitions = files = 0
        for contract in contracts:
            for day in days:
                keys = [day] if contract.cadence is Cadence.DAILY else hours_of_day(day)
                compacted = compact_partitions(lake, contract, keys, context.run_id)
                partitions, files = partitions + compacted.partitions, files + compacted.files_before
        context.log.info(f"{partitions} partitions of {', '.join(sorted(days))}: {files} files became {partitions}")
        context.add_output_metadata({"compacted_partitions": partitions, "files_before": files})

    @dg.job(
        name="compaction", description="Rewrites partitions of closed days that have several small files as one file."
    )
    def compaction() -> None:
        compact_closed_days()

    return compaction


def _require_closed(day: str, today: str) -> None:
    try:
        is_known = datetime.strptime(day, DAILY_KEY_FORMAT).replace(tzinfo=UTC).strftime(DAILY_KEY_FORMAT) == day
    except ValueError:
        is_known = False
    if not is_known:
        raise dg.Failure(f"there is no day '{day}'; name days as YYYY-MM-DD, such as 2026-11-01", allow_retries=False)
    if day >= today:
        raise dg.Failure(f"{day} is not closed yet: its hours are still being made", allow_retries=False)
