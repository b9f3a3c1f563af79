"""The checks of Druid's datasources: rows and sums equal gold's, columns keep the contract, dashboards' queries answer."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.errors import DruidRequestRefusedError
from music_platform.lake.lake import Lake
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.checks.outcome import CheckOutcome, first_problems
from music_platform.orchestration.checks.step import partitions_to_check, results_of
from music_platform.orchestration.spark_resource import SparkResource
from music_platform.serving.druid.client import DruidResource, Origin
from music_platform.serving.druid.datasources import DATASOURCES, Datasource
from music_platform.serving.druid.ingestion_spec import columns_of, interval_of
from music_platform.serving.druid.kept_days import in_words, kept_of
from music_platform.serving.druid.queries import QUERIES
from music_platform.serving.druid.replacement import (
    columns_in_druid,
    counts_by_partition,
    has_no_row,
    rows_by_partition,
    rows_of_query,
)
from music_platform.tables.contract import Cadence, ColumnType

ROWS_CHECK = "reconciles_with_gold"
COLUMNS_CHECK = "keeps_columns"
QUERIES_CHECK = "answers_dashboards"
_NO_ROWS = "there is nothing to look at: gold has no row of these partitions, and Druid none of any"
_RELATIVE_TOLERANCE = 1e-9  # of sums of doubles, which are added in different orders


def check_datasource(
    datasource: Datasource,
    partitions: Sequence[str],
    lake: Lake,
    spark: SparkEngine,
    druid: DruidResource,
    run_id: str,
) -> list[CheckOutcome]:
    """All checks of a datasource over some partitions, which follow one another; those that it keeps are compared."""
    origin = Origin(run_id, datasource.path)
    gold = kept_of(datasource, StoredPartitions.open(datasource.contract, partitions, lake, spark))
    if not gold.manifests:
        reason = f"there is nothing to compare: {in_words(datasource)}, and these are older"
        return [
            CheckOutcome(table=datasource.path, check=check, passed=True, description=reason)
            for check in (ROWS_CHECK, COLUMNS_CHECK, QUERIES_CHECK)
        ]
    return [
        _check_rows_and_sums(datasource, gold, druid, origin),
        _check_columns(datasource, gold, druid, origin),
        _check_queries(datasource, gold, druid, origin),
    ]


def _check_rows_and_sums(
    datasource: Datasource, gold: StoredPartitions, druid: DruidResource, origin: Origin
) -> CheckOutcome:
    partitions = list(gold.manifests)
    found = counts_by_partition(datasource, partitions, druid, origin)
    problems = [
        f"partition {partition}: {found[partition]:,} rows, gold holds {rows:,}"
        for partition, rows in gold.rows.items()
        if found[partition] != rows
    ]
    summed = summed_columns(datasource)
    if summed:
        theirs, ours = gold_sums(datasource, gold), druid_sums(datasource, partitions, druid, origin)
        problems += [
            f"partition {partition}: {column} adds up to {ours[partition][column]}, in gold to {theirs[partition][column]}"
            for partition in partitions
            for column in summed
            if not math.isclose(
                ours[partition][column], theirs[partition][column], rel_tol=_RELATIVE_TOLERANCE, abs_tol=1e-6
            )
        ]
    what = f"{sum(gold.rows.values()):,} rows and the sums of {len(summed)} columns are gold's"
    return CheckOutcome(
        table=datasource.path,
        check=ROWS_CHECK,
        passed=not problems,
        description=first_problems(problems) or what,
        numbers={"expected": sum(gold.rows.values()), "found": sum(found.values())},
        by_partition={key: {"expected": rows, "found": found[key]} for key, rows in gold.rows.items()},
    )


def summed_columns(datasource: Datasource) -> list[str]:
    """The columns whose sums are compared: numbers that are not rolled up away."""
    if datasource.is_rolled_up:
        return []
    kinds = (ColumnType.LONG, ColumnType.INTEGER, ColumnType.DOUBLE, ColumnType.BOOLEAN)
    return [column.name for column in datasource.dimensions if column.type in kinds]


def gold_sums(datasource: Datasource, gold: StoredPartitions) -> dict[str, dict[str, float]]:
    """Sums of gold's columns by partition; of no rows zero."""
    rows_of_gold = gold.read()  # before the expressions: they need the session that it opens
    key_format = "yyyy-MM-dd-HH:mm" if datasource.contract.cadence is Cadence.HOURLY else "yyyy-MM-dd"
    sums = [F.sum(F.col(name).cast("double")).alias(name) for name in summed_columns(datasource)]
    partition = F.date_format(F.date_trunc(datasource.segment_granularity, datasource.time_column), key_format)
    rows = rows_of_gold.groupBy(partition.alias("partition")).agg(*sums).toArrow().to_pylist()
    return _by_partition(rows, list(gold.manifests), summed_columns(datasource))


