"""The kinds of charts: each function gives Superset's parameters, from which the browser builds its query, and the saved
query, by which the API answers. Both are made of the same arguments, so that they agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from music_platform.serving.superset.axes import DAY, measure_axis, time_axis
from music_platform.serving.superset.chart_queries import Where, axis_of, pivoted, query_of
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
    return _chart(key, title, description, dataset, "big_number_total", parameters, where, query, may_be_empty)


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
    where: Where = _ALL,
    may_be_empty: bool = False,
) -> Chart:
    """Measures over time, a line (``line``) or stacked bars (``bar``) for each value of ``split_by``.

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
        parameters |= {"stack": "Stack"} if groups or len(metrics) > 1 else {}
    else:
        parameters |= {"markerEnabled": grain == DAY, "markerSize": 5}
    query = query_of([axis, *groups], metrics, where, row_limit=_MOST_POINTS, grain=grain)
    query |= {"series_columns": groups, "post_processing": pivoted(TIME, groups, metrics)}
    return _chart(
        key, title, description, dataset, f"echarts_timeseries_{kind}", parameters, where, query, may_be_empty
    )


def ranking(
    key: str,
    title: str,
    description: str,
    dataset: Dataset,
    column: str,
    metric: str,
    *,
    most: int,
    where: Where = _ALL,
    may_be_empty: bool = False,
) -> Chart:
    """The values of a column with the largest measure, as bars, the largest at the top."""
    parameters = {
        "x_axis": column,
        "orientation": "horizontal",
        "metrics": [metric],
        "groupby": [],
        # One series for all values: split into series, the limit would cut those and not the bars.
        "x_axis_sort": metric,
        "x_axis_sort_asc": True,
        "timeseries_limit_metric": metric,
        "order_desc": True,
        "row_limit": most,
        **measure_axis(dataset.metric(metric), "xAxis"),
        "show_legend": False,
        "show_value": True,
        "truncateYAxis": False,
        "rich_tooltip": True,
    }
    query = query_of([axis_of(column)], [metric], where, row_limit=most)
    pivot, flatten = pivoted(column, [], [metric])
    sort = {"operation": "sort", "options": {"by": metric, "ascending": True}}
    query |= {"series_columns": [], "series_limit_metric": metric, "post_processing": [pivot, sort, flatten]}
    return _chart(key, title, description, dataset, "echarts_timeseries_bar", parameters, where, query, may_be_empty)


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
    return _chart(key, title, description, dataset, "pie", parameters, _ALL, query)


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
    return _chart(
        key,
        title,
        description,
        dataset,
        "country_map",
        parameters,
        _ALL,
        query_of([column], [metric], _ALL, row_limit=100),
    )


def table(
    key: str,
    title: str,
    description: str,
    dataset: Dataset,
    columns: Sequence[str],
    metrics: Sequence[str],
    *,
    most: int,
    sort_by: str | None = None,
    smallest_first: bool = False,
    where: Where = _ALL,
    may_be_empty: bool = False,
) -> Chart:
    """Rows with measures, in the order of ``sort_by`` (a measure that need not be shown), else of the first one."""
    order = sort_by or metrics[0]
    parameters = {
        "query_mode": "aggregate",
        "groupby": list(columns),
        "metrics": list(metrics),
        "timeseries_limit_metric": order,
        "order_desc": not smallest_first,
        "row_limit": most,
        "server_page_length": most,
        "page_length": 0,
        "include_search": False,
        "show_cell_bars": True,
        "color_pn": False,
        "allow_render_html": False,  # titles and names are what listeners' events say; Superset's default draws their HTML
        "table_timestamp_format": "%Y-%m-%d %H:%M",
    }
    query = query_of(list(columns), metrics, where, row_limit=most)
    query |= {"orderby": [[order, smallest_first]], "order_desc": not smallest_first}
    query |= {"series_limit_metric": order, "post_processing": []}
    return _chart(key, title, description, dataset, "table", parameters, where, query, may_be_empty)


def stages(
    key: str, title: str, description: str, dataset: Dataset, column: str, metric: str, *, where: Where
) -> Chart:
    """Steps of a way with how many got there, as bars in the order of the column's values, the first at the top."""
    parameters = {
        "x_axis": column,
        "orientation": "horizontal",
        "metrics": [metric],
        "groupby": [],
        "x_axis_sort": column,
        "x_axis_sort_asc": False,
        "order_desc": True,
        "row_limit": 20,
        **measure_axis(dataset.metric(metric), "xAxis"),
        "show_legend": False,
        "show_value": True,
        "truncateYAxis": False,
        "rich_tooltip": True,
    }
    query = query_of([axis_of(column)], [metric], where, row_limit=20)
    pivot, flatten = pivoted(column, [], [metric])
    sort = {"operation": "sort", "options": {"is_sort_index": True, "ascending": False}}
    query |= {"series_columns": [], "post_processing": [pivot, sort, flatten]}
    return _chart(key, title, description, dataset, "echarts_timeseries_bar", parameters, where, query)


def heat_map(
    key: str,
    title: str,
    description: str,
    dataset: Dataset,
    *,
    across: str,
    down: str,
    metric: str,
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
        "value_bounds": [0, 1],
        "show_legend": True,
        "show_percentage": False,
        "show_values": True,
        "left_margin": 100,
        "bottom_margin": 50,
        "xscale_interval": -1,
        "yscale_interval": -1,
    }
    query = query_of([axis_of(across), down], [metric], where, row_limit=_MOST_POINTS)
    query |= {"orderby": [[across, True], [down, False]], "post_processing": []}
    return _chart(key, title, description, dataset, "heatmap_v2", parameters, where, query)


def _chart(
    key: str,
    title: str,
    description: str,
    dataset: Dataset,
    visualization: str,
    parameters: dict[str, Any],
    where: Where,
    query: dict[str, Any],
    may_be_empty: bool = False,
) -> Chart:
    return Chart(
        key=key,
        title=title,
        description=description,
        dataset=dataset,
        visualization=visualization,
        parameters={"viz_type": visualization, **parameters, "adhoc_filters": where.parameters},
        query=query,
        may_be_empty=may_be_empty,
    )
