"""What `music-platform doctor` examines on this machine: clock, ports, Java, disk, memory.

An examination returns problems and never raises them. platform_examinations.py examines the platform itself.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from music_platform.cli.finding import Finding, State
from music_platform.local.dagster import HOST, PORTS, first_free_port
from music_platform.settings import Settings, dagster_home, java_command

_GIBIBYTE = 1024**3
_ANSWER_SECONDS = 5.0  # a person waits
_DISK_WARNING, _DISK_FAILURE = 10 * _GIBIBYTE, _GIBIBYTE
_MEMORY_WARNING = 4 * _GIBIBYTE  # what a run may take
_SKEW_WARNING_SECONDS = 30.0
_SKEW_FAILURE_SECONDS = 900.0  # from there on S3 refuses requests (RequestTimeTooSkewed)
_OLDEST_JAVA = 17


def clock(settings: Settings) -> list[Finding]:
    """This machine's clock against the S3 server's, by the date of an answer, to the second."""
    if settings.lake_location.is_local:
        return []
    subject, endpoint = "clock", settings.s3_endpoint_url
    began = datetime.now(UTC)
    try:
        with urlopen(Request(endpoint, method="HEAD"), timeout=_ANSWER_SECONDS) as answer:
            date = answer.headers.get("Date")
    except HTTPError as error:  # an answer as well: most servers refuse a request without a signature
        date = error.headers.get("Date")
    except (OSError, HTTPException) as error:
        return [Finding(subject, State.WARNING, f"not compared: {endpoint} does not answer: {error}", "See the lake.")]
    here = began + (datetime.now(UTC) - began) / 2
    try:
        store_time = parsedate_to_datetime(date or "")
    except ValueError:
        return [Finding(subject, State.WARNING, f"not compared: {endpoint} sends no date", "Compare by hand.")]
    skew = (here - store_time).total_seconds()
    if abs(skew) <= _SKEW_WARNING_SECONDS:
        return [Finding(subject, State.OK, f"within {_SKEW_WARNING_SECONDS:g} s of {endpoint}")]
    return [
        Finding(
            subject,
            State.FAILURE if abs(skew) >= _SKEW_FAILURE_SECONDS else State.WARNING,
            f"{abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'} {endpoint}",
            f"Let NTP set this machine's clock; S3 refuses requests from {_SKEW_FAILURE_SECONDS:,.0f} s on.",
        )
    ]


def ports() -> list[Finding]:
    """Those that `./run dev` can listen on."""
    free = first_free_port(HOST)
    if free is None:
        found = f"none from {PORTS[0]} to {PORTS[-1]} is free"
        return [Finding("ports", State.WARNING, found, "Give ./run dev another one by --port.")]
    taken = "" if free == PORTS[0] else f"{PORTS[0]} is taken, by ./run dev or another program; "
    return [Finding("ports", State.OK, f"{taken}the next ./run dev takes {free} of {HOST}")]


def java() -> list[Finding]:
    """The Java of this machine; the platform itself needs none."""
    command, needed = java_command(), "only a Spark or Druid server on this machine needs it"
    if command is None:
        return [Finding("java", State.OK, f"none; {needed}")]
    advice = f"Nothing, unless you start one: {needed}, version {_OLDEST_JAVA} or newer."
    try:
        ended = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [Finding("java", State.WARNING, f"{command} does not run: {error}", advice)]
    version = re.search(r'version "(?:1\.)?(\d+)[^"]*"', ended.stderr + ended.stdout)
    if version is None:
        return [Finding("java", State.WARNING, f"{command} does not print its version", advice)]
    state = State.OK if int(version[1]) >= _OLDEST_JAVA else State.WARNING
    found = f"{version[0].removeprefix('version ')} at {command}; {needed}"
    return [Finding("java", state, found, "" if state is State.OK else advice)]


def disk(settings: Settings) -> list[Finding]:
    """Free space where the lake, the instance and temporary files lie, a finding for each file system."""
    folders = [Path(settings.lake)] if settings.lake_location.is_local else []
    folders += [home] if (home := dagster_home()) is not None else []
    findings: dict[int, Finding] = {}
    for folder in [*folders, Path(tempfile.gettempdir())]:
        existing = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
        free = shutil.disk_usage(existing).free
        state = State.FAILURE if free < _DISK_FAILURE else State.WARNING if free < _DISK_WARNING else State.OK
        advice = "" if state is State.OK else "Free some space; old runs go by ./run dagster run delete RUN_ID."
        device = existing.stat().st_dev
        findings.setdefault(device, Finding("disk", state, f"{_gibibytes(free)} free at {folder}", advice))
    return list(findings.values())


def memory() -> list[Finding]:
    """The memory left for a run, of the machine and of the container."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    available = total
    with suppress(OSError):  # macOS reports only the total
        match = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        available = int(match[1]) * 1024 if match else total
    with suppress(OSError, ValueError):  # no limit reads "max"
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        available, total = min(available, limit - used), min(total, limit)
    found = f"{_gibibytes(available)} available of {_gibibytes(total)}"
    if available >= _MEMORY_WARNING:
        return [Finding("memory", State.OK, found)]
    advice = f"A run may take {_gibibytes(_MEMORY_WARNING)}: end other programs, or lower MUSIC_PLATFORM_BATCH_ROWS."
    return [Finding("memory", State.WARNING, found, advice)]


def _gibibytes(size: int) -> str:
    return f"{size / _GIBIBYTE:.1f} GiB"
