"""The servers that the settings name, for `music-platform status` and `doctor`: whether each answers now.

Each is asked in a thread, side by side with the rest of the command, and given up after some seconds. `doctor` also tries what
they can do (server_examinations.py).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from music_platform.errors import MusicPlatformError
from music_platform.local.service import Service
from music_platform.settings import Settings

_ANSWER_SECONDS = 3.0  # a person waits
_SPARK_PORT = 15002
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ENGINE, _DRUID, _SUPERSET, _COLLECTOR = "engine", "Druid", "Superset", "collector"


@dataclass(frozen=True)
class ServerStatus:
    """A server now. ``works`` is None where none is used; ``advice`` is what to do where it does not work."""

    name: str
    works: bool | None
    found: str
    advice: str = ""


def ask_servers(settings: Settings) -> Callable[[], list[ServerStatus]]:
    """Begin to ask; the function that is returned waits for the answers, in the order of the line."""
    asked = [(_ENGINE, _engine), (_DRUID, _druid), (_SUPERSET, _superset), (_COLLECTOR, collector_status)]
    answers: dict[str, ServerStatus] = {}

    def ask(name: str, look: Callable[[Settings], ServerStatus]) -> None:
        try:
            answers[name] = look(settings)
        except MusicPlatformError as error:
            answers[name] = ServerStatus(name, False, str(error))

    threads = [Thread(target=ask, args=pair, daemon=True) for pair in asked]
    for thread in threads:
        thread.start()

    def answered() -> list[ServerStatus]:
        for thread in threads:
            thread.join(_ANSWER_SECONDS)
        silent = f"it did not answer within {_ANSWER_SECONDS:g} s"
        return [answers.get(name) or ServerStatus(name, False, silent, "See its log.") for name, _ in asked]

    return answered


def _engine(settings: Settings) -> ServerStatus:
    if not settings.spark_remote:
        return ServerStatus(_ENGINE, True, f"Sail {metadata.version('pysail')}, in each run's process")
    server = urlsplit(settings.spark_remote)
    found = f"{settings.spark_remote.partition(';')[0]}"
    try:
        socket.create_connection((server.hostname or "", server.port or _SPARK_PORT), _ANSWER_SECONDS).close()
    except OSError as error:
        return ServerStatus(
            _ENGINE, False, f"nothing answers at {found}: {error}", "Start it, or correct MUSIC_PLATFORM_SPARK_REMOTE."
        )
    return ServerStatus(_ENGINE, True, f"a server listens at {found}")


def _druid(settings: Settings) -> ServerStatus:
    starts = "./run music-platform druid up starts it"
    if not settings.druid_url:
        pid_file = Path(settings.druid_folder) / "logs" / "java.pid"
        if not settings.druid_enabled and not pid_file.exists():
            return ServerStatus(_DRUID, None, "none is used; ./run music-platform druid up starts one here")
        if Service("java", pid_file.parent).process() is None:
            return ServerStatus(_DRUID, False, "the local Druid does not run", f"{starts}.")
    from music_platform.serving.druid.client import DruidResource  # loads requests, as the others

    hasty = settings.model_copy(update={"druid_retry_seconds": 0.1})
    druid = DruidResource(hasty)
    try:
        version, servers = druid.version(), druid.servers()
    except MusicPlatformError as error:
        return ServerStatus(_DRUID, False, str(error))
    if not servers.get("historical"):
        return ServerStatus(_DRUID, False, "no historical serves segments", "Look at its log, and start it.")
    return ServerStatus(_DRUID, True, f"version {version} answers at {druid.router_url}")


def _superset(settings: Settings) -> ServerStatus:
    url = settings.superset_url
    pid_file = Path(settings.superset_home) / "superset.pid"
    if not settings.superset_enabled and not pid_file.exists():
        return ServerStatus(_SUPERSET, None, "none is used; ./run music-platform superset up starts one here")
    starts = "./run music-platform superset up starts the local one; another one's url is MUSIC_PLATFORM_SUPERSET_URL."
    answer = _get(f"{url}/health")
    if isinstance(answer, str):
        return ServerStatus(_SUPERSET, False, f"{url} does not answer: {answer}", starts)
    if not answer.ok or answer.text.strip() != "OK":
        return ServerStatus(_SUPERSET, False, f"{url} answers with HTTP {answer.status_code}", "See its log.")
    return ServerStatus(_SUPERSET, True, f"answers at {url}")


def collector_status(settings: Settings) -> ServerStatus:
    """The collector's own word on its buffers and retries."""
    url = settings.collector_health_url
    if not url:
        return ServerStatus(_COLLECTOR, None, "not asked: MUSIC_PLATFORM_COLLECTOR_HEALTH_URL names none")
    answer = _get(f"{url}/api/plugins.json?with_config=no")
    if isinstance(answer, str):
        return ServerStatus(
            _COLLECTOR, False, f"{url} does not answer: {answer}", "Start it; clients keep their events."
        )
    try:
        plugins: list[dict[str, Any]] = answer.json()["plugins"]
    except (ValueError, KeyError, TypeError):
        advice = "Name the port of Fluentd's monitor_agent, 24220 by default."
        return ServerStatus(_COLLECTOR, False, f"{url} does not answer as Fluentd does", advice)
    waiting = sum(plugin.get("buffer_queue_length") or 0 for plugin in plugins)
    retries = sum(plugin.get("retry_count") or 0 for plugin in plugins)
    found = f"answers at {url}; {waiting} chunks wait, {retries} retries"
    if any((plugin.get("retry") or {}).get("steps") for plugin in plugins):
        advice = "What it writes to refuses or is away: see its log, the lake and its credentials."
        return ServerStatus(_COLLECTOR, False, f"{found}: it cannot deliver now", advice)
    return ServerStatus(_COLLECTOR, True, found)


def _get(url: str) -> Any:
    """The answer to a request, or why none came."""
    import requests

    from music_platform.http_sessions import new_session, why_unanswered

    session = new_session()
    session.trust_env = urlsplit(url).hostname not in _LOOPBACK  # no proxy of the shell stands there
    try:
        return session.get(url, timeout=_ANSWER_SECONDS)
    except requests.RequestException as error:
        return why_unanswered(error)
