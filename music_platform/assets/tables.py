"""What every asset of a table shares: its spec from the contract, the range policy, progress."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import dagster as dg

from music_platform.contracts.dagster_schema import table_lineage, table_schema
from music_platform.contracts.schemas import fingerprint
from music_platform.contracts.table import TableContract
from music_platform.io_managers.partition_sets import StagedPartitions
from music_platform.partitions import describe_partitions

LAKE_IO_MANAGER = "lake_io_manager"
OWNERS = ["team:data-platform"]
SINGLE_RUN = dg.BackfillPolicy.single_run()


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
            "path": f"{contract.path}/{'date=YYYY-MM-DD/hour=HH' if contract.cadence == 'hourly' else 'date=YYYY-MM-DD'}/",
            "sorted_by": ", ".join(contract.sort_columns) or "order of landing",
            **({} if lineage is None else {"dagster/column_lineage": lineage}),
        },
    }


def pool_of(contract: TableContract) -> str:
    """The pool that a run of the table takes a slot of: with one slot, no two runs make partitions of one cadence at once.

    Dagster has no pool for each partition, and its tags tell no range from another.
    """
    return f"{contract.cadence}_tables"


def data_version_of(staged: StagedPartitions, partitions: Sequence[str]) -> dg.DataVersion | None:
    """The content's digest, for a run of one partition: Dagster would give each partition of a range the same one."""
    return dg.DataVersion(staged.data_version) if len(partitions) == 1 else None


def with_progress(context: dg.AssetExecutionContext, name: str, batches: Sequence[list[str]]) -> Iterator[list[str]]:
    """The batches one by one; the run's log tells how far the range has come."""
    done, total = 0, sum(len(batch) for batch in batches)
    for batch in batches:
        context.log.info(f"{name}: {describe_partitions(batch)}, {done} of {total} partitions done")
        yield batch
        done += len(batch)
