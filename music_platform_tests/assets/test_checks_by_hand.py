"""A check that somebody executes by hand, in a run that names no partitions: it takes the newest that were made."""

from __future__ import annotations

import dagster as dg

from music_platform_tests.assets.local_platform import HOUR, NEXT_HOUR, LocalPlatform, good_record

_CHECKS = (
    ("bronze/listen_events", "contract"),
    ("bronze/listen_events", "reconciles_with_landing"),
    ("silver/listen_events", "reconciles_with_bronze"),
    ("gold/fact_streams", "contract"),
)
_TABLES = ["bronze/listen_events", "silver/listen_events", "quarantine/listen_events"]
_NEXT_DAY = "2026-11-02-05:00"


def execute_checks(platform: LocalPlatform, *checks: tuple[str, str]) -> dg.ExecuteInProcessResult:
    """What «Execute» on checks launches: the checks alone, without partitions."""
    job = platform.definitions.resolve_implicit_global_asset_job_def()
    keys = [dg.AssetCheckKey(dg.AssetKey(table.split("/")), check) for table, check in checks]
    return job.get_subset(asset_selection=set(), asset_check_selection=set(keys)).execute_in_process(
        instance=platform.instance, raise_on_error=False
    )


def land_and_make(platform: LocalPlatform, *hours: str) -> None:
    tables = [*_TABLES, "bronze/page_view_events", "silver/page_view_events", "quarantine/page_view_events"]
    for number, hour in enumerate(hours):
        records = [good_record("listen_events", hour, itemInSession=item) for item in range(number + 1)]
        platform.land_records("listen_events", hour, records)
        platform.run(hour, tables=[*tables, "gold/fact_streams"])


def test_a_check_takes_the_hours_of_the_newest_day_and_says_which(platform: LocalPlatform) -> None:
    land_and_make(platform, HOUR, NEXT_HOUR)
    found = {
        (evaluation.asset_key.to_user_string(), evaluation.check_name): evaluation
        for evaluation in execute_checks(platform, *_CHECKS).get_asset_check_evaluations()
    }
    assert set(found) == set(_CHECKS)
    for evaluation in found.values():
        assert evaluation.passed
        assert (evaluation.description or "").startswith(
            f"{HOUR}...{NEXT_HOUR} (2 partitions), the newest that were made"
        )
    rows = found["bronze/listen_events", "contract"].metadata["rows"]
    assert rows.value == 3


def test_a_hole_and_an_earlier_day_are_left_out(platform: LocalPlatform) -> None:
    land_and_make(platform, HOUR, "2026-11-01-09:00")
    [evaluation] = execute_checks(platform, _CHECKS[0]).get_asset_check_evaluations()
    assert (evaluation.description or "").startswith("2026-11-01-09:00, the newest")
    land_and_make(platform, _NEXT_DAY)
    [evaluation] = execute_checks(platform, _CHECKS[0]).get_asset_check_evaluations()
    assert (evaluation.description or "").startswith(f"{_NEXT_DAY}, the newest")


def test_a_fault_of_the_newest_hour_fails_the_check(platform: LocalPlatform) -> None:
    land_and_make(platform, HOUR, NEXT_HOUR)
    rows = platform.table("bronze/listen_events", NEXT_HOUR)
    platform.tamper("bronze/listen_events", NEXT_HOUR, rows.slice(0, 1))
    [evaluation] = execute_checks(platform, _CHECKS[1]).get_asset_check_evaluations()
    assert not evaluation.passed
    assert NEXT_HOUR in (evaluation.description or "")


def test_where_nothing_was_made_the_run_fails_with_what_to_do(platform: LocalPlatform) -> None:
    result = execute_checks(platform, _CHECKS[0])
    [failure] = result.get_step_failure_events()
    assert failure.step_failure_data.user_failure_data is not None
    said = failure.step_failure_data.user_failure_data.description or ""
    assert "no partition of bronze/listen_events was made yet. Materialize one" in said


def test_a_range_s_checks_have_the_counts_of_each_partition(platform: LocalPlatform) -> None:
    for hour, listens in ((HOUR, 2), (NEXT_HOUR, 3)):
        records = [good_record("listen_events", hour, itemInSession=item) for item in range(listens)]
        platform.land_records("listen_events", hour, records)
    result = platform.run(HOUR, NEXT_HOUR, tables=_TABLES)
    tables = {
        (evaluation.asset_key.to_user_string(), evaluation.check_name): evaluation.metadata["by_partition"]
        for evaluation in result.get_asset_check_evaluations()
        if "by_partition" in evaluation.metadata
    }
    table = tables["silver/listen_events", "reconciles_with_bronze"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data for record in table.records] == [
        {"partition": NEXT_HOUR, "bronze_rows": 3, "silver_rows": 3, "duplicates": 0, "quarantined_rows": 0},
        {"partition": HOUR, "bronze_rows": 2, "silver_rows": 2, "duplicates": 0, "quarantined_rows": 0},
    ]
    landed = tables["bronze/listen_events", "reconciles_with_landing"]
    assert isinstance(landed, dg.TableMetadataValue)
    assert {"landed_lines", "bronze_rows"} <= set(landed.records[0].data)
