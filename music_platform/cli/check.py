"""`music-platform check`: the asset checks of published partitions, for CI and for people."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from music_platform.cli.console import (
    console,
    errors_as_messages,
    fail,
    partitions_asked_for,
    settings_of_command,
    warn,
)
from music_platform.errors import PartitionMissingError
from music_platform.lake.lake import Lake
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.quarantined import entirely_quarantined
from music_platform.lake.spark import SparkEngine
from music_platform.landing.unread import KINDS
from music_platform.landing.unread_messages import start_setting
from music_platform.orchestration.checks.derived_tables import derived_steps
from music_platform.orchestration.checks.outcome import CheckOutcome
from music_platform.orchestration.checks.spine import SPINE_STEPS
from music_platform.orchestration.checks.step import CheckStep
from music_platform.orchestration.checks.unread import check_objects_are_read
from music_platform.partitions import day_of_key, describe_partitions, hours_of_day, is_day, key_of_hour
from music_platform.tables.catalogue import made_derived_tables
from music_platform.tables.contract import Cadence, Layer
from music_platform.tables.events import EVENT_TYPES

_PartitionOption = Annotated[
    str | None,
    typer.Option("--partition", help="One hour (2026-11-01-05:00) or one day (2026-11-01).", show_default=False),
]
_RangeOption = Annotated[
    str | None,
    typer.Option("--partition-range", help="From one to another, such as 2026-11-01...2026-11-14.", show_default=False),
]


def check(
    partition: _PartitionOption = None,
    partition_range: _RangeOption = None,
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

    With hours, landed objects that no table reads fail as well: those in the folders of the hours' days, and in no day's folder.
    Hours name the hourly tables, days (2026-11-01, or 2026-11-01...2026-11-14) the daily ones.
    """
    partitions = partitions_asked_for(partition, partition_range, days_too=True)
    if partitions is None:
        fail("say which hours or days to check: --partition or --partition-range", 2)
    unknown = sorted(set(event_types or ()) - set(EVENT_TYPES))
    if unknown:
        fail(f"no event type '{unknown[0]}'; there are {', '.join(EVENT_TYPES)}", 2)
    cadence = Cadence.DAILY if is_day(partitions[0]) else Cadence.HOURLY
    settings = settings_of_command()
    all_steps = [*SPINE_STEPS, *derived_steps(made_derived_tables(is_served=settings.druid_enabled))]
    steps = [
        step for step in all_steps if step.cadence is cadence and (not event_types or step.event_type in event_types)
    ]
    if not steps:
        fail("the daily tables are not those of one event type; leave --event-type out", 2)
    checked_layers = list(dict.fromkeys(table.layer for step in steps for table in step.tables))
    if cadence is Cadence.HOURLY:
        checked_layers.insert(0, Layer.LANDING)
    without = [layer for layer in layers or () if layer not in checked_layers]
    if without:
        fail(f"no checks of {', '.join(without)} here; there are checks of {', '.join(checked_layers)}", 2)
    wanted = layers or checked_layers
    lake, spark = Lake(settings), SparkEngine.from_settings(settings)
    outcomes: list[CheckOutcome] = []
    unmade: list[str] = []
    with (
        errors_as_messages(),
        _of_partitions_since_start(partitions, settings.start),
        console.status("checking") as status,
    ):
        for step in steps:
            if not any(table.layer in wanted for table in step.tables):
                continue
            status.update(f"checking {', '.join(table.path for table in step.tables)}")
            # Gold and the collector's errors can be left out of a run. Where they were never made, that is no defect, unless
            # their checks are asked for.
            if not layers and step.event_type is None and not _is_made(step, partitions, lake, spark):
                unmade.append(step.tables[0].path)
                continue
            found = step.check(partitions, lake, spark)
            outcomes += [outcome for outcome in found if outcome.table.split("/")[0] in wanted]
        if Layer.LANDING in wanted and (outcomes or layers):
            status.update("checking that every landed object is read")
            outcomes += _checks_of_landing(partitions, event_types, lake)
    if unmade:
        warn(f"not checked, because it was never made of these partitions: {', '.join(unmade)}")
    if not outcomes:
        with errors_as_messages(), _of_partitions_since_start(partitions, settings.start):
            raise PartitionMissingError(
                f"nothing was checked: no table was ever made of {describe_partitions(partitions)}"
            )
    print_outcomes(outcomes)
    if cadence is Cadence.DAILY:  # the checks of hours report it themselves
        with errors_as_messages():
            hours = [hour for day in partitions for hour in hours_of_day(day)]
            for message in entirely_quarantined(lake, hours).values():
                warn(message)
    failed = [outcome for outcome in outcomes if not outcome.passed and (outcome.is_blocking or strict)]
    if failed:
        fail(f"{len(failed)} of {len(outcomes)} checks failed: {', '.join(f'{o.table} {o.check}' for o in failed)}")


@contextmanager
def _of_partitions_since_start(partitions: Sequence[str], start: datetime) -> Generator[None]:
    """If a missing partition lies before the first one, say so: it cannot be materialized."""
    try:
        yield
    except PartitionMissingError as error:
        first = partitions[0]
        first_hour = hours_of_day(first)[0] if is_day(first) else first
        # The day in which the platform starts has a partition.
        if first >= (f"{start:%Y-%m-%d}" if is_day(first) else key_of_hour(start)):
            raise
        raise PartitionMissingError(
            f"{first} lies before MUSIC_PLATFORM_START ({start:%Y-%m-%dT%H:%M}) and has no partition, so it cannot be "
            f"made; check later ones, or set {start_setting(first_hour)}"
        ) from error


def _checks_of_landing(partitions: Sequence[str], event_types: Sequence[str] | None, lake: Lake) -> list[CheckOutcome]:
    """Whether every object in the folders of the partitions' days, and in no day's folder, is read."""
    days = set(map(day_of_key, partitions))
    return [check_objects_are_read(kind, lake, days) for kind in event_types or KINDS]


def _is_made(step: CheckStep, partitions: Sequence[str], lake: Lake, spark: SparkEngine) -> bool:
    return all(StoredPartitions.open_published(table, partitions, lake, spark).manifests for table in step.tables)


def print_outcomes(outcomes: Sequence[CheckOutcome]) -> None:
    """Print one line per check."""
    table = Table("table", "check", "result", "what was found")
    for outcome in outcomes:
        result = (
            "[green]passed[/]" if outcome.passed else "[red]FAILED[/]" if outcome.is_blocking else "[yellow]warning[/]"
        )
        table.add_row(outcome.table, outcome.check, result, Text(outcome.description))
    console.print(table)
