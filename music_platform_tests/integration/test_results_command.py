"""music-platform results and check where gold has no plays: what is said, which command is named, which exit code it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from music_platform.cli import runs
from music_platform.cli.main import app
from music_platform.orchestration.runs import open_instance
from music_platform.settings import current_settings
from music_platform.tables.catalogue import made_tables
from music_platform.tables.contract import Cadence
from music_platform_tests.integration.command_line import FIRST_TS, words

DAY = "2026-11-01"
HOURS = [f"{DAY}-{hour:02}:00" for hour in range(24)]
RANGE = f"{DAY}...{DAY}"
HOURLY, DAILY = (
    [contract.path for contract in made_tables(is_served=False).values() if contract.cadence is cadence]
    for cadence in (Cadence.HOURLY, Cadence.DAILY)
)


def land_listens(commands: CliRunner, folder: Path, **changes: object) -> None:
    """Five listens of an hour of the day, one of them twice."""
    listen = {
        "ts": FIRST_TS, "artist": "An Artist", "song": "A Song", "duration": 200.0, "sessionId": 7, "auth": "Logged In",
        "level": "paid", "itemInSession": 0, "city": "Troy", "zip": "12180", "state": "NY", "userAgent": "curl/8",
        "lon": -73.6, "lat": 42.7, "userId": 7, "lastName": "Doe", "firstName": "Jo", "gender": "F",
        "registration": 1_790_000_000_000,
    }  # fmt: skip
    file = folder / "listen_events"
    events = [{**listen, "itemInSession": number, **changes} for number in (0, 1, 2, 3, 4, 4)]
    file.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    result = commands.invoke(app, ["land", str(file)])
    assert result.exit_code == 0, result.output


def materialize(tables: list[str], partitions: list[str]) -> None:
    runs.materialize(open_instance(), current_settings(), tables, partitions, "materialize")


def results(commands: CliRunner, asked: str = RANGE) -> tuple[int, str]:
    result = commands.invoke(app, ["results", "--partition-range", asked])
    return result.exit_code, words(result.output)


def test_all_rows_in_quarantine_is_said_with_rules_and_the_command(commands: CliRunner, tmp_path: Path) -> None:
    land_listens(commands, tmp_path, level="Gratis")
    materialize(HOURLY, HOURS)
    told = (
        f"silver/listen_events has 0 rows of {HOURS[0]}...{HOURS[-1]} (24 partitions): 5 of 5 rows are in quarantine, by the "
        "rules level_allowed (5). They are shown by: music-platform quarantine show --event-type listen_events "
        f"--partition-range '{HOURS[0]}...{HOURS[-1]}'"
    )
    code, output = results(commands)
    assert (code, told in output) == (1, True), output
    materialize(DAILY, [DAY])
    code, output = results(commands)
    assert (code, told in output) == (1, True), output
    shown = commands.invoke(
        app, ["quarantine", "show", "--event-type", "listen_events", "--partition-range", f"{HOURS[0]}...{HOURS[-1]}"]
    )
    assert "5 rows shown" in shown.output

    of_day = commands.invoke(app, ["check", "--partition", DAY])
    assert of_day.exit_code == 0, of_day.output
    assert f"warning: {told}" in words(of_day.output)
    of_hours = commands.invoke(app, ["check", "--partition-range", f"{HOURS[0]}...{HOURS[-1]}"])
    assert of_hours.exit_code == 0, of_hours.output
    assert "5 of 5 rows are in quarantine, by the rules level_allowed (5)" in words(of_hours.output)
    strict = commands.invoke(app, ["check", "--strict", "--partition", HOURS[5], "--event-type", "listen_events"])
    assert strict.exit_code == 1


def test_nothing_made_and_days_not_made_are_reported_apart(commands: CliRunner, tmp_path: Path) -> None:
    land_listens(commands, tmp_path)
    code, output = results(commands)
    assert code == 1
    assert f"nothing was materialized of {DAY}. Materialize the hours first:" in output
    materialize(HOURLY, HOURS)
    code, output = results(commands)
    assert code == 1
    assert f"gold has no plays of {DAY}, of which silver/listen_events has 5 rows. Materialize the days:" in output
    materialize(DAILY, [DAY])
    code, output = results(commands)
    assert (code, "A Song" in output, "quarantine" in output) == (0, True, False), output


def test_days_on_which_no_one_listened_are_no_failure(commands: CliRunner) -> None:
    materialize(HOURLY, HOURS)
    code, output = results(commands)
    assert (code, f"gold has no plays of {DAY}, of which silver/listen_events has 0 rows" in output) == (1, True)
    materialize(DAILY, [DAY])
    code, output = results(commands)
    assert (code, f"No one listened: silver/listen_events has 0 rows of {DAY}, and quarantine none" in output) == (
        0,
        True,
    )


def test_gold_that_is_older_than_its_hours_is_reported(commands: CliRunner, tmp_path: Path) -> None:
    materialize(HOURLY, HOURS)
    materialize(DAILY, [DAY])
    land_listens(commands, tmp_path)
    materialize(HOURLY, HOURS)
    code, output = results(commands)
    assert code == 1
    assert "gold was made before them and has no plays" in output


@pytest.mark.parametrize("command", ["results", "check", "quarantine list", "quarantine show", "quarantine replay"])
def test_a_reversed_range_is_an_error_of_every_command(commands: CliRunner, command: str) -> None:
    last, first = ("2026-11-01", "2026-11-02") if command == "results" else (HOURS[4], HOURS[5])
    result = commands.invoke(app, [*command.split(), "--partition-range", f"{first}...{last}"])
    assert result.exit_code == 2, result.output
    assert f"the partition range {first}...{last} ends before it begins" in result.output


def test_reversed_days_are_an_error_of_check(commands: CliRunner) -> None:
    result = commands.invoke(app, ["check", "--partition-range", "2026-11-02...2026-11-01"])
    assert (result.exit_code, "ends before it begins" in result.output) == (2, True)
