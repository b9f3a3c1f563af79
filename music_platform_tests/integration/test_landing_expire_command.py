"""music-platform landing expire, and what other commands do where landed objects are gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from music_platform.cli.main import app
from music_platform.lake.lake import Lake
from music_platform.lake.manifest import read_manifest
from music_platform.settings import current_settings
from music_platform.tables.bronze import BRONZE
from music_platform.tables.silver import SILVER
from music_platform_tests.integration.command_line import HOUR, auth_event, land, materialize_hour, words


@pytest.fixture
def gone(commands: CliRunner, tmp_path: Path) -> str:
    """The key of an object of four events, one of them in quarantine, that is gone; one of two events is left."""
    land(commands, tmp_path, [*(auth_event(number) for number in range(3)), auth_event(3, zip="1")])
    lake = Lake(current_settings())
    [first] = [stored.key for stored in lake.store.list("landing")]
    land(commands, tmp_path, [auth_event(10), auth_event(11, zip="2")])
    materialize_hour(current_settings())
    lake.store.delete([first])
    return first


def rows() -> tuple[int, int]:
    """Of the hour in bronze and silver."""
    store = Lake(current_settings()).store
    found = [read_manifest(store, layer["auth_events"], HOUR) for layer in (BRONZE, SILVER)]
    return tuple(entry[0].rows for entry in found if entry)  # type: ignore[return-value]


def test_replay_refuses_to_remove_rows_and_names_the_object(commands: CliRunner, gone: str) -> None:
    refused = commands.invoke(app, ["quarantine", "replay", "--partition", HOUR])
    assert refused.exit_code == 1
    assert f"'{gone}'" in refused.output
    assert rows() == (6, 4)
    checked = commands.invoke(app, ["check", "--partition", HOUR])
    assert checked.exit_code == 1
    assert "bronze/auth_events reconciles_with_landing" in checked.output


def test_replay_of_expired_objects_reads_bronze(commands: CliRunner, gone: str) -> None:
    declared = commands.invoke(app, ["landing", "expire", "--partition", HOUR])
    assert declared.exit_code == 0
    assert "auth_events 2026-11-01-05:00 1 4" in words(declared.output)
    again = commands.invoke(app, ["landing", "expire", "--partition", HOUR])
    assert (again.exit_code, again.output) == (0, "no landed object is gone that these hours were made from\n")
    for _ in range(2):
        replayed = commands.invoke(app, ["quarantine", "replay", "--partition", HOUR])
        assert replayed.exit_code == 0, replayed.output
        assert rows() == (6, 4)
    checked = commands.invoke(app, ["check", "--partition", HOUR])
    assert checked.exit_code == 0, checked.output
    assert "2 landed lines + 4 rows of objects that expired = 6 bronze rows" in words(checked.output)


@pytest.mark.parametrize(("choice", "left"), [("keep", (6, 4)), ("remove", (2, 1))])
def test_replay_does_what_it_is_reported_about_gone_objects(
    commands: CliRunner, gone: str, choice: str, left: tuple[int, int]
) -> None:
    replayed = commands.invoke(app, ["quarantine", "replay", "--partition", HOUR, "--gone-inputs", choice])
    assert replayed.exit_code == 0, replayed.output
    assert rows() == left
    assert commands.invoke(app, ["check", "--partition", HOUR]).exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name the hours: --partition or --partition-range"),
        (["--partition", HOUR, "--kind", "skips"], "there are no landed objects of 'skips'"),
        (["--partition-range", f"{HOUR}...2026-11-01-04:00"], "ends before it begins"),
    ],
)
def test_what_is_asked_wrongly_is_reported(commands: CliRunner, options: list[str], message: str) -> None:
    result = commands.invoke(app, ["landing", "expire", *options])
    assert result.exit_code == 2
    assert message in result.output
