"""The contract check: the files of a table's partitions are what the contract promises.

Schema and row counts come from the Parquet footers, values from one aggregation in the engine.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow.parquet as pq
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.asset_checks.outcome import CheckOutcome
from music_platform.contracts.schemas import arrow_schema
from music_platform.contracts.table import Rule, TableContract, column_rules
from music_platform.io_managers.partition_sets import StoredPartitions

CONTRACT_CHECK = "contract"
_MOST_PROBLEMS_TOLD = 20


def check_contract(stored: StoredPartitions) -> CheckOutcome:
    """Types, nullability, allowed values and uniqueness of a table's partitions."""
    problems = [*_footer_problems(stored), *_value_problems(stored)]
    rows = sum(stored.rows.values())
    told = "; ".join(problems[:_MOST_PROBLEMS_TOLD])
    if len(problems) > _MOST_PROBLEMS_TOLD:
        told += f"; and {len(problems) - _MOST_PROBLEMS_TOLD} more"
    return CheckOutcome(
        table=stored.contract.path,
        check=CONTRACT_CHECK,
        passed=not problems,
        description=told or f"{rows:,} rows keep the contract",
        numbers={"rows": rows, "problems": len(problems)},
    )


def _footer_problems(stored: StoredPartitions) -> list[str]:
    wanted = arrow_schema(stored.contract.columns)

    def problems_of(partition: str) -> list[str]:
        manifest = stored.manifests[partition]
        problems = []
        for key, file in zip(manifest.keys, manifest.files, strict=True):
            with pq.ParquetFile(stored.lake.store.open(key)) as parquet:
                found, rows = parquet.schema_arrow, parquet.metadata.num_rows
            if rows != file.rows:
                problems.append(f"partition {partition}: '{key}' has {rows} rows, its manifest says {file.rows}")
            if not found.equals(wanted):
                problems.append(f"partition {partition}: '{key}' {_difference(found, wanted)}")
        return problems

    return [problem for found in stored.lake.map_parallel(problems_of, list(stored.manifests)) for problem in found]


def _difference(found: pq.ParquetSchema, wanted: pq.ParquetSchema) -> str:
    differences = [f"lacks column '{name}'" for name in wanted.names if name not in found.names]
    differences += [
        f"has a column '{name}' that the contract does not know" for name in found.names if name not in wanted.names
    ]
    differences += [
        f"column '{name}' is {found.field(name).type}, the contract says {wanted.field(name).type}"
        for name in wanted.names
        if name in found.names and found.field(name).type != wanted.field(name).type
    ]
    return ", ".join(differences) or "has its columns in another order than the contract"


def _value_problems(stored: StoredPartitions) -> list[str]:
    contract = stored.contract
    rules = value_rules(contract)
    if not any(stored.rows.values()):
        return []
    frame = stored.read()
    totals = frame.agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_distinct(*contract.unique_columns).alias("distinct"),
        *(_broken(rule).alias(f"rule_{index}") for index, rule in enumerate(rules)),
    ).collect()[0]
    problems = []
    if totals["distinct"] != totals["rows"]:
        problems.append(
            f"{totals['rows'] - totals['distinct']} rows repeat another one's {', '.join(contract.unique_columns)}"
            + _where_repeated(stored)
        )
    broken = [(rule, totals[f"rule_{index}"]) for index, rule in enumerate(rules) if totals[f"rule_{index}"]]
    for rule, rows in broken:
        problems.append(f"{rows} rows break the rule {rule.name} ({rule.description}){_where_broken(stored, rule)}")
    return problems


def value_rules(contract: TableContract) -> Sequence[Rule]:
    """The rules that can be put to the table's own rows: those of its columns and, in silver, those across columns.

    Rules over columns that only the pass from bronze knows are that pass's matter.
    """
    names = {column.name for column in contract.columns}
    own = {rule.name: rule for rule in column_rules(contract.columns)}
    for rule in contract.rules:
        if not any(word in rule.condition for word in ("_fault", "landed_hour") if word not in names):
            own.setdefault(rule.name, rule)
    return tuple(own.values())


def _broken(rule: Rule) -> F.Column:  # type: ignore[name-defined]
    return F.sum(F.when(F.coalesce(F.expr(rule.condition), F.lit(False)), 0).otherwise(1))


def _where_broken(stored: StoredPartitions, rule: Rule) -> str:
    broken = stored.read().where(~F.coalesce(F.expr(rule.condition), F.lit(False)))
    return _first_hour(stored, broken)


def _where_repeated(stored: StoredPartitions) -> str:
    keys = list(stored.contract.unique_columns)
    repeated = (
        stored.read()
        .groupBy(*keys)
        .agg(F.count(F.lit(1)).alias("_rows"), F.min(stored.contract.partition_column).alias("_first"))
        .where("_rows > 1")
    )
    return _first_hour(stored, repeated.withColumnRenamed("_first", stored.contract.partition_column))


def _first_hour(stored: StoredPartitions, frame: F.DataFrame) -> str:  # type: ignore[name-defined]
    first = frame.agg(F.min(stored.contract.partition_column).cast("string").alias("first")).collect()[0]["first"]
    return f", first in the hour of {first}" if first else ""
