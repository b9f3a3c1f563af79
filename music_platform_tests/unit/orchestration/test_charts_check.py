"""The check of the dashboards tells a chart without data from a datasource without rows."""

from __future__ import annotations

import dagster as dg
import pytest

from music_platform.orchestration.checks import superset as checks
from music_platform.serving.superset.bundle import DASHBOARDS
from music_platform.serving.superset.client import SupersetError, SupersetResource
from music_platform.serving.superset.datasets import DATASETS
from music_platform.serving.superset.publishing import ask_charts

_CHARTS = [(dashboard, chart) for dashboard in DASHBOARDS for chart in dashboard.charts]
_UNKNOWN = "Object 'recommendations' not found within 'druid'"


class Answers(SupersetResource):
    """A Superset with every chart and dataset, of which some give no rows; a text is an error's."""

    charts: dict[str, list[dict[str, int]] | str]
    rows: dict[str, int | str]

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9", "admin", "unused")
        self.charts, self.rows = {}, {}

    def numbers_by_uuid(self, resource: str) -> dict[str, int]:
        things = [dashboard.chart_uuid(chart) for dashboard, chart in _CHARTS]
        if resource == "dataset":
            things = [dataset.uuid for dataset in DATASETS]
        return {uuid: number for number, uuid in enumerate(things)}

    def chart_data(self, chart: int) -> list[dict[str, int]]:
        found = self.charts.get(_CHARTS[chart][1].dataset.datasource, [{"plays": 1}])
        if isinstance(found, str):
            raise SupersetError(found)
        return found

    def count_rows(self, dataset: int) -> int:
        found = self.rows.get(DATASETS[dataset].datasource, 1)
        if isinstance(found, str):
            raise SupersetError(found)
        return found


@pytest.fixture
def superset() -> Answers:
    return Answers()


def test_every_chart_with_rows_passes(superset: Answers) -> None:
    outcome = checks.check_charts(superset)
    assert outcome.passed
    assert outcome.numbers["unfilled_datasources"] == outcome.numbers["empty"] == 0


@pytest.mark.parametrize(("charts", "rows"), [([], 0), ([], _UNKNOWN), (_UNKNOWN, _UNKNOWN)])
def test_a_datasource_without_rows_is_a_warning_that_names_it(
    superset: Answers, charts: list[dict[str, int]] | str, rows: int | str
) -> None:
    superset.charts["recommendations"], superset.rows["recommendations"] = charts, rows
    outcome = checks.check_charts(superset)
    result = outcome.to_dagster()
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "these datasources have no rows yet, and their charts are empty: recommendations" in outcome.description
    assert outcome.numbers["unfilled_datasources"] == 1


def test_a_chart_without_rows_whose_datasource_has_some_is_an_error(superset: Answers) -> None:
    superset.charts |= {"streams": [], "recommendations": []}
    superset.rows["recommendations"] = 0
    outcome = checks.check_charts(superset)
    result = outcome.to_dagster()
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "chart 'Plays' of Listening has no rows, and its datasource streams has some" in outcome.description
    assert "these datasources have no rows yet, and their charts are empty: recommendations" in outcome.description


def test_another_error_of_a_datasource_is_no_empty_one(superset: Answers) -> None:
    superset.charts["logins"] = superset.rows["logins"] = "connection refused"
    failed = {answer.chart.dataset.datasource for answer in ask_charts(superset) if answer.error}
    assert failed == {"logins"}
    assert checks.check_charts(superset).to_dagster().severity == dg.AssetCheckSeverity.ERROR
