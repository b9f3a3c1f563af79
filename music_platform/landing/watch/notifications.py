"""Notifications of an object store: which hours of landing changed. Each store's own stand in a module beside this one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

_MOST_SHOWN = 5


@dataclass
class Notified:
    """What a batch of messages said: hours of landing, the number of messages, and what in them was not understood."""

    hours: set[str] = field(default_factory=set)
    messages: int = 0
    strange: list[str] = field(default_factory=list)


class Notifications(Protocol):
    """What a tick asks for. A batch is one tick's reading; it stays unread in the queue until it is confirmed."""

    def receive(self, batch: str, *, budget_seconds: float) -> Notified:
        """What is waiting, bounded in messages and seconds. Raises ``MusicPlatformError`` where that cannot be read."""
        ...

    def confirm(self, batch: str) -> None:
        """Take the batch's messages out of the queue: what they said is recorded."""
        ...


def describe_strangers(notified: Notified) -> str:
    """The messages that were not understood, for the log."""
    shown = "; ".join(notified.strange[:_MOST_SHOWN])
    return f"{len(notified.strange)} messages of the queue are no notifications of S3 and are deleted: {shown}"
