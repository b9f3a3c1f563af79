"""Speed of `music-platform land` on a file of Eventsim lines, beside compressing the same bytes with gzip alone.

python -m benchmarks.landing
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from isal import igzip

from benchmarks.landed_events import EVENTS_PER_LISTENER_DAY
from benchmarks.measuring import alternate, median_ratio, print_table
from music_platform.eventsim import GeneratorOptions, generate_files
from music_platform.lake.object_store import ObjectStore
from music_platform.landing.event_files import event_files
from music_platform.landing.writer import land_files

_DAYS = 7
_BLOCK_BYTES = 64 * 1024 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000, help="events, about (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=3, help="(default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-") as folder:
        listeners = round(options.rows / EVENTS_PER_LISTENER_DAY / _DAYS)
        start = datetime(2026, 1, 5, tzinfo=UTC)
        generated = Path(folder, "generated")
        generated.mkdir()
        made = generate_files(GeneratorOptions(users=listeners, seed=1, start=start, days=_DAYS), generated)
        files = list(made.files.values())
        lakes = iter(range(1_000))
        seconds = alternate(
            {
                "land": lambda: _land(f"{folder}/lake-{next(lakes)}", files),
                "gzip alone": lambda: _compress(files, Path(folder, "compressed")),
            },
            options.repetitions,
        )
        size = sum(path.stat().st_size for path in files)
    rows = []
    for name, times in seconds.items():
        median = statistics.median(times)
        rows.append([name, f"{median:.2f}", f"{made.total_rows / median:,.0f}", f"{size / median / 1e6:,.0f}"])
    print_table(f"{made.total_rows:,} lines, {size / 1e6:,.0f} MB", ["", "seconds", "lines/s", "MB/s"], rows)
    print(f"land / gzip alone: {median_ratio(seconds['land'], seconds['gzip alone']):.2f}")


def _land(lake: str, files: list[Path]) -> None:
    land_files(ObjectStore(lake), event_files(files))


def _compress(files: list[Path], target: Path) -> None:
    """On one processor, at the level that landing uses."""
    for path in files:
        with path.open("rb") as source, target.open("wb") as compressed:
            while block := source.read(_BLOCK_BYTES):
                compressed.write(igzip.compress(block, compresslevel=2))


if __name__ == "__main__":
    main()
