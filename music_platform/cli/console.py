"""What the commands share: the console, settings, options for partitions, errors that end a command.

Text from data, files or settings is printed as ``rich.text.Text`` or with ``markup=False``: in a plain string rich takes
square brackets for its markup.

Text of events, names of files and errors may hold characters that a terminal obeys or that hide others. Commands print
everything here, including typer's own messages; each such character becomes a visible one, and JSON escapes it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from functools import lru_cache
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text
from typer import rich_utils

from music_platform.errors import MusicPlatformError
from music_platform.inert_text import UNSEEN
from music_platform.partitions import days_in_range, is_day, keys_in_range
from music_platform.settings import Settings, current_settings

_LAYOUT = "\n\t"
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
_LAST_OF_LATIN = "\u024f"
_CONTROL_PICTURES, _DELETE = 0x2400, "\x7f"

_FREE_SPACE = (
    "Free some space: ./run music-platform doctor shows how much each disk has. The same command then goes on."
)
_RIGHTS = "Give this user the right to write there, or name another folder by the option or setting that it comes from."
_ADVICE = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _RIGHTS,
}


def visible(text: str) -> str:
    """Text of the same length in which every control and format character but newline and tab is visible.

    Those below 0x20 and DEL become their control picture (ESC is ␛), others U+FFFD. The two joiners stay between letters or
    symbols beyond Latin script, where words of Persian and Hindi and composed emoji need them.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or (char in _JOINERS and _joins(text, place)) else _seen(char)
        for place, char in enumerate(text)
    )


def _joins(text: str, place: int) -> bool:
    """Whether a joiner stands between two characters that it can join."""
    return 0 < place < len(text) - 1 and _can_be_joined(text[place - 1]) and _can_be_joined(text[place + 1])


@lru_cache(maxsize=4096)
def _can_be_joined(char: str) -> bool:
    return char > _LAST_OF_LATIN and (
        unicodedata.category(char)[0] in "LM" or unicodedata.category(char) in ("So", "Sk")
    )


def one_line(text: str) -> str:
    """``visible`` text with visible line breaks too: a value of events must not look like a line of the command."""
    return visible(text).replace("\n", "\N{SYMBOL FOR NEWLINE}")


@lru_cache(maxsize=4096)
def _seen(char: str) -> str:
    if char in _LAYOUT or unicodedata.category(char) not in UNSEEN:
        return char
    if char < " ":
        return chr(_CONTROL_PICTURES + ord(char))
    return "\N{SYMBOL FOR DELETE}" if char == _DELETE else "\N{REPLACEMENT CHARACTER}"


class VisibleConsole(Console):
    """Prints no control or format character but rich's own styles and the newlines and tabs of the layout."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        if isinstance(renderable, Text):  # before the layout, because a visible character may be wider
            seen = renderable.copy()
            seen.plain = visible(renderable.plain)
            renderable = seen
        for segment in super().render(renderable, options):
            yield segment if segment.is_control else Segment(visible(segment.text), segment.style)


# Typer prints its own errors and tracebacks by a console that it makes there.
rich_utils.Console = VisibleConsole  # pyright: ignore


def echo(text: str, *, ends_line: bool = True) -> None:
    """Print a text as it is, without styles and whatever the terminal's width."""
    typer.echo(visible(text), nl=ends_line)


def echo_json(value: object, *, indent: int | None = None, default: Callable[[Any], object] = str) -> None:
    """Print a value as JSON in which control and format characters are escaped; a JSON reader gets the value unchanged."""
    text = json.dumps(value, indent=indent, default=default, ensure_ascii=False)
    typer.echo(text if text.isprintable() else re.sub(r"[^\n -~]", _escaped, text))


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    return char if char.isprintable() or _seen(char) == char else json.dumps(char)[1:-1]


# emoji: rich would replace ":x:" in what it prints, data included.
console = VisibleConsole(emoji=False)
if not console.is_terminal:
    # A log or a pipe has no width; tables would be cut to 80 characters.
    console = VisibleConsole(emoji=False, width=180)
error_console = VisibleConsole(stderr=True, emoji=False, soft_wrap=True)

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
    """End the command with a message on standard error.

    The exit code is 1 for a failure and 2 for wrong usage.
    """
    _print_error(message)
    raise typer.Exit(code)


def warn(message: str) -> None:
    """Print on standard error what the user should look at although the command continues."""
    error_console.print(Text.assemble(("warning:", "yellow"), " ", message))


@contextmanager
def errors_as_messages() -> Generator[None]:
    """The platform's own errors, a full disk and files that may not be written become the command's message and exit code 1;
    others stay tracebacks.

    An interrupt ends the process with exit code 130, as shells have it.
    """
    try:
        yield
    except MusicPlatformError as error:
        fail(str(error))
    except OSError as error:
        if error.errno not in _ADVICE:
            raise
        fail(f"{error.filename or 'a file'}: {error.strerror}. {_ADVICE[error.errno]}")
    except KeyboardInterrupt as error:
        _print_error(str(error) or "interrupted")
        sys.stdout.flush()
        sys.stderr.flush()
        # At once: the embedded engine ends at an interrupt, and Spark's client tries for ten minutes to release its results
        # there, in a thread that Python would wait for.
        os._exit(130)


def settings_of_command() -> Settings:
    """The settings of this process; ends the command with exit code 2 and the names of the variables that are wrong."""
    try:
        return current_settings()
    except ValidationError as error:
        prefix = Settings.model_config.get("env_prefix", "")
        problems = [
            # Not the value: it may be a secret.
            f"{prefix}{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
        ]
        fail("; ".join(problems), 2)


def readable_duration(seconds: float) -> str:
    """A length of time for people, in its two largest units: ``3 d 4 h``, ``12 min``, ``45 s``."""
    minutes, hours, days = int(seconds) // 60, int(seconds) // 3600, int(seconds) // 86_400
    if days:
        return f"{days:,} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"


def _print_error(message: str) -> None:
    error_console.print(Text.assemble(("error:", "bold red"), " ", message))


def partitions_asked_for(
    partition: str | None, partition_range: str | None, *, days_too: bool = False
) -> list[str] | None:
    """The partition keys of the two options, hours or (``days_too``) days, in Dagster's form.

    None when neither is given; ends the command when they are wrong.
    """
    if partition and partition_range:
        fail("give either --partition or --partition-range", 2)
    if not partition and not partition_range:
        return None
    first, separator, last = (partition_range or f"{partition}...{partition}").partition("...")
    if not separator:
        fail(f"--partition-range '{partition_range}' needs three dots between its first and its last partition", 2)
    try:
        return days_in_range(first, last) if days_too and is_day(first) else keys_in_range(first, last)
    except ValueError as error:
        fail(str(error), 2)
