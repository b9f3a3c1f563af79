"""Druid as a resource: tasks, SQL, and what is loaded, all through the router. What is ingested does not belong here.

A plain object, no configurable resource, as the lake: Dagster shows a resource's configuration, and this one holds a password.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from music_platform.errors import DruidRequestRefusedError, DruidTaskFailedError
from music_platform.settings import Settings

if TYPE_CHECKING:
    from music_platform.serving.druid.requests import DruidRequests

SUCCESS, FAILED = "SUCCESS", "FAILED"

_FIRST_POLL_SECONDS = 0.25
_LONGEST_POLL_SECONDS = 5.0
_POLL_GROWTH = 1.3
_CANCEL_SECONDS = 15.0  # a run that is being cancelled is not held up longer
_QUERY_SECONDS = 60.0
_FULLY_LOADED = 100.0


@dataclass(frozen=True)
class Origin:
    """On whose behalf Druid is asked: it stands in the contexts of tasks and queries, and so in Druid's own records."""

    run_id: str
    asset_key: str

    def as_context(self) -> dict[str, str]:
        return {"dagster_run_id": self.run_id, "dagster_asset_key": self.asset_key}


@dataclass(frozen=True)
class TaskReport:
    """How a task ended, and the rows that it counted; the counts are zero for a task that reads no rows."""

    task_id: str
    status: str
    error: str  # the task's own; empty when it succeeded
    seconds: float
    processed: int
    processed_with_error: int
    thrown_away: int
    unparseable: int


