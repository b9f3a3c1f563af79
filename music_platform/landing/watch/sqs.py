"""The bucket's event notifications, read from an SQS queue: which hours of landing changed.

A message is deleted by the next tick, once the sensor's cursor holds its hours: only then are they recorded. Only the hour of a
message is used; the hour itself is listed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError

from music_platform.errors import MusicPlatformError
from music_platform.lake.landing_layout import parse_errors_key, parse_key
from music_platform.landing.watch.notifications import Notified
from music_platform.partitions import key_of_hour
from music_platform.settings import Settings

_MESSAGES_A_REQUEST = 10  # SQS gives and takes no more
_MOST_MESSAGES_A_TICK = 2_000
_VISIBILITY_SECONDS = 300  # many ticks; messages not deleted by then are delivered again


class QueueUnreachableError(MusicPlatformError):
    """The queue of notifications refused or did not answer."""


@dataclass(frozen=True)
class QueueState:
    """Messages that wait, that were read and are not deleted yet, and that were given up.

    ``dead`` is None without a queue of dead letters.
    """

    waiting: int
    in_flight: int
    dead: int | None


@dataclass
class SqsNotifications:
    """The queue of the settings. Keeps the receipts of a batch in memory from one tick to the next.

    If they are lost with the process, the messages are delivered again after their visibility timeout, and their hours are
    found unchanged.
    """

    settings: Settings
    clock: Callable[[], float] = time.monotonic
    _receipts: dict[str, list[str]] = field(default_factory=dict)

    def receive(self, batch: str, *, budget_seconds: float) -> Notified:
        """Read the queue, bounded in messages and seconds; the batch's name is for ``confirm``.

        Raises ``QueueUnreachableError`` when the queue cannot be read.
        """
        deadline = self.clock() + budget_seconds
        notified = Notified()
        receipts: list[str] = []
        while notified.messages < _MOST_MESSAGES_A_TICK and self.clock() < deadline:
            messages = self._request("read", self._receive)
            if not messages:
                break
            for message in messages:
                notified.messages += 1
                receipts.append(message["ReceiptHandle"])
                self._take(message.get("Body", ""), notified)
        self._receipts[batch] = receipts
        return notified

    def confirm(self, batch: str) -> None:
        """Delete the messages of the batch that the cursor holds; forget the receipts of all other batches."""
        receipts = self._receipts.pop(batch, [])
        self._receipts.clear()
        for start in range(0, len(receipts), _MESSAGES_A_REQUEST):
            entries = [{"Id": str(number), "ReceiptHandle": receipt}
                       for number, receipt in enumerate(receipts[start : start + _MESSAGES_A_REQUEST])]  # fmt: skip
            # A message that is not deleted is delivered again and changes nothing.
            self._request("delete from", lambda entries=entries: self._client.delete_message_batch(
                QueueUrl=self.settings.landing_queue_url, Entries=entries))  # fmt: skip

    def require_rights(self) -> None:
        """Receive a message, which stays visible to others, and delete by a receipt of no message.

        Raises ``QueueUnreachableError`` when either is refused. The message counts as received once more.
        """
        url = self.settings.landing_queue_url
        self._request(
            "read", lambda: self._client.receive_message(QueueUrl=url, VisibilityTimeout=0, WaitTimeSeconds=0)
        )
        self._request("delete from", self._delete_nothing)

    def _delete_nothing(self) -> None:
        try:
            self._client.delete_message(QueueUrl=self.settings.landing_queue_url, ReceiptHandle="none")
        except ClientError as error:
            if "ReceiptHandleIsInvalid" not in str(error):
                raise

    def state(self) -> QueueState:
        """How many messages the queue and its dead letters have, about.

        Raises ``QueueUnreachableError``, also where the identity may not ask (``sqs:GetQueueAttributes``).
        """
        url = self.settings.landing_queue_url
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "RedrivePolicy"]
        found = self._attributes(url, names)
        dead = None
        if policy := found.get("RedrivePolicy"):
            # It is a queue of the same account and region, so their urls differ by the name alone.
            name = json.loads(policy)["deadLetterTargetArn"].rsplit(":", 1)[-1]
            attributes = self._attributes(f"{url.rsplit('/', 1)[0]}/{name}", names[:1])
            dead = int(attributes["ApproximateNumberOfMessages"])
        waiting, in_flight = (int(found[name]) for name in names[:2])
        return QueueState(waiting, in_flight, dead)

    def _attributes(self, url: str, names: list[str]) -> dict[str, str]:
        answer = self._request("look at", lambda: self._client.get_queue_attributes(QueueUrl=url, AttributeNames=names))
        return answer["Attributes"]

    def _receive(self) -> list[dict[str, Any]]:
        answer = self._client.receive_message(
            QueueUrl=self.settings.landing_queue_url,
            MaxNumberOfMessages=_MESSAGES_A_REQUEST,
            VisibilityTimeout=_VISIBILITY_SECONDS,
            WaitTimeSeconds=0,
        )
        return answer.get("Messages", [])

    def _take(self, body: str, notified: Notified) -> None:
        try:
            keys = list(_keys_of(json.loads(body), self.settings.lake_location.bucket))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            notified.strange.append(f"{type(error).__name__}: {error} in {body[:200]}")
            return
        prefix = self.settings.lake_location.key_prefix
        for key in keys:
            hour = _hour_of(key.removeprefix(prefix)) if key.startswith(prefix) else None
            if hour is not None:
                notified.hours.add(key_of_hour(hour))

    def _request(self, operation: str, request: Callable[[], Any]) -> Any:
        try:
            return request()
        except (BotoCoreError, ClientError) as error:
            raise QueueUnreachableError(
                f"cannot {operation} the queue {self.settings.landing_queue_url}: {error}. Check "
                "MUSIC_PLATFORM_LANDING_QUEUE_URL and that the credentials may receive and delete messages. Nothing is lost "
                "meanwhile; empty the setting to list landing instead."
            ) from error

    @cached_property
    def _client(self) -> Any:
        # Importing it opens a socket and takes its time, which loading the definitions must not.
        import boto3
        from botocore.config import Config

        settings = self.settings
        credentials: dict[str, Any] = {}
        if settings.s3_access_key_id:
            credentials = {
                "aws_access_key_id": settings.s3_access_key_id,
                "aws_secret_access_key": settings.s3_secret_access_key.get_secret_value(),
            }
        return boto3.client(
            "sqs",
            region_name=settings.s3_region,
            endpoint_url=settings.landing_queue_endpoint or f"https://sqs.{settings.s3_region}.amazonaws.com",
            config=Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 3, "mode": "standard"}),
            **credentials,
        )


def _hour_of(key: str) -> datetime | None:
    """The hour of a landed object or of an object of error records; None of anything else."""
    landed = parse_key(key)
    return parse_errors_key(key) if landed is None else landed[1]


def _keys_of(message: Any, bucket: str) -> Iterator[str]:
    """The keys of this bucket that a message names; S3's test message names none.

    Raises ``KeyError``, ``TypeError``, ``AttributeError`` or ``ValueError`` for what is no notification of S3.
    """
    if message.get("Type") == "Notification" and "Message" in message:  # from S3 through SNS
        message = json.loads(message["Message"])
    if message.get("Event") == "s3:TestEvent":
        return
    for record in message["Records"]:
        if record["s3"]["bucket"]["name"] == bucket:
            yield unquote_plus(record["s3"]["object"]["key"])
