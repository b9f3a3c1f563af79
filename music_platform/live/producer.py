"""A live producer: virtual listeners in real time, their events landed every few seconds as the collector lands them."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from pathlib import Path

from music_platform.eventsim import GeneratorOptions
from music_platform.eventsim.generator import Progress
from music_platform.eventsim.options import make_plan
from music_platform.eventsim.sinks import FileSink
from music_platform.eventsim.streaming import Pace, stream
from music_platform.landing.event_files import event_files
from music_platform.landing.writer import land_files
from music_platform.resources.object_store import ObjectStore


class LiveProducer:
    """Streams events in a thread of its own from ``start`` until ``stop``.

    ``seconds`` is the pause between two landings; each lands an object for every event type and hour that had events.
    ``lines`` and ``objects`` count what has been landed.
    """

    def __init__(self, store: ObjectStore, *, users: int, seed: int, seconds: float) -> None:
        self._store = store
        self._options = GeneratorOptions(users=users, seed=seed, continuous=True)
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)
        self._failure: Exception | None = None
        self.lines = 0
        self.objects = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Land what was generated until now and end; raises what made the producer fail."""
        self._stop.set()
        self._thread.join()
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raise what ended the producer before it was stopped, if anything did."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="music-platform-producer-") as folder:
                self._stream(Path(folder))
        except Exception as failure:  # raised again where the producer is stopped
            self._failure = failure

    def _stream(self, folder: Path) -> None:
        sink = _Slices(folder)
        landed_at = time.monotonic()

        def land_in_time(_: Progress) -> None:
            nonlocal landed_at
            if time.monotonic() - landed_at >= self._seconds:
                self._land(sink)
                landed_at = time.monotonic()

        try:
            stream(make_plan(self._options), sink, Pace(), self._stop, land_in_time)
        finally:
            self._land(sink)

    def _land(self, sink: _Slices) -> None:
        taken = sink.take()
        if taken is None:
            return
        summary = land_files(self._store, event_files([taken]), workers=1)
        shutil.rmtree(taken)
        self.lines += summary.lines
        self.objects += summary.objects_written


class _Slices:
    """A sink of files, cut into slices: a folder for what came since the last one was taken."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._files: FileSink | None = None

    def send(self, event_type: str, text: bytes) -> None:
        if not text:
            return
        if self._files is None:
            self._number += 1
            self._files = FileSink(self._slice)
        self._files.send(event_type, text)

    def close(self) -> None:
        if self._files is not None:
            self._files.close()

    def take(self) -> Path | None:
        """The folder of the slice, complete; None when nothing came."""
        if self._files is None:
            return None
        self._files.close()
        self._files = None
        return self._slice

    @property
    def _slice(self) -> Path:
        return self._folder / str(self._number)
