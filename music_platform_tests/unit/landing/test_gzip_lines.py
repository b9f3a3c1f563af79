"""Every line that can be had of an object comes through, in whole lines, and what is wrong with it is one fault behind them."""

from __future__ import annotations

import gzip
import zlib

import pytest

from music_platform.landing import gzip_lines
from music_platform.landing.gzip_lines import ObjectFault, decode

SOME_LINES = b"".join(b'{"ts":%d,"city":"place %d"}\n' % (number, number * 7919) for number in range(20_000))


def _read(content: bytes) -> tuple[bytes, ObjectFault | None]:
    """All whole lines and the fault, if any; nothing may come after a fault."""
    pieces = list(decode(content))
    faults = [piece for piece in pieces if isinstance(piece, ObjectFault)]
    assert len(faults) <= 1
    assert not faults or pieces[-1] is faults[0]
    return b"".join(piece for piece in pieces if isinstance(piece, bytes)), faults[0] if faults else None


def test_a_whole_object_gives_its_lines_byte_for_byte() -> None:
    assert _read(gzip.compress(SOME_LINES)) == (SOME_LINES, None)


def test_blocks_end_at_line_feeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip_lines, "_COMPRESSED_STEP_BYTES", 1000)
    pieces = list(decode(gzip.compress(SOME_LINES)))
    assert len(pieces) > 10
    assert all(isinstance(piece, bytes) and piece.endswith(b"}\n") for piece in pieces)


def test_the_last_line_needs_no_line_feed() -> None:
    assert _read(gzip.compress(b"a\nb")) == (b"a\nb\n", None)
    assert _read(gzip.compress(b"")) == (b"", None)


def test_several_gzip_members_are_one_stream() -> None:
    content = gzip.compress(b"a\nb") + gzip.compress(b"c\n") + gzip.compress(b"") + gzip.compress(b"d")
    assert _read(content) == (b"a\nbc\nd\n", None)


def test_padding_with_zeros_is_no_fault() -> None:
    assert _read(gzip.compress(b"a\n") + bytes(1000)) == (b"a\n", None)


def test_an_empty_object_is_a_fault() -> None:
    assert _read(b"") == (b"", ObjectFault("empty_object", "0 bytes", b"", 0))


def test_an_object_that_is_not_gzip_keeps_what_it_holds() -> None:
    lines, fault = _read(b'{"ts":1}\n{"ts":2}\n')
    assert lines == b""
    assert fault is not None
    assert (fault.name, fault.rest) == ("not_gzip", b'{"ts":1}\n{"ts":2}\n')
    assert "ts" in fault.detail


def test_junk_after_the_stream_is_a_fault_after_all_lines() -> None:
    lines, fault = _read(gzip.compress(SOME_LINES) + b"junk")
    assert lines == SOME_LINES
    assert fault is not None
    assert fault.name == "corrupt_gzip"
    assert "4 bytes after" in fault.detail


@pytest.mark.parametrize("kept", [2, 9, 10, 11, 500, 30_000, -9, -8, -1])
def test_a_truncated_object_gives_every_line_before_the_cut(kept: int) -> None:
    content = gzip.compress(SOME_LINES)[:kept]
    lines, fault = _read(content)
    readable = zlib.decompressobj(wbits=31).decompress(content)
    assert fault is not None
    assert fault.name == "truncated_gzip"
    assert str(len(content)) in fault.detail
    assert lines + fault.rest == readable
    assert lines == readable[: readable.rfind(b"\n") + 1]


def test_a_damaged_object_gives_every_line_before_the_damage() -> None:
    content = bytearray(gzip.compress(SOME_LINES))
    content[len(content) // 2] ^= 0xFF
    lines, fault = _read(bytes(content))
    assert fault is not None
    assert fault.name == "corrupt_gzip"
    assert SOME_LINES.startswith(lines[: len(SOME_LINES) // 3])
    assert len(lines) > len(SOME_LINES) // 3


def test_a_wrong_checksum_is_a_fault_after_all_lines() -> None:
    content = bytearray(gzip.compress(SOME_LINES))
    content[-8] ^= 0xFF
    lines, fault = _read(bytes(content))
    assert lines == SOME_LINES
    assert fault is not None
    assert fault.name == "corrupt_gzip"
