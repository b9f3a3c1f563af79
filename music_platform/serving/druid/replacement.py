"""Replaces partitions of a datasource by those of gold, and is done only when Druid answers with the new rows.

A task's success says little: it may have read no row, and its segments may not be queryable yet. So the task's own report
must report as many rows as gold's manifests promise, the segments must be loaded, and a count by partition must agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from music_platform.errors import DruidIngestionError, DruidRequestRefusedError
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.partitions import describe_partitions
from music_platform.serving.druid.client import DruidResource, Origin, TaskReport
from music_platform.serving.druid.datasources import Datasource
from music_platform.serving.druid.ingestion_spec import files_input, ingestion_task, interval_of, no_input
from music_platform.serving.druid.kept_days import drop_older_days, in_words, kept_of
from music_platform.serving.druid.queries import within
from music_platform.tables.contract import Cadence

_COUNT_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Replacement:
    """What was done, and how long its phases took, in seconds; ``partitions`` are those that are served now."""

    partitions: tuple[str, ...]
    task_id: str
    ingestion_seconds: float
    loading_seconds: float
    counting_seconds: float


def replace_partitions(
    datasource: Datasource,
    gold: StoredPartitions,
    druid: DruidResource,
    origin: Origin,
    *,
    load_seconds: float,
    log: Callable[[str], None],
) -> Replacement | None:
    """Replace the interval of gold's partitions, which follow one another, by their rows, in one task.

    A datasource that keeps the last days alone takes those of them that it keeps, and drops older days at the end; None where
    it keeps none of the partitions.

    Raises ``DruidIngestionError`` that names datasource, partitions and what differs, and what Druid's resource raises. As
    long as the new segments are not all in, or when the task fails, the datasource serves what it served before.
    """
    given, gold = list(gold.manifests), kept_of(datasource, gold)
    partitions = list(gold.manifests)
    if not partitions:
        log(f"{datasource.path} {describe_partitions(given)}: nothing is served of it, for {in_words(datasource)}")
        return None
    what = f"{datasource.path} {describe_partitions(partitions)}"
    interval = interval_of(partitions[0], partitions[-1])
    rows = sum(gold.rows.values())
    log(f"{what}: {rows:,} rows, {sum(len(manifest.files) for manifest in gold.manifests.values())} files to Druid")
    started = time.monotonic()
    task = ingestion_task(datasource, interval, _input_of(datasource, gold), max(gold.rows.values()))
    report = druid.run_task(task, origin, log)
    _require_rows_read(what, report, rows)
    ingested = time.monotonic()
    druid.wait_until_loaded(datasource.name, interval, load_seconds)
    loaded = time.monotonic()
    _wait_for_counts(what, datasource, gold, druid, origin, load_seconds)
    counted = time.monotonic()
    if dropped := drop_older_days(datasource, gold, druid):
        log(f"{datasource.path}: {dropped} segments of older days are out of service, for {in_words(datasource)}")
    done = Replacement(tuple(partitions), report.task_id, ingested - started, loaded - ingested, counted - loaded)
    log(
        f"{what}: {rows:,} rows can be queried, after {done.ingestion_seconds:.1f} s of ingestion, "
        f"{done.loading_seconds:.1f} s of loading and {done.counting_seconds:.1f} s until Druid counted them all"
    )
    return done


def counts_by_partition(
    datasource: Datasource, partitions: Sequence[str], druid: DruidResource, origin: Origin
) -> dict[str, int]:
    """How many of gold's rows the datasource holds of each of the partitions, zero included."""
    found = rows_by_partition(datasource, f'{datasource.rows_expression} AS "rows"', partitions, druid, origin)
    by_partition = {row["partition"]: int(row["rows"]) for row in found}
    return {partition: by_partition.get(partition, 0) for partition in partitions}


