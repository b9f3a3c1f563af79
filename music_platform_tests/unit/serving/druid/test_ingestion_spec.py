"""What Druid's tasks are told: columns by the contract, exactly the files, exactly the interval."""

from __future__ import annotations

import json
from typing import Any

import pytest

from music_platform.serving.druid.datasources import DATASOURCES, Datasource
from music_platform.serving.druid.ingestion_spec import (
    columns_of,
    data_schema,
    files_input,
    ingestion_task,
    interval_of,
    no_input,
    spec_text,
)
from music_platform.serving.druid.queries import QUERIES, within
from music_platform.tables.contract import ColumnType, Personal

_EACH = pytest.mark.parametrize("datasource", DATASOURCES.values(), ids=list(DATASOURCES))
STREAMS, PAGE_VIEWS, SESSIONS = (DATASOURCES[name] for name in ("streams", "page_views", "sessions"))


@_EACH
def test_every_column_is_one_of_the_gold_table_with_its_type(datasource: Datasource) -> None:
    dimensions = data_schema(datasource)["dimensionsSpec"]["dimensions"]
    assert [dimension["name"] for dimension in dimensions] == list(datasource.columns)
    wanted = {ColumnType.STRING: "string", ColumnType.DOUBLE: "double"}
    for dimension in dimensions:
        column = datasource.contract.column(dimension["name"])
        assert dimension["type"] == wanted.get(column.type, "long")


@_EACH
def test_booleans_become_numbers(datasource: Datasource) -> None:
    transforms = {transform["name"]: transform for transform in data_schema(datasource)["transformSpec"]["transforms"]}
    booleans = {column.name for column in datasource.dimensions if column.type is ColumnType.BOOLEAN}
    assert booleans <= set(transforms)


def test_rows_are_rolled_up_only_where_a_metric_counts_them() -> None:
    for datasource in DATASOURCES.values():
        schema = data_schema(datasource)
        assert schema["granularitySpec"]["rollup"] is (datasource.row_count is not None)
        assert bool(schema["metricsSpec"]) is datasource.is_rolled_up


def test_a_task_replaces_exactly_its_interval_by_exactly_its_files() -> None:
    task = ingestion_task(
        STREAMS, "2026-11-01T05:00:00.000Z/2026-11-01T06:00:00.000Z", files_input(["/lake/a", "/lake/b"]), 100
    )
    io_config: dict[str, Any] = task["spec"]["ioConfig"]
    assert io_config["inputSource"] == {"type": "local", "files": ["/lake/a", "/lake/b"]}
    assert (io_config["appendToExisting"], io_config["dropExisting"]) == (False, True)
    granularity = task["spec"]["dataSchema"]["granularitySpec"]
    assert granularity["intervals"] == ["2026-11-01T05:00:00.000Z/2026-11-01T06:00:00.000Z"]
    assert task["spec"]["tuningConfig"]["maxParseExceptions"] == 0


def test_files_on_s3_are_named_one_by_one() -> None:
    assert files_input(["s3://bucket/a"]) == {"type": "s3", "uris": ["s3://bucket/a"]}


def test_an_empty_partition_is_a_task_without_rows() -> None:
    task = ingestion_task(SESSIONS, "2026-11-01T00:00:00.000Z/2026-11-02T00:00:00.000Z", no_input(SESSIONS), 0)
    assert task["spec"]["ioConfig"]["inputSource"] == {"type": "inline", "data": "started_at"}
    assert task["spec"]["ioConfig"]["dropExisting"] is True


@pytest.mark.parametrize(("most_rows", "segments"), [(0, 1), (5_000_000, 1), (5_000_001, 2)])
def test_rolled_up_partitions_are_cut_by_their_rows(most_rows: int, segments: int) -> None:
    task = ingestion_task(PAGE_VIEWS, "a/b", no_input(PAGE_VIEWS), most_rows)
    assert task["spec"]["tuningConfig"]["partitionsSpec"] == {"type": "hashed", "numShards": segments}
    assert task["spec"]["tuningConfig"]["forceGuaranteedRollup"] is True


def test_tasks_share_nothing() -> None:
    first = ingestion_task(STREAMS, "a/b", no_input(STREAMS), 0)
    second = ingestion_task(STREAMS, "c/d", no_input(STREAMS), 0)
    assert first["spec"]["dataSchema"]["granularitySpec"]["intervals"] == ["a/b"]
    assert second["spec"]["dataSchema"]["granularitySpec"]["intervals"] == ["c/d"]


@pytest.mark.parametrize(
    ("first", "last", "interval"),
    [
        ("2026-11-01-23:00", "2026-11-01-23:00", "2026-11-01T23:00:00.000Z/2026-11-02T00:00:00.000Z"),
        ("2026-11-01-00:00", "2026-11-15-23:00", "2026-11-01T00:00:00.000Z/2026-11-16T00:00:00.000Z"),
        ("2026-11-30", "2026-12-01", "2026-11-30T00:00:00.000Z/2026-12-02T00:00:00.000Z"),
    ],
)
def test_an_interval_is_its_partitions(first: str, last: str, interval: str) -> None:
    assert interval_of(first, last) == interval


def test_the_unknown_member_is_not_counted_among_distinct_users() -> None:
    schema = data_schema(PAGE_VIEWS)
    [sketch] = [metric for metric in schema["metricsSpec"] if metric["name"] == "users"]
    [transform] = [found for found in schema["transformSpec"]["transforms"] if found["name"] == sketch["fieldName"]]
    assert transform["expression"] == 'if("user_key" == \'0000000000000000\', null, "user_key")'


def test_columns_in_sql_are_time_dimensions_and_metrics() -> None:
    columns = columns_of(PAGE_VIEWS)
    assert columns["__time"] == "TIMESTAMP"
    assert columns["page_views"] == "BIGINT"
    assert columns["users"] == "COMPLEX<HLLSketch>"


def test_every_datasource_has_a_query_and_every_query_a_datasource() -> None:
    assert {query.datasource for query in QUERIES.values()} == set(DATASOURCES)


def test_a_query_is_asked_of_an_interval() -> None:
    interval = "2026-11-01T05:00:00.000Z/2026-11-01T06:00:00.000Z"
    sql = QUERIES["active_users"].sql(interval)
    assert within(interval) in sql
    assert within(interval) == (
        "__time >= TIMESTAMP '2026-11-01 05:00:00.000' AND __time < TIMESTAMP '2026-11-01 06:00:00.000'"
    )
    assert "{" not in sql


def test_one_datasource_alone_names_listeners() -> None:
    """docs/serving.md says so."""
    naming = {
        (datasource.name, column.name)
        for datasource in DATASOURCES.values()
        for column in datasource.dimensions
        if column.personal is Personal.DIRECT
    }
    assert naming == {("recommendations", "user_id")}


def test_specs_are_json() -> None:
    for datasource in DATASOURCES.values():
        assert json.loads(spec_text(datasource))["spec"]["dataSchema"]["dataSource"] == datasource.name
