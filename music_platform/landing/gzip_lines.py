"""The content of a landed object as blocks of whole lines, and what is wrong with it: damaged gzip, or a line that is too long.

Whatever is damaged, every readable line is returned.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from isal import isal_zlib

from music_platform.landing.byte_order_marks import without_marks

LONGEST_LINE_BYTES = 16 * 1024 * 1024
_COMPRESSED_STEP_BYTES = 256 * 1024
_DECOMPRESSED_STEP_BYTES = 2 * 1024 * 1024  # the most that one step gives, however well its bytes are compressed
_KEPT_OF_A_FAULT_BYTES = 64 * 1024
_KEPT_OF_A_LONG_LINE_BYTES = 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_ERRORS: tuple[Any, ...] = (isal_zlib.IsalError, zlib.error)


@dataclass(frozen=True)
class ObjectFault:
    """What is wrong with an object, as a whole or at one of its lines.

    ``rest`` is the beginning of the bytes that become no line because of it: those of the line that is too long, or those after
    the last whole line. ``rest_bytes`` is how many such bytes the object has.
    """

    name: str
    detail: str
    rest: bytes
    rest_bytes: int


def decode(content: bytes) -> Iterator[bytes | ObjectFault]:
    """A landed object's content as blocks of whole lines, with its faults in their places.

    A line longer than ``LONGEST_LINE_BYTES`` is a fault, and the lines behind it follow; any other fault is the end. The
    last line gets a line feed when it lacks one. Several gzip members in a row are one stream (RFC 1952, 2.2).
    Whatever the content decompresses to, no more than some 40 MB of it are held at once.
    """
    if not content:
        yield ObjectFault("empty_object", "0 bytes", b"", 0)
        return
    if content[:2] != _GZIP_MAGIC:
        yield ObjectFault("not_gzip", f"begins with {content[:8]!r}", content[:_KEPT_OF_A_FAULT_BYTES], len(content))
        return
    unfinished = _UnfinishedLine()
    for piece in _inflate_and_salvage(content):
        if isinstance(piece, ObjectFault):
            yield replace(piece, rest=unfinished.beginning(_KEPT_OF_A_FAULT_BYTES), rest_bytes=unfinished.size)
            return
        begin, end = 0, piece.rfind(b"\n") + 1
        if unfinished.size and end:
            begin = piece.find(b"\n") + 1
            unfinished.add(piece[:begin])
            yield unfinished.take()
        if begin < end:
            yield piece[begin:end]
        unfinished.add(piece[end:])
    if unfinished.size:
        unfinished.add(b"\n")
        yield unfinished.take()


def count_lines(content: bytes) -> int:
    """Rows that a landed object must become in bronze: its lines that are not blank, and its fault if it has one."""
    rows = 0
    for piece in decode(content):
        if isinstance(piece, ObjectFault):
            rows += 1
        else:
            rows += sum(bool(line.strip()) for line in without_marks(piece).split(b"\n"))
    return rows


def _inflate_and_salvage(content: bytes) -> Iterator[bytes | ObjectFault]:
    """The decompressed bytes up to the first damage, then the damage if there is one.

    A decompressor returns nothing of the step in which it meets damage, and the fast one holds back the last bytes before an
    early end. Damaged objects are rare, so they are read again by a decompressor that can go back: only the damaged bytes are
    lost.
    """
    given = 0
    for piece in _inflate(content, _new_fast_decompressor):
        if isinstance(piece, ObjectFault):
            break
        given += len(piece)
        yield piece
    else:
        return
    for piece in _inflate(content, _CarefulDecompressor):
        if isinstance(piece, ObjectFault):
            yield piece
        elif given >= len(piece):
            given -= len(piece)
        else:
            yield piece[given:]
            given = 0


def _inflate(content: bytes, new_decompressor: Callable[[], Any]) -> Iterator[bytes | ObjectFault]:
    """Every member of a gzip stream, step by step; no step gives more than ``LONGEST_LINE_BYTES``."""
    most = min(_DECOMPRESSED_STEP_BYTES, LONGEST_LINE_BYTES)
    start = 0
    while start < len(content):
        if content[start : start + 2] != _GZIP_MAGIC:
            if content[start:].strip(b"\0"):  # padding with zeros is allowed, as gzip's own tool allows it
                yield ObjectFault("corrupt_gzip", f"{len(content) - start} bytes after the gzip stream", b"", 0)
            return
        decompressor = new_decompressor()
        while not decompressor.eof:
            step = content[start : start + _COMPRESSED_STEP_BYTES]
            try:
                block = decompressor.decompress(step, most)
            except _DamageError as damage:
                if damage.salvaged:
                    yield damage.salvaged
                detail = f"{damage} (within byte {start} and {start + len(step)})"
                yield ObjectFault("corrupt_gzip", detail, b"", 0)
                return
            except _GZIP_ERRORS as error:
                yield ObjectFault("corrupt_gzip", str(error), b"", 0)
                return
            start += len(step) - len(decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail)
            if block:
                yield block
            elif not step:  # nothing is left, neither before the decompressor nor in it
                detail = f"ends within its gzip stream, after {len(content)} bytes"
                yield ObjectFault("truncated_gzip", detail, b"", 0)
                return


def _new_fast_decompressor() -> Any:
    return isal_zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)


class _DamageError(Exception):
    """A damaged stream, with what could be read of the step in which the damage lies."""

    def __init__(self, reason: str, salvaged: bytes) -> None:
        super().__init__(reason)
        self.salvaged = salvaged


class _CarefulDecompressor:
    """zlib's decompressor, which repeats a failed step byte by byte to find out how far it can be read."""

    def __init__(self) -> None:
        self._decompressor = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._decompressor.eof

    @property
    def unused_data(self) -> bytes:
        return self._decompressor.unused_data

    @property
    def unconsumed_tail(self) -> bytes:
        return self._decompressor.unconsumed_tail

    def decompress(self, step: bytes, most: int) -> bytes:
        before = self._decompressor.copy()
        try:
            return self._decompressor.decompress(step, most)
        except zlib.error as damage:
            salvaged = bytearray()
            with suppress(zlib.error):
                for position in range(len(step)):
                    salvaged += before.decompress(step[position : position + 1])
            raise _DamageError(str(damage), bytes(salvaged)) from damage


class _UnfinishedLine:
    """The part read so far of a line that is not complete; of a line that is too long only the beginning is held."""

    def __init__(self) -> None:
        self.size = 0  # bytes, also those that are not held
        self._held = bytearray()

    def add(self, part: bytes) -> None:
        if self.size <= LONGEST_LINE_BYTES:
            self._held += part
        self.size += len(part)
        if self.size > LONGEST_LINE_BYTES:
            del self._held[_KEPT_OF_A_LONG_LINE_BYTES:]

    def beginning(self, most: int) -> bytes:
        """At most that many bytes."""
        return bytes(self._held[:most])

    def take(self) -> bytes | ObjectFault:
        """The line with its line feed, or the fault if it is too long; then starts the next line."""
        held, size = bytes(self._held), self.size
        self.size = 0
        self._held.clear()
        return held if size <= LONGEST_LINE_BYTES else ObjectFault("line_too_long", f"{size} bytes", held, size)
