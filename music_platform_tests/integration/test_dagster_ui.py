"""Dagster's UI in a real browser: events' text is text, other sites' pages change nothing, and the UI itself works.

What is seen stands in artifacts/dagster, at the width of a desk and of a phone.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg
import psutil
import pytest
import requests
from playwright.sync_api import Browser, Page, sync_playwright

from music_platform.definitions import build_definitions
from music_platform.lake.lake import Lake
from music_platform.lake.landing_layout import landed_key
from music_platform.orchestration.checks.outcome import CheckOutcome
from music_platform.partitions import key_of_hour
from music_platform.settings import Settings, process_environment
from music_platform.tables.events import EVENT_CONTRACTS
from music_platform_tests.integration.command_line import auth_event
from music_platform_tests.places import REPOSITORY

_PICTURES = REPOSITORY / "artifacts" / "dagster"
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_CHROMIUM_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
_HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
_SENSOR = "report_failed_checks"
_SELECTOR = 'repositoryName:"__repository__",repositoryLocationName:"music_platform.definitions"'
_PATIENCE_SECONDS = 120.0
_PATIENCE = 60_000.0  # of the browser, in milliseconds


class Stranger:
    """A server on another port of this machine: what it serves, and what was asked of it."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.asked: list[str] = []
        stranger = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = stranger.pages.get(self.path)
                if page is None:
                    stranger.asked.append(self.path)
                self.send_response(404 if page is None else 200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write((page or "").encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Log nothing: what was asked stands in ``asked``."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@dataclass
class Served:
    """A UI and daemon as `./run dev` starts them, on an instance and a lake of their own."""

    process: subprocess.Popen[str]
    home: Path
    port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def graphql(self, query: str) -> dict[str, Any]:
        answer = requests.post(f"{self.address}/graphql", json={"query": query}, timeout=60)
        answer.raise_for_status()
        return answer.json()["data"]

    def sensor(self) -> dict[str, str]:
        """The sensor's id and status."""
        selector = f'{{{_SELECTOR},sensorName:"{_SENSOR}"}}'
        query = f"{{sensorOrError(sensorSelector:{selector}){{... on Sensor{{sensorState{{id status}}}}}}}}"
        return self.graphql(query)["sensorOrError"]["sensorState"]

    def log(self) -> str:
        return (self.home / "dev.txt").read_text(errors="replace")[-4000:]


@contextmanager
def dev(folder: Path) -> Generator[Served]:
    """`./run dev` on the instance in a folder; its processes end with the block, by Ctrl-C."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (folder / "dev.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "music_platform.cli.dev", "--port", str(port)],
            env=process_environment(
                DAGSTER_HOME=str(folder),
                MUSIC_PLATFORM_LAKE=str(folder / "lake"),
                MUSIC_PLATFORM_LANDING_WINDOW_HOURS="1",  # what the tests look at is made already
            ),
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    served = Served(process, folder, port)
    try:
        wait_until(lambda: answers(served), served)
        yield served
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise


def answers(served: Served) -> bool:
    assert served.process.poll() is None, served.log()
    try:
        return bool(served.sensor())
    except (requests.RequestException, KeyError):
        return False


def wait_until(condition: Callable[[], bool], served: Served) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, served.log()
        time.sleep(0.2)


def new_home(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    shutil.copy(REPOSITORY / "deploy" / "local" / "dagster.yaml", folder)
    return folder


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    stranger = Stranger()
    yield stranger
    stranger.server.shutdown()


@pytest.fixture(scope="module")
def served(stranger: Stranger, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A platform on which an hour with hostile titles was made, served."""
    home = new_home(tmp_path_factory.mktemp("dagster"))
    settings = Settings(lake=str(home / "lake"))
    land_hostile_titles(Lake(settings), stranger.port)
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            made = (
                build_definitions(settings)
                .resolve_job_def("hourly_spine")
                .execute_in_process(instance=instance, partition_key=key_of_hour(_HOUR))
            )
            assert made.success
            report_a_failed_check(instance, stranger.port)
    finally:
        del os.environ["DAGSTER_HOME"]
    with dev(home) as served:
        yield served
    assert served.process.returncode == 0, served.log()
    assert not others_of(served)


def hostile_titles(port: int) -> dict[str, str]:
    """Artists and their songs."""
    return {
        f"![p](http://127.0.0.1:{port}/markdown.png)": f"<img src=http://127.0.0.1:{port}/html.png>",
        "[x](javascript:alert(1))": "<script>alert(1)</script> **bold**",
        f"http://127.0.0.1:{port}/link": "right\u202eleft",
    }


def land_hostile_titles(lake: Lake, port: int) -> None:
    record = json.loads(auth_event(1)) | {
        "ts": int(_HOUR.timestamp() * 1000) + 60_000,
        "duration": 100.0,
        "auth": "Logged In",
    }
    keys = set(EVENT_CONTRACTS["listen_events"].keys)
    lines = [
        json.dumps({key: value for key, value in (record | {"artist": artist, "song": song, "itemInSession": item}).items()
                    if key in keys})
        for item, (artist, song) in enumerate(hostile_titles(port).items())
    ]  # fmt: skip
    lake.store.put(landed_key("listen_events", _HOUR, "0" * 32), gzip.compress("\n".join(lines).encode()))


def report_a_failed_check(instance: dg.DagsterInstance, port: int) -> None:
    """A check that names an object whose name is markup, as the checks of the platform report theirs."""
    name = f"![p](http://127.0.0.1:{port}/check.png) <img src=http://127.0.0.1:{port}/check> http://127.0.0.1:{port}/c"
    result = CheckOutcome(
        "bronze/listen_events", "contract", passed=False, description=f"'{name}' is gone"
    ).to_dagster()
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            check_name="contract",
            asset_key=dg.AssetKey(["bronze", "listen_events"]),
            passed=False,
            description=result.description,
        )
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if _CHROMIUM is None:
        pytest.skip("there is no Chromium on PATH")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=_CHROMIUM, args=[*_CHROMIUM_OPTIONS, "--host-resolver-rules=MAP evil.example 127.0.0.1"]
        )


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1440, "height": 1100})
    page.set_default_timeout(_PATIENCE)
    yield page
    page.close()


