"""What the tests that were measured last did not execute: every room of the package, and the modules with the most such lines.

`./run coverage` calls this after pytest. It reports and has no threshold: a line that was executed is not yet tested.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coverage import Coverage

from music_platform_tests.places import REPOSITORY

_PACKAGE = "music_platform"
_HTML = REPOSITORY / "artifacts" / "coverage" / "html"


@dataclass(frozen=True)
class Measured:
    """Lines of code of a module or a room: how many there are, and how many no test executed."""

    name: str
    lines: int
    missed: int

    @property
    def percent(self) -> float:
        """The share that was executed; a module without code is whole."""
        return 100.0 * (1 - self.missed / self.lines) if self.lines else 100.0


def room_of(module: str) -> str:
    """The room of a module by its path, such as ``lake/``; modules outside of rooms count as one."""
    parts = PurePosixPath(module).parts
    return f"{parts[1]}/" if len(parts) > 2 else "(outside of rooms)"


def by_room(modules: Iterable[Measured]) -> list[Measured]:
    """The rooms, the least executed first."""
    lines: dict[str, int] = defaultdict(int)
    missed: dict[str, int] = defaultdict(int)
    for module in modules:
        lines[room_of(module.name)] += module.lines
        missed[room_of(module.name)] += module.missed
    return sorted((Measured(room, lines[room], missed[room]) for room in lines), key=lambda room: room.percent)


def measured_modules(coverage: Coverage) -> list[Measured]:
    """Every module of the package, those that no test imported included."""
    modules = []
    for path in coverage.get_data().measured_files():
        name = Path(path).relative_to(REPOSITORY).as_posix()
        _, statements, _, missing, _ = coverage.analysis2(path)
        modules.append(Measured(name, len(statements), len(missing)))
    return modules


def main() -> None:
    """Print both tables and write the lines themselves as HTML."""
    parser = argparse.ArgumentParser(prog="./run coverage", description=__doc__)
    parser.add_argument("--modules", type=int, default=25, help="how many modules to name (default: %(default)s)")
    options = parser.parse_args()
    coverage = Coverage(config_file=str(REPOSITORY / "pyproject.toml"))
    coverage.load()
    modules = measured_modules(coverage)
    if not modules:
        sys.exit("coverage: nothing was measured, as no test ran; see pytest's output above")
    print(f"\n{'room':<48}{'lines':>8}{'not executed':>14}{'executed':>10}")
    for room in [*by_room(modules), _all(modules)]:
        _print(room)
    print(f"\nThe {options.modules} modules with the most lines that no test executed")
    for module in sorted(modules, key=lambda module: module.missed, reverse=True)[: options.modules]:
        _print(module)
    coverage.html_report(directory=str(_HTML))
    print(f"\nLine by line: {_HTML.relative_to(REPOSITORY)}/index.html")


def _all(modules: Iterable[Measured]) -> Measured:
    modules = list(modules)
    return Measured("all", sum(module.lines for module in modules), sum(module.missed for module in modules))


def _print(measured: Measured) -> None:
    name = measured.name.removeprefix(f"{_PACKAGE}/")
    print(f"{name:<48}{measured.lines:>8,}{measured.missed:>14,}{measured.percent:>9.1f}%")


if __name__ == "__main__":
    main()
