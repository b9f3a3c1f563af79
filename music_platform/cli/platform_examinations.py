"""What `music-platform doctor` examines of the platform itself: versions, credentials, lake, code location.

An examination returns problems and never raises them. machine_examinations.py examines the machine, dagster_examinations.py
Dagster's instance, storage_examinations.py and server_examinations.py what a deployment adds.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import uuid
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from music_platform.cli.finding import Finding, State, without_patience
from music_platform.cli.lake_status import is_missing
from music_platform.errors import LakeUnreachableError
from music_platform.lake.lake import Lake
from music_platform.recommendation.libraries import RecommendationLibraryError, als_class, top_k
from music_platform.settings import Settings

_LOAD_SECONDS = 120.0
_DISTRIBUTION = "music-platform"
_AGREEING = re.compile(r"dagster|pyspark|pysail|pyarrow|pandas")  # their own requirements are looked at, too
_SHOWN_PACKAGES = ("dagster", "dagster-aws", "dagster-pyspark", "dagster-webserver", "pyspark", "pysail", "pyarrow")
_LOAD_CODE_LOCATION = (
    "from music_platform.definitions import defs\n"
    "repository = defs.get_repository_def()\n"
    "print(len(repository.asset_graph.get_all_asset_keys()), 'assets,', len(repository.sensor_defs), 'sensors,',\n"
    "      len(repository.schedule_defs), 'schedules')"
)


def python_version() -> list[Finding]:
    """Compares the running Python with what the project needs."""
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = Requirement(f"python{metadata.metadata(_DISTRIBUTION)['Requires-Python']}").specifier
    if wanted.contains(version):
        return [Finding("python", State.OK, f"{version} at {sys.executable}")]
    return [Finding("python", State.FAILURE, f"{version}, needed is {wanted}", "Set UV_PYTHON and start by ./run.")]


def packages() -> list[Finding]:
    """Compares the installed packages with the requirements of this project, Dagster's packages and the engine's."""
    problems: list[str] = []
    dependents = [_DISTRIBUTION, *sorted(filter(_AGREEING.match, {name for name, _ in _requirements(_DISTRIBUTION)}))]
    for dependent in dependents:
        for name, requirement in _requirements(dependent):
            installed = _version(name)
            if installed is None:
                problems.append(f"{dependent} needs {requirement}, which is not installed")
            elif not requirement.specifier.contains(installed, prereleases=True):
                problems.append(f"{dependent} needs {requirement}, installed is {installed}")
    if problems:
        return [
            Finding("packages", State.FAILURE, problem, "Start by ./run, which installs the locked packages.")
            for problem in dict.fromkeys(problems)
        ]
    versions = ", ".join(f"{name} {_version(name)}" for name in _SHOWN_PACKAGES)
    return [Finding("packages", State.OK, f"{versions} and what they need agree")]


def _requirements(distribution: str) -> list[tuple[str, Requirement]]:
    try:
        lines = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []
    requirements = [Requirement(line) for line in lines]
    return [
        (found.name, found) for found in requirements if found.marker is None or found.marker.evaluate({"extra": ""})
    ]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def recommendation_library() -> list[Finding]:
    """Loads the library that trains the recommendations' model: its wheels need the system's OpenMP."""
    subject = "recommendations"
    try:
        als_class()
        top_k()
    except RecommendationLibraryError as error:
        advice = f"{error.advice[0].upper()}{error.advice[1:]}; until then their tables are not made."
        return [Finding(subject, State.FAILURE, f"implicit does not load: {error.reason}", advice)]
    return [Finding(subject, State.OK, f"implicit {_version('implicit')} loads")]


def credentials(settings: Settings) -> list[Finding]:
    """The source of the credentials, never their values."""
    if settings.lake_location.is_local:
        return [Finding("credentials", State.OK, "none needed: the lake is a local folder")]
    secret = settings.s3_secret_access_key.get_secret_value()
    if bool(settings.s3_access_key_id) != bool(secret):
        given, lacking = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")[:: 1 if settings.s3_access_key_id else -1]
        return [
            Finding(
                "credentials",
                State.FAILURE,
                f"MUSIC_PLATFORM_S3_{given} is set and MUSIC_PLATFORM_S3_{lacking} is not",
                "Set both, or neither to take the credentials that AWS provides.",
            )
        ]
    return [Finding("credentials", State.OK, f"from {settings.s3_credentials_source}")]


def lake(settings: Settings) -> list[Finding]:
    """Writes, reads, conditionally replaces and removes a small object."""
    subject = f"lake {settings.lake}"
    found = Lake(without_patience(settings))
    if is_missing(found):
        return [_place_of_lake(subject, Path(settings.lake))]
    key, content, other = f"doctor-{uuid.uuid4().hex}", b"music-platform doctor", b"music-platform doctor again"
    try:
        try:
            etag = found.store.put(key, content)
            heeds_absence = not found.store.replace(key, other, None)
            heeds_change = not found.store.replace(key, other, '"00000000000000000000000000000000"')
            replaces = found.store.replace(key, other, found.store.put(key, content) or etag)
            is_read = found.store.get(key) == other
        finally:
            found.store.delete([key])
    except LakeUnreachableError as error:
        advice = "Check MUSIC_PLATFORM_LAKE, MUSIC_PLATFORM_S3_*, the network and what the identity may do."
        if found.store.is_local:
            advice = "Give this user the right to write there, or set MUSIC_PLATFORM_LAKE to another folder."
        return [Finding(subject, State.FAILURE, str(error), advice)]
    if heeds_absence and heeds_change and replaces and is_read:
        return [Finding(subject, State.OK, "a small object was written, read, replaced on condition and removed")]
    return [
        Finding(
            subject,
            State.FAILURE,
            "the server does not heed conditional writes (If-Match, If-None-Match), so two runs could damage a partition",
            "Use a server that does.",
        )
    ]


def _place_of_lake(subject: str, folder: Path) -> Finding:
    if folder.exists():
        return Finding(
            subject,
            State.FAILURE,
            "it is a file, not a folder",
            "Move it away, or set MUSIC_PLATFORM_LAKE to a folder.",
        )
    existing = next(parent for parent in folder.parents if parent.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        advice = "If the path is right, nothing: the first command that writes makes it."
        return Finding(subject, State.WARNING, "there is no such folder yet", advice)
    return Finding(
        subject,
        State.FAILURE,
        f"there is no such folder, and it cannot be made in {existing}",
        "Set MUSIC_PLATFORM_LAKE to a folder in which this user may write.",
    )


def code_location() -> list[Finding]:
    """Loads the definitions in a process of its own, as Dagster does."""
    subject, began = "code location", time.monotonic()
    command = [sys.executable, "-c", _LOAD_CODE_LOCATION]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_LOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        found = f"music_platform.definitions did not load within {_LOAD_SECONDS:g} s"
        return [
            Finding(subject, State.FAILURE, found, "See what else this machine does, and whether the disk is slow.")
        ]
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or [f"its process ended with {ended.returncode}"]
        advice = "./run dagster definitions validate -m music_platform.definitions shows the whole error."
        return [Finding(subject, State.FAILURE, f"music_platform.definitions does not load: {lines[-1]}", advice)]
    loaded = ended.stdout.strip().splitlines()[-1]
    return [Finding(subject, State.OK, f"{loaded}, loaded in {time.monotonic() - began:.1f} s")]
