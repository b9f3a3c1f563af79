"""What an examination of `music-platform doctor` works with and returns."""

from dataclasses import dataclass
from enum import StrEnum

from music_platform.settings import Settings

_RETRY_SECONDS = 5.0


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


def without_patience(settings: Settings) -> Settings:
    """Settings by which servers that do not answer are asked for some seconds only: a person waits."""
    shortest = {
        name: min(getattr(settings, name), _RETRY_SECONDS) for name in ("s3_retry_seconds", "druid_retry_seconds")
    }
    return settings.model_copy(update=shortest)
