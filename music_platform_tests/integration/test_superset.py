"""A real Superset on loopback: the dashboards go in and come out the same, every chart answers, a guest only looks.

DuckDB stands where Druid does, with small tables of the same columns.
"""

from __future__ import annotations

import shutil
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests
from dashboard_tables import write_database
from playwright.sync_api import Page, sync_playwright

from music_platform.dashboards.bundle import DASHBOARDS, bundle_files
from music_platform.dashboards.comparison import differences
from music_platform.dashboards.datasets import DATASETS
from music_platform.dashboards.model import Dashboard
from music_platform.local_services.service import ServiceError
from music_platform.local_superset.environment import ROOT, SupersetEnvironment
from music_platform.local_superset.server import LocalSuperset, RunningSuperset
from music_platform.resources.superset import SupersetError, SupersetResource
from music_platform.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

_KINDS = {"database": 1, "dataset": len(DATASETS), "dashboard": len(DASHBOARDS),
          "chart": sum(len(dashboard.charts) for dashboard in DASHBOARDS)}  # fmt: skip
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_TELEMETRY = (
    "violates the following Content Security Policy directive"  # of the interface's pixel, which is to be blocked
)
_PICTURES = ROOT / "artifacts" / "superset"


@dataclass(frozen=True)
class Served:
    """A running Superset with the dashboards in it."""

    local: LocalSuperset
    running: RunningSuperset
    files: dict[str, str]

    @property
    def admin(self) -> SupersetResource:
        return SupersetResource(self.running.url, self.running.admin.username, self.running.admin.password)

    @property
    def guest(self) -> SupersetResource:
        return SupersetResource(self.running.url, self.running.guest.username, self.running.guest.password)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Superset with the dashboards imported, their columns refreshed, and the viewers let at their data."""
    folder = tmp_path_factory.mktemp("superset")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(superset_home=str(folder / "home"), superset_url=f"http://127.0.0.1:{port}")
    environment = SupersetEnvironment(ROOT / ".tools" / "superset-tests", groups=("tests",))
    local = LocalSuperset(settings, environment)
    try:
        running = local.up(lambda _: None)
        write_database(folder / "druid.duckdb", environment.command("python"))
        files = bundle_files(f"duckdb:///{folder / 'druid.duckdb'}?access_mode=read_only")
        served = Served(local, running, files)
        served.admin.import_assets(files)
        served.admin.grant_datasets("Viewer", [dataset["id"] for dataset in served.admin.list_all("dataset")])
        yield served
    finally:
        local.down()


def test_a_second_up_changes_nothing_and_tells_no_password(served: Served) -> None:
    before = served.local.service.process()
    again = served.local.up(lambda message: pytest.fail(f"did something again: {message}"))
    assert served.local.service.process() == before
    assert again.was_running
    assert served.running.admin.is_new
    assert not again.admin.is_new
    assert again.admin.password == served.running.admin.password


def test_secrets_are_their_owners_alone(served: Served) -> None:
    assert stat.S_IMODE(served.local.home.stat().st_mode) == 0o700
    for name in ("secret_key", "admin_password", "guest_password", "prepared"):
        assert stat.S_IMODE((served.local.home / name).stat().st_mode) == 0o600, name


def test_a_taken_port_is_told(served: Served, tmp_path: Path) -> None:
    other = LocalSuperset(Settings(superset_home=str(tmp_path), superset_url=served.running.url))
    with pytest.raises(ServiceError, match=r"port \d+ of 127.0.0.1 is taken"):
        other.up(lambda _: None)


def test_a_wrong_password_is_told(served: Served) -> None:
    with pytest.raises(SupersetError, match="refuses the login of 'admin'"):
        replace(served.admin, password="wrong").list_all("chart")


def test_importing_again_changes_no_count_and_the_export_is_the_source(served: Served) -> None:
    admin = served.admin
    assert {kind: len(admin.list_all(kind)) for kind in _KINDS} == _KINDS
    admin.import_assets(served.files)
    assert {kind: len(admin.list_all(kind)) for kind in _KINDS} == _KINDS
    assert differences(served.files, admin.export_assets()) == []


def test_a_bundle_that_is_not_whole_is_refused(served: Served) -> None:
    with pytest.raises(SupersetError, match="import"):
        served.admin.import_assets(
            {"metadata.yaml": served.files["metadata.yaml"], "charts/broken.yaml": "slice_name: x\n"}
        )


def test_every_chart_has_data_also_after_a_refresh_of_the_columns(served: Served) -> None:
    admin = served.admin
    for dataset in admin.list_all("dataset"):
        admin.refresh_dataset(dataset["id"])
        held = next(each for each in DATASETS if each.datasource == dataset["table_name"])
        assert set(admin.dataset_columns(dataset["id"])) == held.column_names
    empty = [chart["slice_name"] for chart in admin.list_all("chart") if not admin.chart_data(chart["id"])]
    assert empty == []


def test_a_query_that_fails_is_told(served: Served) -> None:
    admin = served.admin
    chart = next(chart for chart in admin.list_all("chart") if chart["slice_name"] == "Top songs")
    query = admin.saved_query(chart["id"])
    query["queries"][0]["extras"]["where"] = "no_such_column = 1"
    with pytest.raises(SupersetError, match="no_such_column"):
        admin.query_data(query)


def test_a_guest_sees_the_charts_and_changes_nothing(served: Served) -> None:
    guest = served.guest
    assert {board["slug"] for board in guest.list_all("dashboard")} == {board.slug for board in DASHBOARDS}
    charts = guest.list_all("chart")
    assert len(charts) == _KINDS["chart"]
    assert guest.chart_data(charts[0]["id"])
    with pytest.raises(SupersetError, match="403"):
        guest.import_assets(served.files)
    with pytest.raises(SupersetError, match="403"):
        guest.export_assets()
    with pytest.raises(SupersetError, match="403"):
        guest.list_all("security/users")
    with pytest.raises(SupersetError, match="403"):
        guest.refresh_dataset(served.admin.list_all("dataset")[0]["id"])
    for method, path in (("PUT", f"/api/v1/chart/{charts[0]['id']}"), ("DELETE", f"/api/v1/chart/{charts[0]['id']}"),
                         ("POST", "/api/v1/sqllab/execute/"), ("POST", "/api/v1/dashboard/")):  # fmt: skip
        with pytest.raises(SupersetError, match="403"):
            guest.request(method, path, json={})


def test_without_a_login_nothing_is_seen(served: Served) -> None:
    answer = requests.get(f"{served.running.url}/api/v1/dashboard/", timeout=30)
    assert answer.json().get("result", []) == [] or answer.status_code == requests.codes.unauthorized
    policy = requests.get(f"{served.running.url}/login/", timeout=30).headers["Content-Security-Policy"]
    assert "http" not in policy  # no other server


@pytest.fixture
def page(served: Served) -> Iterator[Page]:
    """The guest's browser, logged in."""
    if _CHROMIUM is None:
        pytest.skip("there is no Chromium on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 2200})
        page.goto(f"{served.running.url}/login/")
        page.fill('[data-test="username-input"]', served.running.guest.username)
        page.fill('[data-test="password-input"]', served.running.guest.password)
        page.click('[data-test="login-button"]')
        page.wait_for_url(lambda url: "/login" not in url, wait_until="commit", timeout=60_000)
        yield page
        browser.close()


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.slug)
def test_a_dashboard_renders_without_an_error(served: Served, page: Page, dashboard: Dashboard) -> None:
    slug, count = dashboard.slug, len(dashboard.charts)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on(
        "response",
        lambda response: errors.append(f"{response.status} {response.url}") if response.status >= 400 else None,
    )
    page.goto(f"{served.running.url}/superset/dashboard/{slug}/")
    page.wait_for_function(
        """count => document.querySelectorAll('.dashboard-component-chart-holder .slice_container').length >= count
            && !document.querySelector('.dashboard-component-chart-holder [data-test=loading-indicator]')""",
        arg=count,
        timeout=90_000,
    )
    page.wait_for_timeout(1500)  # the charts' own drawing
    _PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=_PICTURES / f"{slug}-1440.png", full_page=True)
    assert page.locator(".dashboard-component-chart-holder [role=alert]").all_inner_texts() == []
    assert [error for error in errors if _TELEMETRY not in error] == []
    assert page.locator('[data-test="edit-dashboard-button"]').count() == 0
