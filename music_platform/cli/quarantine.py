"""`music-platform quarantine`: what is in quarantine and why, and its replay after a rule or the data was mended."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from music_platform.cli.console import (
    PartitionOption,
    RangeOption,
    console,
    echo_json,
    errors_as_messages,
    fail,
    one_line,
    partitions_asked_for,
    settings_of_command,
    warn,
)
from music_platform.lake.lake import Lake
from music_platform.lake.landed_sources import GONE_INPUTS_TAG, GoneInputs
from music_platform.lake.landing_layout import list_errors
from music_platform.lake.manifest import MANIFEST_NAME, Manifest, read_manifest
from music_platform.lake.parquet_reader import batches_of_object
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.landing.replay import replay_error_records
from music_platform.partitions import contiguous_ranges, describe_partitions, key_of_hour
from music_platform.tables.bronze import BRONZE, FAULTS, WRONG_TYPE
from music_platform.tables.collector_errors import COLLECTOR_ERRORS, COLLECTOR_RULES
from music_platform.tables.contract import Personal, TableContract
from music_platform.tables.events import EVENT_CONTRACTS
from music_platform.tables.events.event import fields_bound
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import NO_FAULT, SILVER

_QUARANTINES: dict[str, TableContract] = {**QUARANTINE, COLLECTOR_ERRORS.name: COLLECTOR_ERRORS}

app = typer.Typer(help="What is in quarantine and why, and its replay.", no_args_is_help=True)

EventTypeOption = Annotated[
    str | None,
    typer.Option(
        "--event-type",
        help=f"Only this event type, or {COLLECTOR_ERRORS.name}: what the collector could not file.",
        show_default=False,
    ),
]
RuleOption = Annotated[str | None, typer.Option("--rule", help="Only rows that broke this rule.", show_default=False)]


@app.command("list")
def list_quarantine(
    partition: PartitionOption = None, partition_range: RangeOption = None, event_type: EventTypeOption = None
) -> None:
    """Quarantined rows by event type, hour and rule; of all hours unless some are named.

    The examples show no personal value of a listener; `quarantine show` shows whole rows.
    """
    lake = Lake(settings_of_command())
    table = Table("event type", "partition", "rule", "rows", "for example")
    total = 0
    with errors_as_messages():
        for manifest in _quarantined(lake, event_type, partitions_asked_for(partition, partition_range)):
            rows = list(_rows_of(lake, manifest))
            total += len(rows)
            name = manifest.table.split("/")[1]
            for rule, count in Counter(row["rule"] for row in rows).most_common():
                example = example_without_listeners(name, next(row for row in rows if row["rule"] == rule))
                shown = Text(one_line(_shorten(example, 100)))
                table.add_row(name, manifest.partition, Text(rule), f"{count:,}", shown)
    if total:
        console.print(table)
    console.print(f"{total:,} rows in quarantine")


def example_without_listeners(name: str, row: dict[str, Any]) -> str:
    """The first rule that a quarantined row broke, with the values of fields that are not personal; else the rule alone.

    ``name`` is an event type, or ``collector_errors``, whose records can hold anything.
    """
    rule, detail = row["rule"], row["detail"] or ""  # older tables can lack the detail
    if name == COLLECTOR_ERRORS.name:
        return str(COLLECTOR_RULES.get(rule, rule))
    event = EVENT_CONTRACTS[name]
    personal = {field.key: field.column.personal is not Personal.NONE for field in event.fields}
    if rule != NO_FAULT.name:
        known = next((known for known in SILVER[name].rules if known.name == rule), None)
        if known is None or not detail or any(personal[field.key] for field in fields_bound(event, known)):
            return rule if known is None else known.description
        others = _broken_rules(row)[1:]
        return detail.partition(f"; {others[0]}: ")[0] if others else detail
    fault = detail.partition(": ")[0]
    if fault == WRONG_TYPE:
        first: str = re.split(rf"; (?=(?:{'|'.join(personal)}): expected )", detail)[0]
        found = re.match(rf"{WRONG_TYPE}: (?P<key>\w+): expected \w+, found \w+", first)
        if found is not None:
            return found[0] if personal.get(found["key"], True) else first
    # The names of keys that stand twice are the producer's.
    return f"{fault}: {FAULTS[fault]}" if fault in (WRONG_TYPE, "duplicate_key") else detail


@app.command("show")
def show_quarantine(
    partition: PartitionOption = None,
    partition_range: RangeOption = None,
    event_type: EventTypeOption = None,
    rule: RuleOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows to show.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row, uncut.")] = False,
) -> None:
    """Quarantined rows one by one: rules, what exactly is wrong, where the line was landed, its raw form."""
    lake = Lake(settings_of_command())
    shown = 0
    with errors_as_messages():
        rows = (
            row
            for manifest in _quarantined(lake, event_type, partitions_asked_for(partition, partition_range))
            for row in _rows_of(lake, manifest)
            if rule is None or rule in _broken_rules(row)
        )
        for row in islice(rows, limit):
            shown += 1
            if as_json:
                echo_json(row)
                continue
            console.print(Text.assemble((one_line(row["_object"]), "bold"), f" line {row['_line_number']}"))
            console.print(Text(f"  rules  {','.join(_broken_rules(row))}"))
            if row["detail"]:
                console.print(Text(f"  detail {one_line(row['detail'])}"))
            console.print(Text(f"  raw    {one_line(_shorten(row['raw'], 500))}"))
        is_cut = next(rows, None) is not None
    if not as_json:
        console.print(f"{shown:,} rows shown")
    if is_cut:
        warn(f"there are more; --limit {limit * 10} shows more")


@app.command("replay")
def replay_quarantine(
    partition: PartitionOption = None,
    partition_range: RangeOption = None,
    event_type: EventTypeOption = None,
    rule: RuleOption = None,
    gone_inputs: Annotated[
        GoneInputs,
        typer.Option(
            "--gone-inputs",
            help="What to do where landed objects that bronze was made from are gone: refuse; keep their rows, as expired; or "
            "remove their rows.",
        ),
    ] = GoneInputs.REFUSE,
) -> None:
    """Materialize again the hours that have quarantined rows, from their landed objects and by the contracts of now.

    Of the collector's errors, those that are events by now are landed first; twice changes nothing. Where landed objects
    expired on purpose, their rows are judged again as bronze has them.
    """
    settings = settings_of_command()
    # Importing it reads the settings.
    from music_platform.cli.runs import materialize
    from music_platform.orchestration.runs import open_instance

    lake = Lake(settings)
    with errors_as_messages():
        hours: dict[str, list[str]] = {}
        for manifest in _quarantined(lake, event_type, partitions_asked_for(partition, partition_range)):
            if rule is None or any(rule in _broken_rules(row) for row in _rows_of(lake, manifest)):
                hours.setdefault(manifest.table.split("/")[1], []).append(manifest.partition)
        if not hours:
            console.print("nothing to replay: no quarantined row there")
            return
        instance = open_instance()

        def materialize_again(name: str, tables: list[TableContract], partitions: list[str]) -> None:
            for hours_in_a_row in contiguous_ranges(partitions):
                paths = [contract.path for contract in tables]
                tags = {GONE_INPUTS_TAG: str(gone_inputs)}
                materialize(instance, settings, paths, hours_in_a_row, f"replaying {name}", tags)

        # First, so that hours that are replayed below take in what it lands.
        if hours_of_errors := hours.pop(COLLECTOR_ERRORS.name, None):
            _land_events_among_errors(lake, hours_of_errors)
            materialize_again(COLLECTOR_ERRORS.name, [COLLECTOR_ERRORS], hours_of_errors)
        if not hours:
            return
        table = Table(
            "event type", "hours", "quarantined before", "after", "returned to silver or recognised as duplicates"
        )
        for name, partitions in hours.items():
            before = _quarantined_rows(lake, name, partitions)
            materialize_again(name, [layer[name] for layer in (BRONZE, SILVER, QUARANTINE)], partitions)
            after = _quarantined_rows(lake, name, partitions)
            table.add_row(name, f"{len(partitions):,}", f"{before:,}", f"{after:,}", f"{before - after:,}")
        console.print(table)


def _land_events_among_errors(lake: Lake, partitions: Sequence[str]) -> None:
    """Land what the collector refused and the platform takes, and print which hours have new objects."""
    keys = [found.key for folder in list_errors(lake.store, partitions).values() for found in folder.objects]
    summary = replay_error_records(lake.store, keys)
    console.print(
        f"{summary.events:,} of {summary.records:,} error records are events: {summary.objects_written:,} objects landed, "
        f"{summary.objects_unchanged:,} were there already",
        highlight=False,
        soft_wrap=True,
    )
    for event_type, hours in summary.hours.items():
        ranges = describe_partitions(sorted(map(key_of_hour, hours)))
        console.print(f"  {event_type}: {ranges}; to be materialized", highlight=False, soft_wrap=True)


def _quarantined(lake: Lake, event_type: str | None, partitions: Sequence[str] | None) -> Iterator[Manifest]:
    """The manifests of quarantine partitions with rows, by event type and hour; of all partitions, or of those named.

    Raises ``PartitionMissingError`` for a named partition that was never published.
    """
    if event_type is not None and event_type not in _QUARANTINES:
        fail(f"no event type '{event_type}'; there are {', '.join(_QUARANTINES)}", 2)
    for name in _QUARANTINES if event_type is None else (event_type,):
        contract = _QUARANTINES[name]
        if partitions is None:
            keys = sorted(
                stored.key for stored in lake.store.list(contract.path) if stored.key.endswith(f"/{MANIFEST_NAME}")
            )
            contents = lake.map_parallel(lake.store.get, keys)
            manifests = [
                Manifest.from_json(content, key)
                for key, content in zip(keys, contents, strict=True)
                if content is not None
            ]
        else:
            spark = SparkEngine.from_settings(lake.settings)  # opens no session, as nothing is read by it
            # A run can leave the collector's errors out: nothing is amiss then, unless it is they that are asked for.
            may_lack = contract is COLLECTOR_ERRORS and event_type is None
            # A day's hours may begin later or end earlier than the range that is asked for.
            found = StoredPartitions.open_published(contract, partitions, lake, spark).manifests
            if not found and not may_lack:
                found = StoredPartitions.open(contract, partitions, lake, spark).manifests
            manifests = list(found.values())
        yield from (manifest for manifest in manifests if manifest.rows)


def _quarantined_rows(lake: Lake, event_type: str, partitions: Sequence[str]) -> int:
    found = lake.map_parallel(lambda key: read_manifest(lake.store, _QUARANTINES[event_type], key), partitions)
    return sum(entry[0].rows for entry in found if entry is not None)


def _rows_of(lake: Lake, manifest: Manifest) -> Iterator[dict[str, Any]]:
    for key in manifest.keys:
        for batch in batches_of_object(lake.store, key):
            yield from batch.to_pylist()


def _broken_rules(row: dict[str, Any]) -> list[str]:
    """All rules that a row broke; a record of the collector's errors has one."""
    return row.get("broken_rules", row["rule"]).split(",")


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"