def rows_by_partition(
    datasource: Datasource, aggregates: str, partitions: Sequence[str], druid: DruidResource, origin: Origin
) -> list[dict[str, Any]]:
    """Aggregates in Druid SQL of the partitions that have rows, with their key as ``partition``.

    A datasource without a row in any partition has none.
    """
    is_hourly = datasource.contract.cadence is Cadence.HOURLY
    period, key_format = ("PT1H", "yyyy-MM-dd-HH:mm") if is_hourly else ("P1D", "yyyy-MM-dd")
    found = rows_of_query(
        datasource,
        f"SELECT TIME_FORMAT(TIME_FLOOR(__time, '{period}'), '{key_format}') AS \"partition\", {aggregates} "
        f'FROM "{datasource.name}" WHERE {within(interval_of(partitions[0], partitions[-1]))} GROUP BY 1',
        druid,
        origin,
    )
    return found or []


def rows_of_query(
    datasource: Datasource, query: str, druid: DruidResource, origin: Origin
) -> list[dict[str, Any]] | None:
    """The answer to a query of one datasource; None when Druid has no row of it in any partition.

    Druid forgets a datasource, or its columns, with its last row, and refuses queries of it.
    """
    if has_no_row(columns_in_druid(datasource, druid, origin)):
        return None
    try:
        return druid.sql(query, origin)
    except DruidRequestRefusedError:
        if has_no_row(columns_in_druid(datasource, druid, origin)):  # it has lost the last one in between
            return None
        raise


def has_no_row(columns: Mapping[str, str]) -> bool:
    """Whether these are the columns of a datasource that has no row in any partition: none, or at most its time."""
    return set(columns) <= {"__time"}


def columns_in_druid(datasource: Datasource, druid: DruidResource, origin: Origin | None = None) -> dict[str, str]:
    """The columns of a datasource and their SQL types, as the broker knows them; none of one that it does not know."""
    found = druid.sql(
        "SELECT COLUMN_NAME AS name, DATA_TYPE AS type FROM INFORMATION_SCHEMA.COLUMNS "
        f"WHERE TABLE_SCHEMA = 'druid' AND TABLE_NAME = '{datasource.name}'",
        origin,
    )
    return {row["name"]: row["type"] for row in found}


def _input_of(datasource: Datasource, gold: StoredPartitions) -> Mapping[str, Any]:
    """Exactly the files that the manifests name."""
    keys = [key for manifest in gold.manifests.values() for key in manifest.keys]
    return files_input([gold.lake.store.url(key) for key in keys]) if keys else no_input(datasource)


def _require_rows_read(what: str, report: TaskReport, expected: int) -> None:
    counts = (report.processed, report.processed_with_error, report.unparseable, report.thrown_away)
    if counts != (expected, 0, 0, 0):
        raise DruidIngestionError(
            f"{what}: gold's manifests promise {expected:,} rows; task {report.task_id} read {report.processed:,}, "
            f"{report.processed_with_error:,} with errors, could not read {report.unparseable:,} and threw "
            f"{report.thrown_away:,} away. Run the partitions again; if it stays so, look at Druid's log: music-platform "
            "druid logs."
        )


def _wait_for_counts(
    what: str,
    datasource: Datasource,
    gold: StoredPartitions,
    druid: DruidResource,
    origin: Origin,
    seconds: float,
) -> None:
    """The broker learns of new segments a moment after they are loaded."""
    deadline = time.monotonic() + seconds
    while (found := counts_by_partition(datasource, list(gold.rows), druid, origin)) != gold.rows:
        if time.monotonic() > deadline:
            partition = next(partition for partition, rows in gold.rows.items() if found[partition] != rows)
            raise DruidIngestionError(
                f"{what}: of partition {partition} gold holds {gold.rows[partition]:,} rows and Druid answers with "
                f"{found[partition]:,}, {seconds:g} s after its segments were loaded. Look at Druid's log (music-platform "
                "druid logs), and run the partition again."
            )
        time.sleep(_COUNT_POLL_SECONDS)
