"""Reconciliation: nothing is lost between the layers, hour by hour and to the last line.

landed lines = bronze rows; bronze rows = silver rows + duplicates + quarantined rows. Warns if more objects landed since, or if
too much of an hour is in quarantine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from music_platform.lake.lake import Lake
from music_platform.lake.landed_sources import has_content, has_expired, rows_by_object
from music_platform.lake.landing_layout import LandingFolder
from music_platform.lake.manifest import Manifest, Source
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.quarantined import describe_entirely_quarantined
from music_platform.lake.spark import SparkEngine
from music_platform.landing.gzip_lines import count_lines
from music_platform.orchestration.checks.outcome import CheckOutcome, first_problems
from music_platform.tables.bronze import BRONZE
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER

LANDING_CHECK = "reconciles_with_landing"
BRONZE_CHECK = "reconciles_with_bronze"
RATE_CHECK = "quarantine_rate"
UP_TO_DATE_CHECK = "has_all_landed_objects"


@dataclass
class _Counted:
    """A recount of a partition's sources."""

    lines: int = 0
    expired_rows: int = 0
    problems: list[str] = field(default_factory=list)


def check_landing_reconciles(stored: StoredPartitions) -> CheckOutcome:
    """Counts the lines of the landed objects that a table was made from again, and compares.

    For an object that expired on purpose, its rows count in place of its lines.
    """
    lake, layer, now = stored.lake, stored.contract.layer, datetime.now(UTC)

    def count(manifest: Manifest) -> _Counted:
        counted = _Counted()
        gone: list[Source] = []
        for source in manifest.sources:
            found = lake.store.get_with_etag(source.key)
            if found is None:
                gone.append(source)
                continue
            if found[1] != source.version and not has_content(source, found[0]):
                counted.problems.append(
                    f"landed object '{source.key}' was rewritten after {layer} read it; materialize the partition again"
                )
            counted.lines += count_lines(found[0])
        lost = [source for source in gone if not has_expired(source, lake, now)]
        counted.problems += [
            f"landed object '{source.key}' is gone; restore it, or declare it expired: ./run music-platform landing expire "
            f"--partition '{manifest.partition}'"
            for source in lost
        ]
        if gone:
            rows = rows_by_object(lake, manifest)
            counted.expired_rows = sum(rows[source.key] for source in gone if source not in lost)
            counted.problems += [
                f"{rows[source.key]} rows came from '{source.key}', of which {source.rows} were kept when it expired"
                for source in gone
                if source.is_expired and rows[source.key] != source.rows
            ]
        if not lost and (expected := counted.lines + counted.expired_rows) != manifest.rows:
            counted.problems.append(f"{expected} landed lines, {manifest.rows} {layer} rows")
        return counted

    manifests = list(stored.manifests.values())
    results = lake.map_parallel(count, manifests)
    problems = [
        f"partition {manifest.partition}: {problem}"
        for manifest, counted in zip(manifests, results, strict=True)
        for problem in counted.problems
    ]
    lines, expired = sum(counted.lines for counted in results), sum(counted.expired_rows for counted in results)
    rows = sum(stored.rows.values())
    of_expired = f" + {expired:,} rows of objects that expired" if expired else ""
    return CheckOutcome(
        table=stored.contract.path,
        check=LANDING_CHECK,
        passed=not problems,
        description=first_problems(problems) or f"{lines:,} landed lines{of_expired} = {rows:,} {layer} rows",
        numbers={"landed_lines": lines, "expired_rows": expired, f"{layer}_rows": rows},
        by_partition={
            manifest.partition: {
                "landed_lines": counted.lines,
                "expired_rows": counted.expired_rows,
                f"{layer}_rows": manifest.rows,
            }
            for manifest, counted in zip(manifests, results, strict=True)
        },
    )


