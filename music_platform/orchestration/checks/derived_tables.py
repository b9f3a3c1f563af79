"""The checks of gold and of the recommendations: every table keeps its contract, and its reconciliations agree.

Each table's own module has its reconciliations.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial

from music_platform.lake.lake import Lake
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.checks.contract import CONTRACT_CHECK, check_contract
from music_platform.orchestration.checks.outcome import CheckOutcome, first_problems
from music_platform.orchestration.checks.step import CheckStep, check_spec
from music_platform.orchestration.checks.whole_days import WHOLE_DAYS_CHECK, check_made_of_all_hours
from music_platform.partitions import days_around, hours_of_day
from music_platform.tables.catalogue import DerivedTable
from music_platform.tables.contract import TableContract
from music_platform.tables.reconciliations import Input, Reconciliation, Stored


def check_derived(table: DerivedTable, partitions: Sequence[str], lake: Lake, spark: SparkEngine) -> list[CheckOutcome]:
    """The contract check and the reconciliations of one table."""
    own = StoredPartitions.open(table.contract, partitions, lake, spark)
    outcomes = [check_contract(own)]
    for reconciliation in table.reconciliations:
        others = {
            name: _open(other, table.contract, partitions, lake, spark) for name, other in reconciliation.others.items()
        }
        outcomes.append(_reconcile(reconciliation, Stored(own, others)))
    if table.reads_hours:
        outcomes.append(check_made_of_all_hours(own, datetime.now(UTC)))
    return outcomes


def _step(table: DerivedTable) -> CheckStep:
    contract = table.contract
    specs = [check_spec(contract, CONTRACT_CHECK, "Types, nullability, allowed values, identities.")]
    for found in table.reconciliations:
        others = [wanted.contract for wanted in found.others.values() if wanted.contract is not contract]
        specs.append(
            check_spec(contract, found.name, found.description, is_blocking=found.is_blocking, compared_with=others)
        )
    if table.reads_hours:
        description = "A day that is over has all its hours."
        specs.append(check_spec(contract, WHOLE_DAYS_CHECK, description, is_blocking=False))
    return CheckStep(f"check_{contract.layer}_{contract.name}", (contract,), specs, partial(check_derived, table))


def _open(
    other: Input, table: TableContract, partitions: Sequence[str], lake: Lake, spark: SparkEngine
) -> StoredPartitions:
    """The other table's existing partitions of the same time and of the days around.

    Of an hourly table these are the hours of the days. A partition of the same time and cadence must exist.
    """
    contract = other.contract
    if contract.cadence is not table.cadence:
        hours = [hour for day in partitions for hour in hours_of_day(day)]
        return StoredPartitions.open_published(contract, hours, lake, spark)
    if not other.days_before and not other.days_after:
        return StoredPartitions.open(contract, partitions, lake, spark)
    around = {day for key in partitions for day in days_around(key, before=other.days_before, after=other.days_after)}
    return StoredPartitions.open_published(contract, sorted(around), lake, spark)


def _reconcile(reconciliation: Reconciliation, stored: Stored) -> CheckOutcome:
    expected, found = reconciliation.expected(stored), reconciliation.found(stored)
    problems = [
        f"partition {partition}: {found.get(partition, 0):,} found, {expected.get(partition, 0):,} expected"
        for partition in stored.own.rows
        if found.get(partition, 0) != expected.get(partition, 0)
    ]
    by_partition = {
        partition: {"expected": expected.get(partition, 0), "found": found.get(partition, 0)}
        for partition in stored.own.rows
    }
    total = sum(expected.get(partition, 0) for partition in stored.own.rows)
    return CheckOutcome(
        table=stored.own.contract.path,
        check=reconciliation.name,
        passed=not problems,
        description=f"{reconciliation.description} {first_problems(problems) or f'{total:,} found as expected'}",
        is_blocking=reconciliation.is_blocking,
        numbers={"expected": total, "found": sum(own["found"] for own in by_partition.values())},
        by_partition=by_partition,
    )


def derived_steps(tables: Iterable[DerivedTable]) -> list[CheckStep]:
    """The check step of each table of gold and of the recommendations."""
    return [_step(table) for table in tables]
