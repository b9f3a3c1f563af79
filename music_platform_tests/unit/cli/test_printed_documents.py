"""`dictionary`, `lineage` and `druid specs` print what the committed files are generated from."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from music_platform.cli.main import app
from music_platform.serving.druid.datasources import DATASOURCES
from music_platform.serving.druid.ingestion_spec import spec_text
from music_platform.tables.catalogue import GOLD
from music_platform.tables.dictionary import render_dictionary


def printed(*arguments: str) -> str:
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def test_the_dictionary_is_printed() -> None:
    assert printed("dictionary") == render_dictionary()


def test_the_lineage_is_printed_as_json() -> None:
    lineage = json.loads(printed("lineage"))
    assert {contract.path for contract in GOLD.values()} <= set(lineage)
    assert lineage["gold/fact_streams"]["song"] == ["silver/listen_events.song"]


def test_the_specs_of_all_datasources_are_printed() -> None:
    assert printed("druid", "specs") == "".join(spec_text(datasource) for datasource in DATASOURCES.values())
