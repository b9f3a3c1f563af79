"""A step of checks that run together, for Dagster and as a plain function for the command line.

Dagster and the engine need a step's overhead once for all its checks. spine.py and derived_tables.py define the checks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from music_platform.lake.lake import Lake
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.checks.outcome import CheckOutcome
from music_platform.orchestration.partitions_definitions import require_forward_range
from music_platform.orchestration.spark_resource import SparkResource
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
        """The step as Dagster's; it checks the partitions of its run."""

        @dg.multi_asset_check(name=self.name, specs=self.specs, can_subset=True)
        def checks(
            context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake], spark: SparkResource
        ) -> Iterator[dg.AssetCheckResult]:
            selected = context.op_execution_context.selected_asset_check_keys
            for outcome in self.check(partitions_of_run(context, self.name), lake, spark.engine):
                if dg.AssetCheckKey(dg.AssetKey(outcome.table.split("/")), outcome.check) in selected:
                    yield outcome.to_dagster()

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


def partitions_of_run(context: dg.AssetCheckExecutionContext, name: str) -> list[str]:
    """The partitions of the run that checks are part of; fails, without a retry, in a run that has none."""
    run = context.op_execution_context
    require_forward_range(run.run)
    if not (run.has_partition_key or run.has_partition_key_range):
        raise dg.Failure(
            f"{name} checks partitions, and this run has none. Materialize partitions (their checks come with them), or "
            "run: music-platform check --partition PARTITION",
            allow_retries=False,
        )
    return list(run.partition_keys)
