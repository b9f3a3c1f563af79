"""``./run dev``: Dagster's UI and daemon in the foreground. local/dagster.py runs their processes.

The exit code is 0 after an interrupt, and 1 when a process ended by itself or nothing could be started.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress

import typer

from music_platform.cli.console import console, settings_of_command, warn
from music_platform.cli.webserver import LogLevel
from music_platform.local.dagster import HOST, PORTS, DevOptions, dagster_in_foreground
from music_platform.local.service import ServiceError
from music_platform.orchestration.code_server import CodeServer
from music_platform.settings import dagster_home


def main(arguments: list[str]) -> None:
    """Serve this machine's DAGSTER_HOME until an interrupt, or until one of the processes ends."""
    options = _options(arguments)
    try:
        settings_of_command()
    except typer.Exit as ended:  # the code server would show it as the end of a traceback
        sys.exit(ended.exit_code)
    home = dagster_home()
    if home is None:
        sys.exit("dev needs Dagster's instance: set DAGSTER_HOME, or call it by ./run")
    with suppress(KeyboardInterrupt):
        try:
            with dagster_in_foreground(home, options, CodeServer) as (address, processes):
                console.print(f"Dagster's UI: {address}; its daemon runs beside it, and Ctrl-C ends both", markup=False)
                name, code = processes.first_to_end()
                warn(f"{name} ended with exit code {code}; what else runs is ended as well")
                sys.exit(1)
        except ServiceError as error:
            sys.exit(str(error))


def _options(arguments: list[str]) -> DevOptions:
    levels = [level.value for level in LogLevel]
    parser = argparse.ArgumentParser(prog="./run dev", description="Dagster's UI and daemon; ends with Ctrl-C.")
    parser.add_argument("--host", default=HOST, help="address to listen on (default: %(default)s, this machine only)")
    parser.add_argument("--port", type=int, help=f"default: the first free one from {PORTS[0]}")
    parser.add_argument("--log-level", default="info", choices=levels, help="of the daemon (default: %(default)s)")
    parser.add_argument(
        "--code-server-log-level", default="warning", choices=levels, help="of the definitions (default: %(default)s)"
    )
    parser.add_argument(
        "--live-data-poll-rate",
        type=int,
        default=2000,
        help="milliseconds between the UI's looks (default: %(default)s)",
    )
    return DevOptions(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
