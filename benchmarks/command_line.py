"""Processor time of the command line: what a person waits for before a command does its own work.

Fresh processes of `music-platform`, which take turns: its help, the help of commands that load neither Dagster nor PySpark, and
two that look at an empty lake and at a Druid that does not run. Processor time counts, as other work on the machine changes it
little; the wall time stands beside it. Bytecode is compiled before the first measured process.

Wanted: at most 0.4 s of processor time for --help. The exit code is 1 when its median is above.

    python -m benchmarks.command_line
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measuring import print_table

_LIMIT_SECONDS = 0.4
_HELP = "--help"
_COMMANDS = (
    _HELP,
    "land --help",
    "generate --help",
    "quarantine --help",
    "quarantine list",
    "druid status",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=15, help="of each command (default: %(default)s)")
    options = parser.parse_args()
    measured: dict[str, list[tuple[float, float]]] = {command: [] for command in _COMMANDS}
    with tempfile.TemporaryDirectory(prefix="music-platform-benchmark-") as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MUSIC_PLATFORM_")}
        environment |= {
            "MUSIC_PLATFORM_LAKE": str(Path(folder, "lake")),
            "MUSIC_PLATFORM_DRUID_FOLDER": str(Path(folder, "druid")),
        }
        for repetition in range(options.repetitions + 1):
            for command in _COMMANDS:
                seconds = _seconds_of(command, environment)
                if repetition > 0:  # the first compiles, and fills the file cache
                    measured[command].append(seconds)
    rows, medians = [], {}
    for command, runs in measured.items():
        processor = sorted(processor for processor, _ in runs)
        medians[command] = statistics.median(processor)
        wall = statistics.median(wall for _, wall in runs)
        rows.append([f"music-platform {command}", f"{medians[command]:.2f}", f"{processor[-1]:.2f}", f"{wall:.2f}"])
    head = ["command", "processor seconds, median", "most", "wall seconds, median"]
    print_table(f"{options.repetitions} fresh processes each", head, rows)
    if medians[_HELP] > _LIMIT_SECONDS:
        sys.exit(f"music-platform --help takes {medians[_HELP]:.2f} s of processor time; wanted: {_LIMIT_SECONDS} s")


def _seconds_of(command: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Processor time, of the process and of those that it waited for, and wall time of a command."""
    executable = str(Path(sys.executable).with_name("music-platform"))
    began = time.perf_counter()
    with subprocess.Popen(
        [executable, *command.split()], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        errors = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # 1: Druid does not run
        sys.exit(f"music-platform {command} ended with exit code {process.returncode}: {errors}")
    return used.ru_utime + used.ru_stime, wall


if __name__ == "__main__":
    main()
