"""``./run dev``: Dagster's UI and daemon, once per instance, with one lifetime. The UI is `music-platform webserver`.

As Dagster's own `dagster dev`, but for three things: the UI stands behind the platform's guard, a process that dies ends the
command with exit code 1, and a second daemon on an instance, which would disturb the first, is refused, as is a port that is
taken.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn

import yaml

from music_platform.cli.console import console, warn
from music_platform.orchestration.dagster_internals import DagsterGrpcClient, DagsterUserCodeUnreachableError

HOST = "127.0.0.1"
FIRST_PORT = 3000
PORTS_TRIED = 100
_DEFINITIONS = "music_platform.definitions"
_CODE_SERVER = "the code server"
_LOG_LEVELS = ("critical", "error", "warning", "info", "debug")
_LOOK_SECONDS = 0.5
_OWN_ACCORD_SECONDS = 3.0  # a terminal's Ctrl-C reaches the processes as well: a second signal would hurry them
_PATIENCE_SECONDS = 30.0


def main(arguments: list[str]) -> None:
    """Serve this machine's DAGSTER_HOME until an interrupt, or until one of the processes ends."""
    parser = argparse.ArgumentParser(prog="./run dev", description="Dagster's UI and daemon; ends with Ctrl-C.")
    parser.add_argument("--host", default=HOST, help="address to listen on (default: %(default)s, this machine only)")
    parser.add_argument("--port", type=int, help=f"default: the first free one from {FIRST_PORT}")
    parser.add_argument("--log-level", default="info", choices=_LOG_LEVELS, help="of the daemon (default: %(default)s)")
    parser.add_argument(
        "--code-server-log-level",
        default="warning",
        choices=_LOG_LEVELS,
        help="of the definitions (default: %(default)s)",
    )
    parser.add_argument(
        "--live-data-poll-rate",
        type=int,
        default=2000,
        help="milliseconds between the UI's looks (default: %(default)s)",
    )
    options = parser.parse_args(arguments)

    lock = os.open(Path(os.environ["DAGSTER_HOME"], "dev.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel frees it when the last of the processes has ended
    except BlockingIOError:
        sys.exit(f"dev is running on this instance already, at {os.read(lock, 200).decode()}")
    port = options.port or _first_free_port(options.host)
    if not is_free_port(options.host, port):
        sys.exit(f"port {port} of {options.host} is taken; choose another by --port, or none for the first free one")
    address = f"http://{options.host}:{port}"
    os.truncate(lock, 0)
    os.write(lock, address.encode())
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(_serve(options, port, address, lock))


def _serve(options: argparse.Namespace, port: int, address: str, lock: int) -> int:
    """The exit code: 0 after an interrupt, 1 when a process ended by itself."""
    processes: dict[str, subprocess.Popen[bytes]] = {}
    with suppress(KeyboardInterrupt), TemporaryDirectory(prefix="music-platform-dev-") as folder:
        try:
            # One process has the definitions, for the UI and the daemon alike.
            code_socket, workspace = Path(folder, "code.sock"), Path(folder, "workspace.yaml")
            workspace.write_text(
                yaml.safe_dump(
                    {"load_from": [{"grpc_server": {"socket": str(code_socket), "location_name": _DEFINITIONS}}]}
                )
            )
            processes[_CODE_SERVER] = _start(
                lock, "dagster", "code-server", "start", "--module-name", _DEFINITIONS, "--socket", str(code_socket),
                "--log-level", options.code_server_log_level,
            )  # fmt: skip
            _wait_for_answer(code_socket, processes[_CODE_SERVER])
            processes["Dagster's UI"] = _start(
                lock, "music-platform", "webserver", "--host", options.host, "--port", str(port), "--workspace",
                str(workspace), "--live-data-poll-rate", str(options.live_data_poll_rate),
            )  # fmt: skip
            processes["Dagster's daemon"] = _start(
                lock, "dagster-daemon", "run", "--workspace", str(workspace), "--log-level", options.log_level
            )
            console.print(f"Dagster's UI: {address}; its daemon runs beside it, and Ctrl-C ends both", markup=False)
            name, code = _first_to_end(processes)
            warn(f"{name} ended with exit code {code}; what else runs is ended as well")
            return 1
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)  # what follows is bounded
            code_server = processes.pop(_CODE_SERVER, None)
            _end(list(processes.values()))
            if code_server is not None:
                with suppress(DagsterUserCodeUnreachableError):  # after a signal alone it can wait for ever
                    DagsterGrpcClient(socket=str(Path(folder, "code.sock"))).shutdown_server(timeout=5)
                _end([code_server])
    return 0


def _wait_for_answer(code_socket: Path, code_server: subprocess.Popen[bytes]) -> None:
    """Wait until the code server answers or has ended: a UI that finds none at its start shows an error until it is reloaded."""
    client = DagsterGrpcClient(socket=str(code_socket))
    while code_server.poll() is None:
        try:
            client.ping("")
        except DagsterUserCodeUnreachableError:
            time.sleep(_LOOK_SECONDS)
        else:
            return


def _start(lock: int, command: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A command of this environment, in the same process group; it holds the instance's lock as long as it lives."""
    return subprocess.Popen([Path(sys.executable).with_name(command), *arguments], pass_fds=[lock])


def _first_to_end(processes: Mapping[str, subprocess.Popen[bytes]]) -> tuple[str, int]:
    while True:
        for name, process in processes.items():
            if (code := process.poll()) is not None:
                return name, code
        time.sleep(_LOOK_SECONDS)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for patience, act in (
        (_OWN_ACCORD_SECONDS, subprocess.Popen.terminate),
        (_PATIENCE_SECONDS, subprocess.Popen.kill),
    ):
        deadline = time.monotonic() + patience
        for process in processes:
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                act(process)
    for process in processes:
        process.wait()


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _first_free_port(host: str) -> int:
    ports = range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)
    free = next((port for port in ports if is_free_port(host, port)), None)
    return free or sys.exit(f"no port of {host} from {ports[0]} to {ports[-1]} is free; choose one by --port")


def is_free_port(host: str, port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


if __name__ == "__main__":
    main(sys.argv[1:])
