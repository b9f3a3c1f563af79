"""The snapshot of the definitions: what Dagster sees of assets, checks, jobs, sensors, schedules and resources.

Settings do not change it. The committed one is a generated file: `./run regenerate` writes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

from music_platform.definitions import build_definitions
from music_platform.settings import Settings

SNAPSHOT = Path(__file__).parent / "snapshots" / "definitions.json"


def describe_definitions() -> dict[str, Any]:
    """The definitions in plain values, in a steady order."""
    definitions = build_definitions(Settings(lake="/lake"))
    repository = definitions.get_repository_def()
    graph = repository.asset_graph
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    return {
        "assets": {spec.key.to_user_string(): _describe_asset(spec) for spec in _by_key(definitions)},
        "checks": {
            f"{key.asset_key.to_user_string()} {key.name}": _describe_check(graph.get_check_spec(key))
            for key in sorted(graph.asset_check_keys, key=str)
        },
        "steps": {
            node.name: sorted(node.output_dict)
            for job in jobs
            for node in sorted(job.nodes, key=lambda node: node.name)
        },
        "jobs": {
            job.name: {
                "description": job.description,
                "partitions": _describe_partitions(job.partitions_def),
                "assets": sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys),
                "checks": sorted(
                    f"{key.asset_key.to_user_string()} {key.name}"
                    for key in job.asset_layer.asset_graph.asset_check_keys
                ),
                "executor": job.executor_def.name,
            }
            for job in sorted(jobs, key=lambda job: job.name)
        },
        "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
        "schedules": sorted(schedule.name for schedule in repository.schedule_defs),
        "resources": {key: type(value).__name__ for key, value in sorted((definitions.resources or {}).items())},
    }


def _by_key(definitions: dg.Definitions) -> list[dg.AssetSpec]:
    return sorted(definitions.resolve_all_asset_specs(), key=lambda spec: spec.key.to_user_string())


def _describe_asset(spec: dg.AssetSpec) -> dict[str, Any]:
    schema = spec.metadata.get("dagster/column_schema")
    metadata = {name: str(value) for name, value in spec.metadata.items() if name in ("path", "sorted_by")}
    return {
        "group": spec.group_name,
        "description": spec.description,
        "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
        "partitions": _describe_partitions(spec.partitions_def),
        "kinds": sorted(spec.kinds),
        "owners": sorted(spec.owners),
        "tags": {name: value for name, value in sorted(spec.tags.items()) if not name.startswith("dagster/kind/")},
        "code_version": spec.code_version,
        "freshness": None if spec.freshness_policy is None else _describe_freshness(spec.freshness_policy),
        "automation": None if spec.automation_condition is None else spec.automation_condition.get_label(),
        "metadata": metadata,
        "columns": {} if schema is None else _describe_columns(schema),
    }


def _describe_freshness(policy: dg.FreshnessPolicy) -> str:
    assert isinstance(policy, TimeWindowFreshnessPolicy)
    return f"within {policy.fail_window.to_timedelta()}"


def _describe_columns(schema: Any) -> dict[str, str]:
    columns = getattr(schema, "value", schema).columns
    return {
        column.name: ", ".join(
            [
                column.type,
                "nullable" if column.constraints.nullable else "not null",
                *(["unique"] if column.constraints.unique else []),
                *column.constraints.other,
            ]
        )
        for column in columns
    }


def _describe_check(spec: dg.AssetCheckSpec) -> dict[str, Any]:
    return {
        "description": spec.description,
        "blocking": spec.blocking,
        "additional_deps": sorted(dep.asset_key.to_user_string() for dep in spec.additional_deps),
    }


def _describe_partitions(partitions: dg.PartitionsDefinition | None) -> str | None:
    if not isinstance(partitions, dg.TimeWindowPartitionsDefinition):
        return None if partitions is None else type(partitions).__name__
    return f"{type(partitions).__name__} from {partitions.start:%Y-%m-%dT%H:%M%z}, {partitions.fmt}"


def snapshot_text() -> str:
    """The snapshot's content."""
    return json.dumps(describe_definitions(), indent=1, ensure_ascii=False) + "\n"
