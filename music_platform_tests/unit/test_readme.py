"""The README and the guides in docs/ say what is true of the code: settings, commands, links."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from music_platform.settings import Settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GUIDES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_TABLE = re.compile(r"<!-- settings:.*?-->\n(.*?)<!-- /settings -->", re.DOTALL)


def test_settings_table_is_the_settings() -> None:
    found = _TABLE.search(README.read_text())
    expected = settings_table()
    assert found is not None
    assert found[1] == expected, f"the README's table of settings is stale; it should be:\n\n{expected}"


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_exist(guide: Path) -> None:
    described = set(re.findall(r"^  ([a-z-]+)", (ROOT / "run").read_text(), re.MULTILINE)) | {"dg"}
    used = set(re.findall(r"\./run ([a-z-]+)", guide.read_text()))
    assert used <= described


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(guide: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", guide.read_text())
    assert [target for target in targets if not (guide.parent / target).exists()] == []


def settings_table() -> str:
    """The table of settings as the README must have it."""
    rows = ["| Variable | Default | Meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = _shown(field.get_default(call_default_factory=True))
        rows.append(f"| `MUSIC_PLATFORM_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def _shown(default: Any) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, datetime):
        default = f"{default:%Y-%m-%dT%H:%M}"
    if isinstance(default, float):
        default = f"{default:g}"
    if isinstance(default, str) and Path(default).is_absolute():
        default = Path(default).relative_to(Path.cwd())
    return f"`{default}`" if str(default) else "empty"
