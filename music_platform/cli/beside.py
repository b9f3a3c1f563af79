"""Something that starts in a thread beside a command's work: the demo's servers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from music_platform.cli.progress import Show, working

_JOIN_SECONDS = 15.0
_LOOK_SECONDS = 0.2
_Started = TypeVar("_Started")


class _GivenUpError(Exception):
    """The command ended before the start did."""


class Beside(Generic[_Started]):
    """The result of ``start``, which gets a function that shows its stages; shown only by whoever waits for it."""

    def __init__(self, what: str, start: Callable[[Show], _Started]) -> None:
        self._stage = what
        self._start = start
        self._started: list[_Started] = []
        self._problem: Exception | None = None
        self._is_given_up = False
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def is_done(self) -> bool:
        """Whether it is up already, so that ``wait`` returns at once."""
        return bool(self._started)

    def give_up(self) -> None:
        """Stop a start that has not ended, at its next stage; what is up stays."""
        if self._thread.is_alive():
            self._is_given_up = True
            self._thread.join(_JOIN_SECONDS)

    def wait(self) -> _Started:
        """Wait until it is up, and show its stages meanwhile; raises what ``start`` raised."""
        with working(self._stage) as show:
            while self._thread.is_alive():
                show(self._stage)
                self._thread.join(_LOOK_SECONDS)
        if self._problem is not None:
            raise self._problem
        return self._started[0]

    def _show(self, stage: str) -> None:
        self._stage = stage
        if self._is_given_up:
            raise _GivenUpError

    def _run(self) -> None:
        try:
            self._started.append(self._start(self._show))
        except _GivenUpError:
            return
        except Exception as error:  # noqa: BLE001 - raised in the main thread, by wait
            self._problem = error
