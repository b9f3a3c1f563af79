"""The tolerant reader: every line that can be had of a landed object comes through, and what is wrong becomes a row.

What a line means is tested with the transforms.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from music_platform.errors import LandedObjectGoneError
from music_platform.lake.landing_layout import landed_key
from music_platform.lake.object_store import ObjectStore
from music_platform.landing import gzip_lines, reader
from music_platform.landing.byte_order_marks import without_marks
from music_platform.landing.gzip_lines import count_lines
from music_platform.landing.reader import LINES_SCHEMA, LandedObject, assign_to_tasks, decode_objects
from music_platform.settings import Settings

HOUR = datetime(2026, 11, 1, 5, tzinfo=UTC)
SOME_LINES = b"".join(b'{"ts":%d,"city":"place %d"}\n' % (number, number * 7919) for number in range(20_000))


def _rows(*contents: bytes) -> list[dict[str, Any]]:
    """The rows that objects of one hour become."""
    store = _Objects({f"object-{number}": content for number, content in enumerate(contents)})
    landed = [LandedObject(key, len(content), HOUR) for key, content in store.contents.items()]
    return [row for batch in decode_objects(store, landed) for row in batch.to_pylist()]


class _Objects(ObjectStore):
    """A store that holds its objects in memory."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        super().__init__("memory")
        object.__setattr__(self, "contents", contents)

    contents: dict[str, bytes]

    def get(self, key: str) -> bytes | None:
        return self.contents.get(key)


def test_what_is_kept_of_an_object_that_is_not_gzip_is_reported() -> None:
    [row] = _rows(b"not gzip, " * 45_000)
    assert row["line"] == (b"not gzip, " * 45_000)[:65_536] + b"\n"
    assert row["_fault_detail"].endswith("; the first 65536 of 450000 bytes are kept")
    [whole] = _rows(b"not gzip")
    assert "kept" not in whole["_fault_detail"]


def test_blank_lines_are_no_rows_but_count_in_line_numbers() -> None:
    rows = _rows(gzip.compress(b"\n  \na\n\r\n\t\n\x0b\nb\n\x0c\n"))
    assert [(row["line"], row["_line_number"]) for row in rows] == [(b"a\n", 3), (b"b\n", 7)]


def test_byte_order_marks_before_lines_go_and_one_alone_is_a_blank_line() -> None:
    mark = b"\xef\xbb\xbf"
    content = gzip.compress(mark + b"a\n" + mark + b"\n" + mark + mark + b"b" + mark + b"\n") + gzip.compress(
        mark + b"c\r\n \n\xef"
    )
    rows = _rows(content)
    assert [(row["line"], row["_line_number"]) for row in rows] == [
        (b"a\n", 1), (b"b" + mark + b"\n", 3), (b"c\r\n", 4), (b"\xef\n", 6),
    ]  # fmt: skip
    assert count_lines(content) == len(rows)


def test_what_str_takes_for_a_line_break_splits_nothing() -> None:
    line = '{"song":"a\u0085b\u2028c\u2029d\x1ee"}\r\n'.encode()
    assert [row["line"] for row in _rows(gzip.compress(line))] == [line]


