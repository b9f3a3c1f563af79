"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from music_platform.collector.parser import Configuration, Place

Broken = Iterator[tuple[Place, str]]


@dataclass(frozen=True)
class Rule:
    """A named rule: what must hold, and a function that returns each place where it does not, with what to do."""

    name: str
    description: str
    broken_at: Callable[[Configuration], Broken]
