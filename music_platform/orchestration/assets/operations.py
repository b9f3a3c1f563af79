"""The asset `operations/state`: one page that answers whether all is well, what is late, what is in quarantine and what it cost.

Of checks, partitions and runs it knows what Dagster's instance recorded; of rows and bytes, the manifests of the last day.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from music_platform.inert_text import from_markdown, inert
from music_platform.lake.lake import Lake
from music_platform.lake.manifest import Manifest, read_manifest
from music_platform.lake.quarantined import rows_by_rule
from music_platform.orchestration.assets.tables import OWNERS
from music_platform.orchestration.checks.platform import failed_partitions
from music_platform.orchestration.dagster_internals import AssetCheckExecutionRecordStatus
from music_platform.partitions import end_of_partition, hours_of_day
from music_platform.tables.contract import Cadence, Layer, TableContract

STATE = dg.AssetKey(["operations", "state"])
_COST_HOURS = 24
_LONGEST_CELL = 160
_MOST_ROWS = 50

Row = dict[str, str | int | float]


@dataclass(frozen=True)
class State:
    """The answers, each as rows of a table; ``late`` and ``problems`` are empty when all is well."""

    problems: Sequence[Row]
    layers: Sequence[Row]
    quarantine: Sequence[Row]
    cost: Sequence[Row]
    quarantined_rows: int
    bronze_rows: int
    day: str | None = None
    late: Sequence[str] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        return not self.problems and not self.late

    def metadata(self) -> Mapping[str, dg.MetadataValue]:
        """The page: the four answers first, then a table for each; its numbers are what Dagster plots."""
        run_seconds = sum((float(row["seconds"]) for row in self.cost), 0.0)
        rate = self.quarantined_rows / self.bronze_rows if self.bronze_rows else 0.0
        quarantined = f"{self.quarantined_rows:,} of {self.bronze_rows:,} rows of {self.day} ({rate:.2%})"
        answers = {
            "Is all well?": "yes" if self.is_well else f"no: {self._what_is_wrong()}",
            "What is late?": ", ".join(self.late) or "nothing",
            "What is in quarantine?": quarantined if self.day else "nothing was made yet",
            "What did it cost?": f"{run_seconds:,.0f} s of runs in the last {_COST_HOURS} hours",
        }
        tables = {
            "problems": self.problems,
            "layers": self.layers,
            "quarantine": self.quarantine,
            "cost": self.cost,
        }
        return {
            **{question: dg.MetadataValue.text(answer) for question, answer in answers.items()},
            **{name: _table(rows) for name, rows in tables.items() if rows},
            "problem_count": dg.MetadataValue.int(len(self.problems)),
            "late_layers": dg.MetadataValue.int(len(self.late)),
            "quarantined_rows": dg.MetadataValue.int(self.quarantined_rows),
            "run_seconds": dg.MetadataValue.float(round(run_seconds, 1)),
        }

    def _what_is_wrong(self) -> str:
        found = [f"failed checks and partitions: {len(self.problems)}"] if self.problems else []
        return "; ".join([*found, *([f"late layers: {len(self.late)}"] if self.late else [])])


def state_asset(tables: Iterable[TableContract], checks: Iterable[dg.AssetCheckKey]) -> dg.AssetsDefinition:
    """The asset; ``tables`` and ``checks`` are those that are made and executed here."""
    contracts, keys = list(tables), list(checks)

    @dg.asset(
        key=STATE,
        description="Is all well, what is late, what is in quarantine, what did it cost? The answers are in the latest "
        "materialization. Made every hour; materialize it to ask now.",
        group_name="operations",
        kinds={"dagster"},
        owners=OWNERS,
    )
    def state(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]) -> dg.MaterializeResult[Any]:
        found = look_at(context.instance, lake, contracts, keys, datetime.now(UTC))
        return dg.MaterializeResult(metadata=found.metadata())

    return state


def look_at(
    instance: dg.DagsterInstance,
    lake: Lake,
    tables: Sequence[TableContract],
    checks: Sequence[dg.AssetCheckKey],
    now: datetime,
) -> State:
    """The state at a moment."""
    made = {table: instance.get_materialized_partitions(dg.AssetKey(table.asset_key)) for table in tables}
    layers, late = _layers(made, lake.settings.lag_limit_hours)
    hours = [max(keys) for table, keys in made.items() if table.cadence is Cadence.HOURLY and keys]
    day = max(hours)[:10] if hours else None
    manifests = _manifests_of(day, tables, lake) if day else {}
    rules, quarantined = _quarantine(manifests, lake)
    bronze = sum(found.rows for table, own in manifests.items() if table.layer is Layer.BRONZE for found in own)
    return State(
        problems=[*_failed_checks(instance, checks), *_failed_partitions(instance, tables)],
        layers=layers,
        quarantine=rules,
        cost=_cost(instance, now),
        quarantined_rows=quarantined,
        bronze_rows=bronze,
        day=day,
        late=late,
    )


def _failed_checks(instance: dg.DagsterInstance, checks: Sequence[dg.AssetCheckKey]) -> list[Row]:
    """The checks of which the latest execution failed; those in progress are not known yet."""
    found = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(checks))
    rows: list[Row] = []
    for key, record in sorted(found.items(), key=lambda item: str(item[0])):
        if record.status is not AssetCheckExecutionRecordStatus.FAILED:
            continue
        evaluation = record.event.asset_check_evaluation if record.event is not None else None
        said = from_markdown((evaluation.description if evaluation is not None else None) or "")
        severity = evaluation.severity.value.lower() if evaluation is not None else "error"
        what = f"check {key.name} of {key.asset_key.to_user_string()}"
        rows.append({"what": what, "severity": severity, "found": inert(said, longest=_LONGEST_CELL)})
    return rows


def _failed_partitions(instance: dg.DagsterInstance, tables: Sequence[TableContract]) -> list[Row]:
    found = failed_partitions(instance, [dg.AssetKey(table.asset_key) for table in tables])
    return [
        {"what": f"{asset} {partition}", "severity": "error", "found": f"its last run, {run_id[:8]}, {ended}"}
        for asset, partition, run_id, ended in found
    ]


def _layers(made: Mapping[TableContract, set[str]], limit_hours: float) -> tuple[list[Row], list[str]]:
    """How far the tables of each layer are, and what is late.

    Late is a layer whose next hour or day could have been made for longer than the limit: bronze is that much further.
    """
    ends = [end_of_partition(max(keys)) for table, keys in made.items() if table.layer is Layer.BRONZE and keys]
    reached = max(ends, default=None)
    rows: list[Row] = []
    late: list[str] = []
    for layer, cadence in dict.fromkeys((table.layer, table.cadence) for table in made):
        newest = {
            table: max(keys, default="")
            for table, keys in made.items()
            if (table.layer, table.cadence) == (layer, cadence)
        }
        behind = min(newest, key=lambda table: newest[table])
        is_late = reached is not None and _waits_hours(newest[behind], cadence, reached) > limit_hours
        if is_late:
            late.append(f"{layer} ({cadence}): {behind.path} is at {newest[behind] or 'nothing'}")
        rows.append(
            {
                "layer": f"{layer} ({cadence})",
                "tables": len(newest),
                "all are at": newest[behind] or "nothing",
                "last is": behind.name,
                "late": "late" if is_late else "",
            }
        )
    return rows, late


def _waits_hours(newest: str, cadence: Cadence, reached: datetime) -> float:
    """Hours for which the partition after the newest one could have been made, by how far bronze is."""
    if not newest:
        return float("inf")
    length = timedelta(hours=1) if cadence is Cadence.HOURLY else timedelta(days=1)
    return (reached - end_of_partition(newest) - length) / timedelta(hours=1)


def _manifests_of(day: str, tables: Sequence[TableContract], lake: Lake) -> dict[TableContract, list[Manifest]]:
    """The manifests of a day's hours, of bronze and quarantine."""
    wanted = [
        (table, hour)
        for table in tables
        if table.layer in (Layer.BRONZE, Layer.QUARANTINE)
        for hour in hours_of_day(day)
    ]
    found: dict[TableContract, list[Manifest]] = {}
    read = lake.map_requests(lambda pair: read_manifest(lake.store, *pair), wanted)
    for (table, _), entry in zip(wanted, read, strict=True):
        if entry is not None:
            found.setdefault(table, []).append(entry[0])
    return found


