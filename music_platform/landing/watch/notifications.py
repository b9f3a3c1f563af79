"""Notifications of an object store: which hours of landing changed. Each kind of store has its own module beside this one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

_MOST_SHOWN = 5


@dataclass
class Notified:
    """The content of a batch of messages: hours of landing, the number of messages, and those that were not understood."""

    hours: set[str] = field(default_factory=set)
    messages: int = 0
    strange: list[str] = field(default_factory=list)


class Notifications(Protocol):
    """What a tick uses. A batch is what one tick read; its messages stay in the queue until it is confirmed."""

    def receive(self, batch: str, *, budget_seconds: float) -> Notified:
        """Read the waiting messages, bounded in number and seconds. Raises ``MusicPlatformError`` if they cannot be read."""
        ...

    def confirm(self, batch: str) -> None:
        """Delete the batch's messages from the queue, since their content is recorded."""
        ...


def describe_strangers(notified: Notified) -> str:
    """The messages that were not understood, for the log."""
    shown = "; ".join(notified.strange[:_MOST_SHOWN])
    return f"{len(notified.strange)} messages of the queue are no notifications of S3 and are deleted: {shown}"
