"""A live producer: virtual listeners in real time, their events landed every few seconds as the collector lands them."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from music_platform.eventsim import GeneratorOptions
from music_platform.eventsim.generator import Progress
from music_platform.eventsim.options import make_plan
from music_platform.eventsim.sinks import FileSink
from music_platform.eventsim.streaming import Pace, stream
from music_platform.lake.object_store import ObjectStore
from music_platform.landing.event_files import event_files
from music_platform.landing.writer import land_files


class LiveProducer:
    """Streams events in a thread of its own, from the beginning of a ``with`` block to ``stop``, or to the block's end.

    ``seconds`` is the pause between two landings; each lands an object for every event type and hour that had events.
    ``taste`` is the strength of the listeners' tastes; 0: all hear songs by popularity.
    ``lines`` and ``objects`` count what was landed.
    """

    def __init__(self, store: ObjectStore, *, users: int, seed: int, seconds: float, taste: float = 0.0) -> None:
        self._store = store
        self._options = GeneratorOptions(users=users, seed=seed, continuous=True, taste=taste)
        self._seconds = seconds
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="producer")
        self._ended: Future[None] | None = None
        self.lines = 0
        self.objects = 0

    def __enter__(self) -> Self:
        self._ended = self._pool.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown()

    def stop(self) -> None:
        """Land what was generated so far and end; raises the producer's error if it failed."""
        self._stopped.set()
        if self._ended is not None:
            self._ended.result()

    def raise_failure(self) -> None:
        """Raise what ended the producer before it was stopped, if anything did."""
        if self._ended is not None and self._ended.done():
            self._ended.result()

    def _run(self) -> None:
        with tempfile.TemporaryDirectory(prefix="music-platform-producer-") as folder:
            self._stream(Path(folder))

    def _stream(self, folder: Path) -> None:
        sink = _Slices(folder)
        landed_at = time.monotonic()

        def land_in_time(_: Progress) -> None:
            nonlocal landed_at
            if time.monotonic() - landed_at >= self._seconds:
                self._land(sink)
                landed_at = time.monotonic()

        try:
            stream(make_plan(self._options), sink, Pace(), self._stopped, land_in_time)
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
    """A sink of files, cut into slices: each slice is a folder of the events since the last one."""

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
        """The folder of the complete slice; None without events."""
        if self._files is None:
            return None
        self._files.close()
        self._files = None
        return self._slice

    @property
    def _slice(self) -> Path:
        return self._folder / str(self._number)
