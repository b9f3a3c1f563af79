"""A step of checks that run together, for Dagster and as a plain function for the command line.

Dagster and the engine need a step's overhead once for all its checks. spine.py and derived_tables.py define the checks.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import dagster as dg

from music_platform.lake.lake import Lake
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.checks.outcome import CheckOutcome
from music_platform.orchestration.partitions_definitions import require_forward_range
from music_platform.orchestration.spark_resource import SparkResource
from music_platform.partitions import contiguous_ranges, day_of_key, describe_partitions
from music_platform.tables.contract import Cadence, TableContract


@dataclass(frozen=True)
class CheckStep:
    """Checks of tables of one cadence. ``event_type`` is set where they are those of one event type.

    ``check`` returns the outcomes of all of them for some partitions; it raises what reading them raises, such as
    ``PartitionMissingError``.
    """

    name: str
    tables: tuple[TableContract, ...]
    specs: Sequence[dg.AssetCheckSpec]
    check: Callable[[Sequence[str], Lake, SparkEngine], list[CheckOutcome]]
    event_type: str | None = None

    @property
    def cadence(self) -> Cadence:
        [cadence] = {table.cadence for table in self.tables}
        return cadence

    def to_dagster(self) -> dg.AssetChecksDefinition:
        """The step as Dagster's; it checks the partitions of its run, or the newest ones where the run names none."""

        @dg.multi_asset_check(name=self.name, specs=self.specs, can_subset=True)
        def checks(
            context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake], spark: SparkResource
        ) -> Iterator[dg.AssetCheckResult]:
            checked = partitions_to_check(context, [dg.AssetKey(table.asset_key) for table in self.tables])
            yield from results_of(context, checked, self.check(checked.keys, lake, spark.engine))

        return checks


def check_spec(
    contract: TableContract,
    name: str,
    description: str,
    *,
    is_blocking: bool = True,
    compared_with: Sequence[TableContract] = (),
) -> dg.AssetCheckSpec:
    """One check of a table, as Dagster describes it."""
    return dg.AssetCheckSpec(
        name,
        asset=contract.asset_key,
        description=description,
        blocking=is_blocking,
        additional_deps=[other.asset_key for other in compared_with],
    )


@dataclass(frozen=True)
class CheckedPartitions:
    """The partitions that a step checks. ``are_newest``: the run names none, so they are the newest that were made."""

    keys: list[str]
    are_newest: bool = False


def results_of(
    context: dg.AssetCheckExecutionContext, checked: CheckedPartitions, outcomes: Iterable[CheckOutcome]
) -> Iterator[dg.AssetCheckResult]:
    """The outcomes of the selected checks as Dagster's; each says which partitions were checked where the run does not."""
    selected = context.op_execution_context.selected_asset_check_keys
    for outcome in outcomes:
        if dg.AssetCheckKey(dg.AssetKey(outcome.table.split("/")), outcome.check) not in selected:
            continue
        if checked.are_newest:
            found = f"{describe_partitions(checked.keys)}, the newest that were made: {outcome.description}"
            yield replace(outcome, description=found).to_dagster()
        else:
            yield outcome.to_dagster()


def partitions_to_check(context: dg.AssetCheckExecutionContext, assets: Sequence[dg.AssetKey]) -> CheckedPartitions:
    """The partitions of the run or, in a run that names none, the newest day's that were made of all these assets.

    Such a run comes from «Execute» on a check's page. Of a day with a hole, the hours after it. Fails, without a retry, where
    nothing was made yet, and where the run's range ends before it begins.
    """
    run = context.op_execution_context
    require_forward_range(run.run)
    if run.has_partition_key or run.has_partition_key_range:
        return CheckedPartitions(list(run.partition_keys))
    made = set.intersection(*(context.instance.get_materialized_partitions(asset) for asset in assets))
    if not made:
        names = ", ".join(asset.to_user_string() for asset in assets)
        raise dg.Failure(
            f"there is nothing to check: no partition of {names} was made yet. Materialize one; its checks come with it",
            allow_retries=False,
        )
    day = max(map(day_of_key, made))
    return CheckedPartitions(contiguous_ranges(key for key in made if day_of_key(key) == day)[-1], are_newest=True)
