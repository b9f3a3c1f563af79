"""Commands whose options are the fields of a dataclass, for commands with more options than a signature can show.

Typer treats a field like a parameter: ``name: Annotated[type, typer.Option(...)] = default``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Options = TypeVar("Options")


def options_from(fields: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Let a command of one parameter take its options, as an object of the dataclass ``fields``, from the command line."""

    def decorate(command: Callable[[Options], None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**values: Any) -> None:
            command(fields(**values))

        # Typer takes a command's parameters from its signature; a dataclass has one of its fields.
        vars(run)["__signature__"] = inspect.signature(fields, eval_str=True)
        return run

    return decorate
