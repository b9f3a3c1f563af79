"""`music-platform check`: the asset checks of published partitions, for CI and for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from music_platform.asset_checks.layers import CHECKS_BY_LAYER
from music_platform.asset_checks.outcome import CheckOutcome
from music_platform.cli.console import (
    PartitionOption,
    RangeOption,
    console,
    fail,
    failures_told,
    partitions_asked_for,
    settings_of_command,
)
from music_platform.contracts.events import EVENT_TYPES
from music_platform.contracts.table import Layer
from music_platform.resources.lake import Lake
from music_platform.resources.spark import SparkResource

# Silver and quarantine come from one pass and are checked together.
_CHECKS = CHECKS_BY_LAYER | {Layer.QUARANTINE: CHECKS_BY_LAYER[Layer.SILVER]}


def check(
    partition: PartitionOption = None,
    partition_range: RangeOption = None,
    event_types: Annotated[
        list[str] | None,
        typer.Option("--event-type", help="Only this event type; may be repeated.", show_default=False),
    ] = None,
    layers: Annotated[
        list[Layer] | None, typer.Option("--layer", help="Only this layer; may be repeated.", show_default=False)
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on warnings too.")] = False,
) -> None:
    """Check the contract and the reconciliation of partitions; exit code 1 when a check fails."""
    partitions = partitions_asked_for(partition, partition_range)
    if partitions is None:
        fail("say which hours to check: --partition or --partition-range", 2)
    unknown = sorted(set(event_types or ()) - set(EVENT_TYPES))
    if unknown:
        fail(f"no event type '{unknown[0]}'; there are {', '.join(EVENT_TYPES)}", 2)
    wanted = list(dict.fromkeys(layers or _CHECKS))
    without = [layer for layer in wanted if layer not in _CHECKS]
    if without:
        fail(f"no checks of {', '.join(without)}; there are checks of {', '.join(_CHECKS)}", 2)
    settings = settings_of_command()
    lake, spark = Lake(settings), SparkResource.from_settings(settings)
    outcomes: list[CheckOutcome] = []
    with failures_told(), console.status("checking") as status:
        for event_type in dict.fromkeys(event_types or EVENT_TYPES):
            for function in dict.fromkeys(_CHECKS[layer] for layer in wanted):
                status.update(f"checking {event_type}")
                found = function(event_type, partitions, lake, spark)
                outcomes += [outcome for outcome in found if outcome.table.split("/")[0] in wanted]
    print_outcomes(outcomes)
    failed = [outcome for outcome in outcomes if not outcome.passed and (outcome.is_blocking or strict)]
    if failed:
        fail(f"{len(failed)} of {len(outcomes)} checks failed: {', '.join(f'{o.table} {o.check}' for o in failed)}")


def print_outcomes(outcomes: Sequence[CheckOutcome]) -> None:
    """One line a check."""
    table = Table("table", "check", "result", "what was found")
    for outcome in outcomes:
        result = (
            "[green]passed[/]" if outcome.passed else "[red]FAILED[/]" if outcome.is_blocking else "[yellow]warning[/]"
        )
        table.add_row(outcome.table, outcome.check, result, Text(outcome.description))
    console.print(table)
