"""`music-platform lineage`: the columns from which each column of silver, quarantine and gold is computed."""

from __future__ import annotations

from music_platform.cli.console import echo
from music_platform.tables.column_lineage import to_json


def lineage() -> None:
    """Derive the lineage of every column from the transforms, and print it as JSON."""
    from music_platform.lake.spark import SparkEngine  # the engine is slow to load
    from music_platform.tables.lineage.tables import derive_lineage

    echo(to_json(derive_lineage(SparkEngine().spark_session)), ends_line=False)
