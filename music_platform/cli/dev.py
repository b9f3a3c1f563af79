"""``./run dev``: Dagster's UI and daemon, once per instance. Everything that they do is Dagster's own.

Dagster itself would start a second daemon on an instance, which disturbs the first, and would stay up without a UI on a
port that is taken; both are refused here.
"""

import argparse
import fcntl
import os
import socket
import sys
from pathlib import Path

HOST = "127.0.0.1"
FIRST_PORT = 3000
PORTS_TRIED = 100
_WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"


def main(arguments: list[str]) -> None:
    """Become ``dg dev`` on this machine's DAGSTER_HOME; further options are passed on to it."""
    parser = argparse.ArgumentParser(prog="./run dev", description="Dagster's UI and daemon; ends with Ctrl-C.")
    parser.add_argument("--host", default=HOST, help="address to listen on (default: %(default)s, this machine only)")
    parser.add_argument("--port", type=int, help=f"default: the first free one from {FIRST_PORT}")
    options, passed_on = parser.parse_known_args(arguments)

    lock = os.open(Path(os.environ["DAGSTER_HOME"], "dev.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel frees it when the process ends, however it ends
    except BlockingIOError:
        sys.exit(f"dev is running on this instance already, at {os.read(lock, 200).decode()}")
    port = options.port or _first_free_port(options.host)
    if not is_free_port(options.host, port):
        sys.exit(f"port {port} of {options.host} is taken; choose another by --port, or none for the first free one")
    os.truncate(lock, 0)
    os.write(lock, f"http://{options.host}:{port}".encode())
    os.set_inheritable(lock, True)
    command = ["dg", "dev", "--workspace", str(_WORKSPACE), "--host", options.host, "--port", str(port), *passed_on]
    os.execv(Path(sys.executable).with_name("dg"), command)


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
