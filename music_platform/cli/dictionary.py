"""`music-platform dictionary`: the data dictionary from the contracts."""

from __future__ import annotations

from music_platform.cli.console import echo
from music_platform.tables.dictionary import render_dictionary


def dictionary() -> None:
    """Print the data dictionary as Markdown: every table, column and rule."""
    echo(render_dictionary(), ends_line=False)
