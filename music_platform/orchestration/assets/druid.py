"""The Druid assets: each datasource, partition by partition, from its gold table.

serving/druid decides what a datasource holds and how a partition gets into it; this module makes assets of that.
"""

from typing import Any

import dagster as dg

from music_platform.lake.partition_sets import StoredPartitions
from music_platform.orchestration.assets.tables import LAKE_IO_MANAGER, OWNERS, SINGLE_RUN
from music_platform.orchestration.io_managers.partition_metadata import add_partition_metadata, standard_counts
from music_platform.serving.druid.client import DruidResource, Origin
from music_platform.serving.druid.datasources import DATASOURCES, Datasource
from music_platform.serving.druid.ingestion_spec import columns_of, interval_of
from music_platform.serving.druid.kept_days import in_words
from music_platform.serving.druid.replacement import replace_partitions
from music_platform.tables.contract import Cadence
from music_platform.tables.schemas import describe_column, fingerprint

_LOAD_SECONDS = 300.0  # a historical that restarts loads everything it serves


def druid_assets(hours: dg.PartitionsDefinition, days: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """One asset for each datasource."""
    return [
        _druid_asset(datasource, hours if datasource.contract.cadence is Cadence.HOURLY else days)
        for datasource in DATASOURCES.values()
    ]


def _druid_asset(datasource: Datasource, partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    contract = datasource.contract

    @dg.asset(
        key=datasource.asset_key,
        description=datasource.description,
        group_name="druid",
        kinds={"druid"},
        owners=OWNERS,
        tags={"cadence": str(contract.cadence)},
        code_version=f"{fingerprint(contract)}-{datasource.version}",
        metadata={
            "dagster/column_schema": _column_schema(datasource),
            "dagster/table_name": f"druid.{datasource.name}",
            "dagster/storage_kind": "druid",
            "datasource": datasource.name,
        },
        ins={
            "gold": dg.AssetIn(key=contract.asset_key, input_manager_key=LAKE_IO_MANAGER, dagster_type=StoredPartitions)
        },
        partitions_def=partitions,
        backfill_policy=SINGLE_RUN,
    )
    def replace(
        context: dg.AssetExecutionContext, gold: StoredPartitions, druid: dg.ResourceParam[DruidResource]
    ) -> dg.MaterializeResult[Any]:
        done = replace_partitions(
            datasource, gold, druid, _origin(context), load_seconds=_LOAD_SECONDS, log=context.log.info
        )
        add_partition_metadata(
            context.op_execution_context.get_step_execution_context(),
            dg.AssetKey(datasource.asset_key),
            {
                partition: {
                    "rows": rows,
                    **standard_counts(rows),
                    "interval": interval_of(partition, partition),
                    "task": done.task_id,
                }
                if done is not None and partition in done.partitions
                else {"rows": 0, **standard_counts(0), "not_served": f"{in_words(datasource)}, and this one is older"}
                for partition, rows in gold.rows.items()
            },
        )
        if done is None or len(gold.rows) > 1:  # the task's duration says nothing about a single partition
            return dg.MaterializeResult()
        return dg.MaterializeResult(
            metadata={
                "ingestion_seconds": round(done.ingestion_seconds, 2),
                "loading_seconds": round(done.loading_seconds, 2),
                "counting_seconds": round(done.counting_seconds, 2),
            }
        )

    return replace


def _column_schema(datasource: Datasource) -> dg.TableSchema:
    described = {column.name: describe_column(column) for column in datasource.dimensions}
    described |= {"__time": describe_column(datasource.contract.column(datasource.time_column))}
    described |= {count.name: f"HLL sketch of {count.column}" for count in datasource.distinct_counts}
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name=name, type=column_type, description=described.get(name, "Rows that were rolled up"))
            for name, column_type in columns_of(datasource).items()
        ]
    )


def _origin(context: dg.AssetExecutionContext) -> Origin:
    """The run and the assets of the current step."""
    return Origin(context.run_id, ", ".join(sorted(key.to_user_string() for key in context.selected_asset_keys)))
