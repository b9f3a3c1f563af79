"""The dashboards' bundle holds together, is the same each time, and a fault in it is found: all without Superset."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from music_platform.serving.superset.bundle import DASHBOARDS, bundle_files
from music_platform.serving.superset.comparison import differences
from music_platform.serving.superset.datasources import DATASOURCES
from music_platform.serving.superset.gate import problems_of_bundle
from music_platform_tests.places import REPOSITORY

_URI = "druid://127.0.0.1:8888/druid/v2/sql/"
_LISTENING = "dashboards/listening.yaml"
_SONGS = "charts/listening_top_songs.yaml"
_LIST = "charts/recommendations_list_of_listener.yaml"
_STREAMS = "datasets/Druid/streams.yaml"
_GUIDE = REPOSITORY / "docs" / "dashboards.md"


@pytest.fixture
def files() -> dict[str, str]:
    return bundle_files(_URI)


def test_the_bundle_holds_together(files: dict[str, str]) -> None:
    assert problems_of_bundle(files, DATASOURCES) == []


def test_the_bundle_is_the_same_each_time(files: dict[str, str]) -> None:
    assert files == bundle_files(_URI)
    # What stands in people's bookmarks and in Superset's own database.
    assert yaml.safe_load(files[_LISTENING])["uuid"] == "b60e4c29-6d1c-5088-bb75-501c197ee1b9"


def test_distinct_values_are_counted_exactly_on_druid(files: dict[str, str]) -> None:
    extra = yaml.safe_load(files["databases/Druid.yaml"])["extra"]
    assert extra["engine_params"]["connect_args"]["context"]["useApproximateCountDistinct"] is False


def changed(files: dict[str, str], name: str, change: Callable[[dict[str, Any]], object]) -> dict[str, str]:
    document = yaml.safe_load(files[name])
    change(document)
    return {**files, name: yaml.safe_dump(document)}


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        (_SONGS, lambda chart: chart.update(dataset_uuid="gone"), "names the dataset gone"),
        (_SONGS, lambda chart: chart.update(query_context=None), "no query_context"),
        (_SONGS, lambda chart: chart["params"].update(groupby=["sogn", "artist"]), "uses the column sogn"),
        (_SONGS, lambda chart: chart["params"].update(groupby=["song"]), "draws other columns or metrics"),
        (_SONGS, lambda chart: chart["params"].update(metrics=["play"]), "uses the metric play"),
        (_LIST, lambda chart: chart.update(query_context=chart["query_context"].replace('"place"', '"plcae"')),
         "uses the metric plcae"),
        (_STREAMS, lambda dataset: dataset.update(database_uuid="gone"), "names the database gone"),
        (_STREAMS, lambda dataset: dataset.update(table_name="steams"), "asks the datasource steams"),
        (_STREAMS, lambda dataset: dataset["columns"][1].update(column_name="usr"), "the column usr, which streams"),
        (_STREAMS, lambda dataset: dataset["metrics"][0].update(expression='SUM("x")'), "made of the column x"),
        (_STREAMS, lambda dataset: dataset["metrics"][0].update(expression="SUM(level)"), "level without double quotes"),
        (_LISTENING, lambda board: board["position"]["CHART-plays"]["meta"].update(uuid="gone"), "shows the chart gone"),
        (_LISTENING, lambda board: board["position"]["CHART-plays"]["meta"].update(width=4), "13 twelfths wide"),
        (_LISTENING, lambda board: board["position"]["GRID_ID"]["children"].append("ROW-9"), "ROW-9, which is nowhere"),
        (
            _LISTENING,
            lambda board: board["metadata"]["native_filter_configuration"][1]["targets"][0]["column"].update(name="lvl"),
            "is by lvl",
        ),
        (_LISTENING, lambda board: board.update(uuid=yaml.safe_load(bundle_files(_URI)[_SONGS])["uuid"]), "has the UUID of"),
    ],
)  # fmt: skip
def test_a_fault_is_reported(
    files: dict[str, str], name: str, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    problems = problems_of_bundle(changed(files, name, change), DATASOURCES)
    assert any(told in problem for problem in problems), problems


def test_no_chart_draws_the_html_of_events(files: dict[str, str]) -> None:
    charts = {name: yaml.safe_load(text) for name, text in files.items() if name.startswith("charts/")}
    tables = {name for name, chart in charts.items() if chart["viz_type"] == "table"}
    assert _SONGS in tables
    assert {charts[name]["params"]["allow_render_html"] for name in tables} == {False}
    for name in tables:
        for change in (
            lambda chart: chart["params"].pop("allow_render_html"),
            lambda chart: chart["params"].update(allow_render_html=True),
            lambda chart: chart["params"].pop("allow_render_html") or chart.update(viz_type="pivot_table_v2"),
        ):
            problems = problems_of_bundle(changed(files, name, change), DATASOURCES)
            assert f"{name} draws the HTML that stands in events: set allow_render_html to false" in problems


def test_a_filter_of_one_chart_begins_with_the_first_value_and_acts_on_no_other_chart(files: dict[str, str]) -> None:
    board = yaml.safe_load(files["dashboards/recommendations.yaml"])
    numbers = {
        name.removeprefix("CHART-"): node["meta"]["chartId"]
        for name, node in board["position"].items()
        if name.startswith("CHART-")
    }
    filters = {each["name"]: each for each in board["metadata"]["native_filter_configuration"]}
    for name, acts_on in (("Listener", {"list_of_listener"}), ("Song", {"similar_songs"})):
        controls = filters[name]["controlValues"]
        assert (controls["multiSelect"], controls["defaultToFirstItem"], filters[name]["requiredFirst"]) == (
            False,
            True,
            True,
        )
        assert controls["searchAllOptions"] is True  # of more values than are shown
        assert {key for key, number in numbers.items() if number not in filters[name]["scope"]["excluded"]} == acts_on
    assert all(dashboard.charts_of(each) for dashboard in DASHBOARDS for each in dashboard.filters)
    listening = yaml.safe_load(files[_LISTENING])["metadata"]["native_filter_configuration"]
    assert not any(each["controlValues"].get("defaultToFirstItem") for each in listening)


def test_no_horizontal_bar_is_clicked(files: dict[str, str]) -> None:
    """A click on one filters by its length in place of its name."""
    charts = {name: yaml.safe_load(text) for name, text in files.items() if name.startswith("charts/")}
    lying = {name for name, chart in charts.items() if chart["params"].get("orientation") == "horizontal"}
    assert {name for name in lying if not charts[name]["params"]["groupby"]} == set()


def scopes(files: dict[str, str], board: str) -> dict[str, set[str]]:
    """For each chart with a scope of its own, the charts that a click on it filters, by their keys."""
    document = yaml.safe_load(files[f"dashboards/{board}.yaml"])
    keys = {
        node["meta"]["chartId"]: name.removeprefix("CHART-")
        for name, node in document["position"].items()
        if name.startswith("CHART-")
    }
    return {
        keys[int(number)]: {keys[each] for each in keys.keys() - set(entry["crossFilters"]["scope"]["excluded"])}
        for number, entry in document["metadata"]["chart_configuration"].items()
    }


def test_a_click_filters_the_charts_that_it_leaves_something_of(files: dict[str, str]) -> None:
    assert scopes(files, "listening") == {}  # every click acts on every other chart
    assert scopes(files, "conversion") == {"upgrade_funnel": set(), "downgrade_funnel": set()}
    pipeline = scopes(files, "pipeline")
    assert pipeline["quarantine_reasons"] == set()
    assert pipeline["rows_by_layer"] == {"usual_lag", "late_hours", "lag_by_hour", "freshness", "bytes_by_layer"}
    recommendations = scopes(files, "recommendations")
    assert recommendations["most_offered"] == recommendations["similar_songs"] == set()
    assert "gain_by_day" not in recommendations["ndcg_by_day"]
    assert "hit_rate_by_day" in recommendations["ndcg_by_day"]


def test_a_filter_does_not_act_where_the_measure_says_which_values_it_counts(files: dict[str, str]) -> None:
    pipeline = next(dashboard for dashboard in DASHBOARDS if dashboard.slug == "pipeline")
    [layer] = pipeline.filters
    assert {"landed_rows", "quarantine_rate", "quarantine_reasons"}.isdisjoint(
        chart.key for chart in pipeline.charts_of(layer)
    )


def test_a_chart_on_no_dashboard_is_reported(files: dict[str, str]) -> None:
    del files[_LISTENING]
    assert f"{_SONGS} is on no dashboard" in problems_of_bundle(files, DATASOURCES)


def test_a_column_that_the_datasource_loses_is_reported(files: dict[str, str]) -> None:
    without = {name: [column for column in columns if column != "artist"] for name, columns in DATASOURCES.items()}
    assert any("the column artist" in problem for problem in problems_of_bundle(files, without))


def test_an_edited_chart_differs_from_its_source(files: dict[str, str]) -> None:
    assert differences(files, files) == []
    edited = changed(files, _SONGS, lambda chart: chart["params"].update(row_limit=3))
    assert differences(files, edited) == [f"{_SONGS}: params: row_limit: 10 was imported, 3 exported"]
    del edited[_SONGS]
    assert differences(files, edited) == [f"{_SONGS} is missing in the export"]


def test_the_guide_tells_of_every_chart() -> None:
    told = re.findall(r"^\| ([^|]+?) +\| ([^|]+?) +\|", _GUIDE.read_text(), re.MULTILINE)
    charts = {(chart.title, chart.description) for dashboard in DASHBOARDS for chart in dashboard.charts}
    assert charts <= set(told), f"docs/dashboards.md lacks {charts - set(told)}"
