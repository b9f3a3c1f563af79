"""The data dictionary says everything that the contracts say."""

from music_platform.tables.catalogue import TABLES
from music_platform.tables.dictionary import render_dictionary


def test_every_column_of_every_table_is_in_the_dictionary() -> None:
    sections = render_dictionary().split("\n## ")
    for contract in TABLES.values():
        [section] = [section for section in sections if section.startswith(f"{contract.path}\n")]
        for column in contract.columns:
            null = "yes" if column.nullable else "no"
            assert f"| `{column.name}` | {column.type} | {null} | {column.personal} |" in section
