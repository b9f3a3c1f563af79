"""The music-platform demo, and the runs that commands wait for: their interrupts, their progress, their ranges.

Each test works on a lake and a Dagster instance of its own.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from music_platform.cli import runs
from music_platform.cli.main import app
from music_platform.orchestration.runs import open_instance
from music_platform.settings import current_settings
from music_platform_tests.integration.command_line import COMMAND, auth_event, materialize_hour, words
from music_platform_tests.waiting import wait_until


def test_demo_makes_and_checks_silver(commands: CliRunner) -> None:
    result = commands.invoke(app, ["demo", "--no-druid", "--users", "40", "--days", "1", "--faults", "0"])
    assert result.exit_code == 0, result.output
    assert "All checks passed. Now: ./run dev" in result.output.splitlines()[-1]
    assert "silver/listen_events" in result.output


def test_demo_accounts_for_the_faults_of_its_lines(commands: CliRunner) -> None:
    result = commands.invoke(app, ["demo", "--no-druid", "--users", "40", "--days", "1", "--faults", "0.2"])
    assert result.exit_code == 0, result.output
    sentence = re.search(
        r"([\d,]+) landed lines = ([\d,]+) silver rows \+ ([\d,]+) duplicates \+ ([\d,]+) quarantined", result.output
    )
    assert sentence is not None, result.output
    landed, silver, duplicates, quarantined = (int(number.replace(",", "")) for number in sentence.groups())
    assert landed == silver + duplicates + quarantined
    assert duplicates > quarantined > 0
    assert re.search(r"\d+ records are no events", result.output)
    assert "check quarantine_rate of quarantine/" in result.output


def test_demo_takes_files_that_are_given(commands: CliRunner, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "auth_events").write_text(
        f"{auth_event(1)}\n{auth_event(1)}\n{auth_event(2, zip='x')}\n", encoding="utf-8"
    )
    result = commands.invoke(app, ["demo", "--no-druid", "--from", str(folder)])
    assert result.exit_code == 0, result.output
    assert "3 landed lines = 1 silver rows + 1 duplicates + 1 quarantined" in result.output


def test_demo_tells_what_did_not_pass(commands: CliRunner, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "auth_events").write_text(f"{auth_event(1)}\n{auth_event(2, zip='x')}\nno event\n", encoding="utf-8")
    (folder / "listen_events_2026.jsonl").write_text("", encoding="utf-8")
    result = commands.invoke(app, ["demo", "--no-druid", "--from", str(folder)])
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
    nothing = commands.invoke(app, ["demo", "--no-druid", "--from", str(folder)])
    assert nothing.exit_code == 1, nothing.output
    assert "no landed event lies between 2026-01-01-00:00 (MUSIC_PLATFORM_START) and" in nothing.output

    current = auth_event(3, ts=int(now.timestamp() * 1000))
    (folder / "auth_events").write_text("\n".join([*outside, current]), encoding="utf-8")
    result = commands.invoke(app, ["demo", "--no-druid", "--from", str(folder)])
    assert result.exit_code == 0, result.output
    assert "1 landed lines = 1 silver rows" in result.output
    assert "1 lines of 1 hours (2025-12-31-23:00 to 2025-12-31-23:00) stay in landing: before" in result.output
    assert "2 lines of 2 hours" in result.output
    assert "stay in landing: later than the current hour" in result.output


def test_demo_without_an_event_fails_clearly(commands: CliRunner, tmp_path: Path) -> None:
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "auth_events").write_text("no event\n", encoding="utf-8")
    result = commands.invoke(app, ["demo", "--no-druid", "--from", str(folder)])
    assert result.exit_code == 1, result.output
    assert "nothing was landed" in result.output
    assert "1 records are no events" in result.output


def test_an_interrupt_ends_the_command_and_its_run(commands: CliRunner) -> None:
    process = subprocess.Popen(
        [*COMMAND, "demo", "--no-druid", "--users", "1000", "--days", "3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def has_begun() -> bool:
        with dg.DagsterInstance.get() as instance:
            begun = dg.DagsterEventType.STEP_START
            return any(instance.get_records_for_run(run.run_id, of_type=begun).records for run in instance.get_runs())

    try:
        wait_until(has_begun, seconds=120)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C, which reaches all that the command started
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, errors
    said = [line for line in errors.splitlines() if "are no events" not in line]
    assert len(said) == 1, errors
    assert "was interrupted; what it published stays" in said[0]
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
    assert [run.status for run in open_instance().get_runs()] == [dg.DagsterRunStatus.CANCELED]


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
