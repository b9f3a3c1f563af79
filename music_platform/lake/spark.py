"""The Spark session: Sail inside this process by default, any Spark Connect server by setting; one per process, opened at the
first use.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import socket
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa

from music_platform.errors import MusicPlatformError
from music_platform.lake.lake import Lake
from music_platform.settings import Settings

if (
    TYPE_CHECKING
):  # PySpark is loaded by those who make frames: a command that looks at manifests answers a second sooner
    from pyspark.sql import SparkSession

_DEFAULT_PORT = 15002  # of Spark Connect
_CONNECT_SECONDS = 10.0
_PURGE_DELAY_MILLISECONDS = "10"  # at 1 the engine takes 8 % longer, at its default of 1,000 twice the memory
_START_LOCK = threading.Lock()
_embedded_server: Any = None  # lives as long as the process: Sail serves every run in it


def _embedded_engine_url() -> str:
    """The Spark Connect url of Sail inside this process, which is started at the first call."""
    global _embedded_server
    if _embedded_server is None:
        _return_freed_memory()
        from pysail.spark import SparkConnectServer  # half a second that only runs on the embedded engine pay

        server = SparkConnectServer("127.0.0.1", 0)
        server.start(background=True)
        _embedded_server = server
    host, port = _embedded_server.listening_address
    return f"sc://{host}:{port}"


def _return_freed_memory() -> None:
    """Make the engine and Arrow return freed memory; must be called before the engine is loaded.

    Sail and Arrow each have an allocator (mimalloc) that keeps freed memory, thread by thread. The engine's threads are
    short-lived, so over a long range that adds up to gigabytes (benchmarks/memory.py).
    """
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", _PURGE_DELAY_MILLISECONDS)
    pa.set_memory_pool(pa.system_memory_pool())


def _require_listener(url: str) -> None:
    """Raises ``OSError`` when no server accepts a connection: Spark's client would go on trying for ten minutes.

    The client itself reports a malformed url.
    """
    server = urlsplit(url)
    if server.scheme == "sc" and server.hostname:
        address = (server.hostname, server.port or _DEFAULT_PORT)
        socket.create_connection(address, timeout=_CONNECT_SECONDS).close()


@contextmanager
def _interrupts_kept() -> Generator[None]:
    """Restore the process's handler of SIGINT: Sail installs its own, which would end the engine but not the run.

    By Python's C interface, because ``signal.signal`` can only be called in the main thread, and steps run in others.
    Source: https://docs.python.org/3/c-api/sys.html.
    """
    get, put = ctypes.pythonapi.PyOS_getsig, ctypes.pythonapi.PyOS_setsig
    get.argtypes, get.restype = [ctypes.c_int], ctypes.c_void_p
    put.argtypes, put.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
    handler = get(signal.SIGINT)
    try:
        yield
    finally:
        put(signal.SIGINT, handler)


@lru_cache(maxsize=4)
def _session_at(url: str, config: tuple[tuple[str, Any], ...]) -> SparkSession:
    """One session per process and url. Not getOrCreate: it would return the session of whichever engine was first."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.remote(url)
    for key, value in config:
        builder = builder.config(key, value)
    session = builder.create()
    # At the end of Python, closing it could wait for threads of the connection that no longer exist.
    atexit.register(session.client.close)
    session.conf.set("spark.sql.session.timeZone", "UTC")
    return session


class SparkEngine:
    """A Spark session over Spark Connect, opened only when first used.

    ``remote`` is a Spark Connect url; empty means the embedded engine. ``spark_config`` holds further settings of the
    session. Opening it raises ``MusicPlatformError`` with the url when nobody answers there.
    """

    def __init__(self, remote: str = "", spark_config: Mapping[str, Any] | None = None) -> None:
        self.remote = remote
        self.spark_config = dict(spark_config or {})
        self._session: SparkSession | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> SparkEngine:
        return cls(remote=settings.spark_remote)

    @property
    def is_embedded(self) -> bool:
        return not self.remote

    @property
    def parallel_tasks(self) -> int:
        """Tasks to split work into that the engine does not split by itself.

        A server says by ``spark.default.parallelism`` how many it runs at once: its executors are on other machines.
        """
        here = os.cpu_count() or 1
        if self.is_embedded:
            return here
        return int(self.spark_session.conf.get("spark.default.parallelism", None) or 4 * here)

    @property
    def spark_session(self) -> SparkSession:
        """The session, opened at the first use."""
        with _START_LOCK:  # steps of a run come here from several threads
            if self._session is None:
                self._session = self._open_session()
        return self._session

    def _open_session(self) -> SparkSession:
        url = self.remote
        try:
            with _interrupts_kept():
                if self.remote:
                    _require_listener(url)
                else:
                    url = _embedded_engine_url()
                session = _session_at(url, tuple(sorted(self.spark_config.items())))
                if self.is_embedded:  # Spark's server does not let a session set it
                    # PySpark would look for IPython at each of the thousands of calls that build a plan.
                    session.conf.set("spark.python.sql.dataFrameDebugging.enabled", "false")
                return session
        except Exception as error:
            raise MusicPlatformError(
                f"no Spark session at {url or 'the embedded engine'}: {error}. Check MUSIC_PLATFORM_SPARK_REMOTE, or leave it "
                "empty for the embedded engine."
            ) from error

    def session_for(self, lake: Lake) -> SparkSession:
        """The session, ready to read the lake: the embedded engine takes its S3 settings from the environment."""
        if self.is_embedded:
            lake.settings.export_engine_environment()
        return self.spark_session
