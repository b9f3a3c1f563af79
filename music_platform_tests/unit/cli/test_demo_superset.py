"""Superset beside the demo: its dashboards once Druid is filled, and its logins, printed once, even if the demo fails."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from music_platform.cli import runs
from music_platform.cli.demo_superset import superset_of_demo
from music_platform.errors import DruidUnreachableError, MusicPlatformError
from music_platform.local.service import Progress
from music_platform.local.superset.secrets import Login
from music_platform.local.superset.server import LocalSuperset, RunningSuperset
from music_platform.serving.druid.client import DruidResource
from music_platform.serving.superset.bundle import DASHBOARDS
from music_platform.settings import Settings

_RUNNING = RunningSuperset(
    "http://127.0.0.1:8088", Login("admin", "secret one", True), Login("guest", "secret two"), False
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setattr(LocalSuperset, "up", lambda *_: _RUNNING)
    monkeypatch.setattr(DruidResource, "version", lambda *_: "33.0.0")
    return Settings(superset_home=str(tmp_path / "superset"))


def test_dashboards_are_published_on_the_druid_of_the_demo(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    published: list[tuple[Any, ...]] = []
    monkeypatch.setattr(runs, "materialize", lambda *given: published.append(given[1:]))
    with superset_of_demo(settings, is_wanted=True) as superset:
        assert superset is not None
        superset.publish(settings.model_copy(update={"druid_enabled": True}))
        superset.show()
    [(serving, assets, partitions, _)] = published
    assert (serving.druid_enabled, serving.superset_enabled) == (True, True)
    assert (assets, partitions) == (["superset/dashboards"], [])
    told = capsys.readouterr().out
    assert told.count("secret one") == 1
    assert "secret two" not in told
    for dashboard in DASHBOARDS:
        assert f"{dashboard.title}: {_RUNNING.url}/superset/dashboard/{dashboard.slug}/" in told


def test_the_logins_are_printed_although_the_demo_fails(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    up = threading.Event()

    def start(_: LocalSuperset, progress: Progress) -> RunningSuperset:
        up.set()
        return _RUNNING

    monkeypatch.setattr(LocalSuperset, "up", start)

    def demo() -> None:
        with superset_of_demo(settings, is_wanted=True):
            assert up.wait(30)
            raise MusicPlatformError("no table")

    with pytest.raises(MusicPlatformError, match="no table"):
        demo()
    assert "secret one" in capsys.readouterr().out


def test_a_superset_that_does_not_start_is_an_error_where_it_is_needed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: LocalSuperset, progress: Progress) -> RunningSuperset:
        raise MusicPlatformError("its database could not be prepared")

    monkeypatch.setattr(LocalSuperset, "up", fails)
    with superset_of_demo(settings, is_wanted=True) as superset:
        assert superset is not None
        with pytest.raises(MusicPlatformError, match="could not be prepared"):
            superset.publish(settings)
        superset.show()
    assert capsys.readouterr().out == ""


def test_a_druid_that_was_killed_is_named_with_the_command_that_starts_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(LocalSuperset, "up", lambda *_: _RUNNING)
    druid = settings.model_copy(update={"druid_port_offset": 31_000, "druid_retry_seconds": 0.1})
    with superset_of_demo(settings, is_wanted=True) as superset:
        assert superset is not None
        with pytest.raises(DruidUnreachableError, match=r"nothing listens there.*\./run music-platform druid up"):
            superset.publish(druid)


def test_none_is_started_unless_it_is_wanted(settings: Settings) -> None:
    with superset_of_demo(settings, is_wanted=False) as superset:
        assert superset is None
