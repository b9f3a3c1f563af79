"""What the commands share: the console, options for partitions, errors that end a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from music_platform.errors import MusicPlatformError
from music_platform.partitions import hour_of_key, keys_in_range

console = Console()
if not console.is_terminal:
    console = Console(width=180)  # a log or a pipe has no width; tables would be cut to 80 characters
error_console = Console(stderr=True, soft_wrap=True)

PartitionOption = Annotated[
    str | None, typer.Option("--partition", help="One hour, such as 2026-11-01-05:00.", show_default=False)
]
RangeOption = Annotated[
    str | None,
    typer.Option(
        "--partition-range",
        help="Hours from one to another, both included, such as 2026-11-01-00:00...2026-11-01-23:00.",
        show_default=False,
    ),
]


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with a message on standard error: 1 for what went wrong, 2 for what was asked wrongly."""
    error_console.print(f"[bold red]error:[/] {message}", highlight=False)
    raise typer.Exit(code)


@contextmanager
def failures_told() -> Iterator[None]:
    """The platform's own errors become the command's message and exit code 1; others stay tracebacks."""
    try:
        yield
    except MusicPlatformError as error:
        fail(str(error))


def partitions_asked_for(partition: str | None, partition_range: str | None) -> list[str] | None:
    """The hourly partition keys of the two options, None when neither is given; ends the command when they are wrong."""
    if partition and partition_range:
        fail("give either --partition or --partition-range", 2)
    try:
        if partition:
            hour_of_key(partition)
            return [partition]
        if partition_range:
            first, separator, last = partition_range.partition("...")
            if not separator:
                fail(f"--partition-range '{partition_range}' needs three dots between its first and last hour", 2)
            return keys_in_range(first, last)
    except ValueError as error:
        fail(str(error), 2)
    return None
