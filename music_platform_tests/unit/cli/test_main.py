"""The command as a whole: what it lists is what there is, and it loads what the called command needs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from music_platform.cli.main import COMMANDS, app, load_command

_LOADS = """
import sys
from typer.testing import CliRunner
from music_platform.cli.main import app
result = CliRunner().invoke(app, sys.argv[1:])
print(result.exit_code, sorted({"dagster", "pyspark"} & set(sys.modules)))
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_the_listed_help_is_the_commands_own(name: str) -> None:
    command = load_command(name)
    assert command.name == name
    assert " ".join(command.help.split("\n\n")[0].split()) == COMMANDS[name]


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert [name for name in COMMANDS if f" {name} " not in result.output] == []


def test_a_mistyped_command_is_answered_with_a_near_one() -> None:
    result = CliRunner().invoke(app, ["genrate"])
    assert result.exit_code == 2
    assert "Did you mean 'generate'?" in result.output


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["nonsense"],
        ["land", "--help"],
        ["generate", "--help"],
        ["quarantine", "list"],
        ["druid", "status"],
        ["fluentd", "lint", "--help"],
    ],
    ids=" ".join,
)
def test_a_command_loads_neither_dagster_nor_pyspark(words: list[str], tmp_path: object) -> None:
    found = subprocess.run(
        [sys.executable, "-c", _LOADS, *words],
        capture_output=True,
        text=True,
        check=True,
        env={"MUSIC_PLATFORM_LAKE": f"{tmp_path}/lake", "MUSIC_PLATFORM_DRUID_FOLDER": f"{tmp_path}/druid", "PATH": ""},
    )
    code, loaded = found.stdout.split(maxsplit=1)
    assert loaded.strip() == "[]", found.stderr
    assert code in ("0", "1", "2")