def test_a_fault_stands_after_the_lines_of_its_object_with_what_is_left() -> None:
    content = gzip.compress(b"a\nb\n" + SOME_LINES)
    rows = _rows(content[:40], gzip.compress(b"c\n"))
    faults = [row for row in rows if row["_fault"] is not None]
    assert [(row["_object"], row["_fault"]) for row in faults] == [("object-0", "truncated_gzip")]
    assert faults[0]["_line_number"] == len([row for row in rows if row["_object"] == "object-0"])
    assert rows[-1]["line"] == b"c\n"
    assert rows[-1]["_object"] == "object-1"
    assert {row["landed_hour"] for row in rows} == {HOUR}


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A longest line of 100 bytes, of which 30 are kept, and steps of a few bytes."""
    _set_short_limits(monkeypatch)


def _set_short_limits(patch: pytest.MonkeyPatch, step: int = 7) -> None:
    patch.setattr(gzip_lines, "LONGEST_LINE_BYTES", 100)
    patch.setattr(gzip_lines, "_KEPT_OF_A_LONG_LINE_BYTES", 30)
    patch.setattr(gzip_lines, "_KEPT_OF_A_FAULT_BYTES", 20)
    patch.setattr(gzip_lines, "_DECOMPRESSED_STEP_BYTES", step)


def test_a_line_that_is_too_long_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gzip_lines, "LONGEST_LINE_BYTES", 100)
    rows = _rows(gzip.compress(b"a\n" + b"x" * 200 + b"\nb\n"))
    assert [row["_fault"] for row in rows] == [None, "line_too_long", None]
    assert "201 bytes" in rows[1]["_fault_detail"]


def test_lines_around_one_that_is_too_long_come_through(short_limits: None) -> None:
    longest = b"y" * 99 + b"\n"
    content = gzip.compress(b"a\n" + longest + b"x" * 5000 + b"\n" + longest + b"b\n" + b"z" * 100)
    rows = _rows(content)
    assert [(row["line"], row["_line_number"]) for row in rows] == [
        (b"a\n", 1), (longest, 2), (b"x" * 30 + b"\n", 3), (longest, 4), (b"b\n", 5), (b"z" * 30 + b"\n", 6),
    ]  # fmt: skip
    assert [row["_fault"] for row in rows] == [None, None, "line_too_long", None, None, "line_too_long"]
    assert rows[2]["_fault_detail"] == "5001 bytes; the first 30 of 5001 bytes are kept"
    assert rows[5]["_fault_detail"] == "101 bytes; the first 30 of 101 bytes are kept"
    assert count_lines(content) == 6


def test_damage_within_a_line_that_is_too_long_is_one_fault(short_limits: None) -> None:
    whole = zlib.compress(b"a\n" + b"x" * 5000 + b"\nb\n", level=0, wbits=31)  # stored, so that each byte is readable
    rows = _rows(whole[:3000])
    assert [(row["line"], row["_fault"]) for row in rows] == [(b"a\n", None), (b"x" * 20 + b"\n", "truncated_gzip")]
    readable = len(zlib.decompressobj(wbits=31).decompress(whole[:3000]))
    assert rows[1]["_fault_detail"].endswith(f"; the first 20 of {readable - 2} bytes are kept")
    assert count_lines(whole[:3000]) == 2


@given(
    lengths=st.lists(st.integers(0, 30) | st.integers(90, 110) | st.integers(150, 500), max_size=8),
    members=st.integers(1, 3),
    level=st.integers(0, 9),
    step=st.integers(1, 300),
)
@settings(deadline=None)
def test_every_line_is_a_row_or_a_fault_whatever_its_length(
    lengths: list[int], members: int, level: int, step: int
) -> None:
    lines = [bytes([ord("a") + number]) * length + b"\n" for number, length in enumerate(lengths)]
    whole = b"".join(lines)
    cuts = [len(whole) * part // members for part in range(members + 1)]
    content = b"".join(gzip.compress(whole[begin:end], level) for begin, end in pairwise(cuts))
    with pytest.MonkeyPatch.context() as patch:
        _set_short_limits(patch, step)
        rows = _rows(content)
        assert count_lines(content) == len(rows)
    assert [(row["line"], row["_fault"], row["_line_number"]) for row in rows] == [
        (line, None, number) if len(line) <= 100 else (line[:30] + b"\n", "line_too_long", number)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


@pytest.mark.parametrize(
    ("unit", "units", "is_damaged", "rows", "most_megabytes"),
    [
        pytest.param(b"x" * 2**20, 300, False, 3, 100, id="one line"),
        pytest.param(b"x" * 2**20, 300, True, 4, 100, id="one line, damaged at the end"),
        pytest.param(b"x" * (15 * 2**20) + b"\n", 10, False, 12, 150, id="lines just within the limit"),
        pytest.param(b"a\n" * 2**19, 40, False, 40 * 2**19 + 2, 250, id="lines of one character"),
    ],
)
def test_a_small_object_never_takes_much_memory(
    tmp_path: Path, unit: bytes, units: int, is_damaged: bool, rows: int, most_megabytes: int
) -> None:
    """The growth of resident memory in a process of its own, for less than a megabyte that decompresses to hundreds."""
    compressor = zlib.compressobj(9, wbits=31)
    parts = [b"good\n", *[unit] * units, b"\ngood\n"]
    content = bytearray(b"".join([*map(compressor.compress, parts), compressor.flush()]))
    assert len(content) < 2**20
    content[-8] ^= 0xFF * is_damaged  # of the checksum
    path = tmp_path / "object"
    path.write_bytes(content)
    code = (
        "import resource, sys\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from music_platform.landing.reader import LandedObject, decode_objects\n"
        "from music_platform.landing.gzip_lines import count_lines\n"
        "from music_platform.lake.object_store import ObjectStore\n"
        "objects = [LandedObject('object', 1, datetime(2026, 11, 1, tzinfo=UTC))]\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "rows = sum(batch.num_rows for batch in decode_objects(ObjectStore(sys.argv[1]), objects))\n"
        "counted = count_lines((Path(sys.argv[1]) / 'object').read_bytes())\n"
        "print(rows, counted, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    found, counted, grown = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert found == counted == rows
    assert grown < most_megabytes, f"grew by {grown} MB"


def test_a_landed_object_that_is_gone_is_named() -> None:
    with pytest.raises(LandedObjectGoneError, match="'gone'"):
        list(decode_objects(_Objects({}), [LandedObject("gone", 1, HOUR)]))


def test_batches_have_the_schema_and_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_BATCH_BYTES", 10_000)
    monkeypatch.setattr(gzip_lines, "_COMPRESSED_STEP_BYTES", 1000)
    store = _Objects({"o": gzip.compress(SOME_LINES)})
    batches = list(decode_objects(store, [LandedObject("o", 1, HOUR)]))
    assert len(batches) > 5
    for batch in batches:
        batch.validate(full=True)
        assert batch.schema.equals(LINES_SCHEMA)
    numbers = [number for batch in batches for number in batch.column("_line_number").to_pylist()]
    assert numbers == list(range(1, 20_001))


def test_objects_come_from_the_lake(local_settings: Callable[[], Settings]) -> None:
    settings = local_settings()
    store = ObjectStore.from_settings(settings)
    key = landed_key("auth_events", HOUR, "0" * 32)
    store.put(key, gzip.compress(b"a\n"))
    [batch] = decode_objects(store, [LandedObject(key, 1, HOUR)])
    assert batch.column("_object").to_pylist() == [key]


pieces_of_lines = st.lists(
    st.one_of(
        st.sampled_from(
            [b"", b" ", b"\r", b"\t", b"\x0b", b"\x0c", b"\xc2\x85", b"\x1c", b"\xef\xbb\xbf", b"{}", b'{"a":1}']
        ),
        st.binary(max_size=12),
    ),
    max_size=12,
).map(b"\n".join)


@given(content=pieces_of_lines, at_end=st.sampled_from([b"", b"\n", b"\n\n"]))
@settings(deadline=None)
def test_rows_equal_counted_lines_of_good_objects(content: bytes, at_end: bytes) -> None:
    compressed = gzip.compress(content + at_end)
    rows = _rows(compressed)
    assert len(rows) == count_lines(compressed)
    lines = [without_marks(line) for line in (content + at_end).split(b"\n")]
    wanted = [line + b"\n" for line in lines if line.strip()]
    assert [row["line"] for row in rows] == wanted


@given(
    members=st.lists(pieces_of_lines, min_size=1, max_size=3),
    cut=st.integers(0, 200),
    flip=st.none() | st.integers(0, 200),
    tail=st.binary(max_size=6),
)
@settings(deadline=None)
def test_rows_equal_counted_lines_of_damaged_objects(
    members: list[bytes], cut: int, flip: int | None, tail: bytes
) -> None:
    content = bytearray(b"".join(map(gzip.compress, members)) + tail)
    if flip is not None and flip < len(content):
        content[flip] ^= 0x55
    content = bytes(content[: max(len(content) - cut, 0)])
    assert len(_rows(content)) == count_lines(content)


@given(content=st.binary(max_size=300), is_gzip_by_name=st.booleans())
@settings(deadline=None)
def test_arbitrary_bytes_never_raise(content: bytes, is_gzip_by_name: bool) -> None:
    content = b"\x1f\x8b" * is_gzip_by_name + content
    assert len(_rows(content)) == count_lines(content)
    assert len(_rows(content)) >= 1


def test_hours_stay_whole_and_tasks_are_balanced() -> None:
    objects = [
        LandedObject(f"{hour:02}-{part}", 10 + hour, HOUR + timedelta(hours=hour))
        for hour in range(24)
        for part in (2, 1, 3)
    ]
    tasks = assign_to_tasks(objects, 4)
    assert sorted(landed.key for task in tasks for landed in task) == sorted(landed.key for landed in objects)
    task_of_hour: dict[datetime, set[int]] = {}
    for number, task in enumerate(tasks):
        assert [landed.key for landed in task] == sorted(landed.key for landed in task)
        for landed in task:
            task_of_hour.setdefault(landed.hour, set()).add(number)
    assert all(len(numbers) == 1 for numbers in task_of_hour.values())
    sizes = [sum(landed.size for landed in task) for task in tasks]
    assert max(sizes) - min(sizes) <= 3 * 33


def test_no_task_is_empty() -> None:
    assert assign_to_tasks([], 4) == []
    assert len(assign_to_tasks([LandedObject("a", 1, HOUR), LandedObject("b", 1, HOUR)], 8)) == 1
