"""What the platform takes from Dagster's private modules, as the pinned release has it: signatures, fields and values.

A generated file. Where a new release of Dagster changes it, read what uses the name, then run `./run regenerate`.
"""

from __future__ import annotations

import inspect
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from music_platform.orchestration import dagster_internals

SNAPSHOT = Path(__file__).parent / "snapshots" / "dagster_internals.json"


def snapshot_text() -> str:
    """The names with what they are, as JSON."""
    found = {name: _describe(getattr(dagster_internals, name)) for name in sorted(dagster_internals.__all__)}
    return json.dumps({"dagster": version("dagster"), **found}, indent=1) + "\n"


def _describe(thing: Any) -> Any:
    if inspect.isclass(thing):
        members = [name for name in vars(thing) if not name.startswith("_")]
        # Dagster's records get their real signature at their first use; their annotations say the same from the beginning.
        fields = list(getattr(thing, "__annotations__", ())) or _parameters(thing)
        return {"class": thing.__module__, "fields or parameters": fields, "members": sorted(members)}
    if callable(thing):
        return {"function": thing.__module__, "called with": _parameters(thing)}
    if isinstance(thing, (set, frozenset, list, tuple)):
        return sorted(str(item) for item in thing)
    return thing if isinstance(thing, (str, int, float)) else str(type(thing))


def _parameters(thing: Any) -> list[str]:
    try:
        return [str(parameter).split(":")[0] for parameter in inspect.signature(thing).parameters.values()]
    except (TypeError, ValueError):  # of a class that is made in C
        return []
