"""Landing files into a local folder and an S3 server: what real Fluentd lands, idempotence, limits, bounded memory."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from music_platform.lake.landing_layout import ERRORS_PREFIX, parse_errors_key, parse_key
from music_platform.lake.object_store import ObjectStore
from music_platform.landing import chunks, writer
from music_platform.landing.event_files import LandingInputError, event_files
from music_platform.landing.writer import LandingSummary, land_files
from music_platform.settings import Settings
from music_platform_tests.integration.landed_files import (
    ERROR_KEY,
    FIRST_TS,
    HOUR_MS,
    Hours,
    error_records,
    event_file,
    event_line,
    hour_place,
    landed_lines,
    objects_of,
)
from music_platform_tests.page_logs import DERIVED, LINES, page_log

_NOW = datetime(2026, 11, 28, 10, 20, 30, 123_456, UTC)
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
def local_store(local_settings: Callable[..., Settings]) -> ObjectStore:
    return ObjectStore.from_settings(local_settings())


def test_the_same_lines_lie_where_fluentd_put_them(sample_folder: Path, store: ObjectStore, tmp_path: Path) -> None:
    theirs: dict[tuple[str, datetime], Counter[bytes]] = defaultdict(Counter)
    their_errors: list[bytes] = []
    with tarfile.open(sample_folder / "fluentd" / "objects.tar.xz") as archive:
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
                assert ERROR_KEY.fullmatch(key), key
                their_errors += lines
    assert {event_type for event_type, _ in theirs} == {"auth_events", "listen_events", "page_view_events"}
    sent = lzma.decompress((sample_folder / "fluentd" / "sent_page_view_events.jsonl.xz").read_bytes())
    summary = land_files(store, event_file(tmp_path, sent, "page_view_events"))

    expected = {place: lines for place, lines in theirs.items() if place[0] == "page_view_events"}
    assert {
        place: Counter(_REWRITTEN_BY_FLUENTD.get(line, line) for line in lines)
        for place, lines in landed_lines(store).items()
    } == expected
    blank = sum(
        not line.strip() for line in sent[:-1].split(b"\n")
    )  # error records of the collector, and nothing to us
    their_errors = [
        record for record in their_errors if json.loads(record.decode("utf-8", "replace")).get("message", "x").strip()
    ]
    assert (summary.lines, blank) == (sent.count(b"\n") - blank, 2)
    assert summary.error_records == len(their_errors) == 17 - blank

    def comparable(record: bytes) -> dict[str, Any]:
        parsed = json.loads(record.decode("utf-8", "surrogateescape"))
        # Of our own alone: what Fluentd wrote here is older than the field.
        assert parsed.pop("__reason", None) in (None, "json_object", "ts_epoch_milliseconds")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", parsed.pop("__time"))
        return parsed

    def in_order(records: list[dict[str, Any]]) -> list[str]:
        return sorted(json.dumps(record, sort_keys=True) for record in records)

    ours = [comparable(record) for record in error_records(store)]
    assert in_order(ours) == in_order(_by_element([comparable(record) for record in their_errors]))


def _by_element(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where an array holds what is no record, that Fluentd wrote the whole of it for each; here it is the element alone."""
    told: Counter[str] = Counter()
    found = []
    for record in records:
        message = record.get("message", "")
        array = json.loads(message) if message.startswith("[") and message.endswith("]") else None
        if array:
            element = [element for element in array if not isinstance(element, dict)][told[message]]
            told[message] += 1
            record = record | {"message": json.dumps(element)}
        found.append(record)
    return found


def test_the_other_types_lie_where_fluentd_put_them(
    sample_folder: Path, local_store: ObjectStore, tmp_path: Path
) -> None:
    """Their input is not at hand, so what Fluentd wrote is landed once more: each line must go back to its hour."""
    theirs: Hours = defaultdict(list)
    with tarfile.open(sample_folder / "fluentd" / "objects.tar.xz") as archive:
        for member in archive:
            place = parse_key(member.name.removeprefix("./"))
            extracted = archive.extractfile(member)
            if place is not None and extracted is not None:
                theirs[place] += gzip.decompress(extracted.read())[:-1].split(b"\n")
    for event_type in ("auth_events", "listen_events"):
        lines = [line for place, of_hour in theirs.items() if place[0] == event_type for line in of_hour]
        assert land_files(local_store, event_file(tmp_path, b"\n".join(lines) + b"\n", event_type)).error_records == 0
    ours = landed_lines(local_store)
    assert {place: Counter(lines) for place, lines in ours.items()} == {
        place: Counter(lines) for place, lines in theirs.items() if place[0] != "page_view_events"
    }


