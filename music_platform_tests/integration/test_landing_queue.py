"""Notifications of the bucket through a real queue: hours they name are run, and no message is lost or kept for ever."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import boto3
import dagster as dg
import pytest

from music_platform.lake.landing_layout import errors_key, landed_key
from music_platform.landing.watch import sqs
from music_platform.landing.watch.notifications import describe_strangers
from music_platform.landing.watch.sqs import QueueUnreachableError, SqsNotifications
from music_platform.orchestration.automation.landing_sensor import LandingWatch
from music_platform.partitions import key_of_hour
from music_platform.settings import Settings

_NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
_OLD_HOUR = datetime(2026, 2, 1, 5, tzinfo=UTC)
_HOUR = datetime(2026, 11, 24, 9, tzinfo=UTC)


@dataclass
class Notifying:
    """A bucket, its queue, and a sensor that reads it, with the memory that Dagster would keep."""

    watch: LandingWatch
    queue: SqsNotifications
    client: Any
    instance: dg.DagsterInstance
    cursor: str | None = None
    now: datetime = _NOW

    def land(self, hour: datetime, chunk: int, content: bytes = b"x") -> str:
        key = landed_key("listen_events", hour, f"{chunk:032x}")
        self.watch.lake.store.put(key, content)
        return key

    def notify(self, *keys: str, bucket: str | None = None) -> None:
        lake_bucket, _, prefix = self.watch.settings.lake.removeprefix("s3://").partition("/")
        names = [quote_plus(f"{prefix}/{key}") for key in keys]
        self.send({"Records": [{"s3": {"bucket": {"name": bucket or lake_bucket}, "object": {"key": name}}}
                               for name in names]})  # fmt: skip

    def send(self, body: Any) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.client.send_message(QueueUrl=self.watch.settings.landing_queue_url, MessageBody=text)

    def tick(self, *, is_recorded: bool = True) -> list[str]:
        """The hours that a tick requests; its runs succeed at once."""
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        result = self.watch.tick(context, self.now)
        hours = []
        for request in result.run_requests or []:
            hours.append(request.partition_key or request.tags["dagster/asset_partition_range_start"])
            if is_recorded:
                self.instance.add_run(dg.DagsterRun(
                    job_name="hourly_spine", status=dg.DagsterRunStatus.SUCCESS,
                    tags={"dagster/run_key": request.run_key or ""}))  # fmt: skip
        if is_recorded:
            self.cursor = result.cursor
        return hours

    def messages(self) -> int:
        """The messages that the queue still has, those that were read included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.watch.settings.landing_queue_url
        attributes = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)


@pytest.fixture
def notifying(s3_server: Any, s3_settings: Callable[..., Settings]) -> Notifying:
    client = boto3.client("sqs", endpoint_url=s3_server.endpoint, region_name=s3_server.region,
                          aws_access_key_id="test-key", aws_secret_access_key="test-secret")  # fmt: skip
    lake = f"s3://{s3_server.new_bucket()}/lake"
    url = client.create_queue(QueueName=lake.split("/")[2])["QueueUrl"]
    settings = s3_settings(
        lake=lake, landing_queue_url=url, landing_queue_endpoint=s3_server.endpoint, landing_quiet_seconds=0
    )
    queue = SqsNotifications(settings)
    return Notifying(LandingWatch(settings, queue), queue, client, dg.DagsterInstance.ephemeral())


def test_the_first_tick_finds_what_no_message_told_of(notifying: Notifying) -> None:
    notifying.land(_HOUR, 1)
    assert notifying.tick() == [key_of_hour(_HOUR)]


def test_an_hour_of_any_age_is_run_when_a_message_names_it_and_only_then(notifying: Notifying) -> None:
    notifying.tick()
    told, untold = notifying.land(_OLD_HOUR, 1), notifying.land(_HOUR, 2)
    assert notifying.tick() == []
    notifying.notify(told)
    assert notifying.tick() == [key_of_hour(_OLD_HOUR)]
    notifying.notify(untold)
    assert notifying.tick() == [key_of_hour(_HOUR)]


def test_only_hours_that_messages_name_are_listed(notifying: Notifying, monkeypatch: pytest.MonkeyPatch) -> None:
    notifying.land(_HOUR, 1)
    notifying.tick()
    notifying.notify(notifying.land(_OLD_HOUR, 1))
    listed: list[str] = []
    list_objects = type(notifying.watch.lake.store).list
    monkeypatch.setattr(
        type(notifying.watch.lake.store),
        "list",
        lambda store, prefix: listed.append(prefix) or list_objects(store, prefix),
    )
    notifying.tick()
    assert sorted(listed) == ["errors/dt=2026-02-01", *(f"landing/{event_type}/dt=2026-02-01/hour=05" for event_type in (
        "auth_events", "listen_events", "page_view_events", "status_change_events"))]  # fmt: skip


