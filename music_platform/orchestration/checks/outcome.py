"""The outcome of a check, in a form that Dagster's checks and the command line share."""

from __future__ import annotations

from dataclasses import dataclass, field

import dagster as dg

from music_platform.inert_text import in_markdown

_MOST_PROBLEMS = 20


@dataclass(frozen=True)
class CheckOutcome:
    """One check of one table over the checked partitions.

    ``description`` says what was found, naming partition, column and rule where it failed, and what to do.
    """

    table: str
    check: str
    passed: bool
    description: str
    is_blocking: bool = True
    numbers: dict[str, int | float] = field(default_factory=dict)

    def to_dagster(self) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=self.passed,
            asset_key=self.table.split("/"),
            check_name=self.check,
            severity=dg.AssetCheckSeverity.ERROR if self.is_blocking else dg.AssetCheckSeverity.WARN,
            description=in_markdown(self.description),  # it holds objects' names, which others choose
            metadata=dict(self.numbers),
        )


def first_problems(problems: list[str]) -> str:
    """The first problems in one line, and how many more there are; empty when there is none."""
    text = "; ".join(problems[:_MOST_PROBLEMS])
    return text if len(problems) <= _MOST_PROBLEMS else f"{text}; and {len(problems) - _MOST_PROBLEMS} more"
