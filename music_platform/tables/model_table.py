"""What a table is that is computed around the model of the recommendations, instead of by a transform of frames.

The tables themselves stand in recommendations/, one module each; how they are computed stands in
music_platform/recommendation, how they are run in orchestration/assets/recommendations.py.
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

    ``lineage`` says which columns each column comes from: no plan of an engine tells it. ``version`` is raised when
    the same input comes to give other rows. ``carries_forward``: a day is made of the table's own day before as well.
    """

    contract: TableContract
    inputs: Mapping[str, Input]
    lineage: TableLineage
    reconciliations: Sequence[Reconciliation] = ()
    carries_forward: bool = False
    version: str = "1"

    reads_hours = False
    is_made_only_to_be_served = False
