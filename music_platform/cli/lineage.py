"""`music-platform lineage`: from which columns each column of silver and gold comes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from music_platform.cli.console import echo
from music_platform.tables.column_lineage import FILE, to_json
from music_platform.tables.lineage.document import render_lineage

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "lineage.md"


def lineage(
    write: Annotated[
        bool,
        typer.Option("--write", help="Write docs/lineage.md and the lineage that assets carry, in this source tree."),
    ] = False,
) -> None:
    """Derive the lineage of every column from the transforms, and print it as Markdown."""
    from music_platform.lake.spark import SparkEngine
    from music_platform.tables.lineage.tables import derive_lineage  # the engine is slow to load

    derived = derive_lineage(SparkEngine().spark_session)
    document = render_lineage(derived)
    if not write:
        echo(document, ends_line=False)
        return
    FILE.write_text(to_json(derived), encoding="utf-8")
    _DOCUMENT.write_text(document, encoding="utf-8")
    echo(f"wrote {FILE} and {_DOCUMENT}")
