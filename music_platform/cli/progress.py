"""What a command shows while a person waits: the seconds so far, what is being done, and a bar where something is counted.

At a terminal everything here is drawn several times a second, whatever the work does meanwhile.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from music_platform.cli.console import VisibleConsole, console

BAR_WIDTH = 20
_LINE_SECONDS = 10.0  # between two lines of a log, which has no spinner
_MEBIBYTE = 1024**2
Show = Callable[[str], None]


@contextmanager
def lasting_console() -> Generator[VisibleConsole]:
    """The console for what is drawn while a run executes: Dagster points file descriptor 1 at its own logs during steps.

    At a terminal it writes to a duplicate of the descriptor, taken here, before the run. Elsewhere it is ``console``.
    """
    if not console.is_terminal:
        yield console
        return
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding) as terminal:
        yield VisibleConsole(file=terminal, emoji=False)


@contextmanager
def working(what: str) -> Generator[Show]:
    """Show what is being done, and for how long, until the block ends; yields a function that changes the text.

    Where there is no terminal, a changed text is a line of its own, at most one in ten seconds.
    """
    if not console.is_terminal:
        yield _lines()
        return
    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda text: progress.update(task, description=text)


def _lines() -> Show:
    printed_at = float("-inf")

    def show(text: str) -> None:
        nonlocal printed_at
        if time.monotonic() - printed_at >= _LINE_SECONDS:
            printed_at = time.monotonic()
            console.print(Text(text, style="dim"), soft_wrap=True)

    return show


@contextmanager
def counting(title: str, unit: str) -> Generator[Callable[[int, float, float], None]]:
    """A bar with a count of ``unit``; yields a function of the count, and of what is done of a total."""
    with Progress(
        TextColumn(title, markup=False),
        BarColumn(BAR_WIDTH),
        TextColumn("{task.fields[count]:,} " + unit),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        task = progress.add_task(title, count=0)
        yield lambda count, done, total: progress.update(task, count=count, completed=done, total=total)


class DruidStages:
    """The progress of a local Druid's ``up``, as texts for ``show``."""

    def __init__(self, show: Show) -> None:
        self._show = show

    def downloading(self, done: int, total: int) -> None:
        if done < total:
            self._show(f"Druid's jars: {done // _MEBIBYTE:,} of {total // _MEBIBYTE:,} MiB")

    def starting(self, lacking: str) -> None:
        self._show(f"Druid starts: {lacking}")
