"""Streaming events to a sink, in real time or faster; the same events as in files, only handed out step by step.

What a sink does with the lines does not belong here.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from music_platform.eventsim.generator import GenerationSummary, Progress, ProgressCallback, Run
from music_platform.eventsim.options import Plan
from music_platform.eventsim.rendering import PAGE_VIEWS, ROWS_AT_ONCE, Lines
from music_platform.eventsim.simulation import EventBatch
from music_platform.eventsim.sinks import Sink

_STEP_SECONDS = 0.25
_PAGE_VIEWS_A_STEP = 100_000


@dataclass(frozen=True)
class Pace:
    """How time passes: ``speed`` simulated seconds a second, ``None`` as fast as possible; ``duration``: seconds of
    wall time after which to stop, ``None`` at the end of the period."""

    speed: float | None = 1.0
    duration: float | None = None


def stream(
    plan: Plan, sink: Sink, pace: Pace, stop: threading.Event, progress: ProgressCallback | None = None
) -> GenerationSummary:
    """Send the plan's events to the sink in order of time: to the period's end, for ``duration``, or until ``stop``.

    An event is sent once its time has come, the simulated clock starting at the plan's start. A step once begun is
    delivered in full, so what was sent always ends at one point of simulated time. Raises ``SinkError``.
    """
    began = time.monotonic()
    run = Run(plan)
    run.write_truth()  # a stream may never end
    summary = GenerationSummary(listeners=run.listeners, start=run.start, end=run.start)
    steps = run.batches(_PAGE_VIEWS_A_STEP) if pace.speed is None else _timed_steps(run, pace.speed, stop)
    streaming_since = time.monotonic()

    def send(found: Lines) -> None:
        for event_type, (lines, text) in found.items():
            sink.send(event_type, bytes(text))
            summary.rows[event_type] += lines
            summary.bytes[event_type] += len(text)

    for until, batch in steps:
        for first in range(0, len(batch), ROWS_AT_ONCE):
            send(run.renderer.lines(batch, first))
        send(run.renderer.late_lines(until))
        summary.end, summary.seconds = until, time.monotonic() - began
        if progress is not None:
            progress(
                Progress(
                    now=until,
                    start=run.start,
                    end=run.end,
                    listeners=run.listeners,
                    page_views=summary.rows[PAGE_VIEWS],
                    lines=summary.total_rows,
                    seconds=summary.seconds,
                )
            )
        if stop.is_set() or (pace.duration is not None and time.monotonic() - streaming_since >= pace.duration):
            break
    send(run.renderer.late_lines())  # what is still on its way
    summary.seconds = time.monotonic() - began
    return summary


def _timed_steps(run: Run, speed: float, stop: threading.Event) -> Iterator[tuple[int, EventBatch]]:
    """What happened since the last step, a few times a second; more often where there is much to catch up on."""
    began, now = time.monotonic(), run.start
    longest_step = 3_600.0
    while now < run.end:
        due = min(run.end, run.start + int((time.monotonic() - began) * speed))
        until = min(due, now + max(int(longest_step), 1))
        batch = run.simulation.advance(until)
        if len(batch):
            # A receiver that was away for hours must not find them in one step, which would not fit into memory.
            longest_step = min(longest_step * 2, (until - now) * _PAGE_VIEWS_A_STEP / len(batch))
        now = max(now, until)
        yield now, batch
        if until >= due:
            stop.wait(_STEP_SECONDS)
