"""What the comparisons with Polars and Spark share: runs in processes of their own, their times, and the table of Spark's."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import print_table
from benchmarks.spark_server import spark_connect_server

_PROJECT = Path(__file__).resolve().parents[1]


@dataclass
class Run:
    """One measured run."""

    seconds: float
    cpu_seconds: float


def timed(function: Callable[[], None]) -> Run:
    """A function of this process."""
    started, cpu_started = time.perf_counter(), time.process_time()
    function()
    return Run(time.perf_counter() - started, time.process_time() - cpu_started)


def timed_peer(module: str, lake: str, output: Path, *arguments: str) -> Run:
    """A module's ``build`` of a lake into a folder, in a process of its own, timed without Python's start and imports."""
    code = (
        f"import sys, time, pathlib, {module} as peer; started = time.perf_counter(), time.process_time();"
        "peer.build(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), *sys.argv[3:]);"
        "print(time.perf_counter() - started[0], time.process_time() - started[1])"
    )
    seconds, cpu_seconds = _last_words("-c", code, lake, str(output), *arguments)
    return Run(float(seconds), float(cpu_seconds))


def seconds_of(module: str, *arguments: str) -> float:
    """The seconds that a benchmark's own process prints last."""
    return float(_last_words("-m", module, *arguments)[-1])


def compare_with_spark(platform: Callable[[str, str], float], job: Callable[[str], float]) -> None:
    """Spark between two runs of the platform, each in a process of its own and with the machine to itself.

    ``platform`` is given the engine's url (empty: Sail) and a name of the run, ``job`` the url; both give seconds.
    """
    seconds = {"platform (Sail)": platform("", "before")}
    with spark_connect_server() as (url, start_seconds):
        seconds["a plain Spark job, Spark's own reader and writer"] = job(url)
        seconds["platform, Spark as its engine"] = platform(url, "spark")
    seconds["platform (Sail) again"] = platform("", "after")
    mean = (seconds["platform (Sail)"] + seconds["platform (Sail) again"]) / 2
    print_table(
        "The same transforms on Apache Spark",
        ["", "seconds", "platform = 1"],
        [[name, f"{measured:.1f}", f"{measured / mean:.1f}"] for name, measured in seconds.items()],
    )
    print(f"Spark's start ({start_seconds:.1f} s) is not counted.")


def _last_words(*arguments: str) -> list[str]:
    """The words of the last line that a Python process prints."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=_PROJECT)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-4000:]}")
    return done.stdout.splitlines()[-1].split()
