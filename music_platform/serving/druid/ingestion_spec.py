"""Native batch specs: what a datasource's task gets: the form of the data, and the files of some partitions.

Source: https://druid.apache.org/docs/latest/ingestion/native-batch and .../ingestion-spec
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from music_platform.lake_location import LakeLocation
from music_platform.partitions import end_of_partition, start_of_partition
from music_platform.serving.druid.datasources import Datasource, DistinctCount
from music_platform.tables.contract import Column, ColumnType

_TYPES = {
    ColumnType.STRING: "string",
    ColumnType.LONG: "long",
    ColumnType.INTEGER: "long",
    ColumnType.DOUBLE: "double",
    ColumnType.BOOLEAN: "long",  # 1, 0 or null: SQL sums and averages it
    ColumnType.TIMESTAMP: "long",  # milliseconds since 1970, UTC: MILLIS_TO_TIMESTAMP in SQL
}
_MOST_ROWS_OF_A_SEGMENT = (
    5_000_000  # Druid's own advice: https://druid.apache.org/docs/latest/operations/segment-optimization
)
SKETCH_LG_K = 11  # HLL sketches of 2048 buckets: a relative error of 2.3 %
_HEADER_ALONE = {"type": "csv", "findColumnsFromHeader": True}
SQL_TYPES = {"string": "VARCHAR", "long": "BIGINT", "double": "DOUBLE"}


def data_schema(datasource: Datasource) -> dict[str, Any]:
    """The ``dataSchema`` of a datasource, but for the intervals, which are those of the partitions."""
    transforms = [
        *(_boolean_as_number(column) for column in datasource.dimensions if column.type is ColumnType.BOOLEAN),
        *(_known_values(count) for count in datasource.distinct_counts if count.unknown is not None),
    ]
    return {
        "dataSource": datasource.name,
        "timestampSpec": {"column": datasource.time_column, "format": "auto"},
        "dimensionsSpec": {
            "dimensions": [{"type": _TYPES[column.type], "name": column.name} for column in datasource.dimensions]
        },
        "metricsSpec": [
            *([{"type": "count", "name": datasource.row_count}] if datasource.is_rolled_up else []),
            *(
                {"type": "HLLSketchBuild", "name": count.name, "fieldName": _sketched(count), "lgK": SKETCH_LG_K}
                for count in datasource.distinct_counts
            ),
        ],
        "transformSpec": {"transforms": transforms},
        "granularitySpec": {
            "type": "uniform",
            "segmentGranularity": str(datasource.segment_granularity),
            "queryGranularity": str(datasource.query_granularity),
            "rollup": datasource.is_rolled_up,
        },
    }


def ingestion_task(
    datasource: Datasource, interval: str, input_source: Mapping[str, Any], most_rows: int
) -> dict[str, Any]:
    """The task that replaces exactly an interval by the rows of an input source.

    ``interval`` is ISO 8601, start and end, as ``interval_of`` writes it; ``input_source`` as ``files_input`` or ``no_input``
    make it; ``most_rows`` is the number of rows of the interval's largest partition.
    """
    schema = data_schema(datasource)
    schema["granularitySpec"] |= {"intervals": [interval]}
    return {
        "type": "index_parallel",
        "spec": {
            "dataSchema": schema,
            "ioConfig": {
                "type": "index_parallel",
                "inputSource": dict(input_source),
                "inputFormat": _HEADER_ALONE if input_source["type"] == "inline" else {"type": "parquet"},
                "appendToExisting": False,
                "dropExisting": True,  # also what the new rows leave empty
            },
            "tuningConfig": tuning(datasource, most_rows),
        },
    }


def spec_text(datasource: Datasource) -> str:
    """The spec as JSON, without the files and the interval of a task; ends with a line feed."""
    spec = {"dataSchema": data_schema(datasource), "tuningConfig": tuning(datasource)}
    return json.dumps({"type": "index_parallel", "spec": spec}, indent=2) + "\n"


def tuning(datasource: Datasource, most_rows: int = 0) -> dict[str, Any]:
    """The ``tuningConfig``: a row that cannot be read fails the task, and segments are cut by rows.

    ``most_rows`` is the number of rows of the largest partition.
    """
    tuning_config: dict[str, Any] = {
        "type": "index_parallel",
        "maxParseExceptions": 0,
        "logParseExceptions": True,
        "maxNumConcurrentSubTasks": 1,
        "partitionsSpec": {"type": "dynamic", "maxRowsPerSegment": _MOST_ROWS_OF_A_SEGMENT},
    }
    if datasource.is_rolled_up:
        # Whole roll-up, so that the same partition gives the same rows whatever its files are. Rows before it bound those
        # after it; given the number of segments, Druid need not read everything once more to estimate it.
        tuning_config |= {
            "forceGuaranteedRollup": True,
            "partitionsSpec": {"type": "hashed", "numShards": max(1, math.ceil(most_rows / _MOST_ROWS_OF_A_SEGMENT))},
        }
    return tuning_config


def files_input(urls: Sequence[str]) -> dict[str, Any]:
    """Exactly these Parquet files: paths of this machine, or ``s3://`` urls."""
    place = LakeLocation.parse(urls[0])
    if not place.is_local:
        return {"type": place.scheme, "uris": list(urls)}
    return {"type": "local", "files": list(urls)}


def no_input(datasource: Datasource) -> dict[str, Any]:
    """No rows: what empties an interval. Druid takes no empty text, but a header alone."""
    return {"type": "inline", "data": datasource.time_column}


def interval_of(first_partition: str, last_partition: str) -> str:
    """The interval of the partitions from the first to the last, in ISO 8601: its start and its end, which is not in it."""
    start, end = start_of_partition(first_partition), end_of_partition(last_partition)
    return f"{start:%Y-%m-%dT%H:%M:%S.000Z}/{end:%Y-%m-%dT%H:%M:%S.000Z}"


def columns_of(datasource: Datasource) -> dict[str, str]:
    """The columns that the datasource has in Druid's SQL, with their types there."""
    columns = {"__time": "TIMESTAMP"}
    columns |= {column.name: SQL_TYPES[_TYPES[column.type]] for column in datasource.dimensions}
    if datasource.row_count is not None:
        columns[datasource.row_count] = "BIGINT"
    return columns | {count.name: "COMPLEX<HLLSketch>" for count in datasource.distinct_counts}


def _boolean_as_number(column: Column) -> dict[str, str]:
    """Parquet's booleans come as texts; null stays null."""
    name = column.name
    expression = f"case_searched(\"{name}\" == 'true', 1, \"{name}\" == 'false', 0, null)"
    return {"type": "expression", "name": name, "expression": expression}


def _sketched(count: DistinctCount) -> str:
    return count.column if count.unknown is None else f"known_{count.column}"


def _known_values(count: DistinctCount) -> dict[str, str]:
    """The column without its unknown member, which is no value to count."""
    return {
        "type": "expression",
        "name": _sketched(count),
        "expression": f'if("{count.column}" == \'{count.unknown}\', null, "{count.column}")',
    }
