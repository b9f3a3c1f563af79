"""The music-platform command as a person uses it: check, wrong settings and options, messages, and gold from end to end.

The demo stands in test_demo_command, quarantine in test_quarantine_command. Each test works on a lake and a Dagster instance
of its own.
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from music_platform.cli import runs
from music_platform.cli.main import app
from music_platform.lake.lake import Lake
from music_platform.orchestration.runs import open_instance
from music_platform.settings import current_settings
from music_platform.tables.bronze import BRONZE
from music_platform.tables.schemas import arrow_schema
from music_platform.tables.silver import SILVER
from music_platform_tests.integration.command_line import (
    HOUR,
    auth_event,
    in_its_own_process,
    land,
    materialize_hour,
    words,
)


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


def test_check_works_in_a_process_of_its_own(commands: CliRunner, tmp_path: Path) -> None:
    """Nothing has opened a Spark session there before the checks."""
    land(commands, tmp_path, [auth_event(number) for number in range(5)])
    materialize_hour(current_settings())
    passed = in_its_own_process("check", "--partition", HOUR)
    assert passed.returncode == 0, passed.stderr
    assert "5 rows keep the contract" in words(passed.stdout)

    [published] = (tmp_path / "lake" / "silver" / "auth_events" / "date=2026-11-01" / "hour=05").glob("*.parquet")
    rows = pq.ParquetFile(published).read().to_pylist()
    rows[0]["level"] = "gratis"
    pq.write_table(pa.Table.from_pylist(rows, arrow_schema(SILVER["auth_events"].columns)), published)
    manifest = published.parent / "_SUCCESS"
    told = json.loads(manifest.read_text())
    told["bytes"] = told["files"][0]["bytes"] = published.stat().st_size
    manifest.write_text(json.dumps(told))
    failed = in_its_own_process("check", "--partition", HOUR)
    assert failed.returncode == 1, failed.stderr
    assert "1 rows break the rule level_allowed" in words(failed.stdout)
    assert "silver/auth_events contract" in failed.stderr


def test_check_of_one_layer_gives_that_layer(commands: CliRunner, tmp_path: Path) -> None:
    land(commands, tmp_path, [auth_event(1)])
    materialize_hour(current_settings())

    def tables(*layers: str) -> set[str]:
        options = [option for layer in layers for option in ("--layer", layer)]
        result = commands.invoke(app, ["check", "--partition", HOUR, "--event-type", "auth_events", *options])
        assert result.exit_code == 0, result.output
        return {word for word in words(result.output).split() if word.endswith("/auth_events")}

    assert tables("quarantine") == {"quarantine/auth_events"}
    assert tables("bronze", "quarantine") == {"bronze/auth_events", "quarantine/auth_events"}
    assert tables("silver") == {"silver/auth_events"}
    assert tables("landing") == {"landing/auth_events"}
    assert tables() == {"landing/auth_events", "bronze/auth_events", "silver/auth_events", "quarantine/auth_events"}


def test_check_fails_where_objects_of_the_day_are_read_by_no_table(commands: CliRunner, tmp_path: Path) -> None:
    land(commands, tmp_path, [auth_event(1)])
    materialize_hour(current_settings())
    store, name = Lake(current_settings()).store, f"2026110107_{'0' * 32}.json.gz"
    of_another_day = f"landing/listen_events/dt=2026-11-02/hour=7/{name}"
    store.put(of_another_day, b"")
    assert commands.invoke(app, ["check", "--partition", HOUR]).exit_code == 0
    misplaced = [
        f"landing/listen_events/dt=2026-11-01/hour=7/{name}",
        f"landing/listen_events/dt=2026-11-01/{name}",
        f"landing/skip_events/dt=2026-11-01/hour=07/{name}",
    ]
    for key in misplaced:
        store.put(key, b"12345")
    failed = commands.invoke(app, ["check", "--partition", HOUR])
    assert failed.exit_code == 1
    assert (
        "landing/listen_events every_landed_object_is_read, landing/unknown every_landed_object_is_read"
        in failed.output
    )
    for key in misplaced:
        assert key in failed.output.replace("│", "").replace("\n", "").replace(" ", "")
    assert commands.invoke(app, ["check", "--partition", HOUR, "--event-type", "auth_events"]).exit_code == 0


def test_a_partition_written_unusually_is_the_same_partition(commands: CliRunner, tmp_path: Path) -> None:
    land(commands, tmp_path, [auth_event(1), auth_event(2, zip="123")])
    materialize_hour(current_settings())
    result = commands.invoke(app, ["check", "--partition", "2026-11-1-5:00"])
    assert result.exit_code == 0, result.output
    listed = commands.invoke(app, ["quarantine", "list", "--partition", "2026-11-1-5:00"])
    assert "1 rows in quarantine" in listed.output


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LAKE", "gs://bucket", "is neither s3://bucket/prefix nor a local folder"),
        ("BATCH_ROWS", "abc", "Input should be a valid integer"),
        ("START", "2026-01-01T00:30", "must be a whole hour, such as 2026-01-01T00:00"),
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [
        ["land", "."],
        ["check", "--partition", HOUR],
        ["demo", "--no-druid"],
        ["status"],
        ["doctor"],
        ["quarantine", "list"],
        ["quarantine", "show"],
        ["quarantine", "replay"],
    ],
    ids=" ".join,
)
def test_a_wrong_setting_is_reported_by_its_variable(
    commands: CliRunner, monkeypatch: pytest.MonkeyPatch, arguments: list[str], name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"MUSIC_PLATFORM_{name}", value)
    current_settings.cache_clear()
    result = commands.invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert f"MUSIC_PLATFORM_{name}: {told}" in result.output


def test_a_wrong_setting_is_no_traceback_in_a_process_of_its_own(
    commands: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a command imports may read the settings, too."""
    monkeypatch.setenv("MUSIC_PLATFORM_LAKE", "gs://bucket")
    for arguments in (["demo", "--no-druid"], ["quarantine", "replay"]):
        ended = in_its_own_process(*arguments)
        assert ended.returncode == 2
        assert "error: MUSIC_PLATFORM_LAKE: is neither" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_wrong_options_are_reported_with_exit_code_2(commands: CliRunner) -> None:
    for arguments, told in (
        (["check"], "--partition"),
        (["check", "--partition", "2026-11"], "write it as 2026-11-01-05:00"),
        (["check", "--partition-range", "2026-11-01-05:00"], "three dots"),
        (["check", "--partition-range", "2026-11-01-05:00...2026-11-01-04:00"], "ends before it begins"),
        (["check", "--partition", HOUR, "--event-type", "clicks"], "no event type 'clicks'"),
        (["check", "--partition", "[bold]"], "'[bold]' is not an hourly partition"),
        (["check", "--partition", "2026-11-01", "--layer", "gold", "--layer", "landing"], "no checks of landing"),
        (["quarantine", "list", "--event-type", "clicks"], "no event type 'clicks'"),
    ):
        result = commands.invoke(app, arguments)
        assert result.exit_code == 2, (arguments, result.output)
        assert told in result.output


