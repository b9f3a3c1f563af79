"""The secrets of the local Superset: generated once, each in a file of the state folder that only its owner reads."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from music_platform.settings import Settings

_SECRET_KEY_BYTES = 42
_PASSWORD_BYTES = 15


@dataclass(frozen=True)
class Login:
    """A user and the password; ``is_new`` if the password was generated just now."""

    username: str
    password: str
    is_new: bool = False


def ensure_secret_key(home: Path) -> None:
    """Generate the key that signs sessions and encrypts stored connections, unless it exists."""
    _read_or_generate(home / "secret_key", _SECRET_KEY_BYTES)


def admin_login(settings: Settings) -> Login:
    """The administrator: the password of the settings, else the one generated into the state folder."""
    password = settings.superset_password.get_secret_value()
    return _login(settings.superset_admin_password_file, settings.superset_username, password)


def guest_login(settings: Settings) -> Login:
    """The viewer: the password of the settings, else the one generated into the state folder."""
    password = settings.superset_guest_password.get_secret_value()
    return _login(Path(settings.superset_home) / "guest_password", settings.superset_guest_username, password)


def _login(file: Path, username: str, password: str) -> Login:
    if password:
        return Login(username, password)
    generated, is_new = _read_or_generate(file, _PASSWORD_BYTES)
    return Login(username, generated, is_new)


def _read_or_generate(file: Path, size: int) -> tuple[str, bool]:
    """The secret in the file, and whether it was made just now."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        return file.read_text().strip(), False
    except FileNotFoundError:
        secret = secrets.token_urlsafe(size)
    written = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as output:
        output.write(f"{secret}\n")
    written.replace(file)
    return secret, True
