"""Superset's own virtual environment, installed by uv from deploy/superset/uv.lock.

It cannot share the platform's: Superset needs older releases of SQLAlchemy, pandas and pyarrow.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from music_platform.errors import MusicPlatformError
from music_platform.local.service import Progress, run_aloud
from music_platform.settings import process_environment

ROOT = Path(__file__).resolve().parents[3]
DEPLOYMENT = ROOT / "deploy" / "superset"


class SupersetInstallationError(MusicPlatformError):
    """Superset's packages could not be installed."""


@dataclass(frozen=True)
class SupersetEnvironment:
    """The virtual environment in ``folder``."""

    folder: Path = ROOT / ".tools" / "superset"

    def command(self, name: str) -> str:
        """The path of a command in the environment."""
        return str(self.folder / "bin" / name)

    def install(self, progress: Progress) -> None:
        """Install the lock file into the environment; does nothing if it is up to date.

        Raises ``SupersetInstallationError`` with uv's own words.
        """
        if not (DEPLOYMENT / "uv.lock").is_file():
            raise SupersetInstallationError(
                f"{DEPLOYMENT} has no uv.lock: the local Superset runs from a checkout of the project, not from a package"
            )
        if self._is_up_to_date():
            return
        what = f"installing Superset's locked packages into {self.folder}, some 700 MB, once"
        progress(what)
        environment = self._process_environment() | {"UV_COMPILE_BYTECODE": "1"}
        # It names each large package with its size.
        code, said = run_aloud(self._command(), environment, lambda line: progress(f"{what}: {line}"))
        if code != 0:
            raise SupersetInstallationError(
                f"uv could not install Superset into {self.folder}. Superset needs Python 3.11 or 3.12, and the first "
                f"installation needs the network; uv says:\n{said[-2000:]}"
            )

    def _is_up_to_date(self) -> bool:
        checked = subprocess.run(
            [*self._command(), "--check", "--offline"],
            env=self._process_environment(),
            check=False,
            capture_output=True,
        )
        return checked.returncode == 0

    @staticmethod
    def _command() -> list[str]:
        return [_find_uv(), "sync", "--project", str(DEPLOYMENT), "--frozen"]

    def _process_environment(self) -> dict[str, str]:
        return process_environment(
            # Those of the platform's own environment, which ./run sets.
            without=("VIRTUAL_ENV", "UV_PYTHON", "UV_PYTHON_DOWNLOADS"),
            UV_PROJECT_ENVIRONMENT=str(self.folder),
            UV_SYSTEM_CERTS="true",
        )


def _find_uv() -> str:
    """uv as ./run finds it: its own, else the one on PATH."""
    own = ROOT / ".tools" / "uv" / "bin" / "uv"
    found = str(own) if own.is_file() else shutil.which("uv")
    if found is None:
        raise SupersetInstallationError("uv is not found; call the command through ./run, which brings it")
    return found
