"""`music-platform webserver`: Dagster's UI behind the platform's guard. The daemon is another process."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from music_platform.cli.console import errors_as_messages, fail, settings_of_command
from music_platform.settings import dagster_home


class LogLevel(StrEnum):
    """The options that Dagster's processes accept."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"


def webserver(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65_535, help="Port to listen on.")] = 3000,
    workspace: Annotated[
        list[Path] | None,
        typer.Option(
            "--workspace",
            exists=True,
            dir_okay=False,
            help="Dagster's workspace file, where code servers run by themselves; may be repeated. Without one, the platform's "
            "definitions are loaded.",
        ),
    ] = None,
    path_prefix: Annotated[
        str, typer.Option("--path-prefix", help="Path below which a proxy serves the UI, such as /dagster.")
    ] = "",
    read_only: Annotated[bool, typer.Option("--read-only", help="Show everything and change nothing.")] = False,
    poll_milliseconds: Annotated[
        int, typer.Option("--live-data-poll-rate", min=100, help="Milliseconds between two looks for new data.")
    ] = 2000,
    code_server_log_level: Annotated[
        LogLevel, typer.Option("--code-server-log-level", help="What code servers that it starts log.")
    ] = LogLevel.WARNING,
) -> None:
    """Serve Dagster's UI to browsers that reach it by its own names, and to no other site's pages.

    It serves the instance of DAGSTER_HOME until it is interrupted.
    """
    settings = settings_of_command()
    if dagster_home() is None:
        fail("the UI needs Dagster's instance: set DAGSTER_HOME, or call it by ./run", 2)
    if path_prefix and (not path_prefix.startswith("/") or path_prefix.endswith("/")):
        fail(f"--path-prefix '{path_prefix}' must begin with a slash and not end with one", 2)
    from music_platform.orchestration.runs import open_instance
    from music_platform.orchestration.ui.webserver import serve  # Dagster's web application takes a second to import

    with errors_as_messages(), open_instance() as instance:
        serve(
            instance,
            host,
            port,
            allowed_hosts=settings.ui_hosts,
            workspace=workspace or (),
            path_prefix=path_prefix,
            read_only=read_only,
            poll_milliseconds=poll_milliseconds,
            code_server_log_level=code_server_log_level.value,
        )
