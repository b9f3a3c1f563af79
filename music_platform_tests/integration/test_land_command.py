"""The music-platform land command: what it lands and reports, what it leaves out, what it refuses."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from landed_files import (
    FIRST_TS,
    HOUR_MS,
    event_file,
    event_line,
    hour_place,
    landed_lines,
)
from typer.testing import CliRunner

from music_platform.cli.land import land
from music_platform.resources.object_store import ObjectStore
from music_platform.settings import Settings, current_settings


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
