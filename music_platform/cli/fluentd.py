"""`music-platform fluentd`: finds what loses events or money in a Fluentd configuration, before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from music_platform.cli.console import console, errors_as_messages, fail
from music_platform.collector import RULES, lint, parse_configuration

app = typer.Typer(help="The collector's configuration.", no_args_is_help=True)


@app.callback()
def fluentd() -> None:
    """The collector's configuration."""


@app.command("lint")
def lint_configuration(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Where the configuration begins.")] = Path(
        "fluentd/fluent.conf"
    ),
    variables: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="An environment variable that Fluentd will run with; may be repeated. Others have their defaults.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Check a Fluentd configuration against the rules by which no event is lost; exit code 1 when one is broken."""
    environment: dict[str, str] = {}
    for variable in variables or ():
        name, separator, value = variable.partition("=")
        if not separator or not name:
            fail(f"--set '{variable}' is not NAME=VALUE", 2)
        environment[name] = value
    with errors_as_messages():
        findings = lint(parse_configuration(file, environment))
    for finding in findings:
        console.print(Text(str(finding)), soft_wrap=True)
    if findings:
        fail(f"{len(findings)} finding{'s' * (len(findings) > 1)} in '{file}'")
    console.print(Text(f"'{file}' keeps all {len(RULES)} rules"), soft_wrap=True)
