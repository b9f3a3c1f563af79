"""The `music-platform` command: its subcommands, each in a module that is loaded when it is called.

So `--help` and a mistyped word are answered at once, and a command pays only for what it needs: Dagster and PySpark take a
second to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# A module of this package, and the first paragraph of its help. The module has a function of that name, or an ``app`` with
# subcommands.
COMMANDS: dict[str, str] = {
    "generate": "Generate the events of virtual listeners, as Eventsim does: a past period into files, or a stream.",
    "land": "Land files of events in the lake exactly as Fluentd does, by the hour of each event. Twice changes nothing.",
    "landing": "What has landed and no table reads: bringing it in, or setting it aside; what is gone on purpose.",
    "check": "Check the contract and the reconciliation of partitions; exit code 1 when a check fails.",
    "demo": "Generate events, land them, materialize and check the hourly and the daily tables, a run each, and show the "
    "result.",
    "results": "Print, from gold, the top songs, the active users of each day, the funnel of subscription levels and the "
    "sessions.",
    "recommend": "What a listener played last and is offered next, with the reason; or the songs that are like one.",
    "status": "How far each layer is, what failed, what waits, and whether sensors, daemon and servers work.",
    "doctor": "Examine versions, credentials, lake, queue, clock, engine, Dagster, Druid, Superset, collector, Java, disk and "
    "memory.",
    "quarantine": "What is in quarantine and why, and its replay.",
    "druid": "A real Druid on this machine: start, stop, look.",
    "superset": "Superset on this machine, with the dashboards on Druid.",
    "fluentd": "The collector's configuration.",
    "webserver": "Serve Dagster's UI to browsers that reach it by its own names, and to no other site's pages.",
    "dictionary": "Print the data dictionary as Markdown: every table, column and rule.",
    "lineage": "Derive the lineage of every column from the transforms, and print it as JSON.",
}


class _LoadedWhenCalled(TyperGroup):
    """Lists its commands from ``COMMANDS``, and imports the module of the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name=name, help=text) for name, text in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, load_command(str(name)) if listed else None, rest


def load_command(name: str) -> Any:
    """The command (of click's kind) that ``COMMANDS`` lists under a name."""
    module = import_module(f"music_platform.cli.{name}")
    if hasattr(module, "app"):
        command = typer.main.get_group(module.app)
    else:
        alone = typer.Typer()
        alone.command(name)(getattr(module, name))
        command = typer.main.get_command(alone)
    command.name = name
    return command


app = typer.Typer(
    name="music-platform",
    cls=_LoadedWhenCalled,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals can hold credentials
)


@app.callback(
    help="The music data platform: generate and land events, check partitions, see results and health, run what serves them."
)
def music_platform() -> None:
    """Has no options of its own; the subcommands do everything."""
