"""What the measurements share: repetitions that alternate between the candidates, medians, and a plain table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def alternate(candidates: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, list[float]]:
    """Seconds of each candidate's calls, one call of each in turn, so that a busy moment of the machine meets all."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repetitions):
        for name, candidate in candidates.items():
            started = time.perf_counter()
            candidate()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def median_ratio(seconds: Sequence[float], others: Sequence[float]) -> float:
    """The median of the ratios within each repetition."""
    return statistics.median(one / other for one, other in zip(seconds, others, strict=True))


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of text; all columns but the first are set right."""
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]
    print(f"\n{title}")
    for line in (head, ["-" * width for width in widths], *rows):
        cells = [cell.ljust(width) if column == 0 else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(line, widths, strict=True))]  # fmt: skip
        print("  ".join(cells).rstrip(), flush=True)


def peak_memory_bytes(process_id: int | str = "self") -> int:
    """The most resident memory that a process has held so far (Linux)."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024


def reset_peak_memory() -> None:
    """Let ``peak_memory_bytes`` of this process begin anew (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
