"""The checks of bronze, silver and quarantine: two steps for each event type, and one for the collector's errors.

contract.py and reconciliation.py compare.
"""

from collections.abc import Sequence
from functools import partial

from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import list_errors, list_landing
from music_platform.lake.partition_sets import StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.checks.contract import CONTRACT_CHECK, check_contract
from music_platform.orchestration.checks.outcome import CheckOutcome
from music_platform.orchestration.checks.reconciliation import (
    BRONZE_CHECK,
    LANDING_CHECK,
    RATE_CHECK,
    UP_TO_DATE_CHECK,
    check_has_all_landed_objects,
    check_landing_reconciles,
    check_silver_reconciles,
)
from music_platform.orchestration.checks.step import CheckStep, check_spec
from music_platform.tables.bronze import BRONZE
from music_platform.tables.collector_errors import COLLECTOR_ERRORS
from music_platform.tables.events import EVENT_TYPES
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER


def check_bronze(event_type: str, partitions: Sequence[str], lake: Lake, spark: SparkEngine) -> list[CheckOutcome]:
    """Contract, reconciliation with landing, and whether more objects landed since."""
    bronze = StoredPartitions.open(BRONZE[event_type], partitions, lake, spark)
    listed = list_landing(lake.store, event_type, partitions)
    return [check_contract(bronze), check_landing_reconciles(bronze), check_has_all_landed_objects(bronze, listed)]


def check_silver(event_type: str, partitions: Sequence[str], lake: Lake, spark: SparkEngine) -> list[CheckOutcome]:
    """Contracts of silver and quarantine, which one pass makes; reconciliation with bronze, quarantine rate."""
    return [
        check_contract(StoredPartitions.open(SILVER[event_type], partitions, lake, spark)),
        check_contract(StoredPartitions.open(QUARANTINE[event_type], partitions, lake, spark)),
        *check_silver_reconciles(event_type, partitions, lake, spark),
    ]


def check_collector_errors(partitions: Sequence[str], lake: Lake, spark: SparkEngine) -> list[CheckOutcome]:
    """Contract, reconciliation with the error records in `errors/`, and whether more arrived since."""
    errors = StoredPartitions.open(COLLECTOR_ERRORS, partitions, lake, spark)
    listed = list_errors(lake.store, partitions)
    return [check_contract(errors), check_landing_reconciles(errors), check_has_all_landed_objects(errors, listed)]


def _bronze_step(event_type: str) -> CheckStep:
    bronze = BRONZE[event_type]
    return CheckStep(
        name=f"check_bronze_{event_type}",
        tables=(bronze,),
        specs=[
            check_spec(bronze, CONTRACT_CHECK, "Types, nullability, allowed values, one row a landed line."),
            check_spec(bronze, LANDING_CHECK, "Landed lines = bronze rows, hour by hour."),
            check_spec(
                bronze, UP_TO_DATE_CHECK, "Bronze was made from all landed objects of its hours.", is_blocking=False
            ),
        ],
        check=partial(check_bronze, event_type),
        event_type=event_type,
    )


def _silver_step(event_type: str) -> CheckStep:
    bronze, silver, quarantine = BRONZE[event_type], SILVER[event_type], QUARANTINE[event_type]
    return CheckStep(
        name=f"check_silver_{event_type}",
        tables=(silver, quarantine),
        specs=[
            check_spec(silver, CONTRACT_CHECK, "Types, nullability, allowed values, each event once."),
            check_spec(quarantine, CONTRACT_CHECK, "Every row with its rule and its raw form."),
            check_spec(
                silver,
                BRONZE_CHECK,
                "Bronze rows = silver + duplicates + quarantined, hour by hour.",
                compared_with=[quarantine, bronze],
            ),
            check_spec(quarantine, RATE_CHECK, "Share of an hour's rows in quarantine.", is_blocking=False),
        ],
        check=partial(check_silver, event_type),
        event_type=event_type,
    )


_COLLECTOR_ERRORS_STEP = CheckStep(
    name="check_collector_errors",
    tables=(COLLECTOR_ERRORS,),
    specs=[
        check_spec(COLLECTOR_ERRORS, CONTRACT_CHECK, "Every row with its rule, raw form and origin."),
        check_spec(COLLECTOR_ERRORS, LANDING_CHECK, "Error records in errors/ = rows, hour by hour."),
        check_spec(
            COLLECTOR_ERRORS,
            UP_TO_DATE_CHECK,
            "It was made from all objects of its hours in errors/.",
            is_blocking=False,
        ),
    ],
    check=check_collector_errors,
)

SPINE_STEPS: tuple[CheckStep, ...] = (
    *(step(event_type) for event_type in EVENT_TYPES for step in (_bronze_step, _silver_step)),
    _COLLECTOR_ERRORS_STEP,
)
