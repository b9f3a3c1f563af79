"""Whatever text comes in, no command prints a character that a terminal obeys or that hides others."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import typer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text
from typer.main import except_hook
from typer.testing import CliRunner

from music_platform.cli import quarantine, results, status
from music_platform.cli.console import VisibleConsole, echo, echo_json, errors_as_messages, fail, visible, warn
from music_platform.cli.main import app
from music_platform.cli.status import _Report
from music_platform.errors import MusicPlatformError
from music_platform.landing.unread import UnreadFindings
from music_platform.settings import current_settings
from music_platform.tables.contract import TableContract
from music_platform.tables.gold.active_users import ACTIVE_USERS
from music_platform.tables.gold.dim_songs import DIM_SONGS
from music_platform.tables.gold.fact_plays import FACT_PLAYS
from music_platform.tables.gold.fact_sessions import FACT_SESSIONS
from music_platform.tables.gold.level_funnel import LEVEL_FUNNEL
from music_platform.tables.gold.login_success import LOGIN_SUCCESS

UNSEEN = {
    char for char in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\n\t\u200c\u200d"
}  # fmt: skip
HOSTILE = (
    "\x1b]0;owned\x07\x1b[31mred\x1b[2J \x9b31m \u202eexe.gpj \u200e\u2066\ufeff a\u2028b\u2029c \x7f \ud800 \r\x08"
)
texts = st.text(st.one_of(st.sampled_from(sorted(UNSEEN)), st.characters(exclude_categories=())), max_size=60)
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def assert_all_is_seen(output: str) -> None:
    assert [f"U+{ord(char):04X}" for char in output if char in UNSEEN] == []


@given(texts)
@example("".join(sorted(UNSEEN)))
@example(HOSTILE)
def test_text_becomes_visible_and_keeps_its_length(text: str) -> None:
    seen = visible(text)
    assert_all_is_seen(seen)
    assert len(seen) == len(text)
    for old, new in zip(text, seen, strict=True):
        assert new == old or old in UNSEEN or (old in "\u200c\u200d" and new == "\ufffd")
    seen.encode()


@pytest.mark.parametrize(
    "text",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: a space that joins
        "\u0915\u094d\u200d\u0937",  # Hindi: a half form
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",  # a family
        "\u2764\ufe0f\u200d\U0001f525",  # a heart on fire
        "\U0001f469\U0001f3fd\u200d\U0001f4bb",  # with a colour of skin
    ],
)
def test_joiners_stay_where_scripts_and_emoji_need_them(text: str) -> None:
    assert visible(text) == text
    output = io.StringIO()
    VisibleConsole(file=output, width=80).print(Text(f"a {text} b"))
    assert output.getvalue() == f"a {text} b\n"


@pytest.mark.parametrize(
    "text",
    [
        "ad\u200dmin",
        "\u200dx",
        "\u0645\u200c",
        "\u0645\u200c\u200c\u0645",
        "1\u200c2",
        "\u00e9\u200d\u00e9",
        "\u0645\u202e\u0645",
        " \u200d ",
    ],
)
def test_joiners_and_other_formats_are_seen_elsewhere(text: str) -> None:
    assert "\ufffd" in visible(text)
    assert not {"\u200c", "\u200d", "\u202e"} & set(visible(text))


def test_an_operator_sees_that_something_was_there() -> None:
    assert visible("a\x1b[2Jb\u202ec\x7f\x9b\n\td") == "a␛[2Jb\ufffdc␡\ufffd\n\td"


@given(texts)
@example(HOSTILE)
def test_json_holds_escapes_and_the_same_value(text: str) -> None:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        echo_json({"title": text, "übrig": [text]}, indent=1)
    told = output.getvalue()
    assert_all_is_seen(told)
    assert json.loads(told)["title"] == json.loads(json.dumps(text))
    assert '"übrig"' in told


@quick
@given(texts)
@example(HOSTILE)
def test_the_console_prints_nothing_unseen_and_styles_stay(text: str) -> None:
    output = io.StringIO()
    console = VisibleConsole(file=output, force_terminal=True, color_system="standard", width=60, emoji=False)
    table = Table("name", title=Text(text))
    table.add_column(Text(text))
    table.add_row(Text(text, "bold"), "[green]ok[/]")
    console.print(table)
    console.print(Text.assemble(("warning:", "yellow"), " ", text))
    console.print(text, markup=False, soft_wrap=True)
    with console.status(Text(text)):
        pass
    told = output.getvalue()
    assert "\x1b[32mok" in told
    # What is left once rich's own styles and movements of the cursor are taken out.
    assert_all_is_seen(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", told))


def test_a_table_with_hostile_text_keeps_its_edges() -> None:
    output = io.StringIO()
    console = VisibleConsole(file=output, width=60)
    table = Table("title")
    table.add_row(Text("\x1b[31m" * 10))
    console.print(table)
    assert len({len(line) for line in output.getvalue().splitlines()}) == 1


def test_messages_and_errors_are_visible(capsys: pytest.CaptureFixture[str]) -> None:
    warn(HOSTILE)
    echo(HOSTILE)
    with pytest.raises(typer.Exit):
        fail(HOSTILE)
    told = capsys.readouterr()
    for output in told:
        assert "red" in output
        assert_all_is_seen(output)


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    monkeypatch.setenv("MUSIC_PLATFORM_LAKE", str(tmp_path / "lake"))
    current_settings.cache_clear()
    yield CliRunner()
    current_settings.cache_clear()


class _Quarantined:
    table, partition = "quarantine/listen_events", "2026-11-01-05:00"


@quick
@given(texts)
@example(HOSTILE)
@pytest.mark.parametrize("arguments", [["list"], ["show"], ["show", "--json"]])
def test_quarantine_shows_all(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, arguments: list[str], text: str
) -> None:
    row = {"rule": text, "broken_rules": text, "detail": text, "raw": text, "_object": text, "_line_number": 1}
    monkeypatch.setattr(quarantine, "_quarantined", lambda *_: iter([_Quarantined]))
    monkeypatch.setattr(quarantine, "_rows_of", lambda *_: iter([dict(row)]))
    shown = runner.invoke(app, ["quarantine", *arguments])
    assert shown.exit_code == 0, shown.output
    assert_all_is_seen(shown.output)
    if "--json" in arguments:
        assert json.loads(shown.stdout) == json.loads(json.dumps(row))


@quick
@given(texts.map(lambda text: text.encode(errors="replace").decode()))
@example(HOSTILE.replace("\ud800", ""))
def test_results_show_all(runner: CliRunner, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    rows: dict[TableContract, list[dict[str, Any]]] = {
        FACT_PLAYS: [{"song_key": "a", "user_key": "b", "played_seconds": 1.0}],
        DIM_SONGS: [{"song_key": "a", "title": text, "artist": text}],
        ACTIVE_USERS: [{"day": datetime(2026, 11, 1, tzinfo=UTC), "users": 1}],
        LEVEL_FUNNEL: [{"stage_order": 1, "stage": text, "users": 1, "sessions": 1, "events": 1}],
        FACT_SESSIONS: [{"songs": 1, "skips": 0, "duration_seconds": 1.0}],
        LOGIN_SUCCESS: [{"attempts": 1, "successes": 1}],
    }
    monkeypatch.setattr(results, "entirely_quarantined", lambda *_: {"auth_events": text})
    monkeypatch.setattr(results, "_rows", lambda _lake, contract, *_: pa.Table.from_pylist(rows[contract]))
    shown = runner.invoke(app, ["results", "--partition-range", "2026-11-01...2026-11-01"])
    assert shown.exit_code == 0, shown.output
    assert "Top songs" in shown.output
    assert_all_is_seen(shown.output)


@quick
@given(texts)
@example(HOSTILE)
@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_status_shows_all(runner: CliRunner, monkeypatch: pytest.MonkeyPatch, arguments: list[str], text: str) -> None:
    report = _Report(datetime(2026, 11, 1, tzinfo=UTC), text, None, UnreadFindings(), None, [text], [text])
    monkeypatch.setattr(status, "_look", lambda *_: report)
    shown = runner.invoke(app, ["status", *arguments])
    assert shown.exit_code == 1, shown.output
    assert_all_is_seen(shown.output)


@pytest.mark.parametrize("error", [MusicPlatformError, ValueError])
def test_errors_that_hold_event_text_are_visible(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def broken(*_: object) -> None:
        raise error(HOSTILE)

    monkeypatch.setattr(quarantine, "_quarantined", broken)
    if error is MusicPlatformError:
        shown = runner.invoke(app, ["quarantine", "list"])
        assert shown.exit_code == 1
        output = shown.output
    else:  # a traceback, which typer prints at the end of the process
        with pytest.raises(ValueError, match="owned") as raised:
            app(["quarantine", "list"])
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        except_hook(raised.type, raised.value, raised.tb)
        output = sys.stderr.getvalue()  # pyright: ignore
    assert "owned" in output
    assert_all_is_seen(output)


def test_what_was_asked_wrongly_is_visible(runner: CliRunner) -> None:
    shown = runner.invoke(app, ["check", "--layer", HOSTILE.replace("\ud800", "")])
    assert shown.exit_code == 2
    assert "owned" in "".join(char for char in shown.output if char.isalnum())
    assert_all_is_seen(shown.output)


def test_names_of_files_are_visible(runner: CliRunner, tmp_path: Path) -> None:
    shown = runner.invoke(app, ["land", str(tmp_path / "no\x1b[2J\u202efile")])
    assert shown.exit_code != 0
    assert "no␛[2J\ufffdfile" in "".join(shown.output.split())
    assert_all_is_seen(shown.output)


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "Free some space"), (errno.EROFS, "the right to write there")]
)
def test_a_disk_that_takes_nothing_ends_the_command_with_what_to_do(
    number: int, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, errors_as_messages():
        raise OSError(number, os.strerror(number), "/lake/part.parquet")
    assert ended.value.exit_code == 1
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith(f"error: /lake/part.parquet: {os.strerror(number)}.")
    assert advice in said


def test_other_errors_of_the_system_stay_what_they_are() -> None:
    with pytest.raises(IsADirectoryError), errors_as_messages():
        raise IsADirectoryError(errno.EISDIR, "Is a directory")
