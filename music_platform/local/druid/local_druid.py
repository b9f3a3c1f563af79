"""The local Druid as a whole: up, down, status. The commands and the tests call this; each step has its own module."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from platformdirs import user_cache_path

from music_platform.errors import LocalDruidError
from music_platform.local.druid import machine
from music_platform.local.druid.artifacts import LockedJar, bring_jars, read_lock
from music_platform.local.druid.configuration import CLUSTER_FOLDER, SERVICES, ZOOKEEPER, LocalConfiguration
from music_platform.local.druid.health import Datasource, Health
from music_platform.local.druid.java import find_java
from music_platform.local.service import Service, exclusively
from music_platform.settings import Settings

JVM = "java"
"""The one process of the local Druid, by the name of its log and its pid file."""
_START_SECONDS = 240.0
_STOP_SECONDS = 30.0  # Druid ends by itself, so that a task can go on at the next start


class Progress(Protocol):
    """Receives the progress of ``up``."""

    def downloading(self, done: int, total: int) -> None:
        """Bytes of the jars downloaded so far, and of all of them."""
        ...

    def starting(self, lacking: str) -> None:
        """What the start waits for."""
        ...


class Silent:
    """Shows no progress."""

    def downloading(self, done: int, total: int) -> None: ...

    def starting(self, lacking: str) -> None: ...


@dataclass(frozen=True)
class ServiceStatus:
    """A service of the running Druid."""

    name: str
    port: int
    is_healthy: bool


@dataclass(frozen=True)
class Status:
    """The running Druid: a process, its services, and what can be queried (None while queries are not answered)."""

    pid: int
    started: float  # seconds since the epoch
    memory: machine.Memory
    services: Sequence[ServiceStatus]
    lacking: str  # in words; empty when all is well
    datasources: Sequence[Datasource] | None


class LocalDruid:
    """The local Druid of the settings; it need not run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.configuration = LocalConfiguration(settings)
        self.service = Service(JVM, self.configuration.logs)
        self._health = Health(self.configuration)

    def up(self, progress: Progress | None = None, *, java_options: Sequence[str] = ()) -> bool:
        """Start Druid and wait until it takes tasks and answers queries; False when it ran already.

        ``java_options`` are added to those of druid/cluster/jvm.options. Raises ``LocalDruidError``: no Java, no memory,
        a port in use, a jar that cannot be downloaded. A failed or interrupted start leaves nothing running.
        """
        progress = progress or Silent()
        with exclusively(self.configuration.folder, self._busy):
            process = self.service.process()
            if process is not None:
                self._health.wait(process, _START_SECONDS, progress.starting)
                return False
            java = find_java(self.settings)
            machine.require_free_ports(self.configuration.ports)
            machine.require_memory()
            jars = self._jars(progress.downloading)
            self.configuration.write(jars)
            command = self.configuration.command(java.executable, jars, java_options)
            # Nodes of dead leaders would redirect every request in circles for half a minute.
            shutil.rmtree(self.configuration.zookeeper_data, ignore_errors=True)
            process = self.service.start(command, os.environ, self.configuration.folder)
            try:
                self._health.wait(process, _START_SECONDS, progress.starting)
            except BaseException:
                self.service.stop(_STOP_SECONDS)
                raise
            return True

    def down(self) -> bool:
        """Stop Druid; False when it did not run."""
        with exclusively(self.configuration.folder, self._busy):
            return self.service.stop(_STOP_SECONDS)

    def status(self) -> Status | None:
        """The running Druid and its state; None if it does not run."""
        process = self.service.process()
        if process is None:
            return None
        lacking = self._health.lacking()
        services = [
            ServiceStatus(name, self.configuration.ports[name], self._is_healthy(name, lacking)) for name in SERVICES
        ]
        return Status(
            pid=process.pid,
            started=process.create_time(),
            memory=machine.memory_of(process),
            services=services,
            lacking=lacking,
            datasources=self._health.datasources(),
        )

    @property
    def _busy(self) -> LocalDruidError:
        return LocalDruidError(
            f"another command is starting or stopping the Druid of {self.configuration.folder}; wait for it"
        )

    def _is_healthy(self, service: str, lacking: str) -> bool:
        # ZooKeeper has no health page. If nothing is lacking, the services have found each other through it.
        return not lacking if service == ZOOKEEPER else self._health.is_healthy(service)

    def _jars(self, progress: Callable[[int, int], None]) -> Mapping[LockedJar, Path]:
        jars = read_lock(CLUSTER_FOLDER / "jars.lock")
        cache = Path(self.settings.cache).expanduser() if self.settings.cache else user_cache_path("music-platform")
        return bring_jars(jars, cache.absolute() / "maven", self.settings.maven_repository, progress)
