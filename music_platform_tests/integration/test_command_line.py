"""The music-platform command as a person uses it: land, materialize, check, look into quarantine, replay; and the demo.

Each test works on a lake and a Dagster instance of its own.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from music_platform.cli import runs
from music_platform.cli.main import app
from music_platform.contracts.events import EVENT_CONTRACTS
from music_platform.contracts.schemas import arrow_schema
from music_platform.contracts.table import Rule
from music_platform.contracts.tables import BRONZE, QUARANTINE, SILVER
from music_platform.resources.lake import Lake
from music_platform.settings import Settings, current_settings

_REPOSITORY = Path(__file__).resolve().parents[2]
_COMMAND = [sys.executable, "-c", "from music_platform.cli.main import app; app()"]
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
    tables = [contract.path for layer in (BRONZE, SILVER, QUARANTINE) for contract in layer.values()]
    runs.materialize(runs.open_instance(), settings, tables, [HOUR], "materialize")


def in_its_own_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a shell runs it; PySpark leaves variables in this process that would spare it work."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    return subprocess.run([*_COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=120)


def words(text: str) -> str:
    """Text without the borders and line breaks of tables."""
    return " ".join(text.replace("│", " ").split())


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.1)


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
    assert tables() == {"bronze/auth_events", "silver/auth_events", "quarantine/auth_events"}


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
        ["demo"],
        ["quarantine", "list"],
        ["quarantine", "show"],
        ["quarantine", "replay"],
    ],
    ids=" ".join,
)
def test_a_wrong_setting_is_told_by_its_variable(
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
    for arguments in (["demo"], ["quarantine", "replay"]):
        ended = in_its_own_process(*arguments)
        assert ended.returncode == 2
        assert "error: MUSIC_PLATFORM_LAKE: is neither" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_wrong_options_are_told_with_exit_code_2(commands: CliRunner) -> None:
    for arguments, told in (
        (["check"], "--partition"),
        (["check", "--partition", "2026-11"], "write it as 2026-11-01-05:00"),
        (["check", "--partition-range", "2026-11-01-05:00"], "three dots"),
        (["check", "--partition-range", "2026-11-01-05:00...2026-11-01-04:00"], "ends before it begins"),
        (["check", "--partition", HOUR, "--event-type", "clicks"], "no event type 'clicks'"),
        (["check", "--partition", "[bold]"], "'[bold]' is not an hourly partition"),
        (["check", "--partition", HOUR, "--layer", "bronze", "--layer", "landing"], "no checks of landing"),
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


def test_demo_tells_what_did_not_pass(commands: CliRunner, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "auth_events").write_text(f"{auth_event(1)}\n{auth_event(2, zip='x')}\nno event\n", encoding="utf-8")
    (folder / "listen_events_2026.jsonl").write_text("", encoding="utf-8")
    result = commands.invoke(app, ["demo", "--from", str(folder)])
    assert result.exit_code == 0, result.output
    assert f"1 records are no events and lie in {tmp_path / 'lake' / 'errors'}/" in result.output
    assert "All checks passed" not in result.output
    assert (
        "All blocking checks passed; 1 warning: check quarantine_rate of quarantine/auth_events: above" in result.output
    )
    assert "listen_events_2026.jsonl" in result.output


def test_demo_keeps_to_the_hours_that_have_a_partition(commands: CliRunner, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    now = datetime.now(UTC)
    moments = [datetime(2025, 12, 31, 23, 30, tzinfo=UTC), now + timedelta(hours=1), now + timedelta(days=400)]
    outside = [auth_event(number, ts=int(moment.timestamp() * 1000)) for number, moment in enumerate(moments)]
    (folder / "auth_events").write_text("\n".join(outside), encoding="utf-8")
    nothing = commands.invoke(app, ["demo", "--from", str(folder)])
    assert nothing.exit_code == 1, nothing.output
    assert "no landed event lies between 2026-01-01-00:00 (MUSIC_PLATFORM_START) and" in nothing.output

    current = auth_event(3, ts=int(now.timestamp() * 1000))
    (folder / "auth_events").write_text("\n".join([*outside, current]), encoding="utf-8")
    result = commands.invoke(app, ["demo", "--from", str(folder)])
    assert result.exit_code == 0, result.output
    assert "1 landed lines = 1 silver rows" in result.output
    assert "1 lines of 1 hours (2025-12-31-23:00 to 2025-12-31-23:00) stay in landing: before" in result.output
    assert "2 lines of 2 hours" in result.output
    assert "stay in landing: later than the current hour" in result.output


def test_demo_without_an_event_fails_clearly(commands: CliRunner, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "auth_events").write_text("no event\n", encoding="utf-8")
    result = commands.invoke(app, ["demo", "--from", str(folder)])
    assert result.exit_code == 1, result.output
    assert "nothing was landed" in result.output
    assert "1 records are no events" in result.output


def test_an_interrupt_ends_the_command_and_its_run(commands: CliRunner) -> None:
    process = subprocess.Popen(
        [*_COMMAND, "demo", "--users", "1000", "--days", "3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def has_begun() -> bool:
        with dg.DagsterInstance.get() as instance:
            begun = dg.DagsterEventType.STEP_START
            return any(instance.get_records_for_run(run.run_id, of_type=begun).records for run in instance.get_runs())

    try:
        wait_until(has_begun)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, errors
    assert "was interrupted; what it published stays" in errors
    assert "Traceback" not in errors
    with dg.DagsterInstance.get() as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.FAILURE]


def test_an_interrupt_before_the_first_step_leaves_no_open_run(
    commands: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = dg.DagsterInstance.create_run_for_job

    def create_and_interrupt(self: dg.DagsterInstance, *args: Any, **kwargs: Any) -> None:
        create(self, *args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(dg.DagsterInstance, "create_run_for_job", create_and_interrupt)
    with pytest.raises(KeyboardInterrupt, match="was interrupted"):
        materialize_hour(current_settings())
    assert [run.status for run in runs.open_instance().get_runs()] == [dg.DagsterRunStatus.CANCELED]


def test_progress_reads_each_event_of_a_step_once(
    commands: CliRunner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A range of hundreds of hours records thousands of other events, which take seconds to read."""
    read: Counter[int] = Counter()
    plans: list[str] = []
    get_records, get_plan = dg.DagsterInstance.get_records_for_run, dg.DagsterInstance.get_execution_plan_snapshot

    def counted_records(self: dg.DagsterInstance, *args: Any, **kwargs: Any) -> Any:
        found = get_records(self, *args, **kwargs)
        assert all(record.event_log_entry.get_dagster_event().is_step_event for record in found.records)
        read.update(record.storage_id for record in found.records)
        return found

    def counted_plan(self: dg.DagsterInstance, snapshot_id: str) -> Any:
        plans.append(snapshot_id)
        return get_plan(self, snapshot_id)

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("reads every event of the run")

    monkeypatch.setattr(dg.DagsterInstance, "get_records_for_run", counted_records)
    monkeypatch.setattr(dg.DagsterInstance, "get_execution_plan_snapshot", counted_plan)
    monkeypatch.setattr(dg.DagsterInstance, "get_run_step_stats", refused)
    monkeypatch.setattr(runs, "_POLL_SECONDS", 0.01)
    materialize_hour(current_settings())
    assert len(plans) == 1
    assert set(read.values()) == {1}
    shown = words(capsys.readouterr().out)
    assert f"{len(read) // 2} of {len(read) // 2} steps" in shown  # each starts and ends


def test_ranges_without_gaps_are_found() -> None:
    hours = ["2026-11-01-23:00", "2026-11-01-05:00", "2026-11-02-00:00"]
    assert runs.contiguous_ranges(hours) == [["2026-11-01-05:00"], ["2026-11-01-23:00", "2026-11-02-00:00"]]


def test_gold_is_made_checked_and_told(commands: CliRunner) -> None:
    made = commands.invoke(app, ["demo", "--users", "40", "--days", "2"])
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
    assert "gold has no plays of 2026-02-01" in nothing.output
    assert commands.invoke(app, ["results", "--partition-range", "yesterday"]).exit_code == 2
    assert commands.invoke(app, ["check", "--partition", days[0], "--layer", "silver"]).exit_code == 2
