"""A code server of Dagster, which serves the definitions to the UI and the daemon, as a client sees it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from music_platform.orchestration.dagster_internals import DagsterGrpcClient, DagsterUserCodeUnreachableError

_SHUTDOWN_SECONDS = 5


class CodeServer:
    """The code server at a Unix socket; it need not run."""

    def __init__(self, socket: Path) -> None:
        self._client = DagsterGrpcClient(socket=str(socket))

    def answers(self) -> bool:
        """Whether it serves the definitions by now."""
        try:
            self._client.ping("")
        except DagsterUserCodeUnreachableError:
            return False
        return True

    def shut_down(self) -> None:
        """Ask it to end; nothing happens where it has ended."""
        with suppress(DagsterUserCodeUnreachableError):
            self._client.shutdown_server(timeout=_SHUTDOWN_SECONDS)
