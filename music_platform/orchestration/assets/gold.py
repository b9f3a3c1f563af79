"""The gold assets: one function makes every table that is made from rows, by the hour or by the day.

A table's transform decides what it holds. This module reads the partitions, makes them in batches and hands them to the IO
manager. Tables that carry forward make the days of a range one after the other, each from the one before.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import dagster as dg
from pyspark.sql import DataFrame

from music_platform.errors import PartitionMissingError
from music_platform.lake.lake import Lake
from music_platform.lake.landed_sources import GoneInputs
from music_platform.lake.partition_sets import StagedPartitions, StoredPartitions
from music_platform.lake.song_catalogue import song_catalogue
from music_platform.lake.spark import SparkEngine
from music_platform.lake.writer import gathered
from music_platform.orchestration.assets.gold_of_manifests import asset_of_manifests
from music_platform.orchestration.assets.tables import (
    LAKE_IO_MANAGER,
    SINGLE_RUN,
    GoneInputsConfig,
    data_version_of,
    gone_inputs_of,
    pool_of,
    spec_arguments,
    with_progress,
)
from music_platform.orchestration.io_managers.parquet_io_manager import MAY_LACK_PARTITIONS
from music_platform.orchestration.spark_resource import SparkResource
from music_platform.partitions import (
    day_of_key,
    days_around,
    hours_of_day,
    in_batches,
    partition_after,
    partition_before,
)
from music_platform.tables.contract import Cadence, TableContract
from music_platform.tables.gold_table import Frames, GoldTable
from music_platform.tables.model_table import ModelTable


def gold_assets(
    tables: Iterable[GoldTable], hours: dg.PartitionsDefinition, days: dg.PartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """One asset for each gold table."""
    return [
        (asset_of_manifests if table.reads_manifests else _asset_of_rows)(
            table, hours if table.contract.cadence is Cadence.HOURLY else days
        )
        for table in tables
    ]


def _asset_of_rows(table: GoldTable, partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    contract = table.contract

    @dg.asset(
        **spec_arguments(contract, transform_versions=[table.version], kinds={"spark", "parquet", str(contract.layer)}),
        ins={name: asset_in(table, name) for name in table.inputs},
        deps=_other_deps(table),
        partitions_def=partitions,
        backfill_policy=SINGLE_RUN,
        pool=pool_of(contract),
        io_manager_key=LAKE_IO_MANAGER,
    )
    def gold(
        context: dg.AssetExecutionContext,
        config: GoneInputsConfig,
        lake: dg.ResourceParam[Lake],
        spark: SparkResource,
        **inputs: StoredPartitions,
    ) -> dg.Output[StagedPartitions]:
        keys = list(context.partition_keys)
        progress = partial(with_progress, context, contract.path)
        staged = stage_gold(table, keys, inputs, lake, spark.engine, context.run_id, progress)
        staged.may_remove_rows = gone_inputs_of(context, config) is GoneInputs.REMOVE
        return dg.Output(staged, data_version=data_version_of(staged, keys))

    return gold


def _other_deps(table: GoldTable) -> list[dg.AssetDep]:
    """What a table waits for beside its inputs.

    A daily table without inputs would be a root of the graph beside the hourly ones: Dagster then launches no backfill over both
    tiers by hours, and nothing would make the table with a day.
    """
    deps = [day_before_of(table.contract.asset_key)] if table.carries_forward else []
    if table.follows is not None:
        mapping = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
        deps.append(dg.AssetDep(dg.AssetKey(table.follows.asset_key), partition_mapping=mapping))
    return deps


def asset_in(table: GoldTable | ModelTable, name: str) -> dg.AssetIn:
    """An input of a table's asset: the same partition, or the day and the days around that the table reads."""
    wanted = table.inputs[name]
    is_daily = table.contract.cadence is Cadence.DAILY
    mapping = None
    if is_daily:
        # Later hours of today, and the days after it, have no partitions yet.
        mapping = dg.TimeWindowPartitionMapping(
            start_offset=-wanted.days_before, end_offset=wanted.days_after, allow_nonexistent_upstream_partitions=True
        )
    return dg.AssetIn(
        key=wanted.contract.asset_key,
        partition_mapping=mapping,
        dagster_type=StoredPartitions,
        metadata={MAY_LACK_PARTITIONS: True} if is_daily else None,
    )


