"""Formats of files by their content: what is read gives its lines, what is not is refused by its name with the way out."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from music_platform.landing import formats
from music_platform.landing.event_files import EventFile, LandingInputError, blocks, opened
from music_platform.landing.examination import examined

RECORDS = [
    {"ts": 1_793_577_720_000 + number, "song": f"Sigur Rós {number}, [x]", "level": "free"} for number in range(4)
]
LINES = b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in RECORDS)
TABLE = pa.Table.from_pylist(RECORDS)


def zstandard(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def content_of(folder: Path, content: bytes, name: str = "listen_events.jsonl") -> bytes:
    """What a file gives as UTF-8, after it was looked at as the command does."""
    (folder / name).write_bytes(content)
    with examined([EventFile(folder / name, "listen_events")]) as [file], opened(file) as (stream, position):
        found = b"".join(blocks(stream, file, 100))
        assert position() == len(content)
        return found


def refusal_of(folder: Path, content: bytes, name: str = "listen_events.jsonl") -> str:
    with pytest.raises(LandingInputError) as caught:
        content_of(folder, content, name)
    return str(caught.value)


def archive_of(content: bytes, mode: str = "w", kind: int = tarfile.PAX_FORMAT) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode=mode, format=kind) as tar:  # type: ignore[call-overload]
        member = tarfile.TarInfo("listen_events.jsonl")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def zip_of(content: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("listen_events.jsonl", content)
    return archive.getvalue()


def sqlite_of(folder: Path) -> bytes:
    with sqlite3.connect(folder / "events.db") as database:
        database.execute("CREATE TABLE events (ts INTEGER)")
    return (folder / "events.db").read_bytes()


def written_by(write: Callable[[pa.Table, io.BytesIO], object]) -> bytes:
    sink = io.BytesIO()
    write(TABLE, sink)
    return sink.getvalue()


def arrow_stream(table: pa.Table, sink: io.BytesIO) -> None:
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


COMPRESSORS = [gzip.compress, lzma.compress, bz2.compress, zstandard]


@pytest.mark.parametrize("compress", COMPRESSORS, ids=["gzip", "xz", "bzip2", "zstd"])
@pytest.mark.parametrize("parts", [1, 3])
def test_compressed_lines_are_read_whatever_the_name(
    tmp_path: Path, compress: Callable[[bytes], bytes], parts: int
) -> None:
    assert content_of(tmp_path, compress(LINES) * parts) == LINES * parts
    assert content_of(tmp_path, compress(b"")) == b""


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("compress", [bytes, *COMPRESSORS])
def test_encodings_with_a_mark_are_read(tmp_path: Path, encoding: str, compress: Callable[[bytes], bytes]) -> None:
    text = LINES.decode()
    marked = text if encoding in ("utf-8-sig", "utf-16", "utf-32") else "\ufeff" + text
    content = content_of(tmp_path, compress(marked.replace("\n", "\r\n").encode(encoding)))
    assert content.decode("utf-8-sig").replace("\r\n", "\n") == text


def test_characters_that_are_none_are_the_fault_of_their_line(tmp_path: Path) -> None:
    content = "\ufeff".encode("utf-16-le") + LINES.decode().encode("utf-16-le") + b"\x00\xd8" + "\n".encode("utf-16-le")
    assert content_of(tmp_path, content) == "\ufeff".encode() + LINES + b"\xed\xa0\x80\n"


def test_a_file_that_ends_within_its_first_bytes_is_refused_before_anything_lands(tmp_path: Path) -> None:
    for content in (*(compress(LINES)[:-12] for compress in COMPRESSORS), LINES.decode().encode("utf-16")[:-1]):
        assert "cannot read" in refusal_of(tmp_path, content)
    for compress in COMPRESSORS:
        assert "cannot read" in refusal_of(tmp_path, compress(LINES) + b"junk of any kind")
    assert content_of(tmp_path, lzma.compress(LINES) + bytes(8) + lzma.compress(LINES) + bytes(4)) == LINES * 2


PRETTY = json.dumps(RECORDS[0], indent=2).encode()
FOREIGN = {
    "zip": (zip_of(LINES), "a ZIP archive", "unzip -p"),
    "tar": (archive_of(LINES), "a tar archive", "tar -xOf"),
    "tar.gz": (archive_of(LINES, "w:gz"), "a tar archive, compressed with gzip", "tar -xOf"),
    "tar.xz": (archive_of(LINES, "w:xz"), "a tar archive, compressed with xz", "tar -xOf"),
    "tar.bz2": (archive_of(LINES, "w:bz2"), "a tar archive, compressed with bzip2", "tar -xOf"),
    "tar.zst": (zstandard(archive_of(LINES)), "a tar archive, compressed with Zstandard", "tar -xOf"),
    "tar of GNU": (archive_of(LINES, kind=tarfile.GNU_FORMAT), "a tar archive", "tar -xOf"),
    "tar of old": (archive_of(LINES)[:257].ljust(512, b"\0"), None, None),
    "gzip in gzip": (gzip.compress(gzip.compress(LINES)), "gzip, compressed with gzip", "gzip -dc"),
    "zip in gzip": (gzip.compress(zip_of(LINES)), "a ZIP archive, compressed with gzip", "gzip -dc"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\x04", "a 7z archive", "7z e -so"),
    "rar": (b"Rar!\x1a\x07\x01\0", "a RAR archive", "unrar"),
    "lz4": (b"\x04\x22\x4d\x18\x64\x40", "LZ4", "lz4 -dc"),
    "snappy": (b"\xff\x06\x00\x00sNaPpY\x01", "Snappy", "snzip -dc"),
    "lzma": (lzma.compress(LINES, format=lzma.FORMAT_ALONE), "LZMA", "xz --format=lzma"),
    "UTF-16 without mark": (LINES.decode().encode("utf-16-le"), "UTF-16LE without a byte order mark", "iconv -f UTF-16LE"),
    "UTF-16BE without mark": (LINES.decode().encode("utf-16-be"), "UTF-16BE without a byte order mark", "iconv"),
    "UTF-32 without mark": (LINES.decode().encode("utf-32-le"), "UTF-32LE without a byte order mark", "iconv"),
    "UTF-32BE without mark": (LINES.decode().encode("utf-32-be"), "UTF-32BE without a byte order mark", "iconv"),
    "UTF-16 in gzip": (gzip.compress(LINES.decode().encode("utf-16-le")), "UTF-16LE without", "gzip -dc"),
    "Parquet": (written_by(pyarrow.parquet.write_table), "Parquet", "duckdb"),
    "Feather": (written_by(pyarrow.feather.write_feather), "Arrow", None),
    "Arrow stream": (written_by(arrow_stream), "Arrow", None),
    "ORC": (written_by(pyarrow.orc.write_table), "ORC", None),
    "Avro": (b"Obj\x01\x04\x14avro.codec", "Avro", None),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF", None),
    "CSV": (written_by(pyarrow.csv.write_csv), "CSV", None),
    "CSV in gzip": (gzip.compress(written_by(pyarrow.csv.write_csv)), "CSV, compressed with gzip", None),
    "TSV": (b"a\tb\n1\t2\n", "TSV", None),
    "semicolons": (b"\xef\xbb\xbfts;song\r\n", "CSV", None),
    "XML": (b'<?xml version="1.0"?>\n<events/>\n', "XML or HTML", None),
    "HTML": (b"<!DOCTYPE html><html><body>503 Service Unavailable</body></html>", "XML or HTML", None),
    "array of lines": (b"[\n" + b",\n".join(LINES.splitlines()) + b"\n]\n", "one JSON array", "jq -c '.[]'"),
    "array, cut": (b"[\n" + b",\n".join(LINES.splitlines()), "one JSON array", "jq -c '.[]'"),
    "array, broken": (b"[\n" + b",\n".join([*LINES.splitlines(), b'{"ts":'] * 2) + b"\n]", "one JSON array", "jq"),
    "array as Postgres writes": (b"[" + b", \n ".join(LINES.splitlines()) + b"]\n", "one JSON array", "jq -c '.[]'"),
    "array, comma first": (b"[\n" + b"\n,".join(LINES.splitlines()) + b"\n]\n", "one JSON array", "jq -c '.[]'"),
    "long array, comma first": (b"[\n" + b"\n,".join(LINES.splitlines() * 400) + b"\n]\n", "one JSON array", "jq -c '.[]'"),
    "array after a line": (b"// export\n[\n" + b",\n".join(LINES.splitlines()) + b"\n]\n", "JSON objects separated", None),
    "two arrays": (b"[\n" + b",\n".join(LINES.splitlines()) + b"\n]\n[\n" + b",\n".join(LINES.splitlines()) + b"\n]\n",
                   "one JSON array", "jq -c '.[]'"),
    "objects and commas": (b",\n".join(LINES.splitlines() * 400), "JSON objects separated by commas", None),
    "array, pretty": (json.dumps(RECORDS, indent=4).encode(), "one JSON array", "jq -c '.[]'"),
    "array, pretty, CRLF, mark": (
        b"\xef\xbb\xbf" + json.dumps(RECORDS, indent=1).replace("\n", "\r\n").encode(), "one JSON array", "jq -c '.[]'",
    ),
    "array in gzip": (gzip.compress(b"[\n" + b",\n".join(LINES.splitlines()) + b"]"), "one JSON array", "gzip -dc"),
    "pretty": (PRETTY, "a JSON document over several lines", "jq -c ."),
    "pretty documents": (PRETTY + b"\n" + PRETTY, "a JSON document over several lines", "jq -c ."),
    "pretty, cut": (PRETTY[:-30], "a JSON document over several lines", "jq -c ."),
    "document of lines": (b'{"events": [\n' + b",\n".join(LINES.splitlines()) + b"\n]}", "a JSON document", "jq -c ."),
}  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in FOREIGN if kind != "tar of old"])
def test_a_format_that_is_not_read_is_named_with_the_way_out(tmp_path: Path, kind: str) -> None:
    content, name, command = FOREIGN[kind]
    message = refusal_of(tmp_path, content)
    assert f"{tmp_path}/listen_events.jsonl is {name}" in message
    assert "nothing of it was landed" in message
    if command is None:
        assert "Write its events as lines, one JSON object each" in message
    else:
        assert f"Convert it: {command}" in message
        assert message.endswith("| ./run music-platform land --event-type listen_events -")


def test_sqlite_and_a_tar_of_any_age_are_known(tmp_path: Path) -> None:
    assert "is SQLite" in refusal_of(tmp_path, sqlite_of(tmp_path))
    old = bytearray(archive_of(LINES, kind=tarfile.USTAR_FORMAT))
    old[257:265] = bytes(8)  # before POSIX there was no magic
    old[148:156] = b" " * 8
    old[148:156] = b"%06o\0 " % sum(old[:512])
    assert "is a tar archive" in refusal_of(tmp_path, bytes(old))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n \r\n\xef\xbb\xbf\n",
        LINES,
        b"[" + b",".join(LINES.splitlines()) + b"]\n" + LINES,
        b"[" + b",".join(LINES.splitlines()) + b"]",
        *(first + b"\n" + LINES for first in (
            b"garbage", b'{"ts":', b"[", b'{"a":"unterminated', b"[{", b"<html>", b"<?xml?>", b"ts,song", b"a\tb", b"ORC",
            b"PAR1", b'{"a":1} trailing', b'{"a":1}{"b":2}', b"[1,2", b'{"events": [', b"]", b"null", b"\xff\xfe\xfd",
            b"\0\0\0\0", b"BZh9 is no magic", b"{'ts': 1}", b'"text"', b"#fields,a,b", LINES[:40], b'{"ts":1}', b"[]", b"{}",
            b"x" * 300_000,
        )),
        b'{"ts":\n' + LINES.splitlines()[0],
        b"ts,song\n1,2\n" + LINES,
    ],
)  # fmt: skip
def test_a_file_of_lines_is_read_even_if_its_first_line_is_broken(tmp_path: Path, content: bytes) -> None:
    assert content_of(tmp_path, content) == content + b"\n" * (bool(content) and not content.endswith(b"\n"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not JSON at all\n", "json_object (Expecting value"),
        (b'\n{"ts":1793577720}\n{"ts":1793577721}\n', "ts_epoch_milliseconds (ts: 1793577720)"),
        (b'{"events":[{"ts":1793577720000}]}', "ts_epoch_milliseconds (no ts)"),
        (bytes(range(256)) * 4, "json_object"),
    ],
)
def test_a_short_file_without_event_is_refused_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    message = refusal_of(tmp_path, content)
    assert "listen_events.jsonl holds no event; nothing was landed" in message
    assert reason in message


def test_a_long_file_without_event_in_its_beginning_is_refused(tmp_path: Path) -> None:
    for content in (
        LINES.decode().replace("Debaser", "Débaser").encode("utf-16-le") * 2000,
        b",ts,song\n" + b"0,1793577720000,Debaser\n" * 20_000,
        b"no event\n" * 60_000 + LINES,
    ):
        message = refusal_of(tmp_path, content)
        assert (
            "nothing of it was landed" in message or "holds no event in its first 256 KB; nothing was landed" in message
        )


def test_a_file_name_is_no_part_of_the_command(tmp_path: Path) -> None:
    message = refusal_of(tmp_path, zip_of(LINES), "$(touch pwned).csv\nerror: x")
    assert message.endswith("Convert it: unzip -p FILE | ./run music-platform land --event-type listen_events -")
    assert "\n" not in message


@given(content=st.binary(max_size=200) | st.text('[]{}",:\\\n t1', max_size=60).map(str.encode))
@settings(deadline=None)
def test_arbitrary_content_is_read_or_refused(content: bytes) -> None:
    try:
        stream = formats.decoded(io.BytesIO(content), "a file", "listen_events")
        stream.read(-1)
    except (LandingInputError, OSError, EOFError, lzma.LZMAError, UnicodeDecodeError, pa.ArrowException):
        pass


@given(lines=st.lists(st.sampled_from([b"garbage", b"[", b"{", b"]", b"", b'{"a":', b"a,b"]), max_size=6))
@settings(deadline=None)
def test_events_at_the_end_make_a_file_of_lines_whatever_stands_before(lines: list[bytes]) -> None:
    content = b"\n".join([*lines, LINES])
    assert formats.decoded(io.BytesIO(content), "a file", "listen_events").read(-1) == content
