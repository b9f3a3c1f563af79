"""`music-platform doctor`: whether this machine and its settings can run the platform, and what to do if not.

The examinations are in the modules of that name beside this one, each with its subject.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer
from rich.text import Text

from music_platform.cli import machine_examinations as machine
from music_platform.cli import platform_examinations as platform
from music_platform.cli import server_examinations as servers
from music_platform.cli import storage_examinations as storage
from music_platform.cli.console import console, echo_json, settings_of_command
from music_platform.cli.dagster_examinations import dagster_instance
from music_platform.cli.finding import Finding, State
from music_platform.settings import Settings

_STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILURE: "bold red"}
_WIDTH = max(map(len, State))


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, keys as in docs/operations.md.")] = False,
) -> None:
    """Examine versions, credentials, lake, queue, clock, engine, Dagster, Druid, Superset, Java, disk and memory.

    Only what the settings name is looked for. Each finding says what was found and what to do next. Exit code 1 on a failure;
    warnings alone leave it 0.
    """
    settings = settings_of_command()
    findings: list[Finding] = []
    for finding in _examine(settings):
        findings.append(finding)
        if not as_json:
            _print(finding)
    counts = Counter(finding.state for finding in findings)
    if as_json:
        report = {"healthy": not counts[State.FAILURE], "findings": [asdict(finding) for finding in findings]}
        echo_json(report, indent=1)
    else:
        console.print(f"{counts[State.FAILURE]} failures, {counts[State.WARNING]} warnings, {counts[State.OK]} ok")
    if counts[State.FAILURE]:
        raise typer.Exit(1)


def _examine(settings: Settings) -> Iterator[Finding]:
    looks: list[Callable[[], list[Finding]]] = [
        platform.python_version,
        platform.packages,
        platform.recommendation_library,
        partial(platform.credentials, settings),
        partial(platform.lake, settings),
        partial(storage.bucket_rights, settings),
        partial(storage.landing_queue, settings),
        partial(machine.clock, settings),
        partial(servers.engine, settings),
        platform.code_location,
        dagster_instance,
        partial(servers.druid, settings),
        partial(servers.superset, settings),
        machine.ports,
        machine.java,
        partial(machine.disk, settings),
        machine.memory,
    ]
    for look in looks:
        yield from look()


def _print(finding: Finding) -> None:
    state = f"{finding.state:<{_WIDTH}}"
    console.print(Text.assemble((state, _STYLES[finding.state]), f"  {finding.subject}: {finding.found}"))
    if finding.advice:
        console.print(Text(f"{'':{_WIDTH}}  {finding.advice}"))
