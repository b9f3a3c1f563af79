"""Error records become rows: every line of `errors/` is one row, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from music_platform.landing.error_records import UNREADABLE, judge, parse_error_record
from music_platform.tables.collector_errors import COLLECTOR_ERRORS, ERROR_RECORD_READABLE
from music_platform.tables.schemas import arrow_schema, spark_schema

_SCHEMA = arrow_schema(COLLECTOR_ERRORS.columns)
_LINEAGE = ("_object", "_line_number", "landed_hour")
_KEPT_OF_A_RECORD_CHARACTERS = 1024 * 1024


def collector_errors(lines: DataFrame) -> DataFrame:
    """Lines (columns of landing.reader.LINES_SCHEMA) to the columns of quarantine/collector_errors, in their order."""

    def judge_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield judge_batch(batch)

    return lines.mapInArrow(judge_batches, spark_schema(COLLECTOR_ERRORS.columns))


def judge_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch in ``LINES_SCHEMA`` to one in the table's schema, row by row the same lines."""
    rows = [
        _row(line, fault, detail)
        for line, fault, detail in zip(
            *(batch.column(name).to_pylist() for name in ("line", "_fault", "_fault_detail")), strict=True
        )
    ]
    columns = [
        batch.column(field.name)
        if field.name in _LINEAGE
        else pa.array([row.get(field.name) for row in rows], field.type)
        for field in _SCHEMA
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _row(line: bytes, fault: str | None, fault_detail: str | None) -> dict[str, Any]:
    line = line.rstrip(b"\r\n")
    if fault is not None:  # of the object
        return {"rule": ERROR_RECORD_READABLE, "detail": f"{fault}: {fault_detail}", "raw": _text(line)}
    record = parse_error_record(line)
    if record is None:
        return {"rule": UNREADABLE.rule, "detail": UNREADABLE.detail, "raw": _text(line)}
    judgement = judge(record)
    return {
        "rule": judgement.rule,
        "detail": judgement.detail,
        "raw": _text(record.raw),
        "tag": record.tag,
        "reason": record.reason,
        "collected_at": record.collected_at,
    }


def _text(raw: bytes) -> str:
    """At most a million characters: no event is that long, and the object keeps the rest."""
    return raw.decode("utf-8", "backslashreplace")[:_KEPT_OF_A_RECORD_CHARACTERS]
