"""What a table of the recommendations is given of its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import pyarrow as pa
from pyspark.sql import DataFrame


class DayOfInputs(Protocol):
    """One day's inputs, as the table's declaration names them."""

    @property
    def day(self) -> str:
        """The day that is made, as YYYY-MM-DD."""
        ...

    @property
    def day_before(self) -> str: ...

    def rows_of(self, name: str, day: str) -> int:
        """How many rows an input has on a day."""
        ...

    def is_published(self, name: str, day: str) -> bool:
        """Whether an input has a day."""
        ...

    def batches(self, name: str, day: str, columns: Sequence[str]) -> Iterable[pa.RecordBatch]:
        """The rows of an input on a day."""
        ...

    def frame(self, name: str, day: str) -> DataFrame:
        """The rows of an input on a day, for an engine that trains; raises ``RecommendationEngineError`` without one."""
        ...

    def previous(self, columns: Sequence[str]) -> Iterable[pa.RecordBatch] | None:
        """The rows of the table's own day before; None where it was never made.

        Raises ``ManifestCorruptError`` when it is damaged.
        """
        ...
