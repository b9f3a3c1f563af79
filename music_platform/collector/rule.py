"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from music_platform.collector.parser import Configuration, Place

Broken = Iterator[tuple[Place, str]]


@dataclass(frozen=True)
class Rule:
    """A rule by its name: what holds, and a function that gives each place where it does not, with what to do."""

    name: str
    description: str
    broken_at: Callable[[Configuration], Broken]
