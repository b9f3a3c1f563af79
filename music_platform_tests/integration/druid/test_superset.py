"""A real Superset on a real Druid: the asset brings the dashboards in, they come out the same, every chart answers.

What is seen stands in artifacts/superset, at the width of a desk and of a phone.
"""

from __future__ import annotations

import re
import shutil
import socket
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
import requests
from playwright.sync_api import ConsoleMessage, Locator, Page, Response, sync_playwright

from music_platform.cli.demo_superset import require_superset_can_start, superset_of_demo
from music_platform.cli.superset import print_running
from music_platform.definitions import build_definitions
from music_platform.local.druid.local_druid import LocalDruid
from music_platform.local.service import ServiceError
from music_platform.local.superset.environment import ROOT
from music_platform.local.superset.secrets import Login
from music_platform.local.superset.server import LocalSuperset, RunningSuperset
from music_platform.orchestration.assets.superset import DASHBOARDS_KEY
from music_platform.orchestration.checks.superset import check_charts
from music_platform.serving.druid.client import DruidResource
from music_platform.serving.superset.bundle import DASHBOARDS, bundle_files
from music_platform.serving.superset.client import SupersetError, SupersetResource
from music_platform.serving.superset.comparison import differences
from music_platform.serving.superset.connection import database_uri
from music_platform.serving.superset.datasets import DATASETS
from music_platform.serving.superset.model import Chart, Dashboard
from music_platform.serving.superset.publishing import DatasetError, ask_charts, publish, read_columns
from music_platform.settings import Settings
from music_platform_tests.integration.druid.sample_day import ORIGIN, QUICK_START
from music_platform_tests.integration.druid.served_gold import DAYS, Served
from music_platform_tests.page_logs import SONG

pytestmark = pytest.mark.timeout(900)

_KINDS = {"database": 1, "dataset": len(DATASETS), "dashboard": len(DASHBOARDS),
          "chart": sum(len(dashboard.charts) for dashboard in DASHBOARDS)}  # fmt: skip
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_TELEMETRY = (
    "violates the following Content Security Policy directive"  # of the interface's pixel, which is to be blocked
)
_WIDTHS, _HEIGHT = (1440, 390), 2200  # pixels of a desk's screen and of a phone's
_MARGIN = 16  # below the last chart
# The days of the data, whenever the test runs.
_END = "2026-11-03"
_TIME = f"{DAYS[0]} : {_END}"
_FILTERED = (
    "native_filters=(NATIVE_FILTER-time:(id:NATIVE_FILTER-time,"
    f"extraFormData:(time_range:'{_TIME}'),filterState:(value:'{_TIME}'),ownState:()))"
)
_PICTURES = ROOT / "artifacts" / "superset"


class Shown:
    """A running Superset, and the run of the asset that brought the dashboards into it."""

    def __init__(self, local: LocalSuperset, settings: Settings) -> None:
        self.local, self.settings = local, settings
        self.running: RunningSuperset = local.up(lambda _: None)
        self.files = bundle_files(database_uri(settings))
        self.admin = SupersetResource.from_settings(settings)
        self.guest = SupersetResource(self.running.url, self.running.guest.username, self.running.guest.password)
        self.druid = DruidResource(settings)
        job = build_definitions(settings).resolve_implicit_global_asset_job_def()
        self.imported = job.execute_in_process(
            instance=dg.DagsterInstance.ephemeral(), asset_selection=[DASHBOARDS_KEY], raise_on_error=False
        )

    def plays(self, query: str) -> int:
        """The answer of Druid itself."""
        return self.druid.sql(query, ORIGIN)[0]["plays"]


