"""The parts of a table that the recommendations' model computes, instead of a transform of frames.

recommendations/ holds the tables, one module each; music_platform/recommendation computes them,
orchestration/assets/recommendations.py runs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from music_platform.tables.column_lineage import TableLineage
from music_platform.tables.contract import TableContract
from music_platform.tables.reconciliations import Input, Reconciliation


@dataclass(frozen=True, kw_only=True)
class ModelTable:
    """A daily table that is computed in one process, whatever the engine is.

    ``lineage`` names the source columns of each column, since no engine's plan shows them. ``version`` is raised when the same
    input gives other rows than before. ``carries_forward``: a day is made of the table's own day before as well.
    """

    contract: TableContract
    inputs: Mapping[str, Input]
    lineage: TableLineage
    reconciliations: Sequence[Reconciliation] = ()
    carries_forward: bool = False
    version: str = "1"

    reads_hours = False
    is_made_only_to_be_served = False
