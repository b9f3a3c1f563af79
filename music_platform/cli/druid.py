"""`music-platform druid`: a real Druid on this machine, for laptops and tests, and the datasources' specs.

local/druid and serving/druid do the work.
"""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from music_platform.cli.console import console, echo, errors_as_messages, fail, settings_of_command
from music_platform.cli.progress import DruidStages, working
from music_platform.local.druid.configuration import SERVICES, LocalConfiguration
from music_platform.local.druid.local_druid import LocalDruid, Status

app = typer.Typer(help="A real Druid on this machine: start, stop, look.", no_args_is_help=True)

_FOLLOW_SECONDS = 0.5
_MEBIBYTE = 1024**2


@app.command()
def up() -> None:
    """Start Druid and wait until it answers queries; its jars are downloaded at the first start."""
    settings = settings_of_command()
    begun = time.monotonic()
    with errors_as_messages(), working("Druid starts") as show:
        was_started = LocalDruid(settings).up(DruidStages(show))
    state = f"Druid is up after {time.monotonic() - begun:.0f} s" if was_started else "Druid was up already"
    console.print(f"{state}: {settings.local_druid_router}; SQL is asked at /druid/v2/sql", soft_wrap=True)


@app.command()
def down() -> None:
    """Stop Druid; its data stays."""
    settings = settings_of_command()
    with errors_as_messages(), working("stopping Druid"):
        was_running = LocalDruid(settings).down()
    console.print("Druid is down" if was_running else "Druid was not running")


@app.command()
def status() -> None:
    """Show services, memory and datasources; exit code 1 when Druid does not run or lacks something."""
    settings = settings_of_command()
    with errors_as_messages():
        found = LocalDruid(settings).status()
    if found is None:
        fail("Druid is not running; music-platform druid up starts it")
    _show(found, settings.druid_folder)
    if found.lacking:
        fail(found.lacking)


@app.command()
def specs() -> None:
    """Print the ingestion spec of each datasource, without the files and the interval, which each task adds."""
    from music_platform.serving.druid.datasources import DATASOURCES
    from music_platform.serving.druid.ingestion_spec import spec_text

    for datasource in DATASOURCES.values():
        echo(spec_text(datasource), ends_line=False)


@app.command()
def logs(
    service: Annotated[
        str, typer.Argument(help=f"One of {', '.join(SERVICES)}; without one, what the JVM itself printed.")
    ] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 100,
) -> None:
    """Show the log of a service."""
    if service and service not in SERVICES:
        fail(f"Druid has no service '{service}'; there are {', '.join(SERVICES)}", 2)
    settings = settings_of_command()
    with errors_as_messages():
        configuration = LocalConfiguration(settings)
        file = configuration.log_of(service) if service else configuration.java_log
        if not file.exists():
            fail(f"there is no log {file}: music-platform druid up has not been run on this folder")
        _print_log(file, lines, follow)


def _show(status: Status, folder: str) -> None:
    started = datetime.fromtimestamp(status.started, UTC)
    proportional = status.memory.proportional
    console.print(
        f"process {status.pid}, up since {started:%Y-%m-%d %H:%M:%S} UTC; resident memory "
        f"{status.memory.resident / _MEBIBYTE:,.0f} MiB"
        + ("" if proportional is None else f" (its share: {proportional / _MEBIBYTE:,.0f} MiB)"),
        soft_wrap=True,
    )
    console.print(Text(f"state and logs: {folder}"), soft_wrap=True)
    services = Table("service", "port", "health")
    for service in status.services:
        services.add_row(service.name, str(service.port), "healthy" if service.is_healthy else Text("not yet", "red"))
    console.print(services)
    if status.datasources is None:
        console.print("no query is answered yet")
        return
    table = Table("datasource", "rows", "segments", "bytes")
    for datasource in status.datasources:
        table.add_row(
            Text(datasource.name), f"{datasource.rows:,}", f"{datasource.segments:,}", f"{datasource.bytes:,}"
        )
    console.print(table if status.datasources else "no datasources yet")


def _print_log(file: Path, lines: int, follow: bool) -> None:
    with file.open(errors="replace") as log:
        for line in deque(log, maxlen=lines):
            echo(line, ends_line=False)
        while follow:
            for line in log:
                echo(line, ends_line=False)
            time.sleep(_FOLLOW_SECONDS)