@pytest.fixture(scope="module")
def shown(served: Served, local_druid: LocalDruid, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Superset on the Druid of these tests, with the dashboards imported by their asset.

    Tests before may have left Druid down: it is brought up, and holds everything again, before it is asked.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    changes = {
        "superset_enabled": True,
        "superset_home": str(tmp_path_factory.mktemp("superset")),
        "superset_url": f"http://127.0.0.1:{port}",
    }
    settings = served.settings.model_copy(update=changes)
    local = LocalSuperset(settings)
    local_druid.up(java_options=QUICK_START)
    served.wait_until_served()
    try:
        yield Shown(local, settings)
    finally:
        local.down()


@pytest.fixture(autouse=True)
def _is_up(running_druid: object) -> None:
    """Druid, up again where a test before left it down."""


def test_the_asset_imports_the_dashboards_and_its_check_passes(shown: Shown) -> None:
    assert shown.imported.success
    [check] = shown.imported.get_asset_check_evaluations()
    assert check.passed, check.description
    assert differences(shown.files, shown.admin.export_assets()) == []


def test_a_second_import_changes_nothing(shown: Shown) -> None:
    before = {kind: shown.admin.numbers_by_uuid(kind) for kind in ("dataset", "chart", "dashboard")}
    assert {kind: len(shown.admin.list_all(kind)) for kind in _KINDS} == _KINDS
    publish(shown.admin, shown.files)
    assert {kind: shown.admin.numbers_by_uuid(kind) for kind in before} == before
    assert {kind: len(shown.admin.list_all(kind)) for kind in _KINDS} == _KINDS
    assert differences(shown.files, shown.admin.export_assets()) == []


def test_the_check_names_a_chart_that_fails_and_one_that_is_gone(shown: Shown) -> None:
    count = 'COUNT(DISTINCT "{}")'
    broken = {
        name: text.replace(count.format("song_key"), count.format("sng_key")) for name, text in shown.files.items()
    }
    assert broken != shown.files
    lost = next(number for uuid, number in shown.admin.numbers_by_uuid("chart").items()
                if uuid == DASHBOARDS[0].chart_uuid(DASHBOARDS[0].charts[0]))  # fmt: skip
    try:
        shown.admin.import_assets(broken)
        shown.admin.request("DELETE", f"/api/v1/chart/{lost}")
        found = check_charts(shown.admin)
        assert not found.passed
        assert "chart 'Songs' of Listening (datasource streams)" in found.description
        assert "sng_key" in found.description
        assert "chart 'Plays' of Listening (datasource streams): Superset does not have it" in found.description
    finally:
        publish(shown.admin, shown.files)
    assert check_charts(shown.admin).passed


def test_a_datasource_that_druid_does_not_know_is_asked_for_again_and_then_has_no_rows(shown: Shown) -> None:
    gone = {name: text.replace("table_name: logins\n", "table_name: gone\n") for name, text in shown.files.items()}
    numbers = shown.admin.numbers_by_uuid("dataset")
    shown.admin.import_assets(gone)
    comes = threading.Timer(3.0, replace(shown.admin).import_assets, [shown.files])
    try:
        assert read_columns(shown.admin, numbers, seconds=0.0) == ["logins"]
        answers = [answer for answer in ask_charts(shown.admin) if answer.chart.dataset.datasource == "logins"]
        assert answers
        assert all((answer.rows, answer.error) == (0, "") for answer in answers)
        comes.start()
        assert read_columns(shown.admin, numbers) == []
        comes.join()
    finally:
        assert publish(shown.admin, shown.files) == []
    assert differences(shown.files, shown.admin.export_assets()) == []


def test_a_database_that_does_not_answer_is_an_error_with_its_own_words(shown: Shown) -> None:
    nowhere = bundle_files("druid://127.0.0.1:9/druid/v2/sql/")
    numbers = shown.admin.numbers_by_uuid("dataset")
    shown.admin.import_assets(nowhere)
    try:
        with pytest.raises(DatasetError, match=r"(?s)cannot be read: .*Druid answers: .*refused"):
            read_columns(shown.admin, numbers, seconds=0.0)
    finally:
        publish(shown.admin, shown.files)


def test_a_second_up_changes_nothing_and_tells_no_password(shown: Shown) -> None:
    before = shown.local.service.process()
    again = shown.local.up(lambda message: pytest.fail(f"did something again: {message}"))
    assert shown.local.service.process() == before
    assert again.was_running
    assert shown.running.admin.is_new
    assert not again.admin.is_new
    assert again.admin.password == shown.running.admin.password


def test_the_demo_ends_with_the_address_and_who_may_log_in(
    shown: Shown, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)  # an instance that is forgotten
    require_superset_can_start(shown.settings)
    with superset_of_demo(shown.settings, is_wanted=True) as superset:
        assert superset is not None
        superset.publish(shown.settings)
        superset.show()
    told = capsys.readouterr().out
    for dashboard in DASHBOARDS:
        assert f"{dashboard.title}: {shown.running.url}/superset/dashboard/{dashboard.slug}/" in told
    for login in (shown.running.admin, shown.running.guest):
        assert f"{login.username}, password as in the settings or in {shown.local.home}" in told
        assert login.password not in told
    print_running(shown.running, shown.local)  # as it was printed where Superset was started just now
    told = capsys.readouterr().out
    for login in (shown.running.admin, shown.running.guest):
        assert f"{login.username}, password {login.password} (shown this once" in told


def test_secrets_are_their_owners_alone(shown: Shown) -> None:
    assert stat.S_IMODE(shown.local.home.stat().st_mode) == 0o700
    for name in ("secret_key", "admin_password", "guest_password", "prepared"):
        assert stat.S_IMODE((shown.local.home / name).stat().st_mode) == 0o600, name


def test_a_taken_port_is_reported(shown: Shown, tmp_path: Path) -> None:
    other = LocalSuperset(Settings(superset_home=str(tmp_path), superset_url=shown.running.url))
    with pytest.raises(ServiceError, match=r"port \d+ of 127.0.0.1 is taken"):
        other.up(lambda _: None)


def test_a_wrong_password_is_reported(shown: Shown) -> None:
    with pytest.raises(SupersetError, match="refuses the login of 'admin'"):
        replace(shown.admin, password="wrong").list_all("chart")


def test_a_bundle_that_is_not_whole_is_refused(shown: Shown) -> None:
    with pytest.raises(SupersetError, match="import"):
        shown.admin.import_assets(
            {"metadata.yaml": shown.files["metadata.yaml"], "charts/broken.yaml": "slice_name: x\n"}
        )


def test_a_query_that_fails_is_reported(shown: Shown) -> None:
    admin = shown.admin
    chart = next(chart for chart in admin.list_all("chart") if chart["slice_name"] == "Top songs")
    query = admin.saved_query(chart["id"])
    query["queries"][0]["extras"]["where"] = "no_such_column = 1"
    with pytest.raises(SupersetError, match="no_such_column"):
        admin.query_data(query)


def test_a_log_of_all_pages_is_in_the_dashboards(shown: Shown) -> None:
    guest = shown.guest
    chart = next(chart for chart in guest.list_all("chart") if chart["slice_name"] == "Top songs")
    query = guest.saved_query(chart["id"])
    for one in query["queries"]:
        one["time_range"] = _TIME
        one["extras"]["where"] = f"song = '{SONG['song']}'"
    [row] = guest.query_data(query)
    assert {SONG["song"], 15} <= set(row.values())


def test_a_guest_sees_the_charts_and_changes_nothing(shown: Shown) -> None:
    guest = shown.guest
    assert {board["slug"] for board in guest.list_all("dashboard")} == {board.slug for board in DASHBOARDS}
    charts = guest.list_all("chart")
    assert len(charts) == _KINDS["chart"]
    assert guest.chart_data(charts[0]["id"])
    with pytest.raises(SupersetError, match="403"):
        guest.import_assets(shown.files)
    with pytest.raises(SupersetError, match="403"):
        guest.export_assets()
    with pytest.raises(SupersetError, match="403"):
        guest.list_all("security/users")
    with pytest.raises(SupersetError, match="403"):
        guest.refresh_dataset(shown.admin.list_all("dataset")[0]["id"])
    for method, path in (("PUT", f"/api/v1/chart/{charts[0]['id']}"), ("DELETE", f"/api/v1/chart/{charts[0]['id']}"),
                         ("POST", "/api/v1/sqllab/execute/"), ("POST", "/api/v1/dashboard/")):  # fmt: skip
        with pytest.raises(SupersetError, match="403"):
            guest.request(method, path, json={})


def test_without_a_login_nothing_is_seen(shown: Shown) -> None:
    answer = requests.get(f"{shown.running.url}/api/v1/dashboard/", timeout=30)
    assert answer.json().get("result", []) == [] or answer.status_code == requests.codes.unauthorized
    policy = requests.get(f"{shown.running.url}/login/", timeout=30).headers["Content-Security-Policy"]
    assert "http" not in policy  # no other server


@pytest.fixture
def page(shown: Shown) -> Iterator[Page]:
    """The guest's browser, logged in."""
    with browser_of(shown, shown.running.guest) as page:
        yield page


@contextmanager
def browser_of(shown: Shown, login: Login) -> Iterator[Page]:
    """A user's browser, logged in."""
    if _CHROMIUM is None:
        pytest.skip("there is no Chromium on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": _WIDTHS[0], "height": _HEIGHT})
        page.goto(f"{shown.running.url}/login/")
        page.fill('[data-test="username-input"]', login.username)
        page.fill('[data-test="password-input"]', login.password)
        page.click('[data-test="login-button"]')
        page.wait_for_url(lambda url: "/login" not in url, wait_until="commit", timeout=120_000)
        yield page
        browser.close()


