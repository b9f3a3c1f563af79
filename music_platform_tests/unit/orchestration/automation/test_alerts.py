"""Failed runs and failed checks reach a webhook, once each; a webhook that is gone holds nothing up."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from music_platform.inert_text import inert
from music_platform.orchestration.automation.alerts import CHECK_FAILURES, RUN_FAILURES, alert_sensors
from music_platform.orchestration.checks.outcome import CheckOutcome
from music_platform.settings import Settings

_DAYS = dg.StaticPartitionsDefinition(["monday", "tuesday"])


class Webhook(ThreadingHTTPServer):
    """Takes what is posted, and answers with ``status``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[dict[str, Any]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Webhook)
        assert self.headers["Content-Type"] == "application/json"
        self.server.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@dg.asset(partitions_def=_DAYS)
def numbers(context: dg.AssetExecutionContext) -> None:
    if "fail" in context.run.tags:
        raise dg.Failure("numbers cannot be made", allow_retries=False)


@dg.asset_check(asset=numbers)
def are_odd(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    passed = "even" not in context.run.tags
    return dg.AssetCheckResult(passed=passed, description="two is even", severity=dg.AssetCheckSeverity.WARN)


def run(instance: dg.DagsterInstance, partition: str, **tags: str) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [numbers, are_odd], partition_key=partition, tags=tags, instance=instance, raise_on_error=False
    )


def sensors(url: str) -> dict[str, dg.SensorDefinition]:
    return {sensor.name: sensor for sensor in alert_sensors(Settings(webhook_url=SecretStr(url)))}


def tick_runs(url: str, instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> None:
    event = next(event for event in result.all_events if event.event_type is dg.DagsterEventType.RUN_FAILURE)
    context = dg.build_run_status_sensor_context(
        sensor_name=RUN_FAILURES,
        dagster_event=event,
        dagster_instance=instance,
        dagster_run=result.dagster_run,
    ).for_run_failure()
    sensors(url)[RUN_FAILURES](context)


class Checks:
    """The sensor of failed checks over its ticks."""

    def __init__(self, url: str, instance: dg.DagsterInstance) -> None:
        self._definitions = dg.Definitions(
            assets=[numbers], asset_checks=[are_odd], sensors=alert_sensors(Settings(webhook_url=SecretStr(url)))
        )
        self._instance = instance
        self.cursor: str | None = None

    def tick(self) -> None:
        repository = self._definitions.get_repository_def()
        with dg.build_sensor_context(
            instance=self._instance, cursor=self.cursor, repository_def=repository, sensor_name=CHECK_FAILURES
        ) as context:
            self.cursor = repository.get_sensor_def(CHECK_FAILURES).evaluate_tick(context).cursor


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_a_failed_run_is_posted(webhook: Webhook, instance: dg.DagsterInstance) -> None:
    result = run(instance, "monday", fail="yes")
    tick_runs(webhook.url, instance, result)
    [posted] = webhook.received
    assert posted["event"] == "run_failed"
    assert (posted["run_id"], posted["partitions"], posted["steps"]) == (result.run_id, "monday", ["numbers"])
    assert "monday failed in numbers" in posted["text"]


def test_each_failed_check_is_posted_once(webhook: Webhook, instance: dg.DagsterInstance) -> None:
    checks = Checks(webhook.url, instance)
    checks.tick()
    failed = [run(instance, "monday", even="yes"), run(instance, "tuesday", even="yes")]
    run(instance, "tuesday")  # the last one passed, and must not hide the two before it
    checks.tick()
    checks.tick()
    assert [posted["run_id"] for posted in webhook.received] == [result.run_id for result in failed]
    assert webhook.received[0]["text"] == "Check are_odd of numbers failed (WARN): two is even"
    assert len(json.loads(checks.cursor or "")["told"]) == 2

    again = run(instance, "monday", even="yes")
    checks.tick()
    assert webhook.received[-1]["run_id"] == again.run_id


def test_a_hostile_name_is_no_link_in_a_chat_and_whole_in_the_fields(
    webhook: Webhook, instance: dg.DagsterInstance
) -> None:
    name = "![p](http://127.0.0.1/x.png) <!channel> @everyone \u202e"
    checks = Checks(webhook.url, instance)
    checks.tick()
    outcome = CheckOutcome("numbers", "are_odd", passed=False, description=f"object '{name}' is gone").to_dagster()
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            check_name="are_odd", asset_key=dg.AssetKey("numbers"), passed=False, description=outcome.description
        )
    )
    checks.tick()
    [posted] = webhook.received
    assert posted["description"] == f"object '{inert(name)}' is gone"  # not the Markdown that Dagster shows
    assert not set("<>[]@`\u202e") & set(posted["text"])
    assert "://" not in posted["text"]


def test_failures_before_the_first_tick_are_not_posted(webhook: Webhook, instance: dg.DagsterInstance) -> None:
    run(instance, "monday", even="yes")
    Checks(webhook.url, instance).tick()
    assert webhook.received == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "no url at all", ""])
def test_a_webhook_that_is_gone_fails_no_sensor(
    url: str, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    tick_runs(url, instance, run(instance, "monday", fail="yes"))
    checks = Checks(url, instance)
    checks.tick()
    run(instance, "monday", even="yes")
    checks.tick()
    assert json.loads(checks.cursor or "")["told"]  # it was told in the log, and is not tried again


def test_a_webhook_that_refuses_fails_no_sensor(webhook: Webhook, instance: dg.DagsterInstance) -> None:
    webhook.status = 500
    tick_runs(webhook.url, instance, run(instance, "monday", fail="yes"))
    assert len(webhook.received) == 1
