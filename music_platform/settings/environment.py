"""This process's environment beside the settings: the environment of programs that it starts, Dagster's folder, Java."""

import os
import shutil
from pathlib import Path


def process_environment(*, without: tuple[str, ...] = (), **changes: str) -> dict[str, str]:
    """The environment for a program that this process starts: its own, without variables of these beginnings, changed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(without)}
    return kept | changes


def dagster_home() -> Path | None:
    """The folder of Dagster's instance; None without DAGSTER_HOME."""
    home = os.environ.get("DAGSTER_HOME")
    return Path(home).expanduser() if home else None


def java_command() -> str | None:
    """The Java that Spark would start: that of JAVA_HOME, else the first on PATH; None when there is none."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home, "bin", "java")) if home else shutil.which("java")
