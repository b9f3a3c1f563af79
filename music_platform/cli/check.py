"""`music-platform check`: the asset checks of published partitions, for CI and for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from music_platform.asset_checks.gold import check_gold
from music_platform.asset_checks.layers import CHECKS_BY_LAYER
from music_platform.asset_checks.outcome import CheckOutcome
from music_platform.cli.console import (
    PartitionOption,
    RangeOption,
    console,
    days_asked_for,
    fail,
    failures_told,
    partitions_asked_for,
    settings_of_command,
    warn,
)
from music_platform.contracts.events import EVENT_TYPES
from music_platform.contracts.table import Cadence, Layer
from music_platform.contracts.tables import GOLD
from music_platform.io_managers.partition_sets import StoredPartitions
from music_platform.partitions import describe_partitions
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
    """Check the contract and the reconciliation of partitions; exit code 1 when a check fails.

    Hours name the hourly tables, days (2026-11-01, or 2026-11-01...2026-11-14) the daily ones.
    """
    days = days_asked_for(partition, partition_range)
    partitions = days or partitions_asked_for(partition, partition_range)
    if partitions is None:
        fail("say which hours or days to check: --partition or --partition-range", 2)
    unknown = sorted(set(event_types or ()) - set(EVENT_TYPES))
    if unknown:
        fail(f"no event type '{unknown[0]}'; there are {', '.join(EVENT_TYPES)}", 2)
    of_days = [Layer.GOLD] if days else [*_CHECKS, Layer.GOLD]
    wanted = list(
        dict.fromkeys(layers or (of_days if not event_types else [layer for layer in of_days if layer in _CHECKS]))
    )
    without = [layer for layer in wanted if layer not in of_days]
    if without:
        which = "days" if days else "hours"
        fail(f"no checks of {', '.join(without)} for {which}; there are checks of {', '.join(of_days)}", 2)
    settings = settings_of_command()
    lake, spark = Lake(settings), SparkResource.from_settings(settings)
    outcomes: list[CheckOutcome] = []
    unmade: list[str] = []
    with failures_told(), console.status("checking") as status:
        for event_type in dict.fromkeys(event_types or EVENT_TYPES):
            for function in dict.fromkeys(_CHECKS[layer] for layer in wanted if layer in _CHECKS):
                status.update(f"checking {event_type}")
                found = function(event_type, partitions, lake, spark)
                outcomes += [outcome for outcome in found if outcome.table.split("/")[0] in wanted]
        cadence = Cadence.DAILY if days else Cadence.HOURLY
        for contract in GOLD.values() if Layer.GOLD in wanted else ():
            if contract.cadence is not cadence:
                continue
            status.update(f"checking {contract.path}")
            if layers or StoredPartitions.open_published(contract, partitions, lake, spark).manifests:
                outcomes += check_gold(contract, partitions, lake, spark)
            else:
                unmade.append(contract.path)
    if unmade:
        warn(f"not checked, because it was never made of these partitions: {', '.join(unmade)}")
    if not outcomes:
        fail(f"nothing was checked: no table was ever made of {describe_partitions(partitions)}")
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
