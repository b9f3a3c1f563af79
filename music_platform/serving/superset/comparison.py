"""What Superset exports against what was imported: the same but for what is Superset's own to decide."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

# Numbers that Superset gives (``chart_configuration`` is by them), and what it adds for itself.
_OWN = frozenset(
    {
        "datasource",
        "chartId",
        "excluded",
        "default_filters",
        "annotation_layers",
        "datetime_format",
        "theme_uuid",
        "chart_configuration",
    }
)
# After a refresh, types are those that the database tells.
_KNOWN_TO_DATABASE = frozenset({"type"})


def differences(source: Mapping[str, str], exported: Mapping[str, str]) -> list[str]:
    """Where the bundles differ, by UUID and key; none when the export says what was imported."""
    ours, theirs = _by_uuid(source), _by_uuid(exported)
    found = [f"{name} is missing in the export" for uuid, (name, _) in ours.items() if uuid not in theirs]
    found += [f"{name} of the export is not in the source" for uuid, (name, _) in theirs.items() if uuid not in ours]
    for uuid in ours.keys() & theirs.keys():
        found += _compare(_plain(ours[uuid][1]), _plain(theirs[uuid][1]), ours[uuid][0])
    return sorted(found)


def _by_uuid(files: Mapping[str, str]) -> dict[str, tuple[str, dict[str, Any]]]:
    documents = {name: yaml.safe_load(text) for name, text in files.items()}
    return {str(document["uuid"]): (name, document) for name, document in documents.items() if "uuid" in document}


def _plain(value: Any, key: str = "") -> Any:
    """Without what is Superset's own and what is empty; lists of named things in the order of their names."""
    if key == "query_context" and isinstance(value, str):
        return _plain(json.loads(value))
    if isinstance(value, dict):
        kept = {name: _plain(each, name) for name, each in value.items() if name not in _OWN | _KNOWN_TO_DATABASE}
        return {name: each for name, each in kept.items() if each not in (None, "", [], {})}
    if isinstance(value, list):
        items = [_plain(each) for each in value]
        name = {"columns": "column_name", "metrics": "metric_name"}.get(key)
        if name and all(isinstance(each, dict) and name in each for each in items):
            return sorted(items, key=lambda each: each[name])
        return items
    return value


def _compare(ours: Any, theirs: Any, path: str) -> list[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            difference
            for name in sorted(ours.keys() | theirs.keys())
            for difference in _compare(ours.get(name), theirs.get(name), f"{path}: {name}")
        ]
    return [] if ours == theirs else [f"{path}: {str(ours)[:200]} was imported, {str(theirs)[:200]} exported"]
