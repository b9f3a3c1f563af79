"""The kinds of charts: each function gives Superset's parameters, from which the browser builds its query, and the saved
query, by which the API answers. Both are made of the same arguments, so that they agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from music_platform.serving.superset.axes import DAY, measure_axis, time_axis
from music_platform.serving.superset.chart_queries import Where, axis_of, chart_of, pivoted, query_of
from music_platform.serving.superset.datasources import TIME
from music_platform.serving.superset.model import Chart, Dataset

_MOST_POINTS = 10_000
_ALL = Where()


def big_number(
    key: str,
    title: str,
    description: str,
    dataset: Dataset,
    metric: str,
    *,
    subtitle: str = "",
    where: Where = _ALL,
    may_be_empty: bool = False,
    regardless_of: Sequence[str] = (),
) -> Chart:
    """One number."""
    parameters = {
        "metric": metric,
        "y_axis_format": dataset.metric(metric).number_format,
        "subtitle": subtitle,
        "header_font_size": 0.4,
        "subtitle_font_size": 0.125,
    }
    query = query_of([], [metric], where)
    made = chart_of(key, title, description, dataset, "big_number_total", parameters, where, query, may_be_empty)
    return replace(made, regardless_of=frozenset(regardless_of))


def time_series(
    key: str,
    title: str,
    description: str,
    dataset: Dataset,
    metrics: Sequence[str],
    *,
    grain: str,
    split_by: str | None = None,
    kind: str = "line",
    axis_title: str,
    largest: float | None = None,
    is_logarithmic: bool = False,
    is_stacked: bool = True,
    where: Where = _ALL,
    may_be_empty: bool = False,
    regardless_of: Sequence[str] = (),
) -> Chart:
    """Measures over time, a line (``line``) or bars (``bar``) for each value of ``split_by``, stacked where they add up.

    ``largest`` is where the axis of the measure ends, which otherwise follows the data.
    """
    axis = {**axis_of(TIME), "timeGrain": grain}
    groups = [split_by] if split_by else []
    parameters: dict[str, Any] = {
        "x_axis": TIME,
        "time_grain_sqla": grain,
        "metrics": list(metrics),
        "groupby": groups,
        "order_desc": True,
        "row_limit": _MOST_POINTS,
        **time_axis(grain),
        **measure_axis(dataset.metric(metrics[0]), "yAxis", between_times=kind == "bar"),
        "y_axis_title": axis_title,
        "y_axis_title_margin": 75,  # beside labels such as 120.00%
        "y_axis_title_position": "Left",
        "truncateYAxis": False,
        "y_axis_bounds": [None, largest],
        "logAxis": is_logarithmic,
        "show_legend": bool(groups) or len(metrics) > 1,
        "legendOrientation": "top",
        "legendType": "scroll",
        "rich_tooltip": True,
    }
    if kind == "bar":
        parameters |= {"stack": "Stack"} if is_stacked and (groups or len(metrics) > 1) else {}
    else:
        parameters |= {"markerEnabled": grain == DAY, "markerSize": 5}
    query = query_of([axis, *groups], metrics, where, row_limit=_MOST_POINTS, grain=grain)
    query |= {"series_columns": groups, "post_processing": pivoted(TIME, groups, metrics)}
    made = chart_of(
        key, title, description, dataset, f"echarts_timeseries_{kind}", parameters, where, query, may_be_empty
    )
    return replace(made, regardless_of=frozenset(regardless_of))


def share(key: str, title: str, description: str, dataset: Dataset, column: str, metric: str) -> Chart:
    """The parts of a whole, as a ring."""
    parameters = {
        "groupby": [column],
        "metric": metric,
        "row_limit": 20,
        "sort_by_metric": True,
        "label_type": "percent",
        "number_format": dataset.metric(metric).number_format,
        "donut": True,
        "innerRadius": 45,
        "outerRadius": 75,
        "show_labels": True,
        "labels_outside": True,
        "label_line": True,
        "show_legend": True,
        "legendOrientation": "top",
    }
    query = query_of([column], [metric], _ALL, row_limit=20)
    query["post_processing"] = [
        {"operation": "contribution", "options": {"columns": [metric], "rename_columns": [f"{metric}__contribution"]}}
    ]
    return chart_of(key, title, description, dataset, "pie", parameters, _ALL, query)


def state_map(key: str, title: str, description: str, dataset: Dataset, column: str, metric: str) -> Chart:
    """The states of the US, coloured by a measure; the column holds codes such as US-CA."""
    parameters = {
        "entity": column,
        "metric": metric,
        "select_country": "usa",
        "row_limit": 100,
        "linear_color_scheme": "dark_blue",
        "number_format": dataset.metric(metric).number_format,
    }
    return chart_of(
        key,
        title,
        description,
        dataset,
        "country_map",
        parameters,
        _ALL,
        query_of([column], [metric], _ALL, row_limit=100),
    )


def heat_map(
    key: str,
    title: str,
    description: str,
    dataset: Dataset,
    *,
    across: str,
    down: str,
    metric: str,
    shows_values: bool = True,
    where: Where = _ALL,
) -> Chart:
    """A measure by two columns, as coloured cells."""
    parameters = {
        "x_axis": across,
        "groupby": down,
        "metric": metric,
        "row_limit": _MOST_POINTS,
        "sort_x_axis": "alpha_asc",
        "sort_y_axis": "alpha_desc",
        "normalize_across": "heatmap",
        "linear_color_scheme": "dark_blue",
        "y_axis_format": dataset.metric(metric).number_format,
        "value_bounds": [0, 1] if dataset.metric(metric).number_format.endswith("%") else [None, None],
        "show_legend": True,
        "show_percentage": False,
        "show_values": shows_values,
        "left_margin": 100,
        "bottom_margin": 50,
        "xscale_interval": -1,
        "yscale_interval": -1,
    }
    query = query_of([axis_of(across), down], [metric], where, row_limit=_MOST_POINTS)
    query |= {"orderby": [[across, True], [down, False]], "post_processing": []}
    return chart_of(key, title, description, dataset, "heatmap_v2", parameters, where, query)
