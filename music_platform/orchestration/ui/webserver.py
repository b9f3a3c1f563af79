"""Dagster's web application behind the guard. The one place that knows how dagster-webserver is put together.

The version is pinned in pyproject.toml: what is taken from dagster_webserver is not public.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import dagster as dg
import uvicorn
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.cli import (
    DEFAULT_DB_STATEMENT_TIMEOUT,
    DEFAULT_POOL_MAX_OVERFLOW,
    DEFAULT_POOL_RECYCLE,
)
from dagster_webserver.version import __version__

from music_platform.orchestration.dagster_internals import (
    ModuleTarget,
    WorkspaceFileTarget,
    WorkspaceLoadTarget,
    WorkspaceProcessContext,
)
from music_platform.orchestration.ui.request_guard import RequestGuard

DEFINITIONS = ModuleTarget("music_platform.definitions", attribute=None, working_directory=None, location_name=None)
_WILDCARDS = ("", "0.0.0.0", "::")
_GRACE_SECONDS = 5  # for answers that are under way when the server ends


def serve(
    instance: dg.DagsterInstance,
    host: str,
    port: int,
    *,
    allowed_hosts: Collection[str],
    workspace: Sequence[Path] = (),
    path_prefix: str = "",
    read_only: bool = False,
    poll_milliseconds: int = 2000,
    code_server_log_level: str = "warning",
) -> None:
    """Serve the UI until the process is interrupted or terminated.

    ``allowed_hosts`` are names of it beside localhost and the address that it listens on. Without ``workspace`` files it shows
    the platform's definitions, from a process that it starts.
    """
    target: WorkspaceLoadTarget = WorkspaceFileTarget([str(file) for file in workspace]) if workspace else DEFINITIONS
    instance.optimize_for_webserver(DEFAULT_DB_STATEMENT_TIMEOUT, DEFAULT_POOL_RECYCLE, DEFAULT_POOL_MAX_OVERFLOW)
    with WorkspaceProcessContext(
        instance,
        workspace_load_target=target,
        version=__version__,
        read_only=read_only,
        code_server_log_level=code_server_log_level,
    ) as context:
        application = create_app_from_workspace_process_context(context, path_prefix, poll_milliseconds)
        own = {host.strip("[]")} - set(_WILDCARDS)
        uvicorn.run(
            RequestGuard(application, {*allowed_hosts, *own}),
            host=host,
            port=port,
            log_level="warning",
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
