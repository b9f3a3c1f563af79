"""What an examination of `music-platform doctor` returns."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The result of an examination."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """The examined subject, its state, what was found, and what to do next if it is not ok."""

    subject: str
    state: State
    found: str
    advice: str = ""
