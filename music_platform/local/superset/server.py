"""Sets up, starts and stops the local Superset: packages, secrets, its own database, the server on loopback."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests

from music_platform.errors import MusicPlatformError
from music_platform.local.service import Progress, Service, ServiceError, exclusively, is_port_free
from music_platform.local.superset.environment import DEPLOYMENT, SupersetEnvironment
from music_platform.local.superset.secrets import Login, admin_login, ensure_secret_key, guest_login
from music_platform.serving.superset.client import SupersetResource
from music_platform.settings import Settings, process_environment

_LOOPBACK = ("127.0.0.1", "localhost")
_HEALTHY_SECONDS = 180.0
_HEALTH_TIMEOUT_SECONDS = 5.0
_CONFIG = DEPLOYMENT / "superset_config.py"
_PREPARE = DEPLOYMENT / "prepare.py"
_LOG_LINES_SHOWN = 30


class SupersetSetUpError(MusicPlatformError):
    """The local Superset cannot be set up as the settings say."""


@dataclass(frozen=True)
class RunningSuperset:
    """The result of `up`: the address and the logins."""

    url: str
    admin: Login
    guest: Login
    was_running: bool


@dataclass(frozen=True)
class LocalSuperset:
    """The Superset of these settings; its state is in ``settings.superset_home``."""

    settings: Settings
    environment: SupersetEnvironment = field(default_factory=SupersetEnvironment)

    @property
    def home(self) -> Path:
        return Path(self.settings.superset_home)

    @property
    def service(self) -> Service:
        return Service("superset", self.home)

    @property
    def port(self) -> int:
        """The port of the url; ``SupersetSetUpError`` where the url names another machine or none."""
        url = urlsplit(self.settings.superset_url)
        if url.scheme != "http" or url.hostname not in _LOOPBACK or url.port is None:
            raise SupersetSetUpError(
                f"MUSIC_PLATFORM_SUPERSET_URL is {self.settings.superset_url}, and a local Superset serves only "
                "http://127.0.0.1:PORT; name a port of this machine, or leave the variable out"
            )
        return url.port

    def require_port(self) -> None:
        """Raise ``ServiceError`` if another program holds the port, so that `up` would fail."""
        port = self.port
        if not self._serves(port) and not is_port_free(port):
            raise ServiceError(
                f"port {port} of 127.0.0.1 is taken by another program; name another one, such as "
                f"MUSIC_PLATFORM_SUPERSET_URL=http://127.0.0.1:{port + 1}"
            )

    def up(self, progress: Progress) -> RunningSuperset:
        """Install, prepare and start what is still missing; returns when Superset is healthy and its users can log in."""
        port = self.port
        with exclusively(self.home, self._busy):
            self.home.chmod(0o700)  # it holds secrets and, in SQLite, the users
            was_running = self._serves(port)
            if not was_running:
                self.service.stop()  # one that serves another port
            self.require_port()
            self.environment.install(progress)
            ensure_secret_key(self.home)
            admin, guest = admin_login(self.settings), guest_login(self.settings)
            if admin.username == guest.username:
                raise SupersetSetUpError(f"the administrator and the guest are both named '{admin.username}'")
            if self._prepare(admin, guest, progress) and was_running:
                self.service.stop()
                was_running = False
            if not was_running:
                progress(f"starting Superset on {self.settings.superset_url}")
                self.service.start(self._server_command(port), self._process_environment())
            try:
                self.service.wait_until(self.is_healthy, _HEALTHY_SECONDS, progress)
            except ServiceError:
                if not was_running:
                    self.service.stop()
                raise
        for login in (admin, guest):
            SupersetResource(self.settings.superset_url, login.username, login.password).log_in()
        return RunningSuperset(self.settings.superset_url, admin, guest, was_running)

    def down(self) -> bool:
        """Stop the server and its workers; False when it did not run."""
        with exclusively(self.home, self._busy):
            return self.service.stop()

    def is_healthy(self) -> bool:
        """Whether the server answers."""
        try:
            answer = requests.get(f"{self.settings.superset_url}/health", timeout=_HEALTH_TIMEOUT_SECONDS)
        except requests.RequestException:
            return False
        return answer.status_code == requests.codes.ok and answer.text.strip() == "OK"

    def log_end(self, lines: int = _LOG_LINES_SHOWN) -> str:
        """The last lines of the server's log; ``ServiceError`` when it has never been started."""
        if not self.service.log.exists():
            raise ServiceError(f"there is no log {self.service.log}: this Superset has never been started")
        return "\n".join(self.service.log.read_text(errors="replace").splitlines()[-lines:])

    def _prepare(self, admin: Login, guest: Login, progress: Progress) -> bool:
        """Update Superset's own database (tables, roles, users); False if nothing changed."""
        done = self.home / "prepared"
        wanted = self._preparation(admin, guest)
        if done.exists() and done.read_text() == wanted and self._has_database():
            return False
        progress("preparing Superset's own database: tables, roles, users; up to a minute the first time")
        users = [
            {"username": admin.username, "password": admin.password, "role": "Admin"},
            {"username": guest.username, "password": guest.password, "role": "Viewer"},
        ]
        log = self.home / "prepare.log"
        with log.open("w") as output:
            ended = subprocess.run(
                [self.environment.command("python"), str(_PREPARE)],
                env=self._process_environment(),
                cwd=self.home,
                input=json.dumps(users),
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                text=True,
            )
        if ended.returncode != 0:
            end = "\n".join(log.read_text().splitlines()[-15:])
            raise SupersetSetUpError(f"Superset's own database could not be prepared; the end of {log}:\n{end}")
        done.touch(mode=0o600)
        done.write_text(wanted)
        return True

    def _serves(self, port: int) -> bool:
        process = self.service.process()
        return process is not None and _address(port) in process.cmdline()

    def _preparation(self, admin: Login, guest: Login) -> str:
        """A digest of the preparation's inputs; it includes the secret key so that passwords cannot be guessed."""
        parts = [
            *((DEPLOYMENT / name).read_bytes() for name in ("uv.lock", "prepare.py", "superset_config.py")),
            (self.home / "secret_key").read_bytes(),
            repr((self._metadata_uri, admin.username, admin.password, guest.username, guest.password)).encode(),
        ]
        return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()

    @property
    def _busy(self) -> ServiceError:
        return ServiceError(f"another process is starting or stopping the Superset of {self.home}")

    def _has_database(self) -> bool:
        return bool(self._metadata_uri) or (self.home / "superset.db").exists()

    @property
    def _metadata_uri(self) -> str:
        return self.settings.superset_metadata_uri.get_secret_value()

    def _server_command(self, port: int) -> list[str]:
        return [
            self.environment.command("gunicorn"),
            *("--bind", _address(port), "--workers", "1", "--worker-class", "gthread", "--threads", "8"),
            *("--timeout", "120", "--graceful-timeout", "5", "superset.app:create_app()"),
        ]

    def _process_environment(self) -> dict[str, str]:
        return process_environment(
            # Superset must not see the platform's own environment or its secrets.
            without=("VIRTUAL_ENV", "PYTHONPATH", "FLASK_APP", "MUSIC_PLATFORM_", "SUPERSET_", "AWS_"),
            MUSIC_PLATFORM_SUPERSET_HOME=str(self.home),
            MUSIC_PLATFORM_SUPERSET_METADATA_URI=self._metadata_uri,
            SUPERSET_CONFIG_PATH=str(_CONFIG),
            PYTHONWARNINGS="ignore",
        )


def _address(port: int) -> str:
    return f"127.0.0.1:{port}"
