"""The checks of each layer as Dagster asset checks, and as a plain function for the command line.

One step checks a layer of an event type: a step's cost is paid once for all its checks.
"""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from music_platform.asset_checks.contract import CONTRACT_CHECK, check_contract
from music_platform.asset_checks.outcome import CheckOutcome, partitions_of_check
from music_platform.asset_checks.reconciliation import (
    BRONZE_CHECK,
    LANDING_CHECK,
    RATE_CHECK,
    UP_TO_DATE_CHECK,
    check_bronze_is_up_to_date,
    check_bronze_reconciles,
    check_silver_reconciles,
)
from music_platform.contracts.events import EVENT_CONTRACTS
from music_platform.contracts.table import Layer, TableContract
from music_platform.contracts.tables import BRONZE, QUARANTINE, SILVER
from music_platform.io_managers.partition_sets import StoredPartitions
from music_platform.resources.lake import Lake
from music_platform.resources.spark import SparkResource

_CheckFunction = Callable[[str, Sequence[str], Lake, SparkResource], list[CheckOutcome]]


def check_bronze(event_type: str, partitions: Sequence[str], lake: Lake, spark: SparkResource) -> list[CheckOutcome]:
    """Contract, reconciliation with landing, and whether landing has gone on since."""
    bronze = StoredPartitions.open(BRONZE[event_type], partitions, lake, spark)
    return [check_contract(bronze), check_bronze_reconciles(bronze), check_bronze_is_up_to_date(event_type, bronze)]


def check_silver(event_type: str, partitions: Sequence[str], lake: Lake, spark: SparkResource) -> list[CheckOutcome]:
    """Contracts of silver and quarantine, reconciliation with bronze, quarantine rate."""
    return [
        check_contract(StoredPartitions.open(SILVER[event_type], partitions, lake, spark)),
        check_contract(StoredPartitions.open(QUARANTINE[event_type], partitions, lake, spark)),
        *check_silver_reconciles(event_type, partitions, lake, spark),
    ]


CHECKS_BY_LAYER: dict[Layer, _CheckFunction] = {Layer.BRONZE: check_bronze, Layer.SILVER: check_silver}


def hourly_checks() -> list[dg.AssetChecksDefinition]:
    """The checks of bronze, silver and quarantine for every event type."""
    checks = []
    for event_type in EVENT_CONTRACTS:
        bronze, silver, quarantine = BRONZE[event_type], SILVER[event_type], QUARANTINE[event_type]
        checks.append(
            _checks_step(
                f"check_bronze_{event_type}",
                event_type,
                check_bronze,
                [
                    _spec(bronze, CONTRACT_CHECK, "Types, nullability, allowed values, one row a landed line."),
                    _spec(bronze, LANDING_CHECK, "Landed lines = bronze rows, hour by hour."),
                    _spec(
                        bronze,
                        UP_TO_DATE_CHECK,
                        "Bronze was made from all landed objects of its hours.",
                        blocking=False,
                    ),
                ],
            )
        )
        checks.append(
            _checks_step(
                f"check_silver_{event_type}",
                event_type,
                check_silver,
                [
                    _spec(silver, CONTRACT_CHECK, "Types, nullability, allowed values, each event once."),
                    _spec(quarantine, CONTRACT_CHECK, "Every row with its rule and its raw form."),
                    _spec(
                        silver, BRONZE_CHECK, "Bronze rows = silver + duplicates + quarantined, hour by hour.",
                        additional_deps=[quarantine.asset_key, bronze.asset_key],
                    ),
                    _spec(quarantine, RATE_CHECK, "Share of an hour's rows in quarantine.", blocking=False),
                ],
            )
        )  # fmt: skip
    return checks


def _spec(
    contract: TableContract,
    name: str,
    description: str,
    *,
    blocking: bool = True,
    additional_deps: Sequence[list[str]] = (),
) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name,
        asset=contract.asset_key,
        description=description,
        blocking=blocking,
        additional_deps=list(additional_deps),
    )


def _checks_step(
    name: str, event_type: str, function: _CheckFunction, specs: Sequence[dg.AssetCheckSpec]
) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(name=name, specs=specs, can_subset=True)
    def checks(
        context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lake], spark: SparkResource
    ) -> Iterator[dg.AssetCheckResult]:
        partitions = partitions_of_check(context, name)
        selected = context.op_execution_context.selected_asset_check_keys
        for outcome in function(event_type, partitions, lake, spark):
            result = outcome.to_dagster()
            if dg.AssetCheckKey(dg.AssetKey(outcome.table.split("/")), outcome.check) in selected:
                yield result

    return checks