def _quarantine(manifests: Mapping[TableContract, Sequence[Manifest]], lake: Lake) -> tuple[list[Row], int]:
    rows: list[Row] = []
    total = 0
    for table, own in manifests.items():
        if table.layer is Layer.QUARANTINE:
            total += sum(manifest.rows for manifest in own)
            for rule, count in rows_by_rule(lake, own):
                rows.append({"table": table.path, "rule": rule, "rows": count})
    return sorted(rows, key=lambda row: -int(row["rows"])), total


def _cost(instance: dg.DagsterInstance, now: datetime) -> list[Row]:
    """The runs that ended in the last hours, by job: the seconds from their start to their end, the most first."""
    by_job: dict[str, list[float]] = {}
    failed: dict[str, int] = {}
    for record in instance.get_run_records(dg.RunsFilter(updated_after=now - timedelta(hours=_COST_HOURS))):
        if record.start_time is None or record.end_time is None:
            continue
        job = record.dagster_run.job_name
        name = "assets, by hand or by a condition" if job.startswith("__") else job
        by_job.setdefault(name, []).append(record.end_time - record.start_time)
        failed[name] = failed.get(name, 0) + (record.dagster_run.status is dg.DagsterRunStatus.FAILURE)
    rows: list[Row] = [
        {"job": job, "runs": len(times), "failed": failed[job], "seconds": round(sum(times), 1)}
        for job, times in by_job.items()
    ]
    return sorted(rows, key=lambda row: -float(row["seconds"]))


def _table(rows: Sequence[Row]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows[:_MOST_ROWS]])
