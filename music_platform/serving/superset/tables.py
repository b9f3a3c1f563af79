"""The charts that are tables: Superset's parameters of them and the saved query, as in charts.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from music_platform.serving.superset.chart_queries import Where, chart_of, query_of
from music_platform.serving.superset.model import Chart, Dataset

_ALL = Where()


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
    filters_others: bool = True,
    regardless_of: Sequence[str] = (),
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
    made = chart_of(key, title, description, dataset, "table", parameters, where, query, may_be_empty)
    return replace(made, filters_others=filters_others, regardless_of=frozenset(regardless_of))


def ranking(
    key: str,
    title: str,
    description: str,
    dataset: Dataset,
    column: str,
    metric: str,
    *,
    most: int,
    beside: Sequence[str] = (),
    where: Where = _ALL,
    may_be_empty: bool = False,
    filters_others: bool = True,
    regardless_of: Sequence[str] = (),
) -> Chart:
    """The values of a column with the largest measure, the largest at the top, with a bar in each cell.

    A table, since a click on its cell filters by the name. A horizontal bar of this Superset filters by its length instead,
    which leaves every chart empty.
    """
    return table(
        key,
        title,
        description,
        dataset,
        [column],
        [metric, *beside],
        most=most,
        where=where,
        may_be_empty=may_be_empty,
        filters_others=filters_others,
        regardless_of=regardless_of,
    )


def stages(
    key: str,
    title: str,
    description: str,
    dataset: Dataset,
    column: str,
    metrics: Sequence[str],
    *,
    order: str,
    where: Where,
) -> Chart:
    """Steps or bands with how many are in each, the first at the top; ``order`` is the measure that numbers them.

    A click on one filters no other chart: what one step did is not what the others count.
    """
    return table(
        key,
        title,
        description,
        dataset,
        [column],
        metrics,
        most=20,
        sort_by=order,
        smallest_first=True,
        where=where,
        filters_others=False,
    )
