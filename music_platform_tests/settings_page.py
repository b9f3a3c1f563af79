"""docs/settings.md: every setting, its default and its meaning, grouped by subject.

A setting belongs to the first group whose names or beginnings of names it has; one that has no group is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from music_platform.settings import Settings

_HEAD = """# Settings

Generated from `music_platform/settings.py` by `./run regenerate`; do not edit it.

Every setting is an environment variable, read once when a process starts. A value that cannot be used is an error that names the
variable. `./run` keeps its state in `.music-platform/` beside the README, whatever folder it is called from; relative paths in
`MUSIC_PLATFORM_LAKE` and `DAGSTER_HOME` are relative to the current folder.

Dagster's own settings of the local instance (queue, retries, retention) are in `deploy/local/dagster.yaml`.
"""


@dataclass(frozen=True)
class _Group:
    title: str
    beginnings: tuple[str, ...]
    introduction: str = ""


# A longer beginning stands before a shorter one that it has: landing_queue before landing.
_GROUPS = (
    _Group("Lake", ("lake", "start", "song_catalogue", "target_file", "leftover_grace", "cache")),
    _Group(
        "Object store",
        ("s3_",),
        "Without `MUSIC_PLATFORM_S3_ACCESS_KEY_ID` the credentials are those of AWS's own variables, files and roles.\nThe "
        "endpoint comes only from `MUSIC_PLATFORM_S3_ENDPOINT`; `AWS_ENDPOINT_URL` is ignored.",
    ),
    _Group("Engine and runs", ("spark_remote", "batch_rows", "steps_at_once", "executor")),
    _Group("Collector and landing", ("forward_", "landing_")),
    _Group("Daily tables", ("daily_",)),
    _Group("Recommendations", ("recommendation_",)),
    _Group(
        "Health, alerts and housekeeping",
        ("quarantine_", "lag_", "hour_grace", "completeness_", "run_retention", "compaction_", "webhook_"),
    ),
    _Group("Dagster's UI", ("ui_",)),
    _Group(
        "Druid",
        ("druid_", "java_home", "maven_"),
        "Where a local Druid was started and not stopped, `./run` sets `MUSIC_PLATFORM_DRUID_ENABLED`.",
    ),
    _Group("Superset", ("superset_",)),
)


def render_settings_page() -> str:
    """The whole page; ends with a line feed. Raises ``LookupError`` for a setting that belongs to no group."""
    names: dict[str, list[str]] = {group.title: [] for group in _GROUPS}
    for name in Settings.model_fields:
        group = next((group for group in _GROUPS if name.startswith(group.beginnings)), None)
        if group is None:
            raise LookupError(f"the setting {name} has no group: add it to one in {Path(__file__).name}")
        names[group.title].append(name)
    return "\n".join([_HEAD, *(_section(group, names[group.title]) for group in _GROUPS if names[group.title])])


def _section(group: _Group, names: Iterable[str]) -> str:
    parts = [f"## {group.title}", "", *([group.introduction, ""] if group.introduction else [])]
    rows = ["| Variable | Default | Meaning |", "| --- | --- | --- |"]
    rows += [_row(name, Settings.model_fields[name]) for name in names]
    return "\n".join([*parts, *rows]) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    default = _shown(field.get_default(call_default_factory=True, validated_data={}))
    meaning = (field.description or "").replace("|", "\\|")
    return f"| `MUSIC_PLATFORM_{name.upper()}` | {default} | {meaning} |"


def _shown(default: Any) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, datetime):
        default = f"{default:%Y-%m-%dT%H:%M}"
    if isinstance(default, float):
        default = f"{default:g}"
    if isinstance(default, str) and Path(default).is_absolute():
        default = Path(default).relative_to(Path.cwd())  # a folder below the one in which a process starts
    return f"`{default}`" if str(default) else "empty"
