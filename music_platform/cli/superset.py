"""`music-platform superset`: the local Superset, up, down, how it is, and the dashboards as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from music_platform.cli.console import console, errors_as_messages, fail, settings_of_command
from music_platform.cli.progress import working
from music_platform.local.superset.secrets import Login
from music_platform.local.superset.server import LocalSuperset, RunningSuperset

app = typer.Typer(help="Superset on this machine, with the dashboards on Druid.", no_args_is_help=True)


@app.command("up")
def up() -> None:
    """Install Superset if needed and start it on loopback; existing state stays as it is."""
    local = LocalSuperset(settings_of_command())
    with errors_as_messages(), working("Superset starts") as show:
        running = local.up(show)
    print_running(running, local)


@app.command("down")
def down() -> None:
    """Stop Superset; its state stays."""
    with errors_as_messages(), working("stopping Superset"):
        stopped = LocalSuperset(settings_of_command()).down()
    console.print("Superset has stopped" if stopped else "Superset was not running")


@app.command("status")
def status() -> None:
    """Show whether Superset runs and answers; exit code 1 if it does not."""
    local = LocalSuperset(settings_of_command())
    with errors_as_messages():
        process = local.service.process()
        if process is None:
            fail(f"Superset is not running; its state lies in {local.home}")
        if not local.is_healthy():
            fail(f"Superset runs as process {process.pid} and does not answer at {local.settings.superset_url}")
    console.print(Text(f"Superset is healthy: {local.settings.superset_url}, process {process.pid}"), soft_wrap=True)


@app.command("logs")
def logs(lines: Annotated[int, typer.Option("--lines", min=1, help="How many of the last lines.")] = 30) -> None:
    """Print the end of the server's log."""
    local = LocalSuperset(settings_of_command())
    with errors_as_messages():
        console.print(Text(local.log_end(lines)), soft_wrap=True)
    console.print(Text(f"whole: {local.service.log}", style="dim"), soft_wrap=True)


@app.command("bundle")
def bundle(
    folder: Annotated[Path, typer.Argument(help="Folder to write to; made where there is none.", file_okay=False)],
) -> None:
    """Write the dashboards as the YAML files that Superset imports, for another Superset or for reading."""
    from music_platform.serving.superset.bundle import bundle_files
    from music_platform.serving.superset.connection import database_uri

    files = bundle_files(database_uri(settings_of_command()))
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    console.print(Text(f"{len(files)} files in {folder}"), soft_wrap=True)


def print_running(running: RunningSuperset, local: LocalSuperset) -> None:
    """Print the address and the logins; a generated password is shown once."""
    console.print(
        Text(f"Superset {'is running' if running.was_running else 'has started'}: {running.url}"), soft_wrap=True
    )
    for who, login in (("administrator", running.admin), ("guest, who only looks", running.guest)):
        console.print(Text(f"  {who}: {login.username}, {_shown(login, local)}"), soft_wrap=True)


def _shown(login: Login, local: LocalSuperset) -> str:
    """The password when it was just generated; later only its place."""
    if login.is_new:
        return f"password {login.password} (shown this once; kept in {local.home})"
    return f"password as in the settings or in {local.home}"
