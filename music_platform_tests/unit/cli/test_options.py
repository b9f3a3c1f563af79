"""Options of a command as the fields of a dataclass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from music_platform.cli.options import options_from


@dataclass(frozen=True)
class Options:
    name: Annotated[str, typer.Argument(help="Whom to greet.")]
    times: Annotated[int, typer.Option("--times", "-t", min=1, help="How often.")] = 1
    loud: Annotated[bool, typer.Option("--loud/--soft")] = False

    def __post_init__(self) -> None:
        if self.loud and self.times > 2:
            raise typer.BadParameter("Too loud.")


received: list[Options] = []
app = typer.Typer()


@app.command()
@options_from(Options)
def greet(options: Options) -> None:
    """Greet somebody."""
    received.append(options)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["Ann"], Options("Ann")),
        (["Ann", "-t", "3"], Options("Ann", times=3)),
        (["--loud", "Ann"], Options("Ann", loud=True)),
    ],
    ids=["defaults", "an option", "a switch"],
)
def test_the_command_receives_one_object(words: list[str], options: Options) -> None:
    received.clear()
    assert CliRunner().invoke(app, words).exit_code == 0
    assert received == [options]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Missing argument"),
        (["Ann", "--times", "0"], "Invalid value for '--times'"),
        (["Ann", "--loud", "-t", "3"], "Too loud."),
    ],
)
def test_what_the_command_line_refuses_reaches_no_command(words: list[str], message: str) -> None:
    received.clear()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert received == []


def test_help_shows_every_field() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"}).output.split())
    for text in ("Greet somebody.", "Whom to greet.", "--times -t", "How often. [default: 1]", "--loud --soft"):
        assert text in shown
