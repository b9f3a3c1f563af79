"""The music-platform command as a person uses it: land, materialize, check, look into quarantine, replay; and the demo.

Each test works on a lake and a Dagster instance of its own.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from music_platform.cli import runs
from music_platform.cli.main import app
from music_platform.contracts.events import EVENT_CONTRACTS
from music_platform.contracts.table import Rule
from music_platform.contracts.tables import TABLES
from music_platform.settings import Settings, current_settings

_REPOSITORY = Path(__file__).resolve().parents[2]
HOUR = "2026-11-01-05:00"
FIRST_TS = 1_793_509_200_000  # 2026-11-01 05:00 UTC


def auth_event(number: int, **changes: object) -> str:
    """A valid attempt to log in, in the hour of the tests."""
    event = {
        "ts": FIRST_TS + number * 1000, "sessionId": 10 + number, "level": "free" if number % 2 else "paid",
        "itemInSession": 0, "city": "Troy", "zip": "01234", "state": "NY", "userAgent": "\"Mozilla/5.0 (X11; Linux)\"",
        "lon": -73.6, "lat": 42.7, "userId": 7, "lastName": "Doe", "firstName": "Jo", "gender": "F",
        "registration": 1_790_000_000_000, "success": True,
    }  # fmt: skip
    return json.dumps({**event, **changes})


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """A runner of the command on an empty lake and an instance in this test's folder."""
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(_REPOSITORY / "deploy" / "local" / "dagster.yaml", home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("MUSIC_PLATFORM_LAKE", str(tmp_path / "lake"))
    current_settings.cache_clear()
    yield CliRunner()
    current_settings.cache_clear()


def land(commands: CliRunner, folder: Path, lines: list[str]) -> None:
    file = folder / "auth_events"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    result = commands.invoke(app, ["land", str(file)])
    assert result.exit_code == 0, result.output


def materialize_hour(settings: Settings) -> None:
    runs.materialize(runs.open_instance(), settings, list(TABLES), [HOUR], "materialize")


def test_check_passes_and_fails_by_its_exit_code(commands: CliRunner, tmp_path: Path) -> None:
    land(commands, tmp_path, [*(auth_event(number) for number in range(20)), auth_event(50, zip="123")])
    before = commands.invoke(app, ["check", "--partition", HOUR])
    assert before.exit_code == 1
    assert f"bronze/auth_events has no partition {HOUR}" in before.output

    materialize_hour(current_settings())
    passed = commands.invoke(app, ["check", "--partition", HOUR])
    assert passed.exit_code == 0, passed.output
    assert "21 landed lines = 21 bronze rows" in passed.output

    assert "warning" in passed.output  # one of 21 rows is in quarantine
    failed = commands.invoke(app, ["check", "--partition", HOUR, "--strict"])
    assert failed.exit_code == 1
    assert "quarantine/auth_events quarantine_rate" in failed.output

    [published] = (tmp_path / "lake" / "silver" / "auth_events" / "date=2026-11-01" / "hour=05").glob("*.parquet")
    published.unlink()
    lost = commands.invoke(app, ["check", "--partition", HOUR, "--event-type", "auth_events", "--layer", "silver"])
    assert lost.exit_code == 1
    assert published.name in lost.output


def test_wrong_options_are_told_with_exit_code_2(commands: CliRunner) -> None:
    for arguments, told in (
        (["check"], "--partition"),
        (["check", "--partition", "2026-11-01"], "write it as 2026-11-01-05:00"),
        (["check", "--partition-range", "2026-11-01-05:00"], "three dots"),
        (["check", "--partition-range", "2026-11-01-05:00...2026-11-01-04:00"], "ends before it begins"),
        (["check", "--partition", HOUR, "--event-type", "clicks"], "no event type 'clicks'"),
        (["quarantine", "list", "--event-type", "clicks"], "no event type 'clicks'"),
    ):
        result = commands.invoke(app, arguments)
        assert result.exit_code == 2, (arguments, result.output)
        assert told in result.output


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


def test_demo_makes_and_checks_silver(commands: CliRunner) -> None:
    result = commands.invoke(app, ["demo", "--users", "40", "--days", "1"])
    assert result.exit_code == 0, result.output
    assert "All checks passed" in result.output
    assert "silver/listen_events" in result.output


def test_demo_takes_files_that_are_given(commands: CliRunner, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "auth_events").write_text(
        f"{auth_event(1)}\n{auth_event(1)}\n{auth_event(2, zip='x')}\n", encoding="utf-8"
    )
    result = commands.invoke(app, ["demo", "--from", str(folder)])
    assert result.exit_code == 0, result.output
    assert "3 landed lines = 1 silver rows + 1 duplicates + 1 quarantined" in result.output


def test_ranges_without_gaps_are_found() -> None:
    hours = ["2026-11-01-23:00", "2026-11-01-05:00", "2026-11-02-00:00"]
    assert runs.contiguous_ranges(hours) == [["2026-11-01-05:00"], ["2026-11-01-23:00", "2026-11-02-00:00"]]
