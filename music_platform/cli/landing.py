"""`music-platform landing`: what is said and done about landed objects as they lie in the lake."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from music_platform.cli.console import (
    PartitionOption,
    RangeOption,
    console,
    fail,
    failures_told,
    partitions_asked_for,
    settings_of_command,
)
from music_platform.io_managers.landed_partitions import declare_expired
from music_platform.landing.layout import LANDED_KINDS
from music_platform.resources.lake import Lake

app = typer.Typer(help="Landed objects as they lie in the lake.", no_args_is_help=True)


@app.callback()
def landing() -> None:
    """Landed objects as they lie in the lake."""


@app.command("expire")
def expire(
    partition: PartitionOption = None,
    partition_range: RangeOption = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help=f"Only these: {', '.join(LANDED_KINDS)}.", show_default=False),
    ] = None,
) -> None:
    """Declare landed objects that are gone as expired on purpose: bronze keeps their rows, and is what all else is made from.

    Nothing is deleted, and objects that are still there are left as they are.
    """
    lake = Lake(settings_of_command())
    hours = partitions_asked_for(partition, partition_range)
    if hours is None:
        fail("name the hours: --partition or --partition-range", 2)
    if kind is not None and kind not in LANDED_KINDS:
        fail(f"there are no landed objects of '{kind}'; there are {', '.join(LANDED_KINDS)}", 2)
    table = Table("landed", "partition", "objects expired", "rows kept")
    with failures_told():
        asked = [(name, hour) for name in (LANDED_KINDS if kind is None else (kind,)) for hour in hours]
        for (name, hour), sources in zip(
            asked, lake.map_parallel(lambda pair: declare_expired(lake, *pair), asked), strict=True
        ):
            if sources:
                table.add_row(name, hour, f"{len(sources):,}", f"{sum(source.rows or 0 for source in sources):,}")
    if table.row_count:
        console.print(table)
    else:
        console.print("no landed object is gone that these hours were made from")