def test_twice_changes_nothing(store: ObjectStore, tmp_path: Path) -> None:
    content = (
        b"".join(event_line(FIRST_TS + number * 60_000, number) for number in range(300))
        + b"no event\n"
        + event_line(FIRST_TS, 1000)
    )
    files = event_file(tmp_path, content)
    first = land_files(store, files)
    assert first == LandingSummary(
        files=1, lines=302, error_records=1, objects_written=6, bytes_read=len(content), bytes_written=first.bytes_written,
        first_hour=hour_place(0)[1], last_hour=hour_place(4)[1],
        lines_by_hour={hour_place(hour)[1]: 61 if hour == 0 else 60 for hour in range(5)},
    )  # fmt: skip
    before = objects_of(store)
    assert sum(map(len, before.values())) == first.bytes_written
    stamps = {stored.key: stored.last_modified for stored in store.list("")}
    second = land_files(store, files)
    assert (second.objects_written, second.objects_unchanged, second.bytes_written) == (0, 6, 0)
    assert {stored.key: stored.last_modified for stored in store.list("")} == stamps
    assert objects_of(store) == before


def test_error_records_are_filed_by_the_time_of_collection(store: ObjectStore, tmp_path: Path) -> None:
    """Not by the file's, which may be older than all partitions."""
    files = event_file(tmp_path, event_line(FIRST_TS) + b'no event\n{"ts":1}\n')
    os.utime(files[0].name, (1_714_557_600, 1_714_557_600))  # 2024-05-01
    land_files(store, files, now=_NOW)
    [key] = objects_of(store, ERRORS_PREFIX)
    assert parse_errors_key(key) == _NOW.replace(minute=0, second=0, microsecond=0)
    assert [json.loads(record)["__time"] for record in error_records(store)] == ["2026-11-28T10:20:30.123Z"] * 2


@given(
    st.lists(
        st.sampled_from([b"no event", b'{"ts":"2026"}', b'{"__time":"2026-11-28T10:20:30.123Z"}', b"[1,{}]\r"]),
        max_size=8,
    ),
    st.timedeltas(timedelta(), timedelta(days=40)),
)
@hypothesis_settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_error_records_land_once_however_much_later_they_land_again(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], later: timedelta
) -> None:
    folder = tmp_path_factory.mktemp("landing")
    files = event_file(folder, b"".join(line + b"\n" for line in [b"broken", *lines]))
    store = ObjectStore(str(folder / "lake"))
    first = land_files(store, files, now=_NOW)
    before = objects_of(store)
    again = land_files(store, files, now=_NOW + later)
    assert (again.objects_written, again.objects_unchanged) == (0, first.objects_written)
    assert objects_of(store) == before
    # Another line is another object, in the hour of its own collection.
    land_files(store, event_file(folder, b"broken too\n"), now=_NOW + timedelta(days=2))
    assert len(objects_of(store)) == len(before) + 1


def test_equal_error_records_of_one_file_are_all_kept(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 1)
    monkeypatch.setattr(writer, "BLOCK_BYTES", len(b"broken\n"))
    files = event_file(tmp_path, b"broken\n" * 3)
    assert land_files(store, files, now=_NOW).objects_written == 3
    assert land_files(store, files, now=_NOW + timedelta(hours=48)).objects_unchanged == 3
    assert len(error_records(store)) == 3


def test_equal_objects_of_one_file_are_all_kept_and_equal_files_land_once(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 1)
    monkeypatch.setattr(writer, "BLOCK_BYTES", len(event_line(FIRST_TS)))
    file = event_file(tmp_path, event_line(FIRST_TS) * 3)
    summary = land_files(store, [*file, *file])
    assert (summary.lines, summary.objects_written, summary.objects_unchanged) == (6, 3, 3)
    assert landed_lines(store) == {hour_place(0): [event_line(FIRST_TS)[:-1]] * 3}


def test_compression_and_threads_do_not_matter(local_store: ObjectStore, tmp_path: Path) -> None:
    content = (
        b"".join(event_line(FIRST_TS + number * 60_000, number) for number in range(300))
        + b"last line without a line feed"
    )
    land_files(local_store, event_file(tmp_path, content), workers=1)
    before = objects_of(local_store)
    half = len(content) // 2
    variants = {
        "listen_events.jsonl": content,
        "listen_events.jsonl.gz": gzip.compress(content[:half]) + gzip.compress(content[half:]),
        "listen_events.xz": lzma.compress(content),
        "listen_events.jsonl.bz2": bz2.compress(content[:half]) + bz2.compress(content[half:]),
        "listen_events.jsonl.zst": gzip.compress(b"\xef\xbb\xbf" + content),
        "listen_events.gz": b"\xef\xbb\xbf" + content,
        "listen_events.json": gzip.compress(content),  # what the first bytes say counts, not the suffix
    }
    for name, variant in variants.items():
        summary = land_files(local_store, event_file(tmp_path, variant, name), workers=4)
        assert (summary.objects_written, summary.objects_unchanged) == (0, 6), name
    assert objects_of(local_store) == before


def test_a_late_line_becomes_another_object_of_its_old_hour(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "OPEN_BYTES", 10_000)
    monkeypatch.setattr(writer, "BLOCK_BYTES", 2_000)
    lines = [event_line(FIRST_TS + hour * HOUR_MS, number, 100) for hour in range(20) for number in range(10)]
    late = event_line(FIRST_TS + 5, 77)
    land_files(store, event_file(tmp_path, b"".join([*lines, late, *lines[-3:]])))
    landed = landed_lines(store)
    assert Counter(landed[hour_place(0)]) == Counter(line[:-1] for line in [*lines[:10], late])
    in_first_hour = [key for key in objects_of(store) if "dt=2026-11-01/hour=00" in key]
    assert len(in_first_hour) == 2