class DruidResource:
    """The Druid that the settings name: the local one, or a cluster behind its router."""

    def __init__(self, settings: Settings, logger: logging.Logger | None = None) -> None:
        self._settings = settings
        self._logger = logger or logging.getLogger(__name__)
        self._task_seconds = settings.druid_task_seconds

    @cached_property
    def _requests(self) -> DruidRequests:
        # Loading definitions touches no network; requests asks the system for IPv6 as soon as it is imported.
        from music_platform.serving.druid.requests import DruidRequests

        return DruidRequests(self._settings)

    @property
    def router_url(self) -> str:
        return self._requests.url

    def run_task(
        self, spec: Mapping[str, Any], origin: Origin, log: Callable[[str], None] = lambda _: None
    ) -> TaskReport:
        """Submit a task and wait until it ends; ``log`` is called at its changes of state.

        Raises ``DruidTaskFailedError`` with the task's own error when it fails, or when it does not end in the time of the
        settings. It is cancelled then, and also when this process is interrupted: a cancelled run leaves no task behind.
        """
        task_id = self.submit_task(spec, origin)
        log(f"task {task_id} submitted to {self.router_url}")
        try:
            report = self.wait_for_task(task_id, log)
        except BaseException:
            self.cancel_task(task_id)
            raise
        if report.status != SUCCESS:
            raise DruidTaskFailedError(f"task {task_id} of Druid ended as {report.status}: {report.error}")
        return report

    def submit_task(self, spec: Mapping[str, Any], origin: Origin) -> str:
        """Hand a task to the overlord and return its id.

        ``DruidRequestRefusedError`` holds the overlord's own words about a spec that it does not take. The id is chosen
        here, so that a submission whose answer was lost can be made again: there is one task all the same.
        """
        kind = spec.get("type", "task")
        task_id = f"{kind}_{origin.asset_key.replace('/', '_').replace(', ', '_')}_{uuid.uuid4().hex[:12]}"
        context = {**spec.get("context", {}), **origin.as_context()}
        body: dict[str, Any] = {**spec, "id": spec.get("id", task_id), "context": context}
        try:
            answer = self._requests.post("/druid/indexer/v1/task", body, key="task")
        except DruidRequestRefusedError as error:
            if "already exists" in str(error) and self._status_of(body["id"]) is not None:
                return body["id"]
            raise
        return answer["task"]

    def wait_for_task(self, task_id: str, log: Callable[[str], None] = lambda _: None) -> TaskReport:
        """Look at a task, ever less often, until it ends; ``DruidTaskFailedError`` when it does not in time."""
        deadline = time.monotonic() + self._task_seconds
        pause, last_state = _FIRST_POLL_SECONDS, ""
        while True:
            status = self._status_of(task_id)
            if status is None:
                raise DruidTaskFailedError(f"Druid at {self.router_url} knows no task {task_id}: its metadata was lost")
            if status["status"] in (SUCCESS, FAILED):
                return self._report_of(task_id, status)
            state = f"{status['status']} ({str(status.get('runnerStatusCode', '')).lower()})"
            if state != last_state:
                log(f"task {task_id}: {state}")
                last_state = state
            if time.monotonic() > deadline:
                raise DruidTaskFailedError(
                    f"task {task_id} of Druid has not ended after {self._task_seconds:g} s, its state is {state}: it is "
                    "cancelled. Another task may hold its interval or all workers; MUSIC_PLATFORM_DRUID_TASK_SECONDS allows "
                    "it more time."
                )
            time.sleep(pause)
            pause = min(pause * _POLL_GROWTH, _LONGEST_POLL_SECONDS)

    def task_report(self, task_id: str) -> TaskReport:
        """How a task ended, or how it is by now."""
        status = self._status_of(task_id)
        if status is None:
            raise DruidTaskFailedError(f"Druid at {self.router_url} knows no task {task_id}")
        return self._report_of(task_id, status)

    def cancel_task(self, task_id: str) -> bool:
        """Ask the overlord to end a task; False when it cannot be asked, or the task has ended already.

        Raises nothing of Druid's own: who cancels has an error of its own.
        """
        try:
            self._requests.post(f"/druid/indexer/v1/task/{quote(task_id)}/shutdown", {}, retry_seconds=_CANCEL_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller's own error goes before it
            self._logger.warning("task %s of Druid could not be cancelled: %s", task_id, error)
            return False
        return True

    def sql(
        self,
        query: str,
        origin: Origin | None = None,
        *,
        parameters: Sequence[Mapping[str, Any]] = (),
        context: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """The rows of a query, each a mapping from column to value; a time is text in ISO 8601.

        ``parameters`` are Druid's, such as ``{"type": "VARCHAR", "value": "rock"}``, one for each question mark. Raises
        ``DruidRequestRefusedError`` with Druid's own words when it does not take the query or cannot answer it.
        """
        body = {
            "query": query,
            "parameters": list(parameters),
            "context": {
                "timeout": int(_QUERY_SECONDS * 1000),
                **(context or {}),
                **(origin.as_context() if origin else {}),
            },
        }
        return self._requests.post("/druid/v2/sql", body, timeout=_QUERY_SECONDS, form=list)

    def version(self) -> str:
        """The release of the router."""
        return self._requests.get("/status", key="version")["version"]

    def servers(self) -> dict[str, int]:
        """The number of Druid's services that are up, by type: ``historical``, ``indexer`` and so on; asks the broker."""
        rows = self.sql("SELECT server_type, COUNT(*) AS servers FROM sys.servers GROUP BY 1")
        return {row["server_type"]: row["servers"] for row in rows}

    def asks_for_login(self) -> bool:
        """Whether a request without a login is refused."""
        return self._requests.refuses_without_login("/status")

    def loaded_percent(self, datasource: str, interval: str) -> float:
        """Share of the used segments of an interval (``2026-11-01/2026-11-02``) that a historical serves, 0 to 100.

        An interval without segments is loaded. The metadata is read afresh, so segments that were just published count.
        """
        answer = self._requests.get(
            f"/druid/coordinator/v1/datasources/{quote(datasource)}/loadstatus",
            {"forceMetadataRefresh": "true", "interval": interval},
            absent={},
        )
        return float(answer.get(datasource, _FULLY_LOADED))

    def wait_until_loaded(self, datasource: str, interval: str, seconds: float) -> None:
        """Wait until all segments of an interval are served; ``DruidTaskFailedError`` tells how many are when time is over."""
        deadline = time.monotonic() + seconds
        pause = _FIRST_POLL_SECONDS
        while (percent := self.loaded_percent(datasource, interval)) < _FULLY_LOADED:
            if time.monotonic() > deadline:
                raise DruidTaskFailedError(
                    f"the segments of {datasource} in {interval} were published, but {percent:.0f} % of them are served "
                    f"after {seconds:g} s. Look at the historicals: are they up, and have they room?"
                )
            time.sleep(pause)
            pause = min(pause * _POLL_GROWTH, _LONGEST_POLL_SECONDS)

    def mark_unused(self, datasource: str, interval: str) -> int:
        """Take the segments within an interval out of service; returns how many. They stay in the deep storage."""
        answer = self._requests.post(
            f"/druid/coordinator/v1/datasources/{quote(datasource)}/markUnused", {"interval": interval}, absent={}
        )
        return int(answer.get("numChangedSegments", 0))

    def _status_of(self, task_id: str) -> dict[str, Any] | None:
        answer = self._requests.get(f"/druid/indexer/v1/task/{quote(task_id)}/status", absent=None, key="status")
        return None if answer is None else answer["status"]

    def _report_of(self, task_id: str, status: Mapping[str, Any]) -> TaskReport:
        from music_platform.serving.druid.requests import error_text  # as above

        answer = self._requests.get(f"/druid/indexer/v1/task/{quote(task_id)}/reports", absent={}) or {}
        payload = answer.get("ingestionStatsAndErrors", {}).get("payload", {})
        counts = (payload.get("rowStats") or {}).get("buildSegments", {})
        error = error_text([payload.get("errorMsg"), status.get("errorMsg")]) if status["status"] != SUCCESS else ""
        return TaskReport(
            task_id=task_id,
            status=status["status"],
            error=error,
            seconds=max(status.get("duration") or 0, 0) / 1000,
            processed=int(counts.get("processed", 0)),
            processed_with_error=int(counts.get("processedWithError", 0)),
            thrown_away=int(counts.get("thrownAway", 0)),
            unparseable=int(counts.get("unparseable", 0)),
        )
