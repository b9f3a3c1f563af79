"""The parts of a gold table: contract, inputs, transform and reconciliations.

gold/ holds the tables, one module each; orchestration/assets/gold.py runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from music_platform.tables.contract import Cadence, TableContract
from music_platform.tables.reconciliations import Input, Reconciliation
from music_platform.tables.silver import SILVER


@dataclass(frozen=True)
class PublishedPartition:
    """A published partition as its manifest describes it: rows, bytes, and the time of publishing.

    ``landed`` is when the last of the hour's objects landed that are still there; None where there is none.

    ``rows_by_rule`` counts a quarantine partition's rows by the first rule that they broke, the most rows first; it is empty
    for other layers and without rows.
    """

    contract: TableContract
    partition: str
    rows: int
    bytes: int
    at: datetime
    rows_by_rule: Sequence[tuple[str, int]] = ()
    landed: datetime | None = None


@dataclass(frozen=True)
class Frames:
    """The arguments of a transform: its inputs' rows, of the requested partitions and of the days around them.

    A table that reads manifests gets the ``published`` partitions of its inputs instead. ``previous`` is the table's own day
    before; None for tables that do not carry forward, and at the beginning of history. ``read_catalogue`` gives the song
    catalogue of the settings in transforms/catalogue_seed.py's columns; None without one.
    """

    inputs: Mapping[str, DataFrame]
    previous: DataFrame | None
    partitions: Sequence[str]
    spark: SparkSession
    read_catalogue: Callable[[], pa.Table | None]
    published: Sequence[PublishedPartition] = ()

    def __getitem__(self, name: str) -> DataFrame:
        return self.inputs[name]

    def catalogue(self) -> DataFrame | None:
        """The song catalogue as a frame; None without one."""
        catalogue = self.read_catalogue()
        return None if catalogue is None else self.spark.createDataFrame(catalogue)

    @property
    def day(self) -> str:
        """The one requested day of a table that carries forward."""
        [day] = self.partitions
        return day


@dataclass(frozen=True)
class GoldTable:
    """A table of gold, in the module of its name.

    ``version`` is raised when the same input gives other rows than before. ``is_row_by_row``: each row is made from one row of
    the only input, in the same partition. ``reconciliations`` become blocking checks, beside the contract's.
    ``reads_manifests``: it is made from its inputs' manifests, not from their rows; it then describes the pipeline and changes
    with each rebuild. ``is_made_only_to_be_served``: only Druid reads it. ``follows``: of a
    table without inputs, the hourly table for whose days it is made; no row of it is read.
    """

    contract: TableContract
    transform: Callable[[Frames], DataFrame]
    inputs: Mapping[str, Input] = field(default_factory=dict)
    reconciliations: Sequence[Reconciliation] = ()
    carries_forward: bool = False
    is_row_by_row: bool = False
    reads_manifests: bool = False
    is_made_only_to_be_served: bool = False
    follows: TableContract | None = None
    version: str = "1"

    @property
    def reads_hours(self) -> bool:
        """Whether it is a daily table that is made from hourly ones."""
        hourly = any(wanted.contract.cadence is Cadence.HOURLY for wanted in self.inputs.values())
        return self.contract.cadence is Cadence.DAILY and hourly


def silver(*event_types: str) -> dict[str, Input]:
    """The silver tables of these event types as inputs, by their names."""
    return {name: Input(SILVER[name]) for name in event_types}