def test_a_large_hour_is_cut_into_objects_at_the_limit(
    local_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 10_000)
    monkeypatch.setattr(writer, "BLOCK_BYTES", 1_000)
    content = b"".join(event_line(FIRST_TS, number, 100) for number in range(500))
    land_files(local_store, event_file(tmp_path, content))
    sizes = [len(gzip.decompress(stored)) for stored in objects_of(local_store).values()]
    assert max(sizes) <= 10_000
    assert len(sizes) <= len(content) / 9_000 + 1
    assert Counter(landed_lines(local_store)[hour_place(0)]) == Counter(content[:-1].split(b"\n"))


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
    lines = [
        b"broken\n" if hour is None else event_line(FIRST_TS + hour * HOUR_MS, number)
        for number, hour in enumerate(hours)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "BLOCK_BYTES", block)
        patch.setattr(chunks, "CHUNK_BYTES", chunk)
        patch.setattr(chunks, "OPEN_BYTES", open_bytes)
        files = event_file(folder, b"".join(lines))
        stores = [ObjectStore(str(folder / name)) for name in ("one", "other")]
        for store, workers in zip(stores, (1, 3), strict=True):
            land_files(store, files, workers=workers, now=_NOW)
    assert objects_of(stores[0]) == objects_of(stores[1])
    expected: dict[tuple[str, datetime], list[bytes]] = defaultdict(list)
    for hour, line in zip(hours, lines, strict=True):
        if hour is not None:
            expected[hour_place(hour)].append(line[:-1])
    assert {place: Counter(of_hour) for place, of_hour in landed_lines(stores[0]).items()} == {
        place: Counter(of_hour) for place, of_hour in expected.items()
    }
    assert len(error_records(stores[0])) == hours.count(None)


def test_memory_is_bounded(tmp_path: Path) -> None:
    """The peak of resident memory, measured in a process of its own, stays far below the size of the file."""
    path = tmp_path / "listen_events"
    block = b"".join(event_line(FIRST_TS + number % 7 * HOUR_MS, number, 400) for number in range(20_000))
    with path.open("wb") as file:
        for _ in range(90):
            file.write(block)
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from music_platform.landing.event_files import event_files\n"
        "from music_platform.landing.writer import land_files\n"
        "from music_platform.lake.object_store import ObjectStore\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "land_files(ObjectStore(sys.argv[2]), event_files([Path(sys.argv[1])]), workers=2)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "lake")]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert path.stat().st_size > 750_000_000
    assert grown < 500, f"grew by {grown} MB"


def test_a_log_of_all_pages_gives_the_same_events_however_it_is_cut(
    local_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log.json"
    content = page_log(datetime(2026, 11, 1, 5, tzinfo=UTC))
    late = content.splitlines(keepends=True)[0]
    log.write_bytes(content + b"broken\n" + late)
    files = event_files([log], is_page_log=True)
    whole = land_files(local_store, files, now=_NOW)
    assert (whole.lines, whole.error_records, whole.derived) == (LINES + 2, 1, DERIVED)
    assert land_files(local_store, files, now=_NOW + timedelta(days=1)).objects_written == 0
    monkeypatch.setattr(writer, "BLOCK_BYTES", 1_000)
    other = ObjectStore(str(tmp_path / "other"))
    steps: list[tuple[int, int]] = []
    pieces = land_files(other, files, lambda more_bytes, more_lines: steps.append((more_bytes, more_lines)), now=_NOW)
    assert landed_lines(other) == landed_lines(local_store)
    assert (pieces.lines, pieces.derived) == (whole.lines, whole.derived)
    assert (sum(size for size, _ in steps), sum(lines for _, lines in steps)) == (log.stat().st_size, LINES + 2)
    assert len(steps) > 20


def test_a_damaged_file_is_named_and_its_repair_completes_the_landing(local_store: ObjectStore, tmp_path: Path) -> None:
    content = b"".join(event_line(FIRST_TS + number * 1000, number) for number in range(50_000))
    packed = gzip.compress(content)
    with pytest.raises(LandingInputError, match=r"cannot read .*listen_events\.gz to its end"):
        land_files(local_store, event_file(tmp_path, packed[: len(packed) // 2], "listen_events.gz"))
    land_files(local_store, event_file(tmp_path, packed, "listen_events.gz"))
    assert Counter(line for lines in landed_lines(local_store).values() for line in lines) == Counter(
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
    content = b"".join(event_line(FIRST_TS + number * 1000, number) for number in range(20_000))
    files = event_file(tmp_path, lzma.compress(content), "listen_events.xz")
    steps: list[tuple[int, int]] = []
    land_files(local_store, files, lambda more_bytes, more_lines: steps.append((more_bytes, more_lines)))
    assert sum(lines for _, lines in steps) == 20_000
    assert sum(size for size, _ in steps) == (tmp_path / "listen_events.xz").stat().st_size
