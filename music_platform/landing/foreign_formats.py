"""Formats of files that are not read, recognised by their beginning: archives, databases, CSV, JSON over several lines.

A format is recognised only beyond doubt: a file whose first line is broken is still a file of lines.
"""

from __future__ import annotations

import csv
import json
import re
import tarfile
from dataclasses import dataclass

from music_platform.landing.byte_order_marks import without_marks
from music_platform.tables.events import EVENT_KEYS

WINDOW_BYTES = 256 * 1024
"""How much of a file's content is looked at."""
_TAR_BLOCK_BYTES = 512
_LONGEST_CUT_TOKEN = 12  # of JSON, but for texts: an escape, a literal, the beginning of a number
_LINES_OF_CSV = 20

_NAME_OF_CSV_COLUMN = re.compile(r"\s*[\w .:/-]+\s*")
_MARKUP = re.compile(r"<(\?xml|!doctype|!--|[a-z][\w:-]*[\s/>])", re.IGNORECASE)


@dataclass(frozen=True)
class ForeignFormat:
    """A format that is not read; ``command``, if there is one, gives its events as lines on standard output."""

    name: str
    command: str | None = None
    takes_compressed: bool = False  # whether the command itself decompresses


_TAR = ForeignFormat("a tar archive", "tar -xOf {file}", takes_compressed=True)
_BY_DUCKDB = "duckdb -c \"COPY (FROM '{file}') TO '/dev/stdout' (FORMAT json)\""
_ARRAY = ForeignFormat("one JSON array over several lines", "jq -c '.[]' {file}")
_LIST = ForeignFormat("JSON objects separated by commas")
_DOCUMENT = ForeignFormat("a JSON document over several lines", "jq -c . {file}")
# No command: CSV has no types, and a converter that guesses makes a number of a zip.
_CSV = ForeignFormat("CSV")
_TSV = ForeignFormat("TSV")
_XML = ForeignFormat("XML or HTML")

_FOREIGN_MAGICS: dict[bytes, ForeignFormat] = {
    b"PK\x03\x04": (_ZIP := ForeignFormat("a ZIP archive", "unzip -p {file}")),
    b"PK\x05\x06": _ZIP,
    b"PK\x07\x08": _ZIP,
    b"7z\xbc\xaf\x27\x1c": ForeignFormat("a 7z archive", "7z e -so {file}"),
    b"Rar!\x1a\x07": ForeignFormat("a RAR archive", "unrar p -inul {file}"),
    b"\x04\x22\x4d\x18": (_LZ4 := ForeignFormat("LZ4", "lz4 -dc {file}")),
    b"\x02\x21\x4c\x18": _LZ4,
    b"\xff\x06\x00\x00sNaPpY": ForeignFormat("Snappy", "snzip -dc {file}"),
    b"\x1f\x9d": ForeignFormat("compress (.Z)", "gzip -dc {file}"),
    b"LZIP\x01": ForeignFormat("lzip", "lzip -dc {file}"),
    b"\x89LZO\x00": ForeignFormat("lzop", "lzop -dc {file}"),
    b"\x5d\x00\x00": ForeignFormat("LZMA (the former format of xz)", "xz --format=lzma -dc {file}"),
    b"PAR1": (_PARQUET := ForeignFormat("Parquet", _BY_DUCKDB)),
    b"PARE": _PARQUET,
    b"ARROW1": (_ARROW := ForeignFormat("Arrow (Feather)")),
    b"FEA1": _ARROW,
    b"\xff\xff\xff\xff": _ARROW,
    b"Obj\x01": ForeignFormat("Avro"),
    b"ORC": ForeignFormat("ORC"),
    b"SQLite format 3\x00": ForeignFormat("SQLite", "sqlite3 -json {file} 'SELECT * FROM events' | jq -c '.[]'"),
    b"%PDF-": ForeignFormat("PDF"),
}
_TEXT_MAGICS = (b"ORC", b"PAR1", b"PARE", b"ARROW1", b"FEA1")  # a broken line of text can begin so, too


def foreign_bytes(begin: bytes) -> ForeignFormat | None:
    """The foreign format that the first bytes show."""
    for magic, foreign in _FOREIGN_MAGICS.items():
        if begin.startswith(magic) and not (magic in _TEXT_MAGICS and _is_text(begin)):
            return foreign
    if _is_tar(begin):
        return _TAR
    return _encoding_without_mark(begin)


