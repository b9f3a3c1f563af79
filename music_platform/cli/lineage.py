"""`music-platform lineage`: the columns from which each column of silver, quarantine and gold is computed."""

from __future__ import annotations

from music_platform.cli.console import echo
from music_platform.contracts.column_lineage import to_json


def lineage() -> None:
    """Derive the lineage of every column from the transforms, and print it as JSON."""
    from music_platform.lineage.tables import derive_lineage  # the engine is slow to load
    from music_platform.resources.spark import SparkResource

    echo(to_json(derive_lineage(SparkResource().spark_session)), ends_line=False)
