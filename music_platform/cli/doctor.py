"""`music-platform doctor`: whether this machine and its settings can run the platform, and what to do if not.

The examinations are in the modules of that name beside this one, each with its subject.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
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
from music_platform.cli.progress import working
from music_platform.settings import Settings

_STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILURE: "bold red"}
_LOOKS_AT_ONCE = 4
_WIDTH = max(map(len, State))


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, keys as in docs/operations.md.")] = False,
) -> None:
    """Examine versions, credentials, lake, queue, clock, engine, Dagster, Druid, Superset, collector, Java, disk and memory.

    Only what the settings name is looked for. Each finding says what was found and what to do next. Exit code 1 on a failure;
    warnings alone leave it 0.
    """
    settings = settings_of_command()
    findings: list[Finding] = []
    with working("examining") if not as_json else nullcontext():
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
    """The findings in the order of the list. What waits for others, mostly processes and servers, is looked at side by side."""
    engine = partial(servers.engine, settings)
    looks: list[Callable[[], list[Finding]]] = [
        platform.python_version,
        platform.packages,
        platform.recommendation_library,
        partial(platform.credentials, settings),
        partial(platform.lake, settings),
        partial(storage.bucket_rights, settings),
        partial(storage.landing_queue, settings),
        partial(machine.clock, settings),
        engine,
        platform.code_location,
        dagster_instance,
        partial(servers.druid, settings),
        partial(servers.superset, settings),
        partial(servers.collector, settings),
        machine.ports,
        machine.java,
        partial(machine.disk, settings),
        machine.memory,
    ]
    with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
        # The slowest one begins first; the engine starts in this process, and takes its signals in the main thread.
        begun = {look: pool.submit(look) for look in sorted(looks, key=lambda look: look is not platform.code_location)
                 if look is not engine}  # fmt: skip
        for look in looks:
            yield from engine() if look is engine else begun[look].result()


def _print(finding: Finding) -> None:
    state = f"{finding.state:<{_WIDTH}}"
    console.print(Text.assemble((state, _STYLES[finding.state]), f"  {finding.subject}: {finding.found}"))
    if finding.advice:
        console.print(Text(f"{'':{_WIDTH}}  {finding.advice}"))