@pytest.fixture
def errors(page: Page) -> list[str]:
    """What the console and the server tell of errors from here on."""
    found: list[str] = []

    def tell(text: str, url: str) -> None:
        # The page stores the colours of a dashboard's labels for all who look, which a guest may not.
        if "/colors?" not in url:
            found.append(f"{text} {url}")

    def console_tells(message: ConsoleMessage) -> None:
        if message.type == "error" and _TELEMETRY not in message.text:
            tell(message.text, message.location["url"])

    def server_answers(response: Response) -> None:
        if response.status >= 400:
            tell(str(response.status), response.url)

    page.on("console", console_tells)
    page.on("response", server_answers)
    return found


def open_dashboard(shown: Shown, page: Page, dashboard: Dashboard) -> None:
    page.goto(f"{shown.running.url}/superset/dashboard/{dashboard.slug}/?{_FILTERED}")
    wait_for_charts(page, len(dashboard.charts))


def wait_for_charts(page: Page, count: int) -> None:
    page.wait_for_function(
        """count => document.querySelectorAll('.dashboard-component-chart-holder .slice_container').length >= count
            && !document.querySelector('.dashboard-component-chart-holder [data-test=loading-indicator]')""",
        arg=count,
        timeout=240_000,
    )
    page.wait_for_timeout(1500)  # the charts' own drawing


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.slug)
def test_a_dashboard_renders_at_both_widths(shown: Shown, page: Page, errors: list[str], dashboard: Dashboard) -> None:
    _PICTURES.mkdir(parents=True, exist_ok=True)
    for width in _WIDTHS:
        # As high as all the charts one below the other: Superset draws those that are in view.
        page.set_viewport_size({"width": width, "height": _HEIGHT if width > 768 else 3 * _HEIGHT})
        open_dashboard(shown, page, dashboard)
        boxes = page.locator(".dashboard-component-chart-holder").evaluate_all(
            "holders => holders.map(holder => holder.getBoundingClientRect())"
        )
        bottom = max(box["bottom"] for box in boxes) + _MARGIN
        page.screenshot(
            path=_PICTURES / f"{dashboard.slug}-{width}.png",
            clip={"x": 0, "y": 0, "width": width, "height": bottom},
        )
        assert page.locator(".dashboard-component-chart-holder [role=alert]").all_inner_texts() == []
        assert errors == []
        assert page.locator('[data-test="edit-dashboard-button"]').count() == 0
        assert len(boxes) == len(dashboard.charts)
        assert max(box["right"] for box in boxes) <= width, "a chart is cut off"
        cut = page.locator(".dashboard-component-chart-holder .header-title").evaluate_all(
            "titles => titles.filter(title => title.scrollWidth > title.clientWidth"
            " || title.scrollHeight > title.clientHeight).map(title => title.innerText)"
        )
        assert cut == [], "titles are cut off"


