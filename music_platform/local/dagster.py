"""The local Dagster: its UI, its daemon and the code server of both, once per instance and with one lifetime.

Differs from `dagster dev` in three things: the UI is behind the platform's guard, a process that dies ends the others, and a
second daemon on an instance, which would disturb the first, is refused, as is a port in use.

Callers supply what only Dagster's code can do: query the code server and see whether the daemon works.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import yaml

from music_platform.local.service import Foreground, Service, ServiceError, exclusively, foreground, is_port_free
from music_platform.settings import process_environment

HOST = "127.0.0.1"
PORTS = range(3000, 3100)
"""The ports of which the UI takes the first that is free."""
_DEFINITIONS = "music_platform.definitions"
_CODE_SERVER, _UI, _DAEMON = "the code server", "Dagster's UI", "Dagster's daemon"
_LOCK = "dev.lock"
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0


class CodeServer(Protocol):
    """The code server at a socket, as its clients see it."""

    def answers(self) -> bool:
        """Whether it serves the definitions yet."""
        ...

    def shut_down(self) -> None:
        """Ask it to end; does nothing if it has ended."""
        ...


@dataclass(frozen=True)
class DevOptions:
    """How the local Dagster is served; ``port``: None takes the first free one of ``PORTS``."""

    host: str
    port: int | None
    log_level: str
    code_server_log_level: str
    live_data_poll_rate: int  # milliseconds


@contextmanager
def dagster_in_foreground(
    home: Path, options: DevOptions, code_server_at: Callable[[Path], CodeServer]
) -> Generator[tuple[str, Foreground]]:
    """Run UI, daemon and code server on the instance in ``home`` until the block ends in any way.

    Yields the UI's address and the processes to wait for. They hold the instance's lock as long as one of them lives. Raises
    ``ServiceError``: others serve this instance, no port is free, the definitions do not load.
    """
    busy = ServiceError(f"dev is running on this instance already, at {_served_address(home)}")
    with exclusively(home, busy, _LOCK) as lock:
        port = options.port or _first_free_port(options.host)
        if not is_port_free(port, options.host):
            raise ServiceError(
                f"port {port} of {options.host} is taken; choose another by --port, or none for the first free one"
            )
        address = f"http://{options.host}:{port}"
        lock.truncate(0)
        print(address, end="", file=lock, flush=True)
        with (
            TemporaryDirectory(prefix="music-platform-dev-") as folder,
            foreground(kept_open=[lock.fileno()]) as processes,
        ):
            socket, workspace = Path(folder, "code.sock"), Path(folder, "workspace.yaml")
            server = {"grpc_server": {"socket": str(socket), "location_name": _DEFINITIONS}}
            workspace.write_text(yaml.safe_dump({"load_from": [server]}))
            code_server = code_server_at(socket)
            try:
                # One process holds the definitions for both the UI and the daemon.
                processes.start(_CODE_SERVER, _code_server_command(socket, options))
                # A UI that finds none at its start shows an error until it is reloaded.
                processes.wait_until(_CODE_SERVER, code_server.answers)
                processes.start(_UI, _ui_command(port, workspace, options))
                processes.start(_DAEMON, _daemon_command(workspace, options))
                yield address, processes
            finally:
                processes.end(_UI, _DAEMON)
                code_server.shut_down()  # with a signal alone it can wait for ever


@contextmanager
def local_dagster(
    home: Path, serves: Callable[[], bool], progress: Callable[[str], None], **settings: str
) -> Generator[str]:
    """Run `./run dev` in the background on the instance in ``home`` until the block ends in any way.

    Yields the UI's address. ``serves`` returns whether the daemon works yet. ``settings`` are environment variables for the
    processes. Raises ``ServiceError`` with the end of their log when they do not start, for instance because others serve this
    instance already.
    """
    service = Service("live-dagster", home / "live")
    service.start([sys.executable, "-m", "music_platform.cli.dev"], process_environment() | settings)
    try:
        service.wait_until(serves, _START_SECONDS, progress)
        yield _served_address(home)
    finally:
        service.stop(_STOP_SECONDS)


def first_free_port(host: str) -> int | None:
    """The port of ``PORTS`` that the next UI takes; None when all are taken."""
    return next((port for port in PORTS if is_port_free(port, host)), None)


def _first_free_port(host: str) -> int:
    port = first_free_port(host)
    if port is None:
        raise ServiceError(f"no port of {host} from {PORTS[0]} to {PORTS[-1]} is free; choose one by --port")
    return port


def _served_address(home: Path) -> str:
    lock = home / _LOCK
    return lock.read_text() if lock.exists() else ""


def _code_server_command(socket: Path, options: DevOptions) -> list[str | Path]:
    return [
        _command("dagster"), "code-server", "start", "--module-name", _DEFINITIONS, "--socket", socket,
        "--log-level", options.code_server_log_level,
    ]  # fmt: skip


def _ui_command(port: int, workspace: Path, options: DevOptions) -> list[str | Path]:
    return [
        _command("music-platform"), "webserver", "--host", options.host, "--port", str(port), "--workspace", workspace,
        "--live-data-poll-rate", str(options.live_data_poll_rate),
    ]  # fmt: skip


def _daemon_command(workspace: Path, options: DevOptions) -> list[str | Path]:
    return [_command("dagster-daemon"), "run", "--workspace", workspace, "--log-level", options.log_level]


def _command(name: str) -> Path:
    """A command of this environment."""
    return Path(sys.executable).with_name(name)
