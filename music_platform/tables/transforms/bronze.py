"""Bronze: landed lines become rows with the record's own keys; every line is one row.

The parser runs in the engine's Python workers, so that both engines read lines alike. It only checks whether values can be read
as the contract's types; silver judges them.
"""

# pyarrow makes its compute functions when it is imported, so no type checker finds them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from pyspark.sql import DataFrame

from music_platform.exact_json import LARGEST_EXACT_FRACTION, Pairs, WrittenNumber, json_text, read_json
from music_platform.tables.bronze import WRONG_TYPE, bronze_contract
from music_platform.tables.contract import ColumnType
from music_platform.tables.events import EventContract
from music_platform.tables.schemas import arrow_schema, spark_schema
from music_platform.tables.transforms.number_spellings import NumberSpellings

_FEWEST_LINES_TO_SPLIT = 64
_KEPT_OF_A_LINE_CHARACTERS = 1024 * 1024
_LARGEST_LONG = 2**63 - 1
_DEEPEST_NESTING = 100  # Python's own limit depends on its release and on the stack


def bronze_events(lines: DataFrame, event: EventContract) -> DataFrame:
    """Lines (columns of landing.reader.LINES_SCHEMA) to the columns of the event type's bronze table, in their order."""
    contract = bronze_contract(event)

    def parse_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        parser = LineParser(event)
        for batch in batches:
            yield parser.parse(batch)

    return lines.mapInArrow(parse_batches, spark_schema(contract.columns))


