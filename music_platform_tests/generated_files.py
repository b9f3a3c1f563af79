"""Every committed file that is generated, with what generates it. `./run regenerate` writes them all.

With --check it writes nothing, names those that are stale and ends with exit code 1, as the test of this module does. A new
generated file is one line of ``generated_files``.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from music_platform.lake.spark import SparkEngine
from music_platform.serving.druid.datasources import DATASOURCES
from music_platform.serving.druid.ingestion_spec import spec_text
from music_platform.settings import Settings
from music_platform.tables import column_lineage
from music_platform.tables.dictionary import render_dictionary
from music_platform.tables.lineage.tables import derive_lineage
from music_platform_tests.assets import dagster_internals_snapshot, definitions_snapshot
from music_platform_tests.chart_values import README as CHART_README
from music_platform_tests.chart_values import render_readme
from music_platform_tests.places import REPOSITORY
from music_platform_tests.settings_page import render_settings_page

_DRUID_SPECS = REPOSITORY / "druid" / "datasources"
_LINES_SHOWN = 40
COMMAND = "./run regenerate"


@dataclass(frozen=True)
class GeneratedFile:
    """A file of the repository and the content that it must have."""

    path: Path
    render: Callable[[], str]

    @property
    def name(self) -> str:
        """The path from the repository's root."""
        return str(self.path.relative_to(REPOSITORY))

    def difference(self) -> str:
        """How the committed file differs from what it must be, its beginning as a unified diff; empty when it does not."""
        committed = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        wanted = self.render()
        if committed == wanted:
            return ""
        lines = difflib.unified_diff(
            committed.splitlines(),
            wanted.splitlines(),
            f"{self.name} (committed)",
            f"{self.name} (wanted)",
            lineterm="",
        )
        return "\n".join(islice(lines, _LINES_SHOWN)) or f"{self.name}: only its line ends differ"


def generated_files() -> list[GeneratedFile]:
    """All of them."""
    return [
        GeneratedFile(REPOSITORY / "docs" / "settings.md", render_settings_page),
        GeneratedFile(REPOSITORY / "docs" / "data-dictionary.md", render_dictionary),
        GeneratedFile(CHART_README, render_readme),
        GeneratedFile(column_lineage.FILE, _lineage_text),
        GeneratedFile(definitions_snapshot.SNAPSHOT, definitions_snapshot.snapshot_text),
        GeneratedFile(dagster_internals_snapshot.SNAPSHOT, dagster_internals_snapshot.snapshot_text),
        *(
            GeneratedFile(_DRUID_SPECS / f"{name}.json", lambda datasource=datasource: spec_text(datasource))
            for name, datasource in DATASOURCES.items()
        ),
    ]


def leftover_files() -> list[Path]:
    """Files that were generated for something that no longer exists: specs of datasources that are gone."""
    wanted = {file.path for file in generated_files()}
    return sorted(path for path in _DRUID_SPECS.glob("*.json") if path not in wanted)


def _lineage_text() -> str:
    Settings(lake="/lake").export_engine_environment()  # an engine that logs nothing but errors
    return column_lineage.to_json(derive_lineage(SparkEngine().spark_session))


def _regenerate() -> Iterator[str]:
    """Write what is stale and remove what is left over; yields what was done to each."""
    for file in generated_files():
        if file.difference():
            file.path.parent.mkdir(parents=True, exist_ok=True)
            file.path.write_text(file.render(), encoding="utf-8")
            yield f"wrote {file.name}"
    for path in leftover_files():
        path.unlink()
        yield f"removed {path.relative_to(REPOSITORY)}"


def _check() -> Iterator[str]:
    """What is stale or left over."""
    for file in generated_files():
        if difference := file.difference():
            yield f"{difference}\n{file.name} is stale"
    for path in leftover_files():
        yield f"{path.relative_to(REPOSITORY)} belongs to nothing that exists"


def main(arguments: list[str]) -> None:
    """Write the files, or with --check only compare them; exits with 1 when one is stale."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Write every generated file of the repository.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when a file is stale")
    if parser.parse_args(arguments).check:
        problems = list(_check())
        if problems:
            sys.exit("\n".join([*problems, f"run: {COMMAND}"]))
        return
    done = list(_regenerate())
    print("\n".join(done or ["every generated file is current"]))


if __name__ == "__main__":
    main(sys.argv[1:])
