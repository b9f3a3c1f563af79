"""The music-platform quarantine command: what lies in quarantine is listed, shown and replayed.

Each test works on a lake and a Dagster instance of its own.
"""

from __future__ import annotations

import dataclasses
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from music_platform.cli import runs
from music_platform.cli.main import app
from music_platform.cli.quarantine import example_without_listeners
from music_platform.orchestration.runs import open_instance
from music_platform.partitions import key_of_hour
from music_platform.settings import current_settings
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.contract import Rule
from music_platform.tables.events import EVENT_CONTRACTS
from music_platform_tests.integration.command_line import HOUR, auth_event, land, materialize_hour, words


def test_quarantine_is_listed_shown_and_replayed_after_a_rule_was_mended(
    commands: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(commands, tmp_path, [*(auth_event(number) for number in range(20)), auth_event(50, zip="123")])
    assert "0 rows in quarantine" in commands.invoke(app, ["quarantine", "list"]).output

    event = EVENT_CONTRACTS["auth_events"]
    paid_only = Rule(name="paid_only", condition="level = 'paid'", description="A rule that is a mistake.")
    with monkeypatch.context() as mistaken:
        mistaken.setitem(EVENT_CONTRACTS, event.name, dataclasses.replace(event, rules=(*event.rules, paid_only)))
        materialize_hour(current_settings())
    listed = commands.invoke(app, ["quarantine", "list", "--partition", HOUR])
    assert "paid_only" in listed.output
    assert "11 rows in quarantine" in listed.output

    shown = commands.invoke(app, ["quarantine", "show", "--rule", "zip_pattern", "--json"])
    [row] = [json.loads(line) for line in shown.output.splitlines()]
    assert json.loads(row["raw"])["zip"] == "123"
    assert row["_line_number"] == 21
    assert row["_object"].startswith("landing/auth_events/dt=2026-11-01/hour=05/")

    replayed = commands.invoke(app, ["quarantine", "replay", "--event-type", "auth_events"])
    assert replayed.exit_code == 0, replayed.output
    left = commands.invoke(app, ["quarantine", "list"])
    assert "1 rows in quarantine" in left.output
    assert "zip_pattern" in left.output
    assert "paid_only" not in left.output
    assert commands.invoke(app, ["check", "--partition", HOUR]).exit_code == 0

    nothing = commands.invoke(app, ["quarantine", "replay", "--rule", "paid_only"])
    assert nothing.exit_code == 0
    assert "nothing to replay" in nothing.output


def test_error_records_of_an_old_file_are_in_the_quarantine_of_an_hour_that_exists(
    commands: CliRunner, tmp_path: Path
) -> None:
    file = tmp_path / "auth_events.jsonl"
    file.write_text(f"{auth_event(1)}\nno event\n")
    os.utime(file, (1_714_557_600, 1_714_557_600))  # 2024-05-01, as unzip and cp -p leave it
    began = datetime.now(UTC)
    assert commands.invoke(app, ["land", str(file)]).exit_code == 0
    hours = sorted({key_of_hour(moment.replace(minute=0)) for moment in (began, datetime.now(UTC))})
    settings = current_settings()
    runs.materialize(open_instance(), settings, [COLLECTOR_ERRORS.path], hours, "materialize")
    listed = commands.invoke(app, ["quarantine", "list", "--event-type", COLLECTOR_ERRORS.name])
    assert "1 rows in quarantine" in listed.output
    assert "json_object" in listed.output


def test_examples_show_nothing_of_a_listener(commands: CliRunner, tmp_path: Path) -> None:
    lines = [
        auth_event(1), auth_event(2, zip="SECRET"), auth_event(3, firstName=["SECRET"]), auth_event(4, level="gold"),
        auth_event(5, lastName=None, firstName="SECRET"), auth_event(6, level="gold", zip="SECRET"),
        auth_event(7, tag=7, firstName=["SECRET"]), auth_event(8)[:-1] + ',"SECRET":1,"SECRET":2}', "SECRET",
    ]  # fmt: skip
    land(commands, tmp_path, lines)
    materialize_hour(current_settings())
    listed = words(commands.invoke(app, ["quarantine", "list"]).output)
    assert "SECRET" not in listed
    for told in (
        "`zip` matches `^[0-9]{5}$`", "wrong_type: firstName: expected string, found array", 'level_allowed: level is "gold"',
        "The user block is wholly present or wholly absent.",
    ):  # fmt: skip
        assert told in listed
    shown = commands.invoke(app, ["quarantine", "show", "--event-type", "auth_events", "--json"]).output
    rows = [json.loads(line) for line in shown.splitlines()]
    assert len(rows) == 7
    assert [row for row in rows if "SECRET" in example_without_listeners("auth_events", row)] == []


def test_what_is_in_quarantine_is_shown_as_it_is(commands: CliRunner, tmp_path: Path) -> None:
    """Text in square brackets is markup to rich, which fails on a closing tag and swallows an opening one; so is :x:."""
    land(commands, tmp_path, [auth_event(1), auth_event(2, zip="[/x]"), auth_event(3, level="[bold] :x:")])
    materialize_hour(current_settings())
    for subcommand in ("list", "show"):
        result = commands.invoke(app, ["quarantine", subcommand, "--partition", HOUR])
        assert result.exit_code == 0, result.output
    shown = commands.invoke(app, ["quarantine", "show"]).output
    assert '"zip":"[/x]"' in shown.replace(": ", ":")
    assert "[bold] :x:" in shown


def test_partitions_that_were_never_built_are_named(commands: CliRunner) -> None:
    for subcommand in ("list", "show", "replay"):
        result = commands.invoke(app, ["quarantine", subcommand, "--partition", HOUR, "--event-type", "auth_events"])
        assert result.exit_code == 1, result.output
        assert f"quarantine/auth_events has no partition {HOUR}" in result.output


def test_show_says_whether_there_is_more(commands: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    land(commands, tmp_path, [auth_event(1, zip="1"), auth_event(2, zip="2"), auth_event(3, level="x")])
    materialize_hour(current_settings())
    cut = commands.invoke(app, ["quarantine", "show", "--limit", "1"])
    assert "1 rows shown" in cut.output
    assert "--limit 10 shows more" in cut.output
    for options in (["--limit", "3"], ["--limit", "1", "--rule", "level_allowed"]):
        assert "more" not in commands.invoke(app, ["quarantine", "show", *options]).output
    as_json = commands.invoke(app, ["quarantine", "show", "--limit", "2", "--json"])
    assert len([json.loads(line) for line in as_json.stdout.splitlines()]) == 2
    assert "--limit 20 shows more" in as_json.stderr