def test_the_first_page_is_the_list_of_dashboards_and_the_time_has_a_name(shown: Shown, page: Page) -> None:
    page.goto(f"{shown.running.url}/")
    page.wait_for_url(re.compile("/dashboard/list/"))
    names = page.locator('[data-test="dashboard-list-view"] a[href*="/superset/dashboard/"]')
    names.first.wait_for()
    assert {board.title for board in DASHBOARDS} <= set(names.all_inner_texts())
    assert page.locator('img[alt="Music platform"]').count() == 1
    assert "Superset" not in page.title()
    page.set_viewport_size({"width": _WIDTHS[1], "height": 800})
    page.goto(f"{shown.running.url}/superset/dashboard/{DASHBOARDS[0].slug}/")
    title = page.locator(".header-with-actions").get_by_text(DASHBOARDS[0].title).first
    title.wait_for()
    box = title.bounding_box()
    assert box is not None
    assert box["y"] < 120, "the title is below the rows of Superset's own header"
    page.set_viewport_size({"width": _WIDTHS[0], "height": 800})
    bar = page.locator('[data-test="filter-bar"]').first
    bar.wait_for()
    assert "≤" not in bar.inner_text()


@pytest.mark.parametrize(("slug", "chart"), [("listening", "Top songs"), ("recommendations", "Most played songs")])
def test_html_in_a_title_is_shown_as_text(shown: Shown, page: Page, errors: list[str], slug: str, chart: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_dashboard(shown, page, next(dashboard for dashboard in DASHBOARDS if dashboard.slug == slug))
    songs = page.locator(".dashboard-component-chart-holder").filter(has_text=chart).first
    drawn = songs.inner_text()  # of the text that is seen, Superset writes the tags in its own way
    assert re.search(r"<a href=\W*http://127\.0\.0\.1:9\W*>Win</a>", drawn), drawn
    assert "<img src" in drawn
    assert songs.locator("td a, td img").count() == 0
    assert page.locator("a[href*='127.0.0.1:9']").count() == 0
    assert page.locator("img[src='x']").count() == 0
    assert [url for url in asked if url.endswith("/x") or url.startswith("http://127.0.0.1:9/")] == []
    assert errors == []


def test_a_filter_by_state_changes_the_numbers(shown: Shown, page: Page, errors: list[str]) -> None:
    listening = DASHBOARDS[0]
    open_dashboard(shown, page, listening)
    plays = page.locator(".dashboard-component-chart-holder").filter(has_text="Plays").first.locator(".header-line")
    before = int(plays.inner_text().replace(",", ""))
    state = page.locator('[data-test="form-item-value"]').nth(2)
    state.locator("input").first.click()
    option = page.locator(".ant-select-item-option").first
    chosen = option.get_attribute("title") or option.inner_text()
    option.click()
    page.keyboard.press("Escape")
    page.locator('[data-test="filter-bar__apply-button"]').click()
    wait_for_charts(page, len(listening.charts))
    after = int(plays.inner_text().replace(",", ""))
    assert 0 < after < before
    assert after == shown.plays(
        f"SELECT COUNT(*) AS plays FROM streams WHERE state = '{chosen}' "
        f"AND __time >= TIMESTAMP '{DAYS[0]}' AND __time < TIMESTAMP '{_END}'"  # other tests bring other days
    )
    assert errors == []


# The place of a pixel of a colour on a chart's canvas, in the page's pixels: a bar, a part of a ring, a point of a line.
_PLACE_OF_COLOR = """([canvas, red, green, blue]) => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const box = canvas.getBoundingClientRect();
    for (let y = Math.round(canvas.height * 0.9); y > canvas.height * 0.2; y--)  // below the legend
        for (let x = 0; x < canvas.width; x++) {
            const at = 4 * (y * canvas.width + x);
            if (pixels[at] === red && pixels[at + 1] === green && pixels[at + 2] === blue)
                return [box.x + (x + 1) * box.width / canvas.width, box.y + (y - 1) * box.height / canvas.height];
        }
    return null;
}"""


def click_a_value(page: Page, holder: Locator, chart: Chart, dashboard: Dashboard) -> str | None:
    """Click a value of a chart, the first one that is found; None where the chart has none to click."""
    if chart.visualization == "table":
        cell = holder.locator("tbody td.dt-is-filter").first
        if not cell.count():
            return None
        value = cell.inner_text()
        cell.click()
        return value
    if not chart.grouped_by or not holder.locator("canvas").count():
        return None
    canvas = holder.locator("canvas").first.element_handle()
    for value, color in dashboard.label_colors.items():
        parts = [int(color[at : at + 2], 16) for at in (1, 3, 5)]
        if place := page.evaluate(_PLACE_OF_COLOR, [canvas, *parts]):
            page.mouse.click(*place)
            page.wait_for_timeout(500)  # the chart waits whether a second click follows
            return value
    return None


@pytest.mark.parametrize("who", ["guest", "admin"])
@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.slug)
def test_a_click_on_a_value_filters_by_it_and_empties_no_chart(shown: Shown, dashboard: Dashboard, who: str) -> None:
    """One chart of each kind on each dashboard, and every chart that is a table."""
    seen: set[str] = set()
    with browser_of(shown, getattr(shown.running, who)) as page:
        for chart in dashboard.charts:
            if not chart.grouped_by or (chart.visualization in seen and chart.visualization != "table"):
                continue
            open_dashboard(shown, page, dashboard)
            before = empty_charts(page)
            holder = holder_of(page, chart)
            value = click_a_value(page, holder, chart, dashboard)
            if value is None:
                continue
            seen.add(chart.visualization)
            wait_for_charts(page, len(dashboard.charts))
            assert empty_charts(page) <= before, f"a click on '{value}' of {chart.title} left charts without data"
            assert page.locator(".dashboard-component-chart-holder [role=alert]").all_inner_texts() == []
            if chart.visualization == "table":
                chosen = page.locator('[data-test="filter-bar"]').inner_text()
                assert re.sub(r"\W", "", value) in re.sub(r"\W", "", chosen), f"{chart.title} filters by {chosen}"
    if dashboard.slug == "listening":
        assert {"table", "pie", "echarts_timeseries_bar"} <= seen


