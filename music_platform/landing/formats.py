"""What a file of events is by its content: compressions and encodings that are read, and formats that are refused by name.

Only the beginning of a file is looked at, never its name. A format is refused only beyond doubt: a file whose first line is
broken is still a file of lines.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import lzma
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
from isal import igzip

from music_platform.errors import MusicPlatformError
from music_platform.landing.byte_order_marks import without_marks
from music_platform.tables.events import EVENT_CONTRACTS

WINDOW_BYTES = 256 * 1024
"""How much of a file's content is looked at."""
READ_FORMATS = "lines of JSON in UTF-8, or in UTF-16 or UTF-32 with a byte order mark; plain, .gz, .xz, .bz2 or .zst"
_MAGIC_BYTES = 16
_TAR_BLOCK_BYTES = 512
_STEP_BYTES = 1024 * 1024
_LONGEST_CUT_TOKEN = 12  # of JSON, but for texts: an escape, a literal, the beginning of a number
_LINES_OF_CSV = 20

_KNOWN_KEYS = {key for event in EVENT_CONTRACTS.values() for key in event.keys}
_NAME_OF_CSV_COLUMN = re.compile(r"\s*[\w .:/-]+\s*")
_MARKUP = re.compile(r"<(\?xml|!doctype|!--|[a-z][\w:-]*[\s/>])", re.IGNORECASE)


class LandingInputError(MusicPlatformError):
    """An input file is missing, of unknown type or format, holds no event, or cannot be read to its end."""


class ByteStream(Protocol):
    """What is read from: a file, a pipe or a decompressor."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class Compression:
    """A compression that is read; ``command`` gives its content on standard output."""

    name: str
    magics: tuple[bytes, ...]
    command: str
    open: Callable[[io.BufferedReader], Any]


@dataclass(frozen=True)
class ForeignFormat:
    """A format that is not read; ``command``, if there is one, gives its events as lines on standard output."""

    name: str
    command: str | None = None
    takes_compressed: bool = False  # whether the command itself decompresses


def _by_arrow(codec: str) -> Callable[[io.BufferedReader], Any]:
    # Arrow reads several streams in a row as one, and refuses a truncated one and what is none behind the last.
    return lambda stream: pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), codec)


class _XzStream:
    """The content of several xz streams in a row; LZMAFile would silently pass over what is none behind the last."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ)

    def read(self, size: int = -1, /) -> bytes:
        while True:
            given = b""
            if self._decompressor.eof:
                given = self._decompressor.unused_data.lstrip(b"\0")  # zeros between streams are allowed
                while not given and (step := self._stream.read(_STEP_BYTES)):
                    given = step.lstrip(b"\0")
                if not given:
                    return b""
                self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ)
            elif self._decompressor.needs_input:
                given = self._stream.read(_STEP_BYTES)
                if not given:
                    raise EOFError("it ends within its xz stream")
            if part := self._decompressor.decompress(given, size):
                return part


