"""The contract check: the files of a table's partitions keep the contract.

Schema and row counts come from the Parquet footers, values from an aggregation in the engine for each batch of partitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa
from pyarrow.parquet import FileMetaData
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.lake.parquet_reader import open_parquet
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.orchestration.checks.outcome import CheckOutcome, first_problems
from music_platform.partitions import DAILY_KEY_FORMAT, describe_partitions, key_of_hour
from music_platform.tables.contract import Cadence, Rule, TableContract, column_rules
from music_platform.tables.schemas import arrow_schema

CONTRACT_CHECK = "contract"


def check_contract(stored: StoredPartitions) -> CheckOutcome:
    """Types, nullability, allowed values and uniqueness of a table's partitions."""
    problems = _footer_problems(stored) or _value_problems(stored)  # values of files that break the schema mean nothing
    rows = sum(stored.rows.values())
    return CheckOutcome(
        table=stored.contract.path,
        check=CONTRACT_CHECK,
        passed=not problems,
        description=first_problems(problems) or f"{rows:,} rows keep the contract",
        numbers={"rows": rows, "problems": len(problems)},
        by_partition={partition: {"rows": own} for partition, own in stored.rows.items()},
    )


def _footer_problems(stored: StoredPartitions) -> list[str]:
    wanted = arrow_schema(stored.contract.columns)

    def problems_of(partition: str) -> list[str]:
        manifest = stored.manifests[partition]
        problems = []
        for key, file in zip(manifest.keys, manifest.files, strict=True):
            try:
                with open_parquet(stored.lake.store, key) as parquet:
                    found, metadata = parquet.schema_arrow, parquet.metadata
            except (pa.ArrowInvalid, OSError) as error:  # a damaged footer is the latter
                problems.append(f"partition {partition}: '{key}' is no Parquet file ({error})")
                continue
            if (rows := metadata.num_rows) != file.rows:
                problems.append(f"partition {partition}: '{key}' has {rows} rows, its manifest says {file.rows}")
            if not found.equals(wanted):
                problems.append(f"partition {partition}: '{key}' {_difference(found, wanted)}")
            elif strangers := _rows_of_other_partitions(metadata, partition, stored.contract):
                problems.append(f"partition {partition}: '{key}' {strangers}")
        return problems

    return [problem for found in stored.lake.map_parallel(problems_of, list(stored.manifests)) for problem in found]


def _rows_of_other_partitions(metadata: FileMetaData, partition: str, contract: TableContract) -> str:
    """Problems with rows outside of the partition, from the footer's statistics; empty if there are none."""
    name = contract.partition_column
    column = next(index for index in range(metadata.num_columns) if metadata.schema.column(index).name == name)
    for group in range(metadata.num_row_groups):
        statistics = metadata.row_group(group).column(column).statistics
        if statistics is None or not statistics.has_min_max:
            continue
        for extreme in (statistics.min, statistics.max):
            if _partition_of(extreme, contract) != partition:
                return f"has rows of {_partition_of(extreme, contract)} by their {name}"
    return ""


def _partition_of(moment: datetime, contract: TableContract) -> str:
    moment = moment.astimezone(UTC)
    if contract.cadence is Cadence.HOURLY:
        return key_of_hour(moment.replace(minute=0, second=0, microsecond=0))
    return moment.strftime(DAILY_KEY_FORMAT)


def _difference(found: pa.Schema, wanted: pa.Schema) -> str:
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
    """Problems with the values, one batch of partitions after the other, as a range need not fit in memory."""
    rules = value_rules(stored.contract)
    repeated = 0
    broken = [0] * len(rules)
    first_repeated: list[str] = []  # the batch in which it was first found
    unread: list[str] = []
    first_broken: list[list[str]] = [[] for _ in rules]
    for batch in stored.batches():
        if not any(stored.rows[partition] for partition in batch):
            continue
        totals = _totals(stored, batch, rules)
        if totals["rows"] != (promised := sum(stored.rows[partition] for partition in batch)):
            unread.append(
                f"{describe_partitions(batch)}: the engine read {totals['rows']} rows, the manifests promise {promised}; "
                "if a run is replacing the partition, check again, else materialize it again"
            )
        if totals["distinct"] != totals["identified"] and (found := _repeated_rows(stored, batch)):
            repeated += found
            first_repeated = first_repeated or batch
        for index in range(len(rules)):
            if totals[f"rule_{index}"]:
                broken[index] += totals[f"rule_{index}"]
                first_broken[index] = first_broken[index] or batch
    problems = unread
    if repeated:
        problems.append(
            f"{repeated} rows repeat another one's {', '.join(stored.contract.unique_columns)}"
            + _where_repeated(stored, first_repeated)
        )
    for rule, rows, batch in zip(rules, broken, first_broken, strict=True):
        if rows:
            where = _where_broken(stored, rule, batch)
            problems.append(f"{rows} rows break the rule {rule.name} ({rule.description}){where}")
    return problems