def holder_of(page: Page, chart: Chart) -> Locator:
    """The frame of a chart on the open dashboard."""
    title = page.locator(".header-title").filter(has_text=re.compile(f"^{re.escape(chart.title)}$"))
    return page.locator(".dashboard-component-chart-holder").filter(has=title).first


def empty_charts(page: Page) -> set[str]:
    """The titles of the charts that say that they have no data."""
    texts = page.locator(".dashboard-component-chart-holder").all_inner_texts()
    return {text.split("\n")[0] for text in texts if "No results were returned" in text or "No data" in text}


def chosen_of(page: Page, name: str) -> str:
    """The value that a filter of one chart has."""
    return page.locator(f".ant-select:has([id='NATIVE_FILTER-{name}']) .ant-select-selection-item").inner_text()


def choose(page: Page, name: str, value: str) -> None:
    """Look for a value of a filter by typing it, and choose it."""
    select = page.locator(f".ant-select:has([id='NATIVE_FILTER-{name}'])")
    select.locator(".ant-select-selector").click()
    select.locator("input").press_sequentially(value)
    page.locator(f".ant-select-dropdown:not(.ant-select-dropdown-hidden) [title='{value}']").click()
    page.keyboard.press("Escape")


def without_tags(rows: Iterable[list[str]]) -> list[list[str]]:
    """The rows without hostile titles, in which Superset writes the tags in its own way."""
    return [row for row in rows if not any("<" in value for value in row)]