def check_has_all_landed_objects(stored: StoredPartitions, listed: Mapping[str, LandingFolder]) -> CheckOutcome:
    """Whether objects landed that a table was not made from. A warning only: they keep arriving while an hour fills.

    ``listed`` are the present objects, by partition.
    """
    layer = stored.contract.layer
    problems = []
    newer = unread = 0
    for partition, folder in listed.items():
        read = {source.key for source in stored.manifests[partition].sources}
        keys = [found.key for found in folder.objects if found.key not in read]
        newer, unread = newer + len(keys), unread + len(folder.strangers)
        if keys:
            problems.append(
                f"partition {partition}: {len(keys)} landed objects came after {layer} was made, such as '{keys[0]}'; "
                "materialize the partition again"
            )
        if folder.strangers:
            problems.append(
                f"partition {partition}: {len(folder.strangers)} objects are not named as the collector names them and are "
                f"not read, such as '{folder.strangers[0]}'; rename or remove them"
            )
    return CheckOutcome(
        table=stored.contract.path,
        check=UP_TO_DATE_CHECK,
        passed=not problems,
        description=first_problems(problems) or f"{layer} was made from all objects of its hours",
        is_blocking=False,
        numbers={"newer_objects": newer, "unread_objects": unread},
    )


def check_silver_reconciles(
    event_type: str, partitions: Sequence[str], lake: Lake, spark: SparkEngine
) -> tuple[CheckOutcome, CheckOutcome]:
    """Compares the manifests of bronze, silver and quarantine; returns the reconciliation and the quarantine rate."""
    bronze, silver, quarantine = (
        StoredPartitions.open(layer[event_type], partitions, lake, spark).manifests
        for layer in (BRONZE, SILVER, QUARANTINE)
    )
    problems: list[str] = []
    exceeded: list[str] = []
    limit = lake.settings.quarantine_rate_warning
    for partition in partitions:
        made, duplicates = bronze[partition], silver[partition].counts.get("duplicates", 0)
        accounted = silver[partition].rows + duplicates + quarantine[partition].rows
        if made.rows != accounted:
            problems.append(
                f"partition {partition}: {made.rows} bronze rows, but {silver[partition].rows} silver + {duplicates} "
                f"duplicates + {quarantine[partition].rows} quarantined = {accounted}"
            )
        for layer in (silver, quarantine):
            versions = [source.version for source in layer[partition].sources]
            if versions != [made.data_version]:
                problems.append(
                    f"partition {partition}: {layer[partition].table} was made from another version of bronze; "
                    "materialize it again"
                )
        if made.rows and quarantine[partition].rows / made.rows > limit:
            exceeded.append(f"partition {partition}: {quarantine[partition].rows} of {made.rows} rows")
    by_partition = {
        partition: {
            "bronze_rows": bronze[partition].rows,
            "silver_rows": silver[partition].rows,
            "duplicates": silver[partition].counts.get("duplicates", 0),
            "quarantined_rows": quarantine[partition].rows,
        }
        for partition in partitions
    }
    totals = {
        name: sum(own[name] for own in by_partition.values())
        for name in ("bronze_rows", "silver_rows", "duplicates", "quarantined_rows")
    }
    equation = (
        "{bronze_rows:,} bronze rows = {silver_rows:,} silver + {duplicates:,} duplicates "
        "+ {quarantined_rows:,} quarantined"
    )
    rate = totals["quarantined_rows"] / totals["bronze_rows"] if totals["bronze_rows"] else 0.0
    rate_found = f"{rate:.2%} of the rows, no hour above {limit:.2%}"
    if exceeded and not totals["silver_rows"]:
        rate_found = describe_entirely_quarantined(lake, event_type, partitions, list(quarantine.values()))
    elif exceeded:
        rate_found = (
            f"above {limit:.2%} of an hour's rows: {first_problems(exceeded)}. "
            "See why with: music-platform quarantine list"
        )
    return (
        CheckOutcome(
            table=SILVER[event_type].path,
            check=BRONZE_CHECK,
            passed=not problems,
            description=first_problems(problems) or equation.format(**totals),
            numbers=dict(totals),
            by_partition=by_partition,
        ),
        CheckOutcome(
            table=QUARANTINE[event_type].path,
            check=RATE_CHECK,
            passed=not exceeded,
            description=rate_found,
            is_blocking=False,
            numbers={"quarantined_rows": totals["quarantined_rows"], "rate": rate},
            by_partition={key: {"quarantined_rows": own["quarantined_rows"]} for key, own in by_partition.items()},
        ),
    )