def _totals(stored: StoredPartitions, batch: Sequence[str], rules: Sequence[Rule]) -> dict[str, int]:
    """The numbers of rows, of rows that break each rule, of identified rows, and of their distinct fingerprints.

    A set of 64 bit fingerprints takes a tenth of the memory of the identities themselves, which may be of several columns.
    Equal rows have equal fingerprints, so none is missed; if two different rows share one, an exact comparison clears them.
    """
    identity = stored.contract.unique_columns
    frame = stored.read(batch)  # opens the session, which PySpark's functions need
    identified = F.expr(" AND ".join(f"{name} IS NOT NULL" for name in identity))
    totals = frame.agg(
        F.count(F.lit(1)).alias("rows"),
        F.count_if(identified).alias("identified"),
        F.count_distinct(F.when(identified, F.xxhash64(_partition(stored.contract), *identity))).alias("distinct"),
        *(_broken(rule).alias(f"rule_{index}") for index, rule in enumerate(rules)),
    )
    return totals.collect()[0].asDict()


def _repeated(stored: StoredPartitions, batch: Sequence[str]) -> DataFrame:
    """The identities that several rows have: how many, and the first moment among them."""
    identity = stored.contract.unique_columns
    return (
        stored.read(batch)
        .where(" AND ".join(f"{name} IS NOT NULL" for name in identity))
        .groupBy(_partition(stored.contract), *identity)
        .agg(F.count(F.lit(1)).alias("rows"), F.min(stored.contract.partition_column).alias("first"))
        .where("rows > 1")
    )


def _partition(contract: TableContract) -> Column:
    """The moment at which a row's partition begins: within it the unique columns identify a row."""
    return F.date_trunc("HOUR" if contract.cadence is Cadence.HOURLY else "DAY", contract.partition_column)


def _repeated_rows(stored: StoredPartitions, batch: Sequence[str]) -> int:
    return _repeated(stored, batch).agg(F.sum(F.col("rows") - 1)).toArrow().column(0)[0].as_py() or 0


def value_rules(contract: TableContract) -> Sequence[Rule]:
    """The rules that can be checked on the table's own rows: those of its columns and, in silver, those across columns.

    The pass from bronze checks rules over columns that only it has.
    """
    names = {column.name for column in contract.columns}
    own = {rule.name: rule for rule in column_rules(contract.columns)}
    for rule in contract.rules:
        if not any(word in rule.condition for word in ("_fault", "_record", "landed_hour") if word not in names):
            own.setdefault(rule.name, rule)
    return tuple(own.values())


def _broken(rule: Rule) -> Column:
    return F.sum(F.when(F.coalesce(F.expr(rule.condition), F.lit(False)), 0).otherwise(1))


def _where_broken(stored: StoredPartitions, rule: Rule, batch: Sequence[str]) -> str:
    broken = stored.read(batch).where(~F.coalesce(F.expr(rule.condition), F.lit(False)))
    return _first_partition(batch, stored.contract, broken.agg(F.min(stored.contract.partition_column)))


def _where_repeated(stored: StoredPartitions, batch: Sequence[str]) -> str:
    return _first_partition(batch, stored.contract, _repeated(stored, batch).agg(F.min("first")))


def _first_partition(batch: Sequence[str], contract: TableContract, first: DataFrame) -> str:
    """The partition of the one moment in a frame; all partitions when the rows lack it."""
    moment = first.toArrow().column(0)[0].as_py()
    if moment is None:
        return f", in partition {describe_partitions(list(batch))}"
    return f", first in partition {_partition_of(moment, contract)}"
