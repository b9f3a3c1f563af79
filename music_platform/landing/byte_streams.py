"""Streams of bytes around other streams: rejoined with their first bytes, transcoded, decompressed from xz."""

from __future__ import annotations

import codecs
import io
import lzma
from typing import Any, Protocol

_STEP_BYTES = 1024 * 1024


class ByteStream(Protocol):
    """What is read from: a file, a pipe or a decompressor."""

    def read(self, size: int = -1, /) -> bytes: ...


class XzStream:
    """The content of several xz streams in a row; LZMAFile would silently ignore foreign bytes after the last."""

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


def read_fully(stream: ByteStream, size: int) -> bytes:
    """Read exactly so many bytes of a stream, fewer only at its end; one read of a pipe may return less."""
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


class Transcoded:
    """Text in another encoding as UTF-8. Invalid characters become bytes that are not UTF-8: a fault of their line."""

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
