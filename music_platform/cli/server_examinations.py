"""What `music-platform doctor` examines of the servers that the settings name: the engine, Druid, Superset, the collector.

An examination returns problems and never raises them.
"""

from __future__ import annotations

import sys
from importlib import metadata
from urllib.parse import urlsplit

from music_platform.cli.finding import Finding, State, without_patience
from music_platform.cli.lake_status import is_missing
from music_platform.cli.server_status import collector_status
from music_platform.errors import MusicPlatformError, platform_error_of
from music_platform.lake.lake import Lake
from music_platform.lake.spark import SparkEngine
from music_platform.serving.druid.client import DruidResource
from music_platform.serving.superset.client import SupersetResource
from music_platform.settings import Settings

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SHOWN_CHARACTERS = 500  # of an engine's error, which is a page of frames


def engine(settings: Settings) -> list[Finding]:
    """The engine at the url of the settings, or the embedded one: its version, its workers, and their way to the lake."""
    subject = f"engine {settings.spark_remote or 'in this process'}"
    found = SparkEngine.from_settings(settings)
    try:
        versions = _versions_of(subject, found)
        if any(finding.state is State.FAILURE for finding in versions):
            return versions
        return [*versions, *_way_to_lake(subject, found, Lake(settings))]
    except MusicPlatformError as error:  # no session
        return [Finding(subject, State.FAILURE, str(error), "Look whether the server runs, and at its log.")]
    except Exception as error:  # noqa: BLE001 - an engine can fail with any error; all of them are findings here
        advice = "Look at the server's log, and at those of its executors."
        return [Finding(subject, State.FAILURE, _first_words(error), advice)]


def _versions_of(subject: str, found: SparkEngine) -> list[Finding]:
    from music_platform.lake.engine_look import engine_version, workers_of  # loads PySpark

    here, needed = metadata.version("music-platform"), metadata.version("pyspark")
    python = ".".join(map(str, sys.version_info[:2]))
    version = engine_version(found)
    if version.split(".")[:2] != needed.split(".")[:2]:
        advice = f"Run Spark {needed} there: the platform is tested with that release alone."
        return [Finding(subject, State.FAILURE, f"Spark {version}, and PySpark here is {needed}", advice)]
    workers = workers_of(found)
    hosts = sorted({worker.host for worker in workers})
    problems = [
        f"{worker.host} has {f'music-platform {worker.package}' if worker.package else 'no music-platform'}, here is {here}"
        for worker in workers
        if worker.package != here
    ]
    problems += [
        f"{worker.host} has Python {worker.python}, here is {python}"
        for worker in workers
        if not worker.python.startswith(f"{python}.")
    ]
    if problems:
        advice = "Run the server and its executors from the image of this release."
        return [Finding(subject, State.FAILURE, f"of its workers, {'; '.join(problems)}", advice)]
    name = f"Sail {metadata.version('pysail')}" if found.is_embedded else f"Spark {version}"
    workers_found = f"workers on {', '.join(hosts)} with music-platform {here} and Python {workers[0].python}"
    return [Finding(subject, State.OK, f"{name}, {workers_found}")]


def _way_to_lake(subject: str, found: SparkEngine, lake: Lake) -> list[Finding]:
    from pyspark.errors import PySparkException

    from music_platform.lake.engine_look import reach_lake

    if is_missing(lake):  # reaching it would make it
        return []
    try:
        reach_lake(found, lake)
    except (PySparkException, MusicPlatformError) as error:
        advice = (
            "Workers need the network and the rights of a run. Spark itself needs hadoop-aws and spark.hadoop.fs.s3a.* for a "
            "lake on S3, and a folder that all machines share for a local one."
        )
        cause = _first_words(platform_error_of(error))
        return [Finding(subject, State.FAILURE, f"the lake cannot be written or read there: {cause}", advice)]
    return [Finding(subject, State.OK, "its workers write and remove objects of the lake, and it reads Parquet there")]


def _first_words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_SHOWN_CHARACTERS]}"


def druid(settings: Settings) -> list[Finding]:
    """Druid's router, broker and services, and whether they ask for a login."""
    if not settings.druid_enabled:
        return []
    subject = f"druid {settings.druid_router}"
    try:
        found = DruidResource(without_patience(settings))
        asks, version, servers = found.asks_for_login(), found.version(), found.servers()
    except MusicPlatformError as error:
        return [
            Finding(subject, State.FAILURE, str(error), "Look whether all of Druid's services run, and at their logs.")
        ]
    findings: list[Finding] = []
    for types, purpose in (
        (("historical",), "serves segments"),
        (("indexer", "middle_manager"), "runs ingestion tasks"),
    ):
        if not any(servers.get(kind) for kind in types):
            advice = "Start it, and look at its log if it runs."
            findings.append(Finding(subject, State.FAILURE, f"no {' or '.join(types)}: nothing {purpose}", advice))
    if not asks and urlsplit(settings.druid_router).hostname not in _LOOPBACK:
        advice = "Set up users (docs/deployment.md), or let only the platform and Superset reach it."
        if settings.druid_user:
            advice = f"MUSIC_PLATFORM_DRUID_USER is set, and Druid does not heed it. {advice}"
        findings.append(Finding(subject, State.WARNING, "it answers without a login", advice))
    if any(finding.state is State.FAILURE for finding in findings):
        return findings
    shown = ", ".join(f"{count} {kind}" for kind, count in sorted(servers.items()))
    return [Finding(subject, State.OK, f"version {version}; {shown}"), *findings]


def superset(settings: Settings) -> list[Finding]:
    """The administrator's login at Superset, and the dashboards that it has."""
    if not settings.superset_enabled:
        return []
    subject = f"superset {settings.superset_url}"
    try:
        dashboards = len(SupersetResource.from_settings(settings).list_all("dashboard"))
    except MusicPlatformError as error:
        advice = "Check MUSIC_PLATFORM_SUPERSET_URL, _USERNAME and _PASSWORD, and whether Superset's own database is prepared."
        return [Finding(subject, State.FAILURE, str(error), advice)]
    found = f"the login of '{settings.superset_username}' works; {dashboards} dashboards"
    if not dashboards:
        advice = "Materialize superset/dashboards, which imports them."
        return [Finding(subject, State.WARNING, found, advice)]
    return [Finding(subject, State.OK, found)]


def collector(settings: Settings) -> list[Finding]:
    """How the collector is that the settings name."""
    if not settings.collector_health_url:
        return []
    found = collector_status(settings)
    return [Finding("collector", State.OK if found.works else State.FAILURE, found.found, found.advice)]
