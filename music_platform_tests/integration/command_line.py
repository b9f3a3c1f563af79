"""What the tests of the music-platform command share: events of one hour, landed and materialized, and what is printed.

The command's runner on an empty lake is a fixture of conftest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from music_platform.cli import runs
from music_platform.cli.main import app
from music_platform.orchestration.runs import open_instance
from music_platform.settings import Settings
from music_platform.tables.bronze import BRONZE
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER

COMMAND = [sys.executable, "-c", "from music_platform.cli.process import music_platform; music_platform()"]
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


def land(commands: CliRunner, folder: Path, lines: list[str]) -> None:
    file = folder / "auth_events"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    result = commands.invoke(app, ["land", str(file)])
    assert result.exit_code == 0, result.output


def materialize_hour(settings: Settings) -> None:
    tables = [contract.path for layer in (BRONZE, SILVER, QUARANTINE) for contract in layer.values()]
    runs.materialize(open_instance(), settings, [*tables, COLLECTOR_ERRORS.path], [HOUR], "materialize")


def in_its_own_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a shell runs it; PySpark leaves variables in this process that would spare it work."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")}
    return subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=120)


def words(text: str) -> str:
    """Text without the borders and line breaks of tables."""
    return " ".join(text.replace("│", " ").split())
