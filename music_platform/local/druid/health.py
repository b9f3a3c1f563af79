"""Whether the local Druid is up: each service, the leaders, a real query, and its earlier data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
import requests

from music_platform.errors import LocalDruidError
from music_platform.http_sessions import new_session
from music_platform.local.druid.configuration import DRUID_SERVICES, LocalConfiguration

_REQUEST_SECONDS = 5.0
_POLL_SECONDS = 0.5
_LAST_LINES = 15
_LEADERS = {"coordinator": "/druid/coordinator/v1/isLeader", "overlord": "/druid/indexer/v1/isLeader"}
_SERVERS = "SELECT server_type FROM sys.servers WHERE server_type IN ('historical', 'indexer', 'broker')"
_DATASOURCES = """
SELECT datasource, SUM(num_rows) AS "rows", COUNT(*) AS segments, SUM("size") AS bytes
FROM sys.segments WHERE is_active = 1 GROUP BY datasource ORDER BY datasource
"""
# Segments with rows: a tombstone stands for an interval without any, and makes no table.
_SEGMENTS = """
SELECT datasource, COUNT(*) FILTER (WHERE is_tombstone = 0) AS segments,
    COUNT(*) FILTER (WHERE is_tombstone = 0 AND is_available = 0) AS not_served
FROM (
    SELECT datasource, is_available, CASE WHEN shard_spec LIKE '%"tombstone"%' THEN 1 ELSE 0 END AS is_tombstone
    FROM sys.segments WHERE is_active = 1
) GROUP BY datasource
"""
_TABLES = "SELECT TABLE_NAME AS datasource FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'druid'"


@dataclass(frozen=True)
class Datasource:
    """The queryable part of a datasource; ``bytes`` are those of its segments."""

    name: str
    rows: int
    segments: int
    bytes: int


class Health:
    """Queries the services of one local Druid; no method raises if a service does not answer."""

    def __init__(self, configuration: LocalConfiguration) -> None:
        self._configuration = configuration
        self._session = new_session()
        self._session.trust_env = False  # no proxy of the shell stands between this machine and itself

    def is_healthy(self, service: str) -> bool:
        """Whether a service of Druid reports that it is healthy."""
        return self._ask(service, "/status/health") is True

    def lacking(self) -> str:
        """What a started Druid still waits for, in words; empty once it takes tasks and answers queries."""
        waiting = [service for service in DRUID_SERVICES if not self.is_healthy(service)]
        if waiting:
            return f"waiting for {', '.join(waiting)}"
        for role, path in _LEADERS.items():
            if (self._ask("coordinator-overlord", path) or {}).get("leader") is not True:
                return f"waiting for the {role} to lead"
        servers = {row["server_type"] for row in self._query(_SERVERS) or ()}
        if missing := sorted({"broker", "historical", "indexer"} - servers):
            return f"waiting for the router and the broker to see {', '.join(missing)}"
        return self.lacking_data()

    def lacking_data(self) -> str:
        """Which datasources cannot be queried whole, in words; empty when all of them can."""
        status = self._ask("coordinator-overlord", "/druid/coordinator/v1/loadstatus")
        if status is None:
            return "waiting for the coordinator to say what is loaded"
        segments, tables = self._query(_SEGMENTS), self._query(_TABLES)
        if segments is None or tables is None:
            return "waiting for the broker to say what is served"
        # The coordinator's percentage also counts segments that were replaced before they were served, and never will be.
        of_datasource = {row["datasource"]: row for row in segments}
        queryable = {row["datasource"] for row in tables}
        lacking = []
        for name, percent in sorted(status.items()):
            found = of_datasource.get(name)
            if found is None or found["not_served"] or (found["segments"] and name not in queryable):
                lacking.append(f"{name} ({percent:.0f} % loaded)")
        return f"waiting for segments of {', '.join(lacking)}" if lacking else ""

    def datasources(self) -> list[Datasource] | None:
        """The datasources that can be queried; None while queries are not answered."""
        rows = self._query(_DATASOURCES)
        return None if rows is None else [Datasource(*row.values()) for row in rows]

    def wait(self, process: psutil.Process, seconds: float, report: Callable[[str], None]) -> None:
        """Wait until nothing is lacking; ``report`` is called with what is.

        Raises ``LocalDruidError`` with the end of the logs when the JVM ended or the time is over.
        """
        deadline = time.monotonic() + seconds
        while lacking := self.lacking():
            report(lacking)
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise LocalDruidError(f"Druid ended while it started; {self._end_of_logs()}")
            if time.monotonic() > deadline:
                raise LocalDruidError(
                    f"Druid is not up after {seconds:.0f} s, {lacking}; its logs are in {self._configuration.logs}"
                )
            time.sleep(_POLL_SECONDS)

    def _query(self, sql: str) -> list[dict[str, Any]] | None:
        return self._ask("router", "/druid/v2/sql", {"query": sql})

    def _ask(self, service: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A service's JSON answer; None without a successful answer."""
        url = f"{self._configuration.url_of(service)}{path}"
        try:
            answer = self._session.request("POST" if body else "GET", url, json=body, timeout=_REQUEST_SECONDS)
            return answer.json() if answer.ok else None
        except requests.RequestException:
            return None

    def _end_of_logs(self) -> str:
        """The end of the JVM's own output, which names the failed service."""
        log = self._configuration.java_log
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        if not lines:
            return f"it printed nothing; the services' logs are in {self._configuration.logs}"
        causes = [line for line in lines if line.startswith(("the service ", "Caused by:", "Error"))] or lines
        return f"{log}: {' | '.join(causes[-_LAST_LINES:])}"
