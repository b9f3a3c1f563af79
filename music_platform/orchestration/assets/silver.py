"""The silver and quarantine assets of an event type: one pass over bronze materializes both.

A run may select one of them; the pass publishes both all the same, so that a row that moves between the tables is in
exactly one of them. The one that was not selected is reported as materialized too.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from music_platform.errors import ManifestCorruptError
from music_platform.lake.partition_sets import StagedPartitions, StoredPartitions, stage
from music_platform.lake.writer import WrittenPartition
from music_platform.orchestration.assets.tables import (
    LAKE_IO_MANAGER,
    SINGLE_RUN,
    data_version_of,
    pool_of,
    spec_arguments,
    with_progress,
)
from music_platform.orchestration.io_managers.parquet_io_manager import ParquetLakeIOManager
from music_platform.tables.bronze import BRONZE
from music_platform.tables.events import EVENT_CONTRACTS, EventContract
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.schemas import fingerprint
from music_platform.tables.silver import SILVER
from music_platform.tables.transforms import silver as transform

TRANSFORM_VERSION = "3"  # raise it when the same bronze rows give other silver or quarantine rows than before


def silver_assets(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """One multi-asset for each event type, with its silver and its quarantine table."""
    return [_silver_assets(event, partitions) for event in EVENT_CONTRACTS.values()]


def _silver_assets(event: EventContract, partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    bronze_contract, contract, quarantine_contract = BRONZE[event.name], SILVER[event.name], QUARANTINE[event.name]

    @dg.multi_asset(
        name=f"silver_and_quarantine_{event.name}",
        ins={"bronze": dg.AssetIn(key=bronze_contract.asset_key)},
        outs={
            layer: dg.AssetOut(
                # Silver's rules decide which rows are in quarantine as well.
                **spec_arguments(
                    table,
                    transform_versions=[fingerprint(contract), event.fingerprint, TRANSFORM_VERSION],
                    kinds={"spark", "parquet", kind},
                ),
                io_manager_key=LAKE_IO_MANAGER,
                is_required=False,
            )
            for layer, table, kind in (
                (transform.SILVER, contract, "silver"),
                (transform.QUARANTINE, quarantine_contract, "quarantine"),
            )
        },
        partitions_def=partitions,
        backfill_policy=SINGLE_RUN,
        pool=pool_of(contract),
        can_subset=True,
    )
    def silver_and_quarantine(
        context: dg.AssetExecutionContext,
        bronze: StoredPartitions,
        lake_io_manager: dg.ResourceParam[ParquetLakeIOManager],
    ) -> Iterator[dg.Output[StagedPartitions]]:
        silver = StagedPartitions.begin(contract, context.run_id, bronze.sources())
        quarantine = StagedPartitions(quarantine_contract, silver.write_id, bronze.sources())  # one write makes both
        for batch in with_progress(context, contract.path, bronze.batches()):
            stage_silver_and_quarantine(event, bronze, batch, silver, quarantine)
        for output, staged in ((transform.SILVER, silver), (transform.QUARANTINE, quarantine)):
            if output in context.op_execution_context.selected_output_names:
                yield dg.Output(
                    staged, output_name=output, data_version=data_version_of(staged, context.partition_keys)
                )
            else:
                _publish_unselected(context, staged, lake_io_manager)

    return silver_and_quarantine


def stage_silver_and_quarantine(
    event: EventContract,
    bronze: StoredPartitions,
    partitions: Sequence[str],
    silver: StagedPartitions,
    quarantine: StagedPartitions,
) -> None:
    """Write some of bronze's partitions into both tables in one engine pass, and count the duplicates with silver."""
    written = stage(
        transform.silver_or_quarantine(bronze.read(partitions), event),
        {transform.SILVER: silver.contract, transform.QUARANTINE: quarantine.contract, transform.DUPLICATE: None},
        partitions,
        bronze.lake,
        write_id=silver.write_id,
        partition_column="landed_hour",
        destination_column=transform.DESTINATION_COLUMN,
    )
    _require_all_rows(bronze, partitions, written)
    silver.written |= written[transform.SILVER]
    quarantine.written |= written[transform.QUARANTINE]
    for partition, duplicates in written[transform.DUPLICATE].items():
        silver.written.setdefault(partition, WrittenPartition()).counts["duplicates"] = duplicates.counts["rows"]


def _require_all_rows(
    bronze: StoredPartitions, partitions: Sequence[str], written: Mapping[str, Mapping[str, WrittenPartition]]
) -> None:
    """Every bronze row has one destination, so this finds an engine that read fewer rows than the manifests promise."""
    for partition in partitions:
        destinations = [by_partition[partition] for by_partition in written.values() if partition in by_partition]
        rows = sum(made.counts.get("rows", 0) + sum(file.rows for file in made.files) for made in destinations)
        if rows != bronze.rows[partition]:
            raise ManifestCorruptError(
                f"{bronze.contract.path} partition {partition}: its manifest promises {bronze.rows[partition]} rows, the "
                f"engine read {rows}. Nothing was published; if a run is replacing the partition, run this one again, "
                f"else materialize it again: ./run dagster asset materialize --select '{bronze.contract.path}' --partition "
                f"'{partition}'."
            )


def _publish_unselected(
    context: dg.AssetExecutionContext, staged: StagedPartitions, io_manager: ParquetLakeIOManager
) -> None:
    partitions = list(context.partition_keys)
    metadata = io_manager.publish(staged, partitions, context.run_id)
    version = data_version_of(staged, partitions)
    for partition in partitions:
        context.log_event(
            dg.AssetMaterialization(
                asset_key=staged.contract.asset_key,
                description="Published with the other table of the same pass.",
                partition=partition,
                metadata=metadata[partition],
                tags={} if version is None else {"dagster/data_version": version.value},
            )
        )
