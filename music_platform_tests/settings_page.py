"""docs/settings.md: every setting, its default and its meaning, a section a subject's class."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from music_platform.settings.automation import DailyTableSettings, LandingSettings
from music_platform.settings.druid import DruidSettings
from music_platform.settings.group import SettingsGroup
from music_platform.settings.lake import LakeSettings
from music_platform.settings.object_store import ObjectStoreSettings
from music_platform.settings.operations import HealthSettings, UiSettings
from music_platform.settings.recommendation import RecommendationSettings
from music_platform.settings.runs import RunSettings
from music_platform.settings.superset import SupersetSettings

_HEAD = """# Settings

Generated from `music_platform/settings/` by `./run regenerate`; do not edit it.

Every setting is an environment variable, read once when a process starts. A value that cannot be used is an error that names the
variable. `./run` keeps its state in `.music-platform/` beside the README, whatever folder it is called from; relative paths in
`MUSIC_PLATFORM_LAKE` and `DAGSTER_HOME` are relative to the current folder.

Dagster's own settings of the local instance (queue, retries, retention) are in `deploy/local/dagster.yaml`.
"""


@dataclass(frozen=True)
class _Group:
    title: str
    settings: type[SettingsGroup]
    introduction: str = ""


_GROUPS = (
    _Group("Lake", LakeSettings),
    _Group(
        "Object store",
        ObjectStoreSettings,
        "Without `MUSIC_PLATFORM_S3_ACCESS_KEY_ID` the credentials are those of AWS's own variables, files and roles.\nThe "
        "endpoint comes only from `MUSIC_PLATFORM_S3_ENDPOINT`; `AWS_ENDPOINT_URL` is ignored.",
    ),
    _Group("Engine and runs", RunSettings),
    _Group("Collector and landing", LandingSettings),
    _Group("Daily tables", DailyTableSettings),
    _Group("Recommendations", RecommendationSettings),
    _Group("Health, alerts and housekeeping", HealthSettings),
    _Group("Dagster's UI", UiSettings),
    _Group(
        "Druid",
        DruidSettings,
        "Where a local Druid was started and not stopped, `./run` sets `MUSIC_PLATFORM_DRUID_ENABLED`.",
    ),
    _Group(
        "Superset",
        SupersetSettings,
        "Where a local Superset was started beside Druid and not stopped, `./run` sets `MUSIC_PLATFORM_SUPERSET_ENABLED`.",
    ),
)


def render_settings_page() -> str:
    """The whole page; ends with a line feed."""
    return "\n".join([_HEAD, *map(_section, _GROUPS)])


def _section(group: _Group) -> str:
    parts = [f"## {group.title}", "", *([group.introduction, ""] if group.introduction else [])]
    rows = ["| Variable | Default | Meaning |", "| --- | --- | --- |"]
    inherited = {name for base in group.settings.__bases__ for name in getattr(base, "model_fields", ())}
    rows += [_row(name, field) for name, field in group.settings.model_fields.items() if name not in inherited]
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
