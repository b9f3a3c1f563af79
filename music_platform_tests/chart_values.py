"""The table of values in the chart's README: each value of values.yaml, its default, and the comment above it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from music_platform_tests.chart import CHART

README = CHART / "README.md"
_HEADING = "## Values\n"


def render_readme() -> str:
    """The README as it is written, with the table of today's values at its end."""
    written, _, _ = README.read_text(encoding="utf-8").partition(_HEADING)
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    comments = _comments(text)
    rows = [
        f"| `{name}` | `{json.dumps(default)}` | {comments.get(name, '')} |"
        for name, default in _leaves(yaml.safe_load(text))
    ]
    return "\n".join([
        f"{written}{_HEADING}",
        "Generated from `values.yaml` by `./run regenerate`. Components take `nodeSelector`, `tolerations` and `affinity`.\n",
        "| Value | Default | Meaning |",
        "| --- | --- | --- |",
        *rows,
        "",
    ])  # fmt: skip


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value with its path; a mapping that is written on one line is one value."""
    for key, value in values.items():
        if isinstance(value, dict) and value and not {"repository", "requests"} & set(value):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _comments(text: str) -> dict[str, str]:
    """The comment above each key, by the key's path; that of a group goes before its first value's own."""
    comments: dict[str, str] = {}
    path: list[str] = []
    pending: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            pending.append(stripped.removeprefix("#").strip())
        elif stripped:
            key, _, value = stripped.partition(":")
            path = [*path[: (len(line) - len(line.lstrip())) // 2], key]
            if value:
                comments[".".join(path)] = " ".join(pending)
                pending = []
        else:
            pending = []
    return comments