def test_messages_are_shown_as_they_are(commands: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lake = tmp_path / ":x:"
    monkeypatch.setenv("MUSIC_PLATFORM_LAKE", str(lake))
    current_settings.cache_clear()
    result = commands.invoke(app, ["check", "--partition", HOUR])
    assert result.exit_code == 1
    assert f"in {lake}:" in result.output
    assert "there is no file '[/bold]'" in commands.invoke(app, ["land", "[/bold]"]).output
    told = commands.invoke(app, ["generate", "--sink", "[/bold]"]).output
    assert "There is no sink '[/bold]'" in told


def test_gold_is_made_checked_and_told(commands: CliRunner) -> None:
    made = commands.invoke(app, ["demo", "--no-druid", "--users", "40", "--days", "2"])
    assert made.exit_code == 0, made.output
    assert "Top songs" in made.output
    days = sorted(
        {stored.key.split("date=")[1][:10] for stored in Lake(current_settings()).store.list("gold/fact_plays")}
    )
    checked = commands.invoke(app, ["check", "--partition", days[0]])
    assert checked.exit_code == 0, checked.output
    assert "adds_up_to_fact_plays" in checked.output
    told = commands.invoke(app, ["results", "--partition-range", f"{days[0]}...{days[-1]}"])
    assert told.exit_code == 0, told.output
    assert days[-1] in told.output
    unmade = commands.invoke(app, ["check", "--partition", "2026-02-01"])
    assert unmade.exit_code == 1
    assert "nothing was checked: no table was ever made of 2026-02-01" in unmade.output
    nothing = commands.invoke(app, ["results", "--partition-range", "2026-02-01...2026-02-02"])
    assert nothing.exit_code == 1
    assert "nothing was materialized of 2026-02-01" in nothing.output
    assert commands.invoke(app, ["results", "--partition-range", "yesterday"]).exit_code == 2
    assert commands.invoke(app, ["check", "--partition", days[0], "--layer", "silver"]).exit_code == 2


def test_what_a_run_left_out_of_the_spine_stands_in_no_ones_way(commands: CliRunner, tmp_path: Path) -> None:
    land(commands, tmp_path, [auth_event(number) for number in range(3)])
    tables = [contract.path for layer in (BRONZE, SILVER) for contract in layer.values()]
    runs.materialize(open_instance(), current_settings(), tables, [HOUR], "materialize")
    checked = commands.invoke(app, ["check", "--partition", HOUR])
    assert checked.exit_code == 0, checked.output
    assert "not checked, because it was never made of these partitions: quarantine/collector_errors" in words(
        checked.output
    )
    listed = commands.invoke(app, ["quarantine", "list", "--partition", HOUR])
    assert (listed.exit_code, "0 rows in quarantine" in listed.output) == (0, True)
    asked_for = commands.invoke(app, ["quarantine", "list", "--partition", HOUR, "--event-type", "collector_errors"])
    assert asked_for.exit_code == 1
    assert "quarantine/collector_errors has no partition" in words(asked_for.output)


@pytest.mark.parametrize("partition", ["2020-01-01-05:00", "2020-01-01"])
def test_a_check_before_the_first_partition_does_not_advise_to_materialize(commands: CliRunner, partition: str) -> None:
    checked = commands.invoke(app, ["check", "--partition", partition])
    assert checked.exit_code == 1
    told = words(checked.output)
    assert f"{partition} lies before MUSIC_PLATFORM_START (2026-01-01T00:00) and has no partition" in told
    assert "MUSIC_PLATFORM_START=2020-01-01T0" in told
    assert "Materialize" not in told
    later = commands.invoke(app, ["check", "--partition", HOUR])
    assert "Materialize it first" in words(later.output)