def druid_sums(
    datasource: Datasource, partitions: Sequence[str], druid: DruidResource, origin: Origin
) -> dict[str, dict[str, float]]:
    """The same sums, by Druid."""
    sums = ", ".join(f'SUM(CAST("{name}" AS DOUBLE)) AS "{name}"' for name in summed_columns(datasource))
    rows = rows_by_partition(datasource, sums, partitions, druid, origin)
    return _by_partition(rows, partitions, summed_columns(datasource))


def _by_partition(
    rows: list[dict[str, Any]], partitions: Sequence[str], columns: Sequence[str]
) -> dict[str, dict[str, float]]:
    found = {row["partition"]: row for row in rows}
    return {
        partition: {column: float(found.get(partition, {}).get(column) or 0.0) for column in columns}
        for partition in partitions
    }


def _check_columns(
    datasource: Datasource, gold: StoredPartitions, druid: DruidResource, origin: Origin
) -> CheckOutcome:
    wanted, found = columns_of(datasource), columns_in_druid(datasource, druid, origin)
    if has_no_row(found) and not any(gold.rows.values()):
        return CheckOutcome(table=datasource.path, check=COLUMNS_CHECK, passed=True, description=_NO_ROWS)
    problems = [f"column {name} is lacking" for name in wanted if name not in found]
    problems += [f"column {name} is unknown to the contract" for name in found if name not in wanted]
    problems += [
        f"column {name} is {found[name]}, not {wanted[name]}"
        for name in wanted
        if found.get(name, wanted[name]) != wanted[name]
    ]
    return CheckOutcome(
        table=datasource.path,
        check=COLUMNS_CHECK,
        passed=not problems,
        description=first_problems(problems) or f"{len(wanted)} columns, with the contract's names and types",
        numbers={"columns": len(found)},
    )


def _check_queries(
    datasource: Datasource, gold: StoredPartitions, druid: DruidResource, origin: Origin
) -> CheckOutcome:
    partitions = list(gold.manifests)
    problems: list[str] = []
    queries = [query for query in QUERIES.values() if query.datasource == datasource.name]
    interval = interval_of(partitions[0], partitions[-1])
    rows = 0
    for query in queries:
        try:
            found = rows_of_query(datasource, query.sql(interval), druid, origin)
            if found is None and not any(gold.rows.values()):
                return CheckOutcome(table=datasource.path, check=QUERIES_CHECK, passed=True, description=_NO_ROWS)
            if found is None:
                problems.append(f"{query.name}: Druid knows no row of {datasource.name}")
            rows += len(found or [])
        except DruidRequestRefusedError as error:
            problems.append(f"{query.name}: {error}")
    return CheckOutcome(
        table=datasource.path,
        check=QUERIES_CHECK,
        passed=not problems,
        description=first_problems(problems) or f"{len(queries)} queries of the dashboards answer, with {rows:,} rows",
        numbers={"queries": len(queries), "rows": rows},
    )


def druid_checks() -> list[dg.AssetChecksDefinition]:
    """One step of checks for each datasource."""
    return [_step(datasource) for datasource in DATASOURCES.values()]


def _step(datasource: Datasource) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"check_druid_{datasource.name}",
        specs=[
            dg.AssetCheckSpec(
                ROWS_CHECK,
                asset=datasource.asset_key,
                description="Rows and sums equal gold's, partition by partition.",
                blocking=True,
                additional_deps=[datasource.contract.asset_key],
            ),
            dg.AssetCheckSpec(
                COLUMNS_CHECK,
                asset=datasource.asset_key,
                description="Columns and types are the contract's.",
                blocking=True,
            ),
            dg.AssetCheckSpec(
                QUERIES_CHECK,
                asset=datasource.asset_key,
                description="Every query of the dashboards answers.",
                blocking=True,
            ),
        ],
        can_subset=True,
    )
    def checks(
        context: dg.AssetCheckExecutionContext,
        lake: dg.ResourceParam[Lake],
        spark: SparkResource,
        druid: dg.ResourceParam[DruidResource],
    ) -> Iterator[dg.AssetCheckResult]:
        checked = partitions_to_check(context, [dg.AssetKey(datasource.asset_key)])
        run_id = context.op_execution_context.run_id
        outcomes = check_datasource(datasource, checked.keys, lake, spark.engine, druid, run_id)
        yield from results_of(context, checked, outcomes)

    return checks
