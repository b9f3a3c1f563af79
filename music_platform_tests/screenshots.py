"""`./run screenshots`: the pictures in docs/images/, of what a user sees after the demo with Superset.

It uses the platform by its commands alone, in a lake and an instance of its own, and drives the machine's Chromium. It takes
some ten minutes on 2 cores; with --keep, what it built stays up, and a second call only takes the pictures.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from PIL import Image
from playwright.sync_api import FloatRect, Page, sync_playwright

from music_platform_tests.places import REPOSITORY

_IMAGES = REPOSITORY / "docs" / "images"
_STATE = REPOSITORY / ".music-platform" / "screenshots"
_DAYS = 12
_DEMO = ("demo", "--users", "1200", "--days", str(_DAYS), "--superset")
_DASHBOARDS = ("listening", "recommendations")
_SUPERSET_URL = "http://127.0.0.1:28088"
_DAGSTER_PORT = 23000
_MOST_BYTES = 200_000
_WIDTH = 1440
_START_SECONDS = 180.0
_PATIENCE = 120_000.0  # of the browser, in milliseconds
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_CHARTS_ARE_DRAWN = """() => document.querySelectorAll('.dashboard-component-chart-holder .slice_container').length > 0
    && !document.querySelector('.dashboard-component-chart-holder [data-test=loading-indicator]')"""


def main() -> None:
    """Build what is to be seen, and write every picture. Raises where a command fails or a page does not show it."""
    parser = argparse.ArgumentParser(prog="./run screenshots", description="Take the pictures of the documentation.")
    parser.add_argument("--keep", action="store_true", help="build only what is missing, and leave it running")
    keep = parser.parse_args().keep
    if _CHROMIUM is None:
        sys.exit("screenshots: no chromium on PATH")
    environment = _environment()
    try:
        if keep and (_STATE / "lake").exists():
            _music_platform(environment, "druid", "up")
            _music_platform(environment, "superset", "up")
        else:
            shutil.rmtree(_STATE, ignore_errors=True)
            Path(environment["DAGSTER_HOME"]).mkdir(parents=True)
            shutil.copy(REPOSITORY / "deploy" / "local" / "dagster.yaml", environment["DAGSTER_HOME"])
            _music_platform(environment, *_DEMO)
        with _page() as page:
            _log_in_as_guest(page)
            for dashboard in _DASHBOARDS:
                _take_dashboard(page, dashboard)
        with _dagster_ui(environment) as address, _page() as page:
            _take_asset_graph(page, address)
    finally:
        if not keep:
            _music_platform(environment, "superset", "down")
            _music_platform(environment, "druid", "down")


def _environment() -> dict[str, str]:
    """This process's environment, with settings by which everything lies in the folder of the pictures."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MUSIC_PLATFORM_")}
    first_day = datetime.now(UTC).date() - timedelta(days=_DAYS)
    return {
        **kept,
        "MUSIC_PLATFORM_START": f"{first_day}T00:00",  # no partitions without events before those of the demo
        "DAGSTER_HOME": str(_STATE / "dagster"),
        "MUSIC_PLATFORM_LAKE": str(_STATE / "lake"),
        "MUSIC_PLATFORM_DRUID_FOLDER": str(_STATE / "druid"),
        "MUSIC_PLATFORM_DRUID_PORT_OFFSET": "20000",  # beside a Druid that runs already
        "MUSIC_PLATFORM_SUPERSET_HOME": str(_STATE / "superset"),
        "MUSIC_PLATFORM_SUPERSET_URL": _SUPERSET_URL,
    }


def _music_platform(environment: Mapping[str, str], *arguments: str) -> None:
    subprocess.run([Path(sys.executable).with_name("music-platform"), *arguments], env=environment, check=True)


@contextmanager
def _dagster_ui(environment: Mapping[str, str]) -> Generator[str]:
    """The address of Dagster's UI on the demo's instance; it ends with the block, by Ctrl-C."""
    serving = {"MUSIC_PLATFORM_DRUID_ENABLED": "true", "MUSIC_PLATFORM_SUPERSET_ENABLED": "true"}
    process = subprocess.Popen(
        [REPOSITORY / "run", "dev", "--port", str(_DAGSTER_PORT)],
        env={**environment, **serving},
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{_DAGSTER_PORT}"
    deadline = time.monotonic() + _START_SECONDS
    try:
        while not _answers(f"{address}/server_info"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Dagster's UI does not answer at {address}; see its output above")
            time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(90)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


@contextmanager
def _page() -> Generator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": _WIDTH, "height": 2200})
        page.set_default_timeout(_PATIENCE)
        yield page
        browser.close()


def _log_in_as_guest(page: Page) -> None:
    page.goto(f"{_SUPERSET_URL}/login/")
    page.fill('[data-test="username-input"]', "guest")
    page.fill('[data-test="password-input"]', (_STATE / "superset" / "guest_password").read_text().strip())
    page.click('[data-test="login-button"]')
    page.wait_for_url(lambda url: "/login" not in url, wait_until="commit")


def _take_dashboard(page: Page, name: str) -> None:
    page.goto(f"{_SUPERSET_URL}/superset/dashboard/{name}/")
    page.wait_for_function(_CHARTS_ARE_DRAWN)
    page.wait_for_timeout(3000)  # the charts' own drawing
    bottoms = page.locator(".dashboard-component-chart-holder").evaluate_all(
        "holders => holders.map(holder => holder.getBoundingClientRect().bottom)"
    )
    _save(page, f"{name}.png", {"x": 0, "y": 0, "width": _WIDTH, "height": max(bottoms) + 16})


def _take_asset_graph(page: Page, address: str) -> None:
    """Dagster's graph of everything that a gold table is made from."""
    page.set_viewport_size({"width": 1680, "height": 720})
    page.goto(f"{address}/assets/gold/top_songs?view=lineage&lineageScope=upstream&lineageDepth=5")
    page.get_by_text("Hide navigation").click()
    page.reload()  # the graph fits itself into the wider page
    page.get_by_text("Passed").locator("visible=true").first.wait_for()
    page.wait_for_timeout(5000)  # the states of all assets
    _save(page, "asset-graph.png")


def _save(page: Page, name: str, clip: FloatRect | None = None) -> None:
    """Write a screenshot of 256 colours; raises ``RuntimeError`` where it is larger than a page of text should carry."""
    seen = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")
    file = _IMAGES / name
    seen.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
    size = file.stat().st_size
    print(f"{file.relative_to(REPOSITORY)}: {seen.width} x {seen.height}, {size:,} bytes")
    if size > _MOST_BYTES:
        raise RuntimeError(f"{name} has {size:,} bytes, and {_MOST_BYTES:,} are the most: show less of the page")


if __name__ == "__main__":
    main()