def day_before_of(asset_key: list[str]) -> dg.AssetDep:
    """A daily asset as the input of its own next day."""
    return dg.AssetDep(
        dg.AssetKey(asset_key),
        partition_mapping=dg.TimeWindowPartitionMapping(
            start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=True
        ),
    )


def stage_gold(
    table: GoldTable,
    partitions: Sequence[str],
    inputs: Mapping[str, StoredPartitions],
    lake: Lake,
    spark: SparkEngine,
    run_id: str,
    progress: Callable[[list[list[str]]], Iterable[list[str]]] = iter,
) -> StagedPartitions:
    """Write a table's partitions, for the IO manager to publish; ``inputs`` are opened for all of them.

    ``progress`` is given the batches of partitions, and passes them on as they are made.

    Raises ``PartitionMissingError`` that names the input and the partition when a partition has nothing to be made from.
    """
    chosen = {partition: inputs_of(table, partition, inputs) for partition in partitions}
    input_sources = {name: stored.sources() for name, stored in inputs.items()}
    sources = {
        partition: [source for name, keys in by_name.items() for key in keys for source in input_sources[name][key]]
        for partition, by_name in chosen.items()
    }
    staged = StagedPartitions.begin(table.contract, run_id, sources)
    if table.carries_forward:
        batches = [[partition] for partition in partitions]
    else:
        rows = {
            partition: sum(inputs[name].manifests[key].rows for name, keys in by_name.items() for key in keys)
            for partition, by_name in chosen.items()
        }
        batches = in_batches(partitions, rows, lake.settings.batch_rows_of_a_step)
    catalogue = partial(song_catalogue, lake.settings)
    for batch in progress(batches):
        frames = {
            name: stored.read(list(dict.fromkeys(key for partition in batch for key in chosen[partition][name])))
            for name, stored in inputs.items()
        }
        previous = _previous(table, batch[0], staged, lake, spark) if table.carries_forward else None
        made = table.transform(Frames(frames, previous, batch, spark.session_for(lake), catalogue))
        if table.is_row_by_row and all(stored.are_read_in_order(batch) for stored in inputs.values()):
            staged.write(made, batch, lake)
        else:
            staged.write(gathered(made, table.contract, len(batch)), batch, lake, rows_are_scattered=True)
    return staged


def inputs_of(
    table: GoldTable | ModelTable, partition: str, inputs: Mapping[str, StoredPartitions]
) -> dict[str, list[str]]:
    """The published partitions of each input that a partition is made from.

    Raises ``PartitionMissingError`` where an input lacks the day itself.
    """
    chosen: dict[str, list[str]] = {}
    for name, wanted in table.inputs.items():
        if table.contract.cadence is Cadence.HOURLY:
            chosen[name] = [partition]
            continue
        manifests = inputs[name].manifests
        own = [key for key in manifests if day_of_key(key) == partition]
        if not own:
            raise PartitionMissingError(
                f"{table.contract.path} partition {partition} needs {wanted.contract.path} of that day, of which nothing is "
                f"published. Materialize it first: ./run dagster asset materialize --select '{wanted.contract.path}' "
                f"--partition-range '{_own_range(wanted.contract, partition)}'."
            )
        around = days_around(partition, before=wanted.days_before, after=wanted.days_after)
        chosen[name] = [key for key in manifests if day_of_key(key) in around]
    return chosen


def _previous(
    table: GoldTable, partition: str, staged: StagedPartitions, lake: Lake, spark: SparkEngine
) -> DataFrame | None:
    """The table's own day before, made by this run or published; None where the table's history begins."""
    before = partition_before(partition)
    if before in staged.made:
        staged.sources[partition].append(staged.source(before))
        return staged.read(before, lake, spark)
    stored = StoredPartitions.open_published(table.contract, [before], lake, spark)
    if stored.manifests:
        staged.sources[partition] += stored.sources()[before]
        return stored.read()
    earlier = [day for day in lake.days_of(table.contract.path) if day < before]
    if earlier:
        raise PartitionMissingError(
            f"{table.contract.path} partition {partition} carries forward {before}, which is not published although "
            f"{earlier[-1]} is. Materialize the days between first: ./run dagster asset materialize --select "
            f"'{table.contract.path}' --partition-range '{partition_after(earlier[-1])}...{partition}'."
        )
    return None


def _own_range(contract: TableContract, day: str) -> str:
    """A day's partitions of a table, as a range is written."""
    if contract.cadence is Cadence.DAILY:
        return f"{day}...{day}"
    hours = hours_of_day(day)
    return f"{hours[0]}...{hours[-1]}"
