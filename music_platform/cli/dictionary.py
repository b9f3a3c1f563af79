"""`music-platform dictionary`: the data dictionary from the contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from music_platform.cli.console import echo
from music_platform.tables.dictionary import render_dictionary


def dictionary(
    write: Annotated[
        Path | None, typer.Option("--write", help="Write it to this file instead of printing it.", show_default=False)
    ] = None,
) -> None:
    """Print the data dictionary: every table, column and rule."""
    if write is None:
        echo(render_dictionary(), ends_line=False)
    else:
        write.write_text(render_dictionary(), encoding="utf-8")
