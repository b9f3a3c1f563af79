"""The music-platform land command: what it lands and reports, what it leaves out, what it refuses."""

from __future__ import annotations

import gzip
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from music_platform.cli.land import land
from music_platform.lake.object_store import ObjectStore
from music_platform.settings import Settings, current_settings
from music_platform_tests.integration.landed_files import (
    FIRST_TS,
    HOUR_MS,
    error_records,
    event_file,
    event_line,
    hour_place,
    landed_lines,
)
from music_platform_tests.page_logs import DERIVED, LINES, page_log


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
    event_file(tmp_path, event_line(FIRST_TS) + b"[broken]\n" + event_line(FIRST_TS + HOUR_MS), "listen_events.jsonl")
    event_file(tmp_path, event_line(FIRST_TS), "auth_events")
    first = command(tmp_path)
    assert first.exit_code == 0, first.output
    assert "4 lines of 2 files, events of 2026-11-01 00:00 to 2026-11-01 01:00 UTC: 4 objects landed" in first.output
    assert "0 unchanged, 1 error records" in first.output
    assert "1 records are no events and lie in" in first.output
    second = command(tmp_path)
    assert "0 objects landed (0.0 MB), 4 unchanged" in second.output
    assert set(landed_lines(store)) == {hour_place(0), hour_place(1), ("auth_events", hour_place(0)[1])}


def test_the_command_names_what_it_leaves_out(command: Callable[..., Any], store: ObjectStore, tmp_path: Path) -> None:
    folder = tmp_path / "[bold]"
    folder.mkdir()
    event_file(folder, event_line(FIRST_TS), "auth_events")
    for number in range(12):
        (folder / f"listen_events_{number:02}.jsonl").write_bytes(event_line(FIRST_TS))
    result = command(folder)
    assert result.exit_code == 0, result.output
    assert f"not named after an event type: '{folder}/listen_events_00.jsonl'" in result.stderr
    assert "_09.jsonl' and 2 more" in result.stderr
    assert set(landed_lines(store)) == {("auth_events", hour_place(0)[1])}
    (folder / "listen_events.jsonl").write_bytes(event_line(FIRST_TS))
    assert command(folder, "--event-type", "auth_events").exit_code == 1


def test_the_command_reads_standard_input(command: Callable[..., Any], store: ObjectStore) -> None:
    result = command("-", "--event-type", "listen_events", stdin=gzip.compress(event_line(FIRST_TS)))
    assert result.exit_code == 0, result.output
    assert landed_lines(store) == {hour_place(0): [event_line(FIRST_TS)[:-1]]}


