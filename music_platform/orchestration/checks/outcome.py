"""The outcome of a check, in a form that Dagster's checks and the command line share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import dagster as dg

from music_platform.inert_text import in_markdown

_MOST_PROBLEMS = 20
_MOST_PARTITIONS = 400  # of a table in an event of Dagster's log: two weeks of hours


@dataclass(frozen=True)
class CheckOutcome:
    """One check of one table over the checked partitions.

    ``description`` says what was found, naming partition, column and rule where it failed, and what to do. ``by_partition``
    has the counts that were compared, of each partition; ``numbers`` are of all of them.
    """

    table: str
    check: str
    passed: bool
    description: str
    is_blocking: bool = True
    numbers: dict[str, int | float] = field(default_factory=dict)
    by_partition: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def to_dagster(self) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=self.passed,
            asset_key=self.table.split("/"),
            check_name=self.check,
            severity=dg.AssetCheckSeverity.ERROR if self.is_blocking else dg.AssetCheckSeverity.WARN,
            description=in_markdown(self.description),  # it holds objects' names, which others choose
            metadata={**self.numbers, **self._table_of_partitions()},
        )

    def _table_of_partitions(self) -> dict[str, dg.TableMetadataValue]:
        """Each partition's counts, the newest first; nothing of checks that count none."""
        newest = sorted(self.by_partition, reverse=True)[:_MOST_PARTITIONS]
        if not newest:
            return {}
        records = [dg.TableRecord({"partition": key, **self.by_partition[key]}) for key in newest]
        return {"by_partition": dg.MetadataValue.table(records)}


def first_problems(problems: list[str]) -> str:
    """The first problems in one line, and how many more there are; empty when there is none."""
    text = "; ".join(problems[:_MOST_PROBLEMS])
    return text if len(problems) <= _MOST_PROBLEMS else f"{text}; and {len(problems) - _MOST_PROBLEMS} more"
