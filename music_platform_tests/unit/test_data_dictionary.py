"""The committed data dictionary is the one that the contracts give."""

from pathlib import Path

from music_platform.tables.catalogue import TABLES
from music_platform.tables.dictionary import render_dictionary

_DICTIONARY = Path(__file__).resolve().parents[2] / "docs" / "data-dictionary.md"


def test_committed_dictionary_is_current() -> None:
    assert _DICTIONARY.read_text(encoding="utf-8") == render_dictionary(), (
        "docs/data-dictionary.md is stale; run: ./run music-platform dictionary --write docs/data-dictionary.md"
    )


def test_every_column_of_every_table_is_in_the_dictionary() -> None:
    sections = render_dictionary().split("\n## ")
    for contract in TABLES.values():
        [section] = [section for section in sections if section.startswith(f"{contract.path}\n")]
        for column in contract.columns:
            null = "yes" if column.nullable else "no"
            assert f"| `{column.name}` | {column.type} | {null} | {column.personal} |" in section
