"""The command line of the generator: exit codes, errors, signals."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from music_platform.cli.generate import generate
from music_platform.eventsim import EVENT_TYPES
from music_platform.settings import current_settings

_APP = typer.Typer()
_APP.command()(generate)
_COMMAND = "import typer; from music_platform.cli.generate import generate; typer.run(generate)"


def _invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(_APP, list(arguments))
    return result.exit_code, " ".join(result.output.split())


def test_files_and_a_summary(tmp_path: Path) -> None:
    arguments = ["--users", "50", "--from", "2026-11-01T00:00Z", "--to", "2026-11-02", "--seed", "1"]
    code, output = _invoke("--output", str(tmp_path), *arguments)
    assert code == 0
    assert "2026-11-01 00:00 to 2026-11-02 00:00 UTC" in output
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{event_type}.jsonl" for event_type in EVENT_TYPES]


def test_a_short_stream(tmp_path: Path) -> None:
    code, output = _invoke("-o", str(tmp_path), "--continuous", "--speed", "50000", "--duration", "0.5", "-q")
    assert (code, output) == (0, "")
    assert (tmp_path / "page_view_events.jsonl").stat().st_size > 0


def test_tastes_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    arguments = ["-o", str(tmp_path / "events"), "-n", "50", "--from", "2026-11-01", "--days", "1", "--taste", "2"]
    assert _invoke(*arguments, "--truth", str(tmp_path / "truth"))[0] == 0
    assert sorted(path.name for path in (tmp_path / "truth").iterdir()) == [
        "listeners.parquet",
        "plays.parquet",
        "songs.parquet",
    ]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MUSIC_PLATFORM_LAKE", str(tmp_path / "lake"))
    current_settings.cache_clear()
    yield tmp_path / "lake"
    current_settings.cache_clear()


@pytest.mark.parametrize("folder", ["lake", "lake/truth", "other/../lake/truth", "link/truth"])
def test_the_truth_never_enters_the_lake(tmp_path: Path, lake: Path, folder: str) -> None:
    for name in ("lake", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(lake)
    code, output = _invoke("-o", str(tmp_path / "events"), "--taste", "1", "--truth", str(tmp_path / folder))
    assert code == 2
    assert "lies in the lake" in output
    assert list(lake.iterdir()) == []
    assert not (tmp_path / "events").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--config", "nowhere.json"], 1, "Cannot read the configuration nowhere.json"),
        (["--songs", "nowhere.csv"], 1, "Cannot read the song catalogue nowhere.csv"),
        (["--sink", "ftp://x:1"], 1, "There is no sink 'ftp://x:1'"),
        (["--from", "2026-11-02", "--to", "2026-11-01"], 1, "Check --from and --to"),
        (["--from", "yesterday"], 2, "is no ISO time"),
        (["--to", "2026-11-02", "--days", "1"], 2, "--to or --days"),
        (["--speed", "2"], 2, "need --continuous"),
        (["--continuous", "--speed", "0"], 2, "above 0"),
        (["--users", "0"], 2, "--users"),
        (["--taste", "-1"], 2, "--taste"),
        (["--taste", "1000"], 1, "The taste must be a number from 0 to 100, not 1000.0. Check --taste."),
        (["--truth", "truth"], 2, "--truth needs --taste"),
        (["--taste", "1", "--truth", "s3://bucket/lake/truth"], 2, "is not a folder of this machine"),
    ],
)
def test_errors_name_the_option(tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    found, output = _invoke("--output", str(tmp_path / "new"), *arguments)
    assert found == code
    assert message in output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_file(tmp_path: Path, number: signal.Signals) -> None:
    arguments = ["--output", str(tmp_path), "--users", "3000", "--days", "3000", "--from", "2020-01-01"]
    process = subprocess.Popen([sys.executable, "-c", _COMMAND, *arguments], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Interrupted; no file was written." in errors
    assert list(tmp_path.iterdir()) == []
