"""Sensors that report failed runs and failed checks: always in the log, and to a webhook when one is configured.

If the webhook does not answer, the log names it and nothing waits for it.
"""

import json
import logging
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from music_platform.inert_text import from_markdown, in_chat, inert
from music_platform.orchestration.automation.run_tags import PARTITION, RANGE_END, RANGE_START
from music_platform.orchestration.dagster_internals import AssetCheckExecutionRecord, AssetCheckExecutionRecordStatus
from music_platform.settings import Settings

RUN_FAILURES, CHECK_FAILURES = "report_failed_runs", "report_failed_checks"
_TICK_SECONDS = 30
_ANSWER_SECONDS = 10.0
_OVERLAP_SECONDS = 300.0  # an event is stored a little after its own timestamp
_MOST_FAILURES_OF_A_CHECK = 100


def notify(webhook_url: str, payload: dict[str, Any], log: logging.Logger) -> bool:
    """Log a failure and post it as JSON; whether it was delivered.

    ``text`` is the line that chat systems show, without what they would take for links, mentions or markup. The other fields
    hold the values unchanged: whoever shows them must escape them.
    """
    log.error(inert(payload["text"], keep="\n"))
    if not webhook_url:
        return False
    payload = payload | {"text": in_chat(payload["text"])}
    try:
        request = urllib.request.Request(
            webhook_url, json.dumps(payload).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS):
            return True
    except (OSError, ValueError) as error:  # ValueError: the url is none
        log.warning(f"MUSIC_PLATFORM_WEBHOOK_URL took no message: {error}")
        return False


def alert_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensor of failed runs and that of failed checks."""
    url = settings.webhook_url.get_secret_value()
    return [_run_failure_sensor(url), _check_failure_sensor(url)]


def _run_failure_sensor(url: str) -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name=RUN_FAILURES,
        description="Logs each failed run and posts it to MUSIC_PLATFORM_WEBHOOK_URL.",
        minimum_interval_seconds=_TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        steps = sorted(event.step_key for event in context.get_step_failure_events() if event.step_key)
        partitions = run.tags.get(PARTITION) or "...".join(
            run.tags[tag] for tag in (RANGE_START, RANGE_END) if tag in run.tags
        )
        error = context.failure_event.message or ""
        where = f" of {partitions}" if partitions else ""
        text = f"Run {run.run_id[:8]} ({run.job_name}){where} failed in {', '.join(steps) or 'no step'}: {error}"
        payload = {
            "event": "run_failed",
            "text": text,
            "run_id": run.run_id,
            "job": run.job_name,
            "partitions": partitions or None,
            "steps": steps,
            "error": error,
        }
        notify(url, payload, context.log)

    return sensor


def _check_failure_sensor(url: str) -> dg.SensorDefinition:
    @dg.sensor(
        name=CHECK_FAILURES,
        description="Logs each failed asset check and posts it to MUSIC_PLATFORM_WEBHOOK_URL.",
        minimum_interval_seconds=_TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        now = datetime.now(UTC).timestamp()
        # Records keep their ids from when the check was planned: times show what is new, ids what was reported already.
        cursor: dict[str, Any] = json.loads(context.cursor) if context.cursor else {"since": now, "told": {}}
        reported: dict[str, float] = dict(cursor["told"])
        graph = context.repository_def.asset_graph if context.repository_def is not None else None
        keys = [] if graph is None else sorted(graph.asset_check_keys)
        failures = sorted(_failures(context.instance, keys, cursor["since"]), key=_time_of)
        new = [record for record in failures if str(record.id) not in reported]
        for record in new:
            notify(url, _payload_of_check(record), context.log)
            reported[str(record.id)] = _time_of(record)
        since = max(cursor["since"], now - _OVERLAP_SECONDS)
        context.update_cursor(
            json.dumps({"since": since, "told": {key: time for key, time in reported.items() if time >= since}})
        )
        return dg.SkipReason(f"{len(new)} failed checks were reported")

    return sensor


def _failures(
    instance: dg.DagsterInstance, keys: list[dg.AssetCheckKey], since: float
) -> Iterator[AssetCheckExecutionRecord]:
    """The failures since a time. Reads the history of those checks alone that ran since then."""
    storage = instance.event_log_storage
    for key in storage.get_latest_asset_check_execution_by_key(keys):
        yield from (
            record
            for record in storage.get_asset_check_execution_history(
                key, limit=_MOST_FAILURES_OF_A_CHECK, status={AssetCheckExecutionRecordStatus.FAILED}
            )
            if _time_of(record) >= since
        )


def _time_of(record: AssetCheckExecutionRecord) -> float:
    return record.event.timestamp if record.event is not None else record.create_timestamp


def _payload_of_check(record: AssetCheckExecutionRecord) -> dict[str, Any]:
    evaluation = record.event.asset_check_evaluation if record.event is not None else None
    severity = evaluation.severity.value if evaluation is not None else dg.AssetCheckSeverity.ERROR.value
    description = from_markdown((evaluation.description if evaluation is not None else None) or "")
    asset = record.key.asset_key.to_user_string()
    return {
        "event": "check_failed",
        "text": f"Check {record.key.name} of {asset} failed ({severity}): {description}",
        "asset": asset,
        "check": record.key.name,
        "severity": severity,
        "description": description,
        "run_id": record.run_id,
    }
