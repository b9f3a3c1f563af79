"""Reconciliation: nothing is lost between the layers, hour by hour and to the last line.

landed lines = bronze rows; bronze rows = silver rows + duplicates + quarantined rows. And the warnings when landing has gone
on since, or when too much of an hour is in quarantine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from music_platform.asset_checks.outcome import CheckOutcome, tell
from music_platform.contracts.tables import BRONZE, QUARANTINE, SILVER
from music_platform.io_managers.manifest import Manifest
from music_platform.io_managers.partition_sets import StoredPartitions
from music_platform.io_managers.quarantined import describe_entirely_quarantined
from music_platform.landing.layout import LandingFolder
from music_platform.landing.reader import count_lines
from music_platform.resources.lake import Lake
from music_platform.resources.spark import SparkResource

LANDING_CHECK = "reconciles_with_landing"
BRONZE_CHECK = "reconciles_with_bronze"
RATE_CHECK = "quarantine_rate"
UP_TO_DATE_CHECK = "has_all_landed_objects"


def check_landing_reconciles(stored: StoredPartitions) -> CheckOutcome:
    """Counts the lines of the landed objects that a table was made from once more, and compares."""
    lake, layer = stored.lake, stored.contract.layer

    def landed_lines(manifest: Manifest) -> tuple[int, list[str]]:
        lines, problems = 0, []
        for source in manifest.sources:
            found = lake.store.get_with_etag(source.key)
            if found is None:
                problems.append(f"partition {manifest.partition}: landed object '{source.key}' is gone")
                continue
            if found[1] != source.version:
                problems.append(
                    f"partition {manifest.partition}: landed object '{source.key}' was rewritten after {layer} read it; "
                    "materialize the partition again"
                )
            lines += count_lines(found[0])
        return lines, problems

    counted = lake.map_parallel(landed_lines, list(stored.manifests.values()))
    problems = [problem for _, found in counted for problem in found]
    for (lines, _), manifest in zip(counted, stored.manifests.values(), strict=True):
        if lines != manifest.rows:
            problems.append(f"partition {manifest.partition}: {lines} landed lines, {manifest.rows} {layer} rows")
    landed = sum(lines for lines, _ in counted)
    return CheckOutcome(
        table=stored.contract.path,
        check=LANDING_CHECK,
        passed=not problems,
        description=tell(problems) or f"{landed:,} landed lines = {landed:,} {layer} rows",
        numbers={"landed_lines": landed, f"{layer}_rows": sum(stored.rows.values())},
    )


def check_has_all_landed_objects(stored: StoredPartitions, listed: Mapping[str, LandingFolder]) -> CheckOutcome:
    """Whether objects have been landed that a table was not made from. A warning: while an hour fills, they keep coming.

    ``listed`` is what lies there now, by partition.
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
        description=tell(problems) or f"{layer} was made from all objects of its hours",
        is_blocking=False,
        numbers={"newer_objects": newer, "unread_objects": unread},
    )


def check_silver_reconciles(
    event_type: str, partitions: Sequence[str], lake: Lake, spark: SparkResource
) -> tuple[CheckOutcome, CheckOutcome]:
    """Compares the manifests of bronze, silver and quarantine; gives the reconciliation and the quarantine rate."""
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
    totals = {
        "bronze_rows": sum(manifest.rows for manifest in bronze.values()),
        "silver_rows": sum(manifest.rows for manifest in silver.values()),
        "duplicates": sum(manifest.counts.get("duplicates", 0) for manifest in silver.values()),
        "quarantined_rows": sum(manifest.rows for manifest in quarantine.values()),
    }
    told = "{bronze_rows:,} bronze rows = {silver_rows:,} silver + {duplicates:,} duplicates + {quarantined_rows:,} quarantined"
    rate = totals["quarantined_rows"] / totals["bronze_rows"] if totals["bronze_rows"] else 0.0
    told_rate = f"{rate:.2%} of the rows, no hour above {limit:.2%}"
    if exceeded and not totals["silver_rows"]:
        told_rate = describe_entirely_quarantined(lake, event_type, partitions, list(quarantine.values()))
    elif exceeded:
        told_rate = (
            f"above {limit:.2%} of an hour's rows: {tell(exceeded)}. See why with: music-platform quarantine list"
        )
    return (
        CheckOutcome(
            table=SILVER[event_type].path,
            check=BRONZE_CHECK,
            passed=not problems,
            description=tell(problems) or told.format(**totals),
            numbers=dict(totals),
        ),
        CheckOutcome(
            table=QUARANTINE[event_type].path,
            check=RATE_CHECK,
            passed=not exceeded,
            description=told_rate,
            is_blocking=False,
            numbers={"quarantined_rows": totals["quarantined_rows"], "rate": rate},
        ),
    )