def test_the_command_warns_of_lines_that_no_partition_reads(
    command: Callable[..., Any], store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two events is of a device whose clock was wrong, and one more of an hour to come."""
    monkeypatch.setenv("MUSIC_PLATFORM_START", "2026-11-01T00:00")
    current_settings.cache_clear()
    event_file(tmp_path, event_line(FIRST_TS) + event_line(1_577_836_800_000) + event_line(9_000_000_000_000))
    result = command(tmp_path / "listen_events")
    assert result.exit_code == 0, result.output
    assert "warning: 1 lines lie before MUSIC_PLATFORM_START (2026-11-01T00:00) and will not be read" in result.stderr
    assert "2020-01-01-00:00. If their time is right, set MUSIC_PLATFORM_START=2020-01-01T00:00" in result.stderr
    assert "warning: 1 lines are of hours that have not begun, and are held until then: 2255-03-14" in result.stderr
    assert len(landed_lines(store)) == 3
    quiet = command(event_file(tmp_path, event_line(FIRST_TS), "auth_events")[0].name)
    assert "warning" not in quiet.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent/listen_events"], "there is no file 'absent/listen_events'"),
        (["events.jsonl"], "the event type of events.jsonl cannot be read from its name, nor is it a log"),
        (["-"], "the event type of standard input cannot be read"),
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


def test_nothing_lands_where_one_file_is_of_a_format_that_is_not_read(
    command: Callable[..., Any], store: ObjectStore, tmp_path: Path
) -> None:
    event_file(tmp_path, event_line(FIRST_TS), "auth_events.jsonl")
    event_file(tmp_path, b"[\n" + event_line(FIRST_TS) + b"]\n", "listen_events.json")
    for arguments in ([tmp_path], [tmp_path / "auth_events.jsonl", tmp_path / "listen_events.json"]):
        result = command(*arguments)
        assert result.exit_code == 1
        assert f"{tmp_path}/listen_events.json is one JSON array over several lines" in result.output
        assert list(store.list("")) == []


def test_standard_input_is_looked_at_too(command: Callable[..., Any], store: ObjectStore, tmp_path: Path) -> None:
    event_file(tmp_path, event_line(FIRST_TS), "listen_events.jsonl")
    arguments = (tmp_path / "listen_events.jsonl", "-", "--event-type", "listen_events")
    result = command(*arguments, stdin=b"PK\x03\x04 of an archive")
    assert result.exit_code == 1
    assert "standard input is a ZIP archive" in result.output
    assert list(store.list("")) == []
    whole = event_line(FIRST_TS + HOUR_MS, 1) * 10_000
    result = command(*arguments, stdin=whole)
    assert result.exit_code == 0, result.output
    assert landed_lines(store) == {
        hour_place(0): [event_line(FIRST_TS)[:-1]], hour_place(1): [event_line(FIRST_TS + HOUR_MS, 1)[:-1]] * 10_000
    }  # fmt: skip
    twice = command("-", "-", "--event-type", "listen_events", stdin=whole)
    assert (twice.exit_code, "standard input is given twice" in twice.output) == (1, True)


def test_a_named_pipe_is_read_once(command: Callable[..., Any], store: ObjectStore, tmp_path: Path) -> None:
    pipe = tmp_path / "listen_events"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(gzip.compress(event_line(FIRST_TS) * 5_000)))
    writer.start()
    result = command(pipe)
    writer.join()
    assert result.exit_code == 0, result.output
    assert landed_lines(store) == {hour_place(0): [event_line(FIRST_TS)[:-1]] * 5_000}


def test_a_log_of_all_pages_is_recognised_and_lands_as_four_event_types(
    command: Callable[..., Any], store: ObjectStore, tmp_path: Path
) -> None:
    log = tmp_path / "sparkify.json.gz"
    log.write_bytes(gzip.compress(page_log(datetime(2026, 11, 1, 5, tzinfo=UTC)) + b"broken\n"))
    first = command(log)
    assert first.exit_code == 0, first.output
    assert f"Logs of the original Eventsim, all pages in one file: '{log}'" in first.stderr
    assert f"{LINES + 1} lines of 1 files" in first.output
    assert "follow 5 auth_events, 15 listen_events, 5 status_change_events" in first.output
    landed = Counter(event_type for (event_type, _), lines in landed_lines(store).items() for _ in lines)
    assert landed == {"page_view_events": LINES, **DERIVED}
    assert len(error_records(store)) == 1
    piped = command("-", stdin=gzip.decompress(log.read_bytes()))
    assert "0 objects landed" in piped.output
    folder = tmp_path / "log_data"
    folder.mkdir()
    (folder / "2018-11-01-events.json").write_bytes(log.read_bytes())
    assert "0 objects landed" in command("--format", "interana", folder).output


def test_what_is_no_log_or_should_not_be_one_is_refused_with_what_to_do(
    command: Callable[..., Any], store: ObjectStore, tmp_path: Path
) -> None:
    log = page_log(datetime(2026, 11, 1, 5, tzinfo=UTC))
    (tmp_path / "listen_events.json").write_bytes(log)
    (tmp_path / "log.json").write_bytes(log)
    for arguments in ([tmp_path / "listen_events.json"], [tmp_path / "log.json", "--event-type", "page_view_events"]):
        refused = command(*arguments)
        assert refused.exit_code == 1
        assert "log of the original Eventsim" in refused.output
        assert "--format interana" in refused.output
    (tmp_path / "other.json").write_bytes(event_line(FIRST_TS))
    unknown = command(tmp_path / "other.json")
    assert unknown.exit_code == 1
    assert "its first record has the keys ts, n, filler" in unknown.output
    assert "Give --event-type" in unknown.output
    (tmp_path / "array.json").write_bytes(b"[\n" + b",\n".join(log.splitlines()) + b"\n]\n")
    array = command("--format", "interana", tmp_path / "array.json")
    assert array.exit_code == 1
    assert "jq -c '.[]' FILE | ./run music-platform land --format interana -" in array.output
    assert command("--format", "interana", "--event-type", "auth_events", tmp_path / "log.json").exit_code == 2
    assert command("--format", "interana", tmp_path / "other.json").exit_code == 0  # each of its lines is a page view
    assert set(landed_lines(store)) == {("page_view_events", hour_place(0)[1])}


def test_a_file_without_an_event_is_an_error(
    command: Callable[..., Any], store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_file(tmp_path, b"no event\n" * 3, "listen_events.jsonl")
    short = command(tmp_path)
    assert short.exit_code == 1
    assert "holds no event; nothing was landed. Of 3 lines the first breaks the rule json_object" in short.output
    assert list(store.list("")) == []
    event_file(tmp_path, b"no event\n" * 40_000, "listen_events.jsonl")  # longer than what is looked at first
    long = command(tmp_path)
    assert long.exit_code == 1
    assert "holds no event in its first 256 KB; nothing was landed" in long.output
    assert list(store.list("")) == []
    event_file(tmp_path, b"no event" * 40_000, "listen_events.jsonl")  # whose first line is cut there
    one_line = command(tmp_path)
    assert one_line.exit_code == 1
    assert (
        f"not one line is an event in '{tmp_path}/listen_events.jsonl'; the lines are error records now"
        in one_line.output
    )
    assert len(error_records(store)) == 1


def test_an_empty_file_is_an_error_by_itself_and_a_warning_beside_others(
    command: Callable[..., Any], store: ObjectStore, tmp_path: Path
) -> None:
    event_file(tmp_path, b"", "auth_events.jsonl")
    event_file(tmp_path, b"\n \r\n\xef\xbb\xbf", "status_change_events.jsonl")
    alone = command(tmp_path)
    assert alone.exit_code == 1
    assert f"no line in '{tmp_path}/auth_events.jsonl', '{tmp_path}/status_change_events.jsonl'" in alone.output
    event_file(tmp_path, event_line(FIRST_TS) + b"\n\r\n", "listen_events.jsonl")
    beside = command(tmp_path)
    assert beside.exit_code == 0, beside.output
    assert f"no line in '{tmp_path}/auth_events.jsonl', '{tmp_path}/status_change_events.jsonl'" in beside.stderr
    assert "1 lines of 3 files" in beside.output
    assert "0 error records" in beside.output
    assert list(landed_lines(store)) == [hour_place(0)]
    assert command("-", "--event-type", "auth_events").exit_code == 1