def test_a_message_of_error_records_names_the_hour_in_which_they_came(notifying: Notifying) -> None:
    notifying.tick()
    key = errors_key(_HOUR, "a" * 32)
    notifying.watch.lake.store.put(key, b"x")
    notifying.notify(key)
    assert notifying.tick() == [key_of_hour(_HOUR)]


def test_a_message_is_deleted_once_the_memory_holds_its_hour_and_not_before(notifying: Notifying) -> None:
    notifying.tick()
    notifying.notify(notifying.land(_HOUR, 1))
    notifying.tick()
    assert notifying.messages() == 1
    notifying.tick()
    assert notifying.messages() == 0


def test_a_message_survives_a_tick_that_was_never_recorded(
    notifying: Notifying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqs, "_VISIBILITY_SECONDS", 0)
    notifying.tick()
    notifying.notify(notifying.land(_HOUR, 1))
    assert notifying.tick(is_recorded=False) == [key_of_hour(_HOUR)]
    assert notifying.tick() == [key_of_hour(_HOUR)]
    assert notifying.tick() == []
    notifying.tick()
    assert notifying.messages() == 0


def test_a_message_survives_the_process_and_comes_again(notifying: Notifying, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqs, "_VISIBILITY_SECONDS", 0)
    notifying.tick()
    notifying.notify(notifying.land(_HOUR, 1))
    assert notifying.tick() == [key_of_hour(_HOUR)]
    notifying.watch.queue = SqsNotifications(notifying.watch.settings)  # the receipts are gone with the code server
    assert notifying.tick() == []
    assert notifying.messages() == 1
    assert notifying.tick() == []
    assert notifying.messages() == 0


def test_a_message_that_comes_twice_runs_nothing(notifying: Notifying) -> None:
    notifying.tick()
    key = notifying.land(_OLD_HOUR, 1)
    notifying.notify(key, key)
    assert notifying.tick() == [key_of_hour(_OLD_HOUR)]
    notifying.notify(key)
    assert notifying.tick() == []


def test_an_hour_still_filling_is_waited_for_without_its_messages(notifying: Notifying) -> None:
    notifying.watch = LandingWatch(
        notifying.watch.settings.model_copy(update={"landing_quiet_seconds": 60.0}), notifying.queue
    )
    notifying.now = datetime.now(UTC)
    hour = notifying.now.replace(minute=0, second=0, microsecond=0)
    notifying.tick()
    notifying.notify(notifying.land(hour, 1))
    assert notifying.tick() == []
    assert notifying.tick() == []
    assert notifying.messages() == 0  # the hour stands in the cursor
    notifying.now += timedelta(seconds=90)
    assert notifying.tick() == [key_of_hour(hour)]


def test_messages_that_are_no_notifications_are_reported_and_deleted(
    notifying: Notifying, caplog: pytest.LogCaptureFixture
) -> None:
    notifying.tick()
    strange = ["no JSON", "[]", "7", "null", {}, {"Records": 3}, {"Records": [{"s3": {}}]}]
    for body in strange:
        notifying.send(body)
    batch = "batch"
    notified = notifying.queue.receive(batch, budget_seconds=10)
    assert (notified.messages, len(notified.strange), notified.hours) == (len(strange), len(strange), set())
    assert "no JSON" in describe_strangers(notified)
    notifying.queue.confirm(batch)
    assert notifying.messages() == 0
    assert caplog.records == [] or all(record.levelno < logging.ERROR for record in caplog.records)


def test_messages_that_concern_no_landed_object_are_deleted_in_silence(notifying: Notifying) -> None:
    notifying.tick()
    notifying.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "any"})
    notifying.notify("bronze/listen_events/date=2026-11-01/hour=05/_SUCCESS")
    notifying.notify(landed_key("listen_events", _HOUR, "a" * 32), bucket="other")
    notified = notifying.queue.receive("batch", budget_seconds=10)
    assert (notified.messages, notified.strange, notified.hours) == (3, [], set())


def test_a_message_that_came_by_sns_is_understood(notifying: Notifying) -> None:
    bucket = notifying.watch.settings.lake.split("/")[2]
    key = f"lake/{landed_key('listen_events', _HOUR, 'a' * 32)}"
    inner = {"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key)}}}]}
    notifying.send({"Type": "Notification", "Message": json.dumps(inner)})
    assert notifying.queue.receive("batch", budget_seconds=10).hours == {key_of_hour(_HOUR)}


def test_a_queue_that_is_not_there_is_an_error_that_names_it(notifying: Notifying) -> None:
    url = notifying.watch.settings.landing_queue_url + "-gone"
    queue = SqsNotifications(notifying.watch.settings.model_copy(update={"landing_queue_url": url}))
    with pytest.raises(QueueUnreachableError, match="-gone"):
        queue.receive("batch", budget_seconds=5)
