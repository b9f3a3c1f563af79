"""Recognises a file's format by its content: compressions and encodings that are read, and formats that are refused by name.

Only the beginning of a file counts, never its name. The refused formats are in foreign_formats.py.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from isal import igzip

from music_platform.errors import MusicPlatformError
from music_platform.landing.byte_streams import ByteStream, Rejoined, Transcoded, XzStream, read_fully
from music_platform.landing.foreign_formats import WINDOW_BYTES, ForeignFormat, foreign_bytes, foreign_text

READ_FORMATS = "lines of JSON in UTF-8, or in UTF-16 or UTF-32 with a byte order mark; plain, .gz, .xz, .bz2 or .zst"
_MAGIC_BYTES = 16


class LandingInputError(MusicPlatformError):
    """An input file is missing, of unknown type or format, holds no event, or cannot be read to its end."""


@dataclass(frozen=True)
class Compression:
    """A compression that is read; ``command`` gives its content on standard output."""

    name: str
    magics: tuple[bytes, ...]
    command: str
    open: Callable[[io.BufferedReader], Any]


def _by_arrow(codec: str) -> Callable[[io.BufferedReader], Any]:
    # Arrow reads several streams in a row as one. It refuses a truncated stream and foreign bytes after the last.
    return lambda stream: pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), codec)


COMPRESSIONS = (
    Compression("gzip", (b"\x1f\x8b",), "gzip -dc", lambda stream: igzip.IGzipFile(fileobj=stream, mode="rb")),
    Compression("xz", (b"\xfd7zXZ\x00",), "xz -dc", XzStream),
    # The third byte of bzip2 is a digit, the level; the next six are pi in decimal, or those of an empty file.
    Compression(
        "bzip2",
        tuple(b"BZh%d" % level + block for level in range(1, 10) for block in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")),
        "bzip2 -dc",
        _by_arrow("bz2"),
    ),
    Compression("Zstandard", (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"), "zstd -dc", _by_arrow("zstd")),
)
# UTF-32's marks first: that of UTF-16 is the beginning of one of them.
_ENCODINGS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decoded(stored: ByteStream, name: str, land_options: str) -> ByteStream:
    """The content of a stored file as UTF-8, whatever its compression and encoding.

    Raises LandingInputError for a format that is not read; it says how to convert it and, with ``land_options``, how to land
    it. Raises as the decompressors do where the beginning is damaged.
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
    foreign = foreign_bytes(begin)
    if compression is not None:
        within = next((known for known in COMPRESSIONS if begin.startswith(known.magics)), None)
        foreign = ForeignFormat(within.name, f"{within.command} {{file}}") if within is not None else foreign
    if foreign is None and encoding is not None:
        content = Transcoded(content, encoding)
        begin = read_fully(content, WINDOW_BYTES)
        content = Rejoined(begin, content)
    foreign = foreign or foreign_text(begin)
    if foreign is None:
        return content
    inside = "" if compression is None else f", compressed with {compression.name}"
    raise LandingInputError(
        f"{name} is {foreign.name}{inside}, which is not read; nothing of it was landed. Read are {READ_FORMATS}. "
        + _advice(foreign, compression, land_options)
    )


def _advice(foreign: ForeignFormat, compression: Compression | None, land_options: str) -> str:
    """What to do, with the command that converts the file and lands it; without its name, which could inject a command."""
    if foreign.command is None:
        return "Write its events as lines, one JSON object each, with texts as texts and numbers as numbers."
    file = "FILE"
    if compression is None or foreign.takes_compressed:
        command = foreign.command.format(file=file)
    else:
        command = f"{compression.command} {file} | {foreign.command.format(file='/dev/stdin')}"
    return f"Convert it: {command} | ./run music-platform land {land_options}-"
