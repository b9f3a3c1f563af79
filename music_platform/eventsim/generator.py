"""Generating a period into four files: the simulation runs ahead while its last page views are written.

Streaming in real time does not belong here.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from music_platform.eventsim.errors import GeneratorError
from music_platform.eventsim.faults import Faults
from music_platform.eventsim.files import GivenUpError, LineFiles
from music_platform.eventsim.options import GeneratorOptions, Plan, make_plan
from music_platform.eventsim.population import create_population
from music_platform.eventsim.rendering import EVENT_TYPES, PAGE_VIEWS, ROWS_AT_ONCE, Renderer
from music_platform.eventsim.simulation import EventBatch, Simulation
from music_platform.eventsim.song_choice import SongsByTaste, song_choice

# Bounds memory: about 100 bytes a page view while simulated, and two batches live at once.
_PAGE_VIEWS_AT_ONCE = 800_000
_FIRST_CHUNK_PAGE_VIEWS_PER_LISTENER_DAY = 8.0
_SHORTEST_CHUNK_SECONDS = 60
# The simulation keeps a third one busy; more would wait for memory.
_WRITING_THREADS = 2


@dataclass(frozen=True)
class Progress:
    """How far a run has come; ``now`` and ``end`` in seconds since 1970-01-01 UTC, ``seconds`` of wall time."""

    now: int
    start: int
    end: int
    listeners: int
    page_views: int
    lines: int
    seconds: float


ProgressCallback = Callable[[Progress], None]


@dataclass
class GenerationSummary:
    """What a run wrote: rows and bytes by event type, paths of files, listeners, seconds of wall time."""

    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EVENT_TYPES, 0))
    bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EVENT_TYPES, 0))
    files: dict[str, Path] = field(default_factory=dict)
    listeners: int = 0
    start: int = 0
    end: int = 0
    seconds: float = 0.0

    @property
    def total_rows(self) -> int:
        """Lines of all four types."""
        return sum(self.rows.values())


class Run:
    """One run made ready: listeners, songs, fragments and the simulation at its start."""

    def __init__(self, plan: Plan) -> None:
        request = plan.request
        self.plan = plan
        population = create_population(plan.config, request)
        self.start, self.end = request.start, request.end
        self.listeners = len(population)
        self.songs = song_choice(plan.catalogue, request.seed, self.listeners, plan.taste)
        self.simulation = Simulation(plan.config, self.songs, population, request.seed)
        faults = Faults(plan.faults, request.seed) if plan.faults else None
        self.renderer = Renderer(plan.config, self.simulation.machine, plan.catalogue, population, faults)
        # Sessions under way at the start began before it; their earlier page views are nobody's business.
        self.simulation.advance(self.start, keep=False)

    def write_truth(self) -> None:
        """Write the tastes planted to where the plan wants them, if it does; raises ``GeneratorError``."""
        if self.plan.truth is not None and isinstance(self.songs, SongsByTaste):
            from music_platform.eventsim.truth import write_truth  # Parquet takes its time to import

            write_truth(self.plan.truth, self.plan, self.songs)

    def batches(self, page_views_at_once: int = _PAGE_VIEWS_AT_ONCE) -> Iterator[tuple[int, EventBatch]]:
        """The page views of the whole period, in pieces of about the given size, each with its end time."""
        now = self.start
        a_day = self.listeners * _FIRST_CHUNK_PAGE_VIEWS_PER_LISTENER_DAY
        seconds = 86_400.0 * page_views_at_once / a_day
        while now < self.end:
            until = min(self.end, now + max(int(seconds), _SHORTEST_CHUNK_SECONDS))
            batch = self.simulation.advance(until)
            seconds *= min(max(page_views_at_once / max(len(batch), 1), 0.25), 4.0)
            yield until, batch
            now = until


def generate_files(
    options: GeneratorOptions,
    output_dir: Path | str,
    progress: ProgressCallback | None = None,
    *,
    page_views_at_once: int = _PAGE_VIEWS_AT_ONCE,
) -> GenerationSummary:
    """Generate a period into ``<output_dir>/<event_type>.jsonl``, four files, which replace older ones.

    The same options with the same seed give the same bytes, whatever ``page_views_at_once``, which bounds memory.
    Files appear under their names only when complete. Raises ``GeneratorError`` (also for a folder that cannot be
    written).
    """
    began = time.monotonic()
    directory = Path(output_dir)
    run = Run(make_plan(options))
    summary = GenerationSummary(listeners=run.listeners, start=run.start, end=run.end)
    summary.files = {event_type: directory / f"{event_type}.jsonl" for event_type in EVENT_TYPES}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write_all(run, summary, progress, began, page_views_at_once)
    except OSError as error:
        raise GeneratorError(
            f"Cannot write {error.filename or directory}: {error.strerror}. Check --output."
        ) from error
    run.write_truth()
    summary.seconds = time.monotonic() - began
    return summary


def _write_all(
    run: Run, summary: GenerationSummary, progress: ProgressCallback | None, began: float, page_views_at_once: int
) -> None:
    files = LineFiles(summary.files)
    complete = False
    try:
        files.open()
        with ThreadPoolExecutor(_WRITING_THREADS) as threads:
            writing: list[Future[None]] = []
            pieces = 0
            for until, batch in run.batches(page_views_at_once):
                _finish(writing)
                if progress is not None:
                    progress(_progress(run, files, until, began))
                firsts = range(0, len(batch), ROWS_AT_ONCE)
                writing = [
                    threads.submit(_write_piece, run.renderer, batch, first, files, pieces + number)
                    for number, first in enumerate(firsts)
                ]
                pieces += len(firsts)
            _finish(writing)
        files.write(pieces, run.renderer.late_lines())
        complete = True
    finally:
        files.close(complete)
    summary.rows, summary.bytes = dict(files.lines), dict(files.sizes)
    if progress is not None:
        progress(_progress(run, files, run.end, began))


def _write_piece(renderer: Renderer, batch: EventBatch, first: int, files: LineFiles, number: int) -> None:
    try:
        files.write(number, renderer.lines(batch, first))
    except BaseException:
        # Those that wait for this piece's turn to pass must not wait for ever.
        files.give_up()
        raise


def _finish(writing: list[Future[None]]) -> None:
    errors = [error for future in writing if (error := future.exception()) is not None]
    # The first error made others give up; theirs would only hide it.
    for error in sorted(errors, key=lambda error: isinstance(error, GivenUpError)):
        raise error


def _progress(run: Run, files: LineFiles, now: int, began: float) -> Progress:
    return Progress(
        now=now,
        start=run.start,
        end=run.end,
        listeners=run.listeners,
        page_views=files.lines[PAGE_VIEWS],
        lines=sum(files.lines.values()),
        seconds=time.monotonic() - began,
    )