COMPRESSIONS = (
    Compression("gzip", (b"\x1f\x8b",), "gzip -dc", lambda stream: igzip.IGzipFile(fileobj=stream, mode="rb")),
    Compression("xz", (b"\xfd7zXZ\x00",), "xz -dc", _XzStream),
    # The third byte of bzip2 is a digit, the level; the next six are pi in decimal, or those of an empty file.
    Compression(
        "bzip2",
        tuple(b"BZh%d" % level + block for level in range(1, 10) for block in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")),
        "bzip2 -dc",
        _by_arrow("bz2"),
    ),
    Compression("Zstandard", (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"), "zstd -dc", _by_arrow("zstd")),
)

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
# UTF-32's marks first: that of UTF-16 is the beginning of one of them.
_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decoded(stored: ByteStream, name: str, event_type: str) -> ByteStream:
    """The content of a stored file as UTF-8, whatever it is compressed and encoded with.

    Raises LandingInputError for a format that is not read; it says how to convert it. Raises as the decompressors do
    where the beginning is damaged.
    """
    begin = read_fully(stored, _MAGIC_BYTES)
    content: ByteStream = Rejoined(begin, stored)
    compression = next((known for known in COMPRESSIONS if begin.startswith(known.magics)), None)
    if compression is not None:
        content = compression.open(io.BufferedReader(Rejoined(begin, stored), 1 << 20))
    begin = read_fully(content, WINDOW_BYTES)
    content = Rejoined(begin, content)
    encoding = next(
        (encoding for mark, encoding in _ENCODINGS if begin.startswith(mark) and (b"\0" in begin or begin == mark)),
        None,
    )
    foreign = _foreign_bytes(begin)
    if compression is not None:
        within = next((known for known in COMPRESSIONS if begin.startswith(known.magics)), None)
        foreign = ForeignFormat(within.name, f"{within.command} {{file}}") if within is not None else foreign
    if foreign is None and encoding is not None:
        content = _Transcoded(content, encoding)
        begin = read_fully(content, WINDOW_BYTES)
        content = Rejoined(begin, content)
    foreign = foreign or _foreign_text(begin)
    if foreign is None:
        return content
    inside = "" if compression is None else f", compressed with {compression.name}"
    raise LandingInputError(
        f"{name} is {foreign.name}{inside}, which is not read; nothing of it was landed. Read are {READ_FORMATS}. "
        + _advice(foreign, compression, event_type)
    )


def read_fully(stream: ByteStream, size: int) -> bytes:
    """So many bytes of a stream, fewer only at its end; a pipe gives a few at a time."""
    parts = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class Rejoined(io.RawIOBase):
    """A stream with what was read of it put back before it."""

    def __init__(self, begin: bytes, stream: ByteStream) -> None:
        self._begin = begin
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if not self._begin:
            return self._stream.read(size)
        part = self._begin if size < 0 else self._begin[:size]
        self._begin = self._begin[len(part) :]
        return part

    def readinto(self, buffer: Any, /) -> int:
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


class _Transcoded:
    """Text in another encoding as UTF-8. What is no character becomes bytes that are not UTF-8, a fault of its line."""

    def __init__(self, stream: ByteStream, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        while not self._rest:
            step = self._stream.read(_STEP_BYTES)
            self._rest = self._decoder.decode(step, final=not step).encode("utf-8", "surrogatepass")
            if not step:
                break
        part = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(part) :]
        return part


def _foreign_bytes(begin: bytes) -> ForeignFormat | None:
    """The foreign format that the first bytes tell."""
    for magic, foreign in _FOREIGN_MAGICS.items():
        if begin.startswith(magic) and not (magic in _TEXT_MAGICS and _is_text(begin)):
            return foreign
    if _is_tar(begin):
        return _TAR
    return _encoding_without_mark(begin)


def _is_text(begin: bytes) -> bool:
    return b"\0" not in begin[:4096] and "\ufffd" not in begin[:4096].decode("utf-8", "replace")[:-4]


def _is_tar(begin: bytes) -> bool:
    """Whether a tar header stands at the beginning; its checksum tells one of any age."""
    try:
        tarfile.TarInfo.frombuf(begin[:_TAR_BLOCK_BYTES], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _encoding_without_mark(begin: bytes) -> ForeignFormat | None:
    """UTF-16 or UTF-32 without a mark, where the beginning is of ASCII characters: JSON has no byte that is zero."""
    for width in (4, 2):
        unit = begin[: len(begin) // width * width][:64]
        for place, order in ((0, "LE"), (width - 1, "BE")):
            characters = unit[place::width]
            zeros = b"".join(unit[other::width] for other in range(width) if other != place)
            if len(characters) > 1 and not zeros.strip(b"\0") and all(0x09 <= code < 0x7F for code in characters):
                encoding = f"UTF-{width * 8}{order}"
                return ForeignFormat(f"{encoding} without a byte order mark", f"iconv -f {encoding} -t UTF-8 {{file}}")
    return None


def _foreign_text(begin: bytes) -> ForeignFormat | None:
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
        # Whether the value is good as far as it goes, and merely cut.
        is_cut = error.msg.startswith("Unterminated string") or len(text.rstrip()) - error.pos <= _LONGEST_CUT_TOKEN
    objects = _objects(lines)
    if is_cut and not objects:
        return foreign
    return _ARRAY if lines[0] == "[" and lines[1].endswith("},") and objects <= 1 else None  # the last has no comma


def _are_separated_by_commas(lines: list[str]) -> bool:
    """Whether lines are elements of an array: more objects with a comma before or behind them than objects alone.

    The last or the first element has none, so behind a bracket as many are enough.
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
        if _KNOWN_KEYS.intersection(name.strip() for name in header) or (
            rows and all(len(row) == len(header) for row in rows)
        ):
            return foreign
    return None


def _advice(foreign: ForeignFormat, compression: Compression | None, event_type: str) -> str:
    """What to do, with the command that converts the file and lands it. Never with its name, which may be a command itself."""
    if foreign.command is None:
        return "Write its events as lines, one JSON object each, with texts as texts and numbers as numbers."
    file = "FILE"
    if compression is None or foreign.takes_compressed:
        command = foreign.command.format(file=file)
    else:
        command = f"{compression.command} {file} | {foreign.command.format(file='/dev/stdin')}"
    return f"Convert it: {command} | ./run music-platform land --event-type {event_type} -"