def test_a_listener_s_list_is_the_chosen_listener_s(shown: Shown, page: Page, errors: list[str]) -> None:
    recommendations = next(dashboard for dashboard in DASHBOARDS if dashboard.slug == "recommendations")
    holder = page.locator(".dashboard-component-chart-holder").filter(has_text="A listener's list").first

    def rows() -> list[list[str]]:
        return without_tags(text.split("\t") for text in holder.locator("tbody tr").all_inner_texts())

    def held(listener: str) -> list[list[str]]:
        found = shown.druid.sql(
            'SELECT "rank", title, artist, TIME_FORMAT(__time, \'MMM dd\') AS "day" FROM recommendations '
            f"WHERE user_id = {listener} AND __time = TIMESTAMP '{DAYS[-1]}' GROUP BY 1, 2, 3, 4 ORDER BY 1",
            ORIGIN,
        )
        return without_tags([str(value) for value in row.values()] for row in found)

    open_dashboard(shown, page, recommendations)
    first = chosen_of(page, "listener")
    assert rows() == held(first) != []
    other = next(
        str(row["user_id"])
        for row in shown.druid.sql(
            f"SELECT DISTINCT user_id FROM recommendations WHERE __time = TIMESTAMP '{DAYS[-1]}' ORDER BY 1 DESC",
            ORIGIN,
        )
        if str(row["user_id"]) != first
    )
    choose(page, "listener", other)
    page.locator('[data-test="filter-bar__apply-button"]').click()
    wait_for_charts(page, len(recommendations.charts))
    assert chosen_of(page, "listener") == other
    assert rows() == held(other) != []
    assert errors == []
