"""What every asset of a table shares: its spec from the contract, the range policy, progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

import dagster as dg
from pydantic import Field
from pyspark.sql import DataFrame

from music_platform.errors import MusicPlatformError
from music_platform.lake.landed_sources import GONE_INPUTS_TAG, GoneInputs
from music_platform.lake.partition_sets import StagedPartitions
from music_platform.lake.writer import WrittenPartition
from music_platform.landing.landed_partitions import LandedPartitions
from music_platform.orchestration.table_schema import table_lineage, table_schema
from music_platform.partitions import describe_partitions
from music_platform.tables.contract import TableContract
from music_platform.tables.schemas import fingerprint

LAKE_IO_MANAGER = "lake_io_manager"
OWNERS = ["team:data-platform"]
SINGLE_RUN = dg.BackfillPolicy.single_run()


class GoneInputsConfig(dg.Config):
    """What a run does about inputs that are gone; the run's tag of the same name takes precedence."""

    gone_inputs: str = Field(
        default=str(GoneInputs.REFUSE),
        description="What to do where an input that a partition was made from is gone: 'refuse' to remove its rows; 'keep' the "
        "rows of landed objects, which are expired from then on (tables made of landed objects); or 'remove' the rows.",
    )


def gone_inputs_of(context: dg.AssetExecutionContext, config: GoneInputsConfig) -> GoneInputs:
    """The choice of a run; raises ``MusicPlatformError`` that names the choices when it is none of them."""
    chosen = context.run.tags.get(GONE_INPUTS_TAG, config.gone_inputs)
    try:
        return GoneInputs(chosen)
    except ValueError as error:
        raise MusicPlatformError(
            f"the run's choice about inputs that are gone is '{chosen}'; it is one of {', '.join(GoneInputs)}"
        ) from error


def stage_landed(
    context: dg.AssetExecutionContext,
    gone_inputs: GoneInputs,
    landed: LandedPartitions,
    transform: Callable[[DataFrame], DataFrame],
) -> dg.Output[StagedPartitions]:
    """Write what a transform makes of landed lines, with the rows of objects that are gone and kept.

    Raises ``RowsWouldBeRemovedError`` as ``LandedPartitions.settled``.
    """
    landed = landed.settled(gone_inputs, datetime.now(UTC))
    staged = StagedPartitions.begin(
        landed.contract, context.run_id, landed.sources(), may_remove_rows=gone_inputs is GoneInputs.REMOVE
    )
    for batch in with_progress(context, landed.contract.path, landed.batches()):
        staged.write(landed.with_kept_rows(transform(landed.read(batch)), batch), batch, landed.lake)
    for partition in landed.objects:
        if counts := landed.counts(partition):
            staged.written.setdefault(partition, WrittenPartition()).counts.update(counts)
    return dg.Output(staged, data_version=data_version_of(staged, context.partition_keys))


class SpecArguments(TypedDict):
    """Arguments that dg.asset and dg.AssetOut share."""

    key: list[str]
    description: str
    group_name: str
    kinds: set[str]
    owners: list[str]
    tags: dict[str, str]
    code_version: str
    metadata: dict[str, Any]


def code_version(contract: TableContract, *transform_versions: str) -> str:
    """The asset's code version: changes with the contract, and with the versions that its transforms declare."""
    return "-".join([fingerprint(contract), *transform_versions])


def spec_arguments(contract: TableContract, *, transform_versions: Sequence[str], kinds: set[str]) -> SpecArguments:
    """What the contract says of the table's asset, as arguments that AssetSpec and AssetOut share."""
    lineage = table_lineage(contract)
    return {
        "key": contract.asset_key,
        "description": contract.description,
        "group_name": str(contract.layer),
        "kinds": kinds,
        "owners": OWNERS,
        "tags": {"cadence": str(contract.cadence)},
        "code_version": code_version(contract, *transform_versions),
        "metadata": {
            "dagster/column_schema": table_schema(contract),
            "dagster/table_name": f"{contract.layer}.{contract.name}",
            "dagster/storage_kind": "parquet",
            "path": f"{contract.path}/{'date=YYYY-MM-DD/hour=HH' if contract.cadence == 'hourly' else 'date=YYYY-MM-DD'}/",
            "sorted_by": ", ".join(contract.sort_columns) or "order of landing",
            **({} if lineage is None else {"dagster/column_lineage": lineage}),
        },
    }


def pool_of(contract: TableContract) -> str:
    """The pool from which a run of the table takes a slot: with one, no two runs make partitions of a cadence at once.

    Dagster has no pool for each partition, and its tags do not distinguish ranges.
    """
    return f"{contract.cadence}_tables"


def data_version_of(staged: StagedPartitions, partitions: Sequence[str]) -> dg.DataVersion | None:
    """The content's digest, for a run of one partition: Dagster would give each partition of a range the same one."""
    return dg.DataVersion(staged.data_version) if len(partitions) == 1 else None


def with_progress(context: dg.AssetExecutionContext, name: str, batches: Sequence[list[str]]) -> Iterator[list[str]]:
    """Yields the batches one by one and logs how much of the range is done."""
    done, total = 0, sum(len(batch) for batch in batches)
    for batch in batches:
        context.log.info(f"{name}: {describe_partitions(batch)}, {done} of {total} partitions done")
        yield batch
        done += len(batch)
