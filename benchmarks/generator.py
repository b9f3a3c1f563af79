"""Speed of `music-platform generate`, files on disk included, beside the real Eventsim's 73,000 page views a second.

Each repetition is a process of its own that writes into a new folder; reading songs and making listeners counts. It is made
without taste and with it, in turn. The last column is how long the same disk then takes for as many bytes from memory: what no
generator can beat by much.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measuring import median_ratio, print_table
from music_platform.eventsim import GeneratorOptions, generate_files

_EVENTSIM_PAGE_VIEWS_A_SECOND = 73_000
_REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "eventsim"
_START = datetime(2026, 11, 1, tzinfo=UTC)
_WRITTEN_AT_ONCE_BYTES = 4 * 1024 * 1024


def _options(users: int, days: float) -> GeneratorOptions:
    """The real Eventsim's example configuration and songs where they are at hand, else the project's own."""
    config, songs = _REFERENCE / "example-config.json.xz", _REFERENCE / "songs.csv.xz"
    return GeneratorOptions(
        config=config if config.exists() else None,
        songs=songs if songs.exists() else None,
        users=users,
        growth_rate=0.3,
        start=_START,
        days=days,
        seed=2,
    )


def _generate(arguments: tuple[GeneratorOptions, Path]) -> dict[str, float]:
    options, folder = arguments
    began, cpu = time.perf_counter(), time.process_time()
    summary = generate_files(options, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "page views": summary.rows["page_view_events"],
        "lines": summary.total_rows,
        "bytes": sum(summary.bytes.values()),
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "peak": peak,
    }


def _plain_write_seconds(folder: Path, size: int) -> float:
    text = os.urandom(_WRITTEN_AT_ONCE_BYTES)
    path = folder / "plain"
    began = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for _ in range(size // len(text)):
            file.write(text)
    seconds = time.perf_counter() - began
    path.unlink()
    return seconds


def measure(
    candidates: Mapping[str, GeneratorOptions], folder: Path, repetitions: int
) -> dict[str, list[dict[str, float]]]:
    """Figures of each candidate's repetitions, one of each in turn: counts, bytes, seconds, CPU seconds, peak bytes,
    seconds of a plain write."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in candidates}
    for number in range(repetitions):
        for name, options in candidates.items():
            target = folder / f"{name} {number}"
            with multiprocessing.get_context("spawn").Pool(1) as process:
                figures = process.apply(_generate, [(options, target)])
            shutil.rmtree(target)
            figures["plain"] = _plain_write_seconds(folder, int(figures["bytes"]))
            found[name].append(figures)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=70_000)
    parser.add_argument("--days", type=float, default=6.0)
    parser.add_argument("--month", action="store_true", help="30 days: 4.9 million page views, 4.4 GB")
    parser.add_argument("--taste", type=float, default=1.0, help="strength of the taste that is measured beside none")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to write (default: the system's folder for temporary files)")
    arguments = parser.parse_args()
    days = 30.0 if arguments.month else arguments.days
    plain = _options(arguments.users, days)
    candidates = {"plain": plain, "taste": replace(plain, taste=arguments.taste)}
    with tempfile.TemporaryDirectory(prefix="generator-benchmark-", dir=arguments.folder) as folder:
        found = measure(candidates, Path(folder), arguments.repetitions)
    rows = [
        _row(f"{name} {number}", figures) for name in found for number, figures in enumerate(found[name], start=1)
    ] + [
        _row(f"{name}, median", {key: statistics.median(figures[key] for figures in runs) for key in runs[0]})
        for name, runs in found.items()
    ]
    title = f"{arguments.users:,} listeners, {days:g} days, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    head = (
        "run",
        "page views",
        "lines",
        "MB",
        "s",
        "CPU s",
        "page views/s",
        "lines/s",
        "x Eventsim",
        "peak MB",
        "write s",
    )
    print_table(title, head, rows)
    for key, meaning in (("cpu", "CPU seconds"), ("seconds", "seconds")):
        costs = {name: [run[key] / run["page views"] for run in runs] for name, runs in found.items()}
        ratio = median_ratio(costs["taste"], costs["plain"])
        print(f"taste {arguments.taste:g} takes {ratio:.2f} times the {meaning} of plain songs for a page view")


def _row(name: str, figures: dict[str, float]) -> list[str]:
    rate = figures["page views"] / figures["seconds"]
    return [
        name,
        f"{figures['page views']:,.0f}",
        f"{figures['lines']:,.0f}",
        f"{figures['bytes'] / 1e6:,.0f}",
        f"{figures['seconds']:.2f}",
        f"{figures['cpu']:.2f}",
        f"{rate:,.0f}",
        f"{figures['lines'] / figures['seconds']:,.0f}",
        f"{rate / _EVENTSIM_PAGE_VIEWS_A_SECOND:.1f}",
        f"{figures['peak'] / 1e6:,.0f}",
        f"{figures['plain']:.2f}",
    ]


if __name__ == "__main__":
    main()