def _is_text(begin: bytes) -> bool:
    return b"\0" not in begin[:4096] and "\ufffd" not in begin[:4096].decode("utf-8", "replace")[:-4]


def _is_tar(begin: bytes) -> bool:
    """Whether a tar header stands at the beginning; its checksum identifies headers of all tar versions."""
    try:
        tarfile.TarInfo.frombuf(begin[:_TAR_BLOCK_BYTES], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _encoding_without_mark(begin: bytes) -> ForeignFormat | None:
    """UTF-16 or UTF-32 without a mark, if the text begins with ASCII characters: JSON itself has no zero bytes."""
    for width in (4, 2):
        unit = begin[: len(begin) // width * width][:64]
        for place, order in ((0, "LE"), (width - 1, "BE")):
            characters = unit[place::width]
            zeros = b"".join(unit[other::width] for other in range(width) if other != place)
            if len(characters) > 1 and not zeros.strip(b"\0") and all(0x09 <= code < 0x7F for code in characters):
                encoding = f"UTF-{width * 8}{order}"
                return ForeignFormat(f"{encoding} without a byte order mark", f"iconv -f {encoding} -t UTF-8 {{file}}")
    return None


def foreign_text(begin: bytes) -> ForeignFormat | None:
    """The foreign format that text at the beginning of a file is: JSON over several lines, CSV, XML."""
    text = without_marks(begin).decode("utf-8", "replace").lstrip(" \t\r\n\v\f")
    lines = [line.strip() for line in text.split("\n")]
    if len(begin) >= WINDOW_BYTES:
        lines.pop()  # cut
    lines = [line for line in lines if line]
    if not lines:
        return None
    if _are_separated_by_commas(lines):
        if text[0] == "[":
            return _ARRAY
        return _DOCUMENT if text[0] == "{" and not _is_json(lines[0].rstrip(",")) else _LIST
    if text[0] in "[{":
        return _json_over_lines(text, lines)
    if any(line[0] in "[{" and _is_json(line) for line in lines):
        return None
    if _MARKUP.match(text):
        return _XML
    return _separated_values(lines)


def _json_over_lines(text: str, lines: list[str]) -> ForeignFormat | None:
    if len(lines) < 2 or _is_json(lines[0]):
        return None
    foreign = _ARRAY if text[0] == "[" else _DOCUMENT
    try:
        _, end = json.JSONDecoder().raw_decode(text)
        return foreign if "\n" in text[:end] and not _objects(text[end:].split("\n")) else None
    except RecursionError:
        return None
    except json.JSONDecodeError as error:
        # Whether the value is valid but cut off.
        is_cut = error.msg.startswith("Unterminated string") or len(text.rstrip()) - error.pos <= _LONGEST_CUT_TOKEN
    objects = _objects(lines)
    if is_cut and not objects:
        return foreign
    return _ARRAY if lines[0] == "[" and lines[1].endswith("},") and objects <= 1 else None  # the last has no comma


def _are_separated_by_commas(lines: list[str]) -> bool:
    """Whether lines are elements of an array: more objects with a comma before or behind them than objects alone.

    The first or the last element has none, so after a bracket equally many are enough.
    """
    joined = _objects([line.strip("[], \t") for line in lines if line[0] == "," or line[-1] == ","])
    return joined > _objects(lines) - (lines[0][0] == "[") if joined else False


def _objects(lines: list[str]) -> int:
    """How many lines are a JSON object each."""
    return sum(line.lstrip().startswith("{") and _is_json(line) for line in lines)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _separated_values(lines: list[str]) -> ForeignFormat | None:
    """CSV or TSV: a header of several names above rows of as many values, or one that names a key of an event."""
    if any(line[0] in "[{" for line in lines):
        return None
    for delimiter, foreign in (("\t", _TSV), (",", _CSV), (";", _CSV), ("|", _CSV)):
        try:
            header, *rows = csv.reader(lines[:_LINES_OF_CSV], delimiter=delimiter)
        except csv.Error:
            continue
        if len(header) < 2 or not all(map(_NAME_OF_CSV_COLUMN.fullmatch, header)):
            continue
        if EVENT_KEYS.intersection(name.strip() for name in header) or (
            rows and all(len(row) == len(header) for row in rows)
        ):
            return foreign
    return None