class LineParser:
    """Parses batches of JSON lines of one event type.

    Blocks of lines go through Arrow's JSON reader. It refuses a block as soon as one line in it is unusual (broken, a
    field of another type, an unknown or repeated key); the block is then halved until only the unusual lines are left, and
    those are read one by one. Whole numbers such as ``49.0`` are spelled as integers before a block is halved. All ways give
    the same values for the same line. ``_raw`` keeps lines at fault, and lines whose numbers are not written as their values
    would be.
    """

    def __init__(self, event: EventContract) -> None:
        self._schema = arrow_schema(bronze_contract(event).columns)
        self._types = {field.key: field.key_type for field in event.fields}
        self._key_schema = pa.schema([self._schema.field(field.key) for field in event.fields])
        self._spellings = NumberSpellings(event)
        self._double_keys = [key for key, key_type in self._types.items() if key_type is ColumnType.DOUBLE]
        long_keys = "|".join(key for key, key_type in self._types.items() if key_type is ColumnType.LONG)
        # 49.0 as the value of an integer's key, as pandas writes it. Within a text the second quote would have a backslash
        # before it; in a nested object Arrow refuses the block anyway. 15 digits are exact whoever wrote them.
        self._whole_number = re.compile(rf'("(?:{long_keys})":[ ]?-?[0-9]{{1,15}})\.0+(?=[,}}])'.encode())

    def parse(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch in ``LINES_SCHEMA`` to a batch in the bronze schema, row by row the same lines."""
        lines: pa.BinaryArray = batch.column("line")
        faults: pa.StringArray = batch.column("_fault")
        parsed: list[pa.Table] = []
        if faults.null_count == len(faults):
            parsed = self._parse_run(lines)
        else:
            details = batch.column("_fault_detail")
            start = 0
            for row in [*np.flatnonzero(faults.is_valid().to_numpy(zero_copy_only=False)).tolist(), len(lines)]:
                if row > start:
                    parsed += self._parse_run(lines.slice(start, row - start))
                if row < len(lines):
                    parsed.append(
                        self._table_of([_faulty(lines[row].as_py(), faults[row].as_py(), details[row].as_py())])
                    )
                start = row + 1
        table = pa.concat_tables(parsed).combine_chunks() if parsed else self._table_of([])
        for name in ("_object", "_line_number", "landed_hour"):
            table = table.append_column(name, batch.column(name))
        return (
            table.select(self._schema.names).cast(self._schema).to_batches()[0] if len(lines) else _empty(self._schema)
        )

    def _parse_run(self, lines: pa.BinaryArray) -> list[pa.Table]:
        block = self._parse_block(lines)
        if block is not None:
            return [block]
        if len(lines) <= _FEWEST_LINES_TO_SPLIT:
            return [self._table_of([self._parse_line(line) for line in lines.to_pylist()])]
        middle = len(lines) // 2
        return self._parse_run(lines.slice(0, middle)) + self._parse_run(lines.slice(middle))

    def _parse_block(self, lines: pa.BinaryArray) -> pa.Table | None:
        """All lines at once, or None if any of them must be read one by one."""
        offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32)[lines.offset : lines.offset + len(lines) + 1]
        content = lines.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
        characters = np.frombuffer(content, dtype=np.uint8)
        starts, ends = offsets[:-1] - offsets[0], offsets[1:] - offsets[0]
        if not self._each_line_is_one_object(characters, starts, ends):
            return None
        table = self._read_block(content)
        if table is None and self._whole_number.search(content):
            table = self._read_block(pa.py_buffer(self._whole_number.sub(rb"\1", content.to_pybytes())))
        if (
            table is None
            or table.num_rows != len(lines)
            or any(pc.any(pc.invert(pc.is_finite(table.column(key)))).as_py() for key in self._double_keys)
        ):
            return None
        try:  # Arrow's reader accepts bytes that are not UTF-8
            table.validate(full=True)
        except pa.ArrowInvalid:
            return None
        for key in self._double_keys:  # -0 is 0.0 when read one by one
            index = table.schema.get_field_index(key)
            table = table.set_column(index, table.schema.field(index), pc.add(table.column(index), 0.0))
        empty = pa.nulls(len(lines), pa.string())
        respelled = self._spellings.respelled(lines, content)
        raw = empty
        if respelled is not None:
            raw = pc.utf8_rtrim(pc.if_else(respelled, lines, None).cast(pa.string()), "\r\n")
        for name, column in (("_rescued", empty), ("_raw", raw), ("_fault", empty), ("_fault_detail", empty)):
            table = table.append_column(name, column)
        return table

    def _read_block(self, content: pa.Buffer) -> pa.Table | None:
        try:
            return pyarrow.json.read_json(
                pa.BufferReader(content),
                read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(content) + 1),
                parse_options=pyarrow.json.ParseOptions(
                    explicit_schema=self._key_schema, unexpected_field_behavior="error"
                ),
            )
        except (pa.ArrowInvalid, UnicodeDecodeError):
            return None

    @staticmethod
    def _each_line_is_one_object(characters: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> bool:
        """Whether each line begins with { and ends with }.

        Together with as many objects as lines, this proves that no object spans lines and no line holds two: JSON
        allows no bare line feed in a string, nor } followed by { within an object or array.
        """
        if (ends - starts < 3).any():
            return False
        last = characters[ends - 2]
        if (last == ord("\r")).any():
            last = np.where(last == ord("\r"), characters[ends - 3], last)
        return bool((characters[starts] == ord("{")).all() and (last == ord("}")).all())

    def _parse_line(self, line: bytes) -> dict[str, Any]:
        try:
            text = line.rstrip(b"\r\n").decode()
        except UnicodeDecodeError as error:
            return _faulty(line, "not_utf8", f"byte 0x{line[error.start]:02x} at position {error.start}")
        try:
            pairs = read_json(text, refuse_constant=_refuse_constant, with_pairs=True)
            repeated = _repeated_keys(pairs)
        except RecursionError:
            return _faulty(line, "not_json", _NESTED_TOO_DEEPLY)
        except ValueError as error:
            return _faulty(line, "not_json", str(error))
        if not isinstance(pairs, Pairs):
            return _faulty(line, "not_an_object", f"a JSON {_json_type(pairs)}")
        if repeated:
            return _faulty(line, "duplicate_key", f"{', '.join(map(_shorten, sorted(repeated)))} more than once")
        record = dict(pairs)
        row: dict[str, Any] = {}
        rescued: dict[str, Any] = {}
        mismatches: list[str] = []
        for key, value in record.items():
            key_type = self._types.get(key)
            if key_type is None:
                rescued[key] = value
            elif value is not None:
                row[key] = _as_type(value, key_type)
                if row[key] is None:
                    rescued[key] = value
                    mismatches.append(f"{key}: {_mismatch(value, key_type)}")
        if rescued:
            row["_rescued"] = json_text(rescued)
        if self._spellings.is_respelled(line):
            row["_raw"] = text
        if mismatches:
            row |= _faulty(line, WRONG_TYPE, "; ".join(mismatches))
        return row

    def _table_of(self, rows: list[dict[str, Any]]) -> pa.Table:
        schema = pa.schema(
            [field for field in self._schema if field.name not in ("_object", "_line_number", "landed_hour")]
        )
        return pa.Table.from_pylist(rows, schema=schema)


_NESTED_TOO_DEEPLY = f"nested more than {_DEEPEST_NESTING} deep"


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value")


def _repeated_keys(value: Any, depth: int = 1) -> set[str]:
    """The keys that an object in the value, itself included, names more than once; ``ValueError`` when nested too deeply."""
    if not isinstance(value, list):
        return set()
    if depth > _DEEPEST_NESTING:
        raise ValueError(_NESTED_TOO_DEEPLY)
    if not isinstance(value, Pairs):
        return set().union(*(_repeated_keys(item, depth + 1) for item in value))
    times = Counter(key for key, _ in value)
    repeated = {key for key, number in times.items() if number > 1} if len(times) < len(value) else set()
    return repeated.union(*(_repeated_keys(item, depth + 1) for _, item in value))


def _faulty(line: bytes, fault: str, detail: str) -> dict[str, Any]:
    raw = line.rstrip(b"\r\n").decode(errors="backslashreplace")
    if len(raw) > _KEPT_OF_A_LINE_CHARACTERS:
        detail += f"; the first {_KEPT_OF_A_LINE_CHARACTERS} of its {len(raw)} characters are kept"
    return {"_raw": raw[:_KEPT_OF_A_LINE_CHARACTERS], "_fault": fault, "_fault_detail": detail}


def _as_type(value: Any, key_type: ColumnType) -> Any:
    """The value as the column's type, or None if it has another type."""
    if key_type is ColumnType.STRING:
        return value if isinstance(value, str) and _is_valid_text(value) else None
    if key_type is ColumnType.BOOLEAN:
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | WrittenNumber):
        return None
    if key_type is ColumnType.LONG:
        whole = value if isinstance(value, int) else value.as_integer()
        return whole if whole is not None and -_LARGEST_LONG - 1 <= whole <= _LARGEST_LONG else None
    try:
        number = float(value if isinstance(value, int) else value.text)
    except OverflowError:
        return None
    return number + 0.0 if math.isfinite(number) else None  # never -0.0


def _is_valid_text(value: str) -> bool:
    """Whether a string can be stored as UTF-8; one lone surrogate (``\\ud800``) and it cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _json_type(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "number", WrittenNumber: "number", Pairs: "object", list: "array"}
    return names.get(type(value), "null")


def _mismatch(value: Any, key_type: ColumnType) -> str:
    """What is wrong with a value that is not of the column's type."""
    found = f"expected {key_type}, found {_json_type(value)} {_shorten(value)}"
    if key_type is ColumnType.LONG and isinstance(value, WrittenNumber) and value.is_inexact:
        found += f", beyond {LARGEST_EXACT_FRACTION} (2^53), up to which a number with a fraction or exponent is exact"
    return found


def _shorten(value: Any) -> str:
    text = json_text(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)
