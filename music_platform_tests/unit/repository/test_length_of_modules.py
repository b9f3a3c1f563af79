"""No module grows beyond what a reader takes in at once; ruff has no rule for it."""

from __future__ import annotations

from music_platform_tests.places import REPOSITORY

_MOST_LINES = 300


def test_no_module_is_longer_than_300_lines() -> None:
    lengths = {
        str(path.relative_to(REPOSITORY)): len(path.read_text().splitlines())
        for path in (REPOSITORY / "music_platform").rglob("*.py")
    }
    assert "music_platform/definitions.py" in lengths
    too_long = {name: length for name, length in lengths.items() if length > _MOST_LINES}
    assert not too_long, "split them where a subject ends"
