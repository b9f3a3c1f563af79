"""Landing files into a local folder and an S3 server: what real Fluentd lands, idempotence, bounded memory, the command."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from music_platform.cli.land import land
from music_platform.landing import writer
from music_platform.landing.event_files import EventFile, LandingInputError, blocks, event_files, left_out_of_folders
from music_platform.landing.layout import ERRORS_PREFIX, LANDING_PREFIX, parse_key
from music_platform.landing.writer import LandingSummary, land_files
from music_platform.resources.object_store import ObjectStore
from music_platform.settings import Settings, current_settings

_TS = 1_793_491_200_000  # 2026-11-01T00:00Z
_HOUR_MS = 3_600_000
_ERROR_KEY = re.compile(r"errors/dt=\d{4}-\d\d-\d\d/\d{10}_[0-9a-f]{32}\.json\.gz")
_Hours = dict[tuple[str, datetime], list[bytes]]

# What Fluentd rewrites because its JSON is unusual and our landing leaves byte for byte: sent line -> Fluentd's line.
_REWRITTEN_BY_FLUENTD = {
    b'{"ts":1793491201000,"page":"esc ctl \\n\\t\\u0001 \\u2028"}':
        '{"ts":1793491201000,"page":"esc ctl \\n\\t\\u0001 \u2028"}'.encode(),
    b'{"ts":1793491201000,"page":"dup","page":"dup2"}': b'{"ts":1793491201000,"page":"dup2"}',
    b'{"ts":1793491201000, "page" : "spaces",  "f":1e-7,"g":1.0,"h":100000000000000000000,"i":-0.0,"j":1.5e300,"k":0.1}':
        b'{"ts":1793491201000,"page":"spaces","f":1.0e-07,"g":1.0,"h":100000000000000000000,"i":-0.0,"j":1.5e+300,"k":0.1}',
    b'{"ts":1793491201000,"song":"esc \\u00e9 \\u2603 a\\/b <b>","page":"Home"}':
        '{"ts":1793491201000,"song":"esc é ☃ a/b <b>","page":"Home"}'.encode(),
}  # fmt: skip


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    return ObjectStore.from_settings(settings)


@pytest.fixture
def local_store(local_settings: Callable[..., Settings]) -> ObjectStore:
    return ObjectStore.from_settings(local_settings())


def _objects(store: ObjectStore, prefix: str = "") -> dict[str, bytes]:
    found = {stored.key: store.get(stored.key) for stored in store.list(prefix)}
    return {key: content for key, content in sorted(found.items()) if content is not None}


def _landed(store: ObjectStore) -> _Hours:
    hours: _Hours = defaultdict(list)
    for key, content in _objects(store, LANDING_PREFIX).items():
        place = parse_key(key)
        assert place is not None, key
        text = gzip.decompress(content)
        assert text.endswith(b"\n")
        hours[place] += text[:-1].split(b"\n")
    return dict(hours)


def _errors(store: ObjectStore) -> list[bytes]:
    records = []
    for key, content in _objects(store, ERRORS_PREFIX).items():
        assert _ERROR_KEY.fullmatch(key), key
        records += gzip.decompress(content)[:-1].split(b"\n")
    return records


def _line(ts: int, number: int = 0, filler: int = 0) -> bytes:
    return b'{"ts":%d,"n":%d,"filler":"%b"}\n' % (ts, number, b"x" * filler)


def _hour(hours: int) -> tuple[str, datetime]:
    return "listen_events", datetime.fromtimestamp(_TS // 1000 + hours * 3600, UTC)


def _file(folder: Path, content: bytes, name: str = "listen_events") -> list[EventFile]:
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (1_800_000_000.25, 1_800_000_000.25))
    return event_files([path])


def test_the_same_lines_lie_where_fluentd_put_them(shared_folder: Path, store: ObjectStore, tmp_path: Path) -> None:
    theirs: dict[tuple[str, datetime], Counter[bytes]] = defaultdict(Counter)
    their_errors: list[bytes] = []
    with tarfile.open(shared_folder / "fluentd" / "objects.tar.xz") as archive:
        for member in archive:
            extracted = archive.extractfile(member)
            if extracted is None:
                continue
            key = member.name.removeprefix("./")
            lines = gzip.decompress(extracted.read())[:-1].split(b"\n")
            place = parse_key(key)
            if place is not None:
                theirs[place].update(lines)
            else:
                assert _ERROR_KEY.fullmatch(key), key
                their_errors += lines
    assert {event_type for event_type, _ in theirs} == {"auth_events", "listen_events", "page_view_events"}
    sent = lzma.decompress((shared_folder / "fluentd" / "sent_page_view_events.jsonl.xz").read_bytes())
    summary = land_files(store, _file(tmp_path, sent, "page_view_events"))

    expected = {place: lines for place, lines in theirs.items() if place[0] == "page_view_events"}
    assert {
        place: Counter(_REWRITTEN_BY_FLUENTD.get(line, line) for line in lines)
        for place, lines in _landed(store).items()
    } == expected
    assert summary.lines == sent.count(b"\n")
    assert summary.error_records == len(their_errors) == 17

    def comparable(record: bytes) -> dict[str, Any]:
        parsed = json.loads(record.decode("utf-8", "surrogateescape"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", parsed.pop("__time"))
        return parsed

    def in_order(records: list[bytes]) -> list[str]:
        return sorted(json.dumps(comparable(record), sort_keys=True) for record in records)

    assert in_order(_errors(store)) == in_order(their_errors)


def test_the_other_types_lie_where_fluentd_put_them(
    shared_folder: Path, local_store: ObjectStore, tmp_path: Path
) -> None:
    """Their input is not at hand, so what Fluentd wrote is landed once more: each line must go back to its hour."""
    theirs: _Hours = defaultdict(list)
    with tarfile.open(shared_folder / "fluentd" / "objects.tar.xz") as archive:
        for member in archive:
            place = parse_key(member.name.removeprefix("./"))
            extracted = archive.extractfile(member)
            if place is not None and extracted is not None:
                theirs[place] += gzip.decompress(extracted.read())[:-1].split(b"\n")
    for event_type in ("auth_events", "listen_events"):
        lines = [line for place, of_hour in theirs.items() if place[0] == event_type for line in of_hour]
        assert land_files(local_store, _file(tmp_path, b"\n".join(lines) + b"\n", event_type)).error_records == 0
    ours = _landed(local_store)
    assert {place: Counter(lines) for place, lines in ours.items()} == {
        place: Counter(lines) for place, lines in theirs.items() if place[0] != "page_view_events"
    }


def test_twice_changes_nothing(store: ObjectStore, tmp_path: Path) -> None:
    content = b"".join(_line(_TS + number * 60_000, number) for number in range(300)) + b"no event\n" + _line(_TS, 1000)
    files = _file(tmp_path, content)
    first = land_files(store, files)
    assert first == LandingSummary(
        files=1, lines=302, error_records=1, objects_written=6, bytes_read=len(content), bytes_written=first.bytes_written,
        first_hour=_hour(0)[1], last_hour=_hour(4)[1],
    )  # fmt: skip
    before = _objects(store)
    assert sum(map(len, before.values())) == first.bytes_written
    stamps = {stored.key: stored.last_modified for stored in store.list("")}
    second = land_files(store, files)
    assert (second.objects_written, second.objects_unchanged, second.bytes_written) == (0, 6, 0)
    assert {stored.key: stored.last_modified for stored in store.list("")} == stamps
    assert _objects(store) == before


def test_equal_objects_of_one_file_are_all_kept_and_equal_files_land_once(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHUNK_BYTES", 1)
    monkeypatch.setattr(writer, "BLOCK_BYTES", len(_line(_TS)))
    file = _file(tmp_path, _line(_TS) * 3)
    summary = land_files(store, [*file, *file])
    assert (summary.lines, summary.objects_written, summary.objects_unchanged) == (6, 3, 3)
    assert _landed(store) == {_hour(0): [_line(_TS)[:-1]] * 3}


def test_compression_and_threads_do_not_matter(local_store: ObjectStore, tmp_path: Path) -> None:
    content = b"".join(_line(_TS + number * 60_000, number) for number in range(300)) + b"last line without a line feed"
    land_files(local_store, _file(tmp_path, content), workers=1)
    before = _objects(local_store)
    half = len(content) // 2
    variants = {
        "listen_events.jsonl": content,
        "listen_events.jsonl.gz": gzip.compress(content[:half]) + gzip.compress(content[half:]),
        "listen_events.xz": lzma.compress(content),
        "listen_events.json": gzip.compress(content),  # what the first bytes say counts, not the suffix
    }
    for name, variant in variants.items():
        summary = land_files(local_store, _file(tmp_path, variant, name), workers=4)
        assert (summary.objects_written, summary.objects_unchanged) == (0, 6), name
    assert _objects(local_store) == before


def test_a_late_line_becomes_another_object_of_its_old_hour(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "OPEN_BYTES", 10_000)
    monkeypatch.setattr(writer, "BLOCK_BYTES", 2_000)
    lines = [_line(_TS + hour * _HOUR_MS, number, 100) for hour in range(20) for number in range(10)]
    late = _line(_TS + 5, 77)
    land_files(store, _file(tmp_path, b"".join([*lines, late, *lines[-3:]])))
    landed = _landed(store)
    assert Counter(landed[_hour(0)]) == Counter(line[:-1] for line in [*lines[:10], late])
    in_first_hour = [key for key in _objects(store) if "dt=2026-11-01/hour=00" in key]
    assert len(in_first_hour) == 2


def test_a_large_hour_is_cut_into_objects_at_the_limit(
    local_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHUNK_BYTES", 10_000)
    monkeypatch.setattr(writer, "BLOCK_BYTES", 1_000)
    content = b"".join(_line(_TS, number, 100) for number in range(500))
    land_files(local_store, _file(tmp_path, content))
    sizes = [len(gzip.decompress(stored)) for stored in _objects(local_store).values()]
    assert max(sizes) <= 10_000
    assert len(sizes) <= len(content) / 9_000 + 1
    assert Counter(_landed(local_store)[_hour(0)]) == Counter(content[:-1].split(b"\n"))


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hours=st.lists(st.integers(-3, 3) | st.none(), max_size=60),
    block=st.integers(1, 400),
    chunk=st.integers(1, 400),
    open_bytes=st.integers(0, 800),
)
def test_nothing_is_lost_or_doubled_whatever_the_limits(
    tmp_path_factory: pytest.TempPathFactory, hours: list[int | None], block: int, chunk: int, open_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("limits")
    lines = [b"broken\n" if hour is None else _line(_TS + hour * _HOUR_MS, number) for number, hour in enumerate(hours)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "BLOCK_BYTES", block)
        patch.setattr(writer, "CHUNK_BYTES", chunk)
        patch.setattr(writer, "OPEN_BYTES", open_bytes)
        files = _file(folder, b"".join(lines))
        stores = [ObjectStore(str(folder / name)) for name in ("one", "other")]
        for store, workers in zip(stores, (1, 3), strict=True):
            land_files(store, files, workers=workers)
    assert _objects(stores[0]) == _objects(stores[1])
    expected: dict[tuple[str, datetime], list[bytes]] = defaultdict(list)
    for hour, line in zip(hours, lines, strict=True):
        if hour is not None:
            expected[_hour(hour)].append(line[:-1])
    assert {place: Counter(of_hour) for place, of_hour in _landed(stores[0]).items()} == {
        place: Counter(of_hour) for place, of_hour in expected.items()
    }
    assert len(_errors(stores[0])) == hours.count(None)


class _Dribble(io.RawIOBase):
    """A stream that gives a few bytes a read, as a pipe does."""

    def __init__(self, content: bytes, step: int) -> None:
        self._content, self._step = io.BytesIO(content), step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._content.read(min(self._step, len(buffer)))
        buffer[: len(part)] = part
        return len(part)


@given(content=st.lists(st.sampled_from([b"a", b"bc\n", b"\n", b"\r\n", b"\xc2\x85", b"\xe2\x80\xa8", b"x" * 30])).map(b"".join),
       size=st.integers(1, 50), step=st.integers(1, 50))  # fmt: skip
def test_blocks_are_whole_lines_and_do_not_depend_on_the_reads(content: bytes, size: int, step: int) -> None:
    file = EventFile(None, "listen_events")
    parts = list(blocks(io.BytesIO(content), file, size))
    assert all(part.endswith(b"\n") for part in parts)
    assert b"".join(parts) == content + b"\n" * (not content.endswith(b"\n") and bool(content))
    dribbled: Any = _Dribble(content, step)
    assert list(blocks(dribbled, file, size)) == parts


def test_memory_is_bounded(tmp_path: Path) -> None:
    """The peak of resident memory, measured in a process of its own, stays far below the size of the file."""
    path = tmp_path / "listen_events"
    block = b"".join(_line(_TS + number % 7 * _HOUR_MS, number, 400) for number in range(20_000))
    with path.open("wb") as file:
        for _ in range(90):
            file.write(block)
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from music_platform.landing.event_files import event_files\n"
        "from music_platform.landing.writer import land_files\n"
        "from music_platform.resources.object_store import ObjectStore\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "land_files(ObjectStore(sys.argv[2]), event_files([Path(sys.argv[1])]), workers=2)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "lake")]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert path.stat().st_size > 750_000_000
    assert grown < 500, f"grew by {grown} MB"


def test_a_damaged_file_is_named_and_its_repair_completes_the_landing(local_store: ObjectStore, tmp_path: Path) -> None:
    content = b"".join(_line(_TS + number * 1000, number) for number in range(50_000))
    packed = gzip.compress(content)
    with pytest.raises(LandingInputError, match=r"cannot read .*listen_events\.gz to its end"):
        land_files(local_store, _file(tmp_path, packed[: len(packed) // 2], "listen_events.gz"))
    land_files(local_store, _file(tmp_path, packed, "listen_events.gz"))
    assert Counter(line for lines in _landed(local_store).values() for line in lines) == Counter(
        content[:-1].split(b"\n")
    )


def test_a_line_without_end_is_refused(local_store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "listen_events"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    with pytest.raises(LandingInputError, match="has a line of more than"):
        land_files(local_store, event_files([path]))


def test_progress_adds_up(local_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "BLOCK_BYTES", 100_000)
    content = b"".join(_line(_TS + number * 1000, number) for number in range(20_000))
    files = _file(tmp_path, lzma.compress(content), "listen_events.xz")
    steps: list[tuple[int, int]] = []
    land_files(local_store, files, lambda more_bytes, more_lines: steps.append((more_bytes, more_lines)))
    assert sum(lines for _, lines in steps) == 20_000
    assert sum(size for size, _ in steps) == (tmp_path / "listen_events.xz").stat().st_size


def test_files_are_found_by_their_names(tmp_path: Path) -> None:
    names = ["auth_events", "listen_events.jsonl", "page_view_events.jsonl.xz", "status_change_events.gz"]
    for name in [*names, "README.md", ".listen_events.partial", "listen_events.pos"]:
        (tmp_path / name).write_bytes(b"")
    assert [(file.path, file.event_type) for file in event_files([tmp_path])] == [
        (tmp_path / name, name.split(".")[0]) for name in names
    ]
    assert event_files([tmp_path / "README.md"], "auth_events") == [EventFile(tmp_path / "README.md", "auth_events")]


def test_what_lies_beside_event_files_is_found(tmp_path: Path) -> None:
    for name in ["auth_events", "listen_events_2026.jsonl", ".listen_events.partial", "README.md"]:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "listen_events").mkdir()
    left_out = [tmp_path / name for name in ("README.md", "listen_events", "listen_events_2026.jsonl")]
    assert left_out_of_folders([tmp_path, tmp_path / "auth_events", Path("-")]) == left_out


def test_a_name_of_another_type_is_refused(tmp_path: Path) -> None:
    for name in ("auth_events.jsonl", "listen_events_2026.jsonl", "listen_events.jsonl"):
        (tmp_path / name).write_bytes(b"")
    message = "'.*listen_events.*' is named after listen_events, and --event-type says auth_events"
    for path in (tmp_path, tmp_path / "listen_events_2026.jsonl", tmp_path / "listen_events.jsonl"):
        with pytest.raises(LandingInputError, match=message):
            event_files([path], "auth_events")
    older = tmp_path / "listen_events_2026.jsonl"
    assert event_files([older], "listen_events") == [EventFile(older, "listen_events")]


# --- the command


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    values = {
        "LAKE": settings.lake,
        "S3_ENDPOINT": settings.s3_endpoint,
        "S3_ACCESS_KEY_ID": settings.s3_access_key_id,
        "S3_SECRET_ACCESS_KEY": settings.s3_secret_access_key.get_secret_value(),
    }
    for name, value in values.items():
        monkeypatch.setenv(f"MUSIC_PLATFORM_{name}", value)
    current_settings.cache_clear()
    app = typer.Typer()
    app.command()(land)
    yield lambda *arguments, stdin=b"": CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    current_settings.cache_clear()


def test_the_command_lands_and_reports(command: Callable[..., Any], store: ObjectStore, tmp_path: Path) -> None:
    _file(tmp_path, _line(_TS) + b"[broken]\n" + _line(_TS + _HOUR_MS), "listen_events.jsonl")
    _file(tmp_path, _line(_TS), "auth_events")
    first = command(tmp_path)
    assert first.exit_code == 0, first.output
    assert "4 lines of 2 files, events of 2026-11-01 00:00 to 2026-11-01 01:00 UTC: 4 objects landed" in first.output
    assert "0 unchanged, 1 error records" in first.output
    assert "1 records are no events and lie in" in first.output
    second = command(tmp_path)
    assert "0 objects landed (0.0 MB), 4 unchanged" in second.output
    assert set(_landed(store)) == {_hour(0), _hour(1), ("auth_events", _hour(0)[1])}


def test_the_command_names_what_it_leaves_out(command: Callable[..., Any], store: ObjectStore, tmp_path: Path) -> None:
    folder = tmp_path / "[bold]"
    folder.mkdir()
    _file(folder, _line(_TS), "auth_events")
    for number in range(12):
        (folder / f"listen_events_{number:02}.jsonl").write_bytes(_line(_TS))
    result = command(folder)
    assert result.exit_code == 0, result.output
    assert f"not named after an event type: '{folder}/listen_events_00.jsonl'" in result.stderr
    assert "_09.jsonl' and 2 more" in result.stderr
    assert set(_landed(store)) == {("auth_events", _hour(0)[1])}
    (folder / "listen_events.jsonl").write_bytes(_line(_TS))
    assert command(folder, "--event-type", "auth_events").exit_code == 1


def test_the_command_reads_standard_input(command: Callable[..., Any], store: ObjectStore) -> None:
    result = command("-", "--event-type", "listen_events", stdin=gzip.compress(_line(_TS)))
    assert result.exit_code == 0, result.output
    assert _landed(store) == {_hour(0): [_line(_TS)[:-1]]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent/listen_events"], "there is no file 'absent/listen_events'"),
        (["events.jsonl"], "the event type of 'events.jsonl' cannot be told by its name; give --event-type"),
        (["-"], "the event type of '-' cannot be told"),
        (["empty"], "the folder 'empty' holds no file named as"),
        (["events.jsonl", "--event-type", "songs"], "there is no event type 'songs'"),
    ],
)
def test_the_command_refuses_what_it_cannot_land(
    command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "events.jsonl").write_bytes(b"")
    result = command(*arguments)
    assert result.exit_code == 1
    assert message in result.output
