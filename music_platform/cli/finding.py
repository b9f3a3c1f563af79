"""What an examination of `music-platform doctor` returns."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How an examination came out."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, what was found, and what to do next where it is not ok."""

    subject: str
    state: State
    found: str
    advice: str = ""
