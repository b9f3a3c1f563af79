"""Dagster's SQLite event log with its connections kept open, for instances on one machine.

Dagster records two events for each asset and partition of a run, and its own SQLite storage opens a connection and waits for
the disk several times for each: a range of hundreds of hours would take minutes to record and seconds to compute. The tables
and files are Dagster's; an instance can go back to its own storage at any time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import StringSource
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import StaticPool

from music_platform.orchestration.dagster_internals import (
    SQLITE_BUSY_TIMEOUT_SECONDS,
    ConfigurableClassData,
    SqliteEventLogStorage,
)

_MOST_KEPT = 16  # files of runs; a daemon sees many


class KeptConnectionsEventLogStorage(SqliteEventLogStorage):
    """SqliteEventLogStorage that keeps one connection a file, with ``PRAGMA synchronous = NORMAL``.

    With the write-ahead log that Dagster sets, NORMAL keeps the database consistent whatever happens and loses nothing when a
    process is killed; a power cut can lose the last moments of the log, never of the lake, whose manifests are its truth.
    Source: https://www.sqlite.org/pragma.html#pragma_synchronous.
    """

    def __init__(self, dagster_home: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(str(Path(dagster_home, "history", "runs")), inst_data)  # where Dagster's own would be

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"dagster_home": StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> KeptConnectionsEventLogStorage:
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def _connect(self, shard: str) -> Generator[Connection]:
        with self._db_lock:
            engine = self._kept_engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                yield connection

    def _kept_engine(self, shard: str) -> Engine:
        engine = self._engines.get(shard)
        if engine is not None and not Path(self.path_for_shard(shard)).exists():
            self._engines.pop(shard).dispose()  # the run was deleted
            self._initialized_dbs.discard(shard)
            engine = None
        if engine is None:
            engine = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=StaticPool,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            event.listen(engine, "connect", _wait_for_the_disk_less)
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        while len(self._engines) > _MOST_KEPT:
            self._engines.popitem(last=False)[1].dispose()
        return engine

    def delete_events(self, run_id: str) -> None:
        """Delete a run's events with its file, which would keep its size on the disk otherwise."""
        super().delete_events(run_id)
        with self._db_lock:
            if (engine := self._engines.pop(run_id, None)) is not None:
                engine.dispose()
            self._initialized_dbs.discard(run_id)
            path = Path(self.path_for_shard(run_id))
            for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                file.unlink(missing_ok=True)

    def dispose(self) -> None:
        """Close the connections, then what Dagster's storage holds."""
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()
        super().dispose()


def _wait_for_the_disk_less(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
