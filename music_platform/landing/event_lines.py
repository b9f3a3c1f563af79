"""A block of event lines sorted into the hours in which its events happened, and the error records of the rest.

Pure functions on bytes; writer.py reads and writes. The rules are those of the collector's configuration: a line is a JSON
object whose `ts` is epoch milliseconds, everything else is an error record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from music_platform.exact_json import WrittenNumber, refuse_constant
from music_platform.landing.byte_order_marks import without_marks
from music_platform.tables.collector_errors import JSON_OBJECT, TS_EPOCH_MILLISECONDS

LEAST_TS, MOST_TS = 10**12, 10**13 - 1  # what Fluentd takes for epoch milliseconds: the years 2001 to 2286
HOUR_MS = 3_600_000
_TS_DIGITS = 13
_TIME_BYTES = len('"__time":"2026-11-01T00:00:00.000Z"}')  # what ends an error record
TAG_PREFIX = "eventsim"


def _plain_record_pattern() -> str:
    """Exactly the flat JSON objects (RFC 8259) in valid UTF-8 without spaces between tokens, with one `ts` in range.

    A line that does not match may still be an event (nested values, spaces, `ts` written as 1.7e12); it is merely left to
    the exact parser. A match must be beyond doubt. Keys are without escapes, because "\\u0074s" is `ts` too.
    """
    special = r'"\\\x00-\x1f\x{d800}-\x{dfff}'  # RE2 by itself takes encoded surrogates for UTF-8
    plain = f"[^{special}]"
    string = rf'"(?:{plain}|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}}))*"'
    number = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
    other_key = rf'"(?:|[^t{special}]{plain}*|t|t[^s{special}]{plain}*|ts{plain}+)"'
    pair = rf"{other_key}:(?:{string}|{number}|true|false|null)"
    ts = rf'"ts":[1-9][0-9]{{{_TS_DIGITS - 1}}}'
    return rf"\A\{{(?:{pair},)*{ts}(?:,{pair})*\}}\n\z"


_PLAIN_RECORD = _plain_record_pattern()
_TS_KEY = (
    '"ts":'  # in a plain record this can be nothing but the key: every other quote before a colon ends another key
)
_POWERS = 10 ** np.arange(_TS_DIGITS - 1, -1, -1, dtype=np.int64)
_DECODER = json.JSONDecoder(parse_float=WrittenNumber, parse_constant=refuse_constant)
_SEPARATOR = re.compile(r"[ \t\r\n]*[\[,]?[ \t\r\n]*")  # before an element of an array, or before its end
_MARKS_BETWEEN_OBJECTS = re.compile(r"[ \t\r]*(?:\ufeff[ \t\r]*)+")
_ESCAPED = re.compile(rb'["\\\x00-\x1f]')
_ESCAPES = {bytes([code]): b"\\u%04X" % code for code in range(0x20)} | {
    b'"': b'\\"', b"\\": b"\\\\", b"\b": b"\\b", b"\f": b"\\f", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t",
}  # fmt: skip


@dataclass(frozen=True)
class HourLines:
    """Whole lines, each with its line feed, of one hour; ``hour`` counts from the epoch."""

    hour: int
    lines: int
    content: bytes


@dataclass
class SortedBlock:
    """A block's lines by hour, ascending and within an hour in the order of the block, and its error records.

    ``lines`` counts those that are not blank.
    """

    lines: int
    by_hour: list[HourLines] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)


def hour_time(hour: int) -> datetime:
    """The beginning of an hour counted from the epoch."""
    return datetime.fromtimestamp(hour * 3600, UTC)


def sort_block(block: bytes, event_type: str, arrival: datetime) -> SortedBlock:
    """Sort a block of whole lines, the last with its line feed, into hours. Records are separated by line feeds only.

    A carriage return before the line feed is removed, as in the collector, and so is a byte order mark at the beginning;
    nothing else of a line changes. Blank lines are ignored. ``arrival`` is the time of collection, the `__time` of error
    records.
    """
    block = without_marks(block)
    if b"\r" in block:  # one byte is found ten times as fast as two
        block = block.replace(b"\r\n", b"\n")
    codes = np.frombuffer(block, dtype=np.uint8)
    offsets = np.concatenate(([0], np.flatnonzero(codes == ord("\n")) + 1)).astype(np.int32)
    lines = _lines_array(block, offsets)
    plain = pc.call_function("match_substring_regex", [lines], pc.MatchSubstringOptions(_PLAIN_RECORD)).to_numpy(
        zero_copy_only=False
    )
    result = SortedBlock(lines=len(lines))  # less the blank ones among those that are not plain
    hours = np.full(len(lines), -1, dtype=np.int64)  # -1: not landed as it stands
    plain_rows = np.flatnonzero(plain)
    if len(plain_rows):
        found = pc.call_function("find_substring", [lines], pc.MatchSubstringOptions(_TS_KEY)).to_numpy()
        first_digit = offsets[plain_rows] + found[plain_rows] + len(_TS_KEY)
        digits = codes[first_digit[:, np.newaxis] + np.arange(_TS_DIGITS)] - ord("0")
        hours[plain_rows] = (digits @ _POWERS) // HOUR_MS
    rewritten: list[HourLines] = []
    for row in np.flatnonzero(~plain):
        line = block[offsets[row] : offsets[row + 1] - 1]
        if not line.strip():
            result.lines -= 1
            continue
        for outcome in _sort_line(line, event_type, arrival):
            if isinstance(outcome, bytes):
                result.errors.append(outcome)
            elif outcome.content:
                rewritten.append(outcome)
            else:
                hours[row] = outcome.hour
    result.by_hour = _group(block, lines, offsets, hours)
    if rewritten:
        result.by_hour = sorted([*result.by_hour, *rewritten], key=lambda group: group.hour)
    return result


def _lines_array(block: bytes, offsets: np.ndarray) -> pa.Array:
    # Typed as text so that the pattern is matched as UTF-8; the pattern itself refuses bytes that are not.
    return pa.Array.from_buffers(pa.string(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(block)])


def _group(block: bytes, lines: pa.Array, offsets: np.ndarray, hours: np.ndarray) -> list[HourLines]:
    """Lines by hour, without those whose hour is -1. Sorted input, the usual case, is cut and not copied line by line."""
    landed = hours >= 0
    if not landed.any():
        return []
    if not landed.all() or np.any(hours[1:] < hours[:-1]):
        rows = np.flatnonzero(landed)
        rows = rows[np.argsort(hours[rows], kind="stable")]
        hours = hours[rows]
        # pa.string() holds 2 GB at most, far above a block, so that the result is one array.
        _, offset_buffer, data_buffer = lines.take(pa.array(rows)).buffers()
        offsets = np.frombuffer(offset_buffer, dtype=np.int32)[: len(rows) + 1]
        block = memoryview(data_buffer)  # type: ignore[assignment]
    first_rows = np.concatenate(([0], np.flatnonzero(hours[1:] != hours[:-1]) + 1, [len(hours)]))
    return [
        # A copy, so that a small hour does not keep the whole block in memory.
        HourLines(int(hours[first]), int(end - first), bytes(block[offsets[first] : offsets[end]]))
        for first, end in pairwise(first_rows)
    ]


def _sort_line(line: bytes, event_type: str, arrival: datetime) -> list[HourLines | bytes]:
    """What the exact parser makes of one line: hours (empty content means the unchanged line) and error records.

    The elements of an array are taken one by one, as the collector does; so are objects with byte order marks between them.
    The collector drops an empty array; here it becomes an error record, like every other line that holds no event. Each
    element keeps its own text.
    """
    outcomes: list[HourLines | bytes] = []
    for element, text in records_of(line):
        if not isinstance(element, dict):
            outcomes.append(_error_of_line(text, event_type, arrival))  # not the whole line: there can be thousands
            continue
        ts = epoch_milliseconds(element)
        if ts is None:
            outcomes.append(_error_of_record(text, event_type, arrival))
        else:
            outcomes.append(HourLines(ts // HOUR_MS, 1, b"" if text is line else text + b"\n"))
    return outcomes or [_error_of_line(line, event_type, arrival)]


def records_of(line: bytes) -> Iterable[tuple[Any, bytes]]:
    """The values of a line, each with its text: an object and the line itself, or elements of an array, or objects between marks.

    None of a line that is no JSON, and of another value.
    """
    try:
        parsed = json.loads(line.decode("utf-8"), parse_float=WrittenNumber, parse_constant=refuse_constant)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return _objects_between_marks(line)
    if isinstance(parsed, dict):
        return [(parsed, line)]
    return _elements(line.decode("utf-8")) if isinstance(parsed, list) else ()


def _objects_between_marks(line: bytes) -> list[tuple[Any, bytes]]:
    """The objects of a line that holds several with byte order marks between them, each with its text; else none.

    Such lines arise where a file without a last line feed is joined with one that begins with a mark.
    """
    found: list[tuple[Any, bytes]] = []
    try:
        text = line.decode("utf-8").rstrip(" \t\r")
        position = 0
        while True:
            element, end = _DECODER.raw_decode(text, position)
            found.append((element, text[position:end].encode()))
            if end == len(text):
                break
            marks = _MARKS_BETWEEN_OBJECTS.match(text, end)
            if marks is None or not isinstance(element, dict):
                return []
            position = marks.end()
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found[-1][0], dict) else []


def _elements(array: str) -> Iterator[tuple[Any, bytes]]:
    """The elements of a valid JSON array, each with its text exactly as it was sent."""
    position = _behind_separator(array, 0)
    while array[position] != "]":
        element, end = _DECODER.raw_decode(array, position)
        yield element, array[position:end].encode()
        position = _behind_separator(array, end)


def _behind_separator(array: str, position: int) -> int:
    found = _SEPARATOR.match(array, position)
    return position if found is None else found.end()


def epoch_milliseconds(record: dict[str, Any]) -> int | None:
    """A record's `ts` if the collector accepts it: a number in the range of milliseconds.

    A fraction is cut off, exactly: as a float, 1793494799999.9999999999 would be the next hour.
    """
    ts = record.get("ts")
    if isinstance(ts, WrittenNumber):
        return ts.whole_part(LEAST_TS, MOST_TS)
    return ts if isinstance(ts, int) and not isinstance(ts, bool) and LEAST_TS <= ts <= MOST_TS else None


def _error_of_line(line: bytes, event_type: str, arrival: datetime) -> bytes:
    """`{"message": <raw line>, "__reason": ..., "__tag": ..., "__time": ...}`; bytes that are no UTF-8 stay as they are."""
    message = _ESCAPED.sub(lambda found: _ESCAPES[found[0]], line)
    return b'{"message":"%b",%b}\n' % (message, _origin(JSON_OBJECT, event_type, arrival))


def _error_of_record(line: bytes, event_type: str, arrival: datetime) -> bytes:
    """The record's own text with three fields put before its closing brace, so that no value is rewritten."""
    fields = line.strip()[:-1].rstrip()
    return b"%b%b%b}\n" % (fields, b"" if fields == b"{" else b",", _origin(TS_EPOCH_MILLISECONDS, event_type, arrival))


def without_times(error_records: bytes) -> bytes:
    """Error records of ``sort_block`` without their collection time, so that they are equal whenever they are landed."""
    return b"\n".join(record[:-_TIME_BYTES] for record in error_records.split(b"\n"))


def _origin(reason: str, event_type: str, arrival: datetime) -> bytes:
    time = f"{arrival:%Y-%m-%dT%H:%M:%S}.{arrival.microsecond // 1000:03}Z"
    return f'"__reason":"{reason}","__tag":"{TAG_PREFIX}.{event_type}","__time":"{time}"'.encode()