def references(page: Page, port: int) -> list[str]:
    """What on the page leads to the stranger: images, links and the like."""
    found: list[str] = page.evaluate("[...document.querySelectorAll('[src],[href]')].map(e => String(e.src || e.href))")
    return [address for address in found if f":{port}" in address]


def test_hostile_titles_are_shown_as_text(served: Served, stranger: Stranger, page: Page) -> None:
    partition = quote(key_of_hour(_HOUR))
    page.goto(f"{served.address}/assets/gold/fact_streams?view=partitions&partition={partition}")
    for artist, song in hostile_titles(stranger.port).items():
        page.get_by_text(artist, exact=True).first.wait_for()
        page.get_by_text(song.replace("\u202e", "\\u202e"), exact=True).first.wait_for()
    assert not references(page, stranger.port)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 1400})
        page.wait_for_timeout(1000)
        _PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=_PICTURES / f"partition-{width}.png")
    for path in (
        f"gold/fact_streams?view=events&partition={partition}",
        "gold/fact_streams?view=overview",
        f"silver/listen_events?view=partitions&partition={partition}",
        f"silver/listen_events?view=events&partition={partition}",
        f"bronze/listen_events?view=partitions&partition={partition}",
    ):
        page.goto(f"{served.address}/assets/{path}")
        page.get_by_text("rows", exact=True).first.wait_for()
        assert not references(page, stranger.port), path
    assert stranger.asked == []


def test_a_check_that_names_a_hostile_object_shows_its_name_as_text(
    served: Served, stranger: Stranger, page: Page
) -> None:
    page.goto(f"{served.address}/assets/bronze/listen_events?view=checks&checkDetail=contract")
    page.get_by_text(f"![p](http://127.0.0.1:{stranger.port}/check.png)").first.wait_for()
    page.screenshot(path=_PICTURES / "check.png")
    assert not references(page, stranger.port)
    assert stranger.asked == []


_ATTACK = """
<html><head><title>stranger</title></head><body><script>
  const body = JSON.stringify({query: MUTATION});
  for (const host of ["127.0.0.1", "localhost"]) {
    const plain = `http://${host}:PORT/graphql`, asked = `${plain}?query=${encodeURIComponent(MUTATION)}`;
    for (const tag of ["img", "iframe", "script"]) document.body.append(Object.assign(document.createElement(tag), {src: asked}));
    for (const type of ["text/plain", "text/plain;application/json", "application/x-www-form-urlencoded"])
      for (const url of [plain, asked])
        fetch(url, {method: "POST", mode: "no-cors", headers: {"Content-Type": type}, body}).catch(() => 0);
    fetch(plain, {method: "POST", headers: {"Content-Type": "application/json"}, body}).catch(() => 0);
    fetch(asked, {mode: "no-cors"}).catch(() => 0);
    navigator.sendBeacon(asked, body);
    const socket = new WebSocket(plain.replace("http", "ws"), "graphql-ws");
    socket.onopen = () => {
      document.title = "open";
      socket.send(JSON.stringify({type: "start", id: "1", payload: {query: MUTATION}}));
    };
    const frame = document.body.appendChild(Object.assign(document.createElement("iframe"), {name: host}));
    const form = document.body.appendChild(
      Object.assign(document.createElement("form"), {method: "post", enctype: "text/plain", target: host, action: asked}));
    form.submit();
  }
</script></body></html>"""


