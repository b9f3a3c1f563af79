"""Landing to silver as the assets do it, without Dagster around: stage bronze, publish, stage silver and quarantine, publish.

As many event types at once as a run has steps. For tests that need tables and no runs, and for benchmarks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from music_platform.lake.lake import Lake
from music_platform.lake.partition_sets import StagedPartitions, StoredPartitions
from music_platform.lake.spark import SparkEngine
from music_platform.orchestration.assets.silver import stage_silver_and_quarantine
from music_platform.orchestration.io_managers.landing_io_manager import open_landed
from music_platform.orchestration.io_managers.parquet_io_manager import ParquetLakeIOManager
from music_platform.tables.bronze import BRONZE
from music_platform.tables.events import EVENT_CONTRACTS
from music_platform.tables.quarantine import QUARANTINE
from music_platform.tables.silver import SILVER
from music_platform.tables.transforms.bronze import bronze_events

RUN_ID = "without Dagster"


@dataclass
class Phases:
    """Seconds by phase, added up over what has the phase; several phases go on at once."""

    seconds: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def timed(self, name: str) -> Generator[None]:
        started = time.perf_counter()
        yield
        with self._lock:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def build_spine(
    lake: Lake,
    spark: SparkEngine,
    partitions: Sequence[str],
    phases: Phases | None = None,
    event_types: Iterable[str] = EVENT_CONTRACTS,
) -> None:
    """Bronze, silver and quarantine of the event types, published."""
    phases = phases or Phases()
    keys = list(partitions)
    io_manager = ParquetLakeIOManager(lake, spark)

    def build(name: str) -> None:
        event = EVENT_CONTRACTS[name]
        with phases.timed("list landing"):
            landed = open_landed(name, keys, lake, spark)
        bronze = StagedPartitions.begin(BRONZE[name], RUN_ID, landed.sources())
        with phases.timed("bronze"):
            for batch in landed.batches():
                bronze.write(bronze_events(landed.read(batch), event), batch, lake)
        with phases.timed("publish bronze"):
            io_manager.publish(bronze, keys, RUN_ID)
        with phases.timed("open bronze"):
            stored = StoredPartitions.open(BRONZE[name], keys, lake, spark)
        silver = StagedPartitions.begin(SILVER[name], RUN_ID, stored.sources())
        quarantine = StagedPartitions(QUARANTINE[name], silver.write_id, stored.sources())
        with phases.timed("silver and quarantine"):
            for batch in stored.batches():
                stage_silver_and_quarantine(event, stored, batch, silver, quarantine)
        with phases.timed("publish silver and quarantine"):
            io_manager.publish(silver, keys, RUN_ID)
            io_manager.publish(quarantine, keys, RUN_ID)

    with ThreadPoolExecutor(lake.settings.steps_at_once) as pool:
        list(pool.map(build, event_types))