def attack_page(served: Served, sensor_id: str) -> str:
    """A page that tries everything that needs no leave of the server to stop the sensor, by both names of this machine."""
    mutation = f'mutation{{stopSensor(id:"{sensor_id}"){{__typename}}}}'
    return _ATTACK.replace("PORT", str(served.port)).replace("MUTATION", json.dumps(mutation))


def test_another_site_s_page_cannot_stop_a_sensor(served: Served, stranger: Stranger, page: Page) -> None:
    sensor = served.sensor()
    assert sensor["status"] == "RUNNING"
    stranger.pages["/attack"] = attack_page(served, sensor["id"])
    statuses: list[tuple[int, str]] = []
    page.on("response", lambda answer: statuses.append((answer.status, answer.url)))
    for host in ("127.0.0.1", "localhost"):
        page.goto(f"http://{host}:{stranger.port}/attack")
        page.wait_for_timeout(4000)
        assert page.title() == "stranger"  # no WebSocket was opened
    of_the_ui = [status for status, url in statuses if f":{served.port}/" in url]
    assert len(of_the_ui) > 10
    assert set(of_the_ui) <= {403, 405, 415}
    assert served.sensor()["status"] == "RUNNING"


def test_a_link_of_another_site_opens_the_ui_and_runs_no_query(served: Served, stranger: Stranger, page: Page) -> None:
    mutation = quote(f'mutation{{stopSensor(id:"{served.sensor()["id"]}"){{__typename}}}}')
    stranger.pages["/links"] = (
        f'<a id="ui" href="{served.address}/assets">UI</a><a id="query" href="{served.address}/graphql?query={mutation}">q</a>'
    )
    page.goto(f"http://localhost:{stranger.port}/links")
    page.click("#query")
    page.wait_for_url(f"{served.address}/graphql*")
    page.wait_for_timeout(2000)
    assert served.sensor()["status"] == "RUNNING"
    page.goto(f"http://localhost:{stranger.port}/links")
    page.click("#ui")
    page.get_by_text("Catalog").first.wait_for()


def test_another_name_of_this_machine_is_no_name_of_the_ui(served: Served, page: Page) -> None:
    answer = page.goto(f"http://evil.example:{served.port}/assets")
    assert answer is not None
    assert answer.status == 421
    assert "MUSIC_PLATFORM_UI_ALLOWED_HOSTS" in page.inner_text("body")


def test_the_ui_itself_works(served: Served, page: Page) -> None:
    problems: list[str] = []
    page.on("response", lambda answer: problems.append(answer.url) if answer.status >= 400 else None)
    page.on("console", lambda told: problems.append(told.text) if told.type == "error" else None)
    page.goto(f"{served.address}/asset-groups/")
    for group in ("landing", "bronze", "silver", "gold"):
        page.get_by_text(group, exact=True).first.wait_for()
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 1100})
        page.wait_for_timeout(1000)
        page.screenshot(path=_PICTURES / f"graph-{width}.png")
    page.set_viewport_size({"width": 1440, "height": 1100})
    page.goto(f"{served.address}/locations/__repository__@music_platform.definitions/sensors/{_SENSOR}")
    switch = page.locator("input[type=checkbox]").first
    switch.wait_for(state="attached")
    try:
        switch.locator("xpath=..").click()
        wait_until(lambda: served.sensor()["status"] == "STOPPED", served)
        switch.locator("xpath=..").click()
        wait_until(lambda: served.sensor()["status"] == "RUNNING", served)
    finally:
        selector = f'{{{_SELECTOR},sensorName:"{_SENSOR}"}}'
        served.graphql(f"mutation{{startSensor(sensorSelector:{selector}){{__typename}}}}")
    assert problems == []


def others_of(served: Served) -> list[psutil.Process]:
    """The processes of `./run dev`, beside itself."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == served.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return [process for process in found if process.pid != served.process.pid]


@pytest.mark.parametrize("dies", ["webserver", "dagster-daemon"])
def test_a_process_that_dies_ends_the_other_and_fails_the_command(tmp_path: Path, dies: str) -> None:
    with dev(new_home(tmp_path / "home")) as served:
        second = subprocess.run(
            [sys.executable, "-m", "music_platform.cli.dev"],
            env=process_environment(DAGSTER_HOME=str(served.home)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert f"dev is running on this instance already, at {served.address}" in second.stderr
        [process] = [other for other in others_of(served) if any(part.endswith(dies) for part in other.cmdline()[:3])]
        process.kill()
        assert served.process.wait(90) == 1, served.log()
        assert "ended with exit code -9" in served.log()
        wait_until(lambda: not others_of(served), served)
