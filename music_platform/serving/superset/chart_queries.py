"""The saved queries of charts, and their conditions, in the form of Superset's API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from music_platform.serving.superset.datasources import TIME
from music_platform.serving.superset.model import Chart, Dataset

# Of any time: the dashboard's filter says which.
_ANY_TIME = {
    "clause": "WHERE",
    "expressionType": "SIMPLE",
    "subject": TIME,
    "operator": "TEMPORAL_RANGE",
    "comparator": "No filter",
}


class Where:
    """Conditions on columns: ``Where().is_in("stage", ["cancel"]).at_least("weeks", 0)``."""

    def __init__(self, *conditions: tuple[str, str, Any]) -> None:
        self._conditions = conditions

    def is_in(self, column: str, values: Sequence[str]) -> Where:
        return Where(*self._conditions, (column, "IN", list(values)))

    def at_least(self, column: str, value: float) -> Where:
        return Where(*self._conditions, (column, ">=", value))

    def at_most(self, column: str, value: float) -> Where:
        return Where(*self._conditions, (column, "<=", value))

    def is_known(self, column: str) -> Where:
        return Where(*self._conditions, (column, "IS NOT NULL", None))

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """In the form of a chart's parameters."""
        return [
            dict(_ANY_TIME),
            *(
                {
                    "clause": "WHERE",
                    "expressionType": "SIMPLE",
                    "subject": column,
                    "operator": operator,
                    "comparator": value,
                }
                for column, operator, value in self._conditions
            ),
        ]

    @property
    def filters(self) -> list[dict[str, Any]]:
        """In the form of a query."""
        return [
            {"col": TIME, "op": "TEMPORAL_RANGE", "val": "No filter"},
            *({"col": column, "op": operator, "val": value} for column, operator, value in self._conditions),
        ]


def axis_of(column: str) -> dict[str, Any]:
    """A column as the axis of a chart."""
    return {
        "columnType": "BASE_AXIS",
        "sqlExpression": column,
        "label": column,
        "expressionType": "SQL",
        "isColumnReference": True,
    }


def query_of(
    columns: list[Any], metrics: Sequence[str], where: Where, *, row_limit: int | None = None, grain: str | None = None
) -> dict[str, Any]:
    """What is asked of a dataset: measures by columns, the largest of the first measure first where rows are limited."""
    asked: dict[str, Any] = {
        "filters": where.filters,
        "extras": {"having": "", "where": ""} | ({"time_grain_sqla": grain} if grain else {}),
        "columns": columns,
        "metrics": list(metrics),
        "order_desc": True,
        "series_limit": 0,
        "group_others_when_limit_reached": False,
    }
    if row_limit:
        asked |= {"orderby": [[metric, False] for metric in metrics[:1]], "row_limit": row_limit}
    return asked


def pivoted(index: str, groups: Sequence[str], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """As the browser pivots a time series: a column for each measure or, with one measure, for each group."""
    pivot: dict[str, Any] = {
        "operation": "pivot",
        "options": {
            "index": [index],
            "columns": list(groups),
            "aggregates": {metric: {"operator": "mean"} for metric in metrics},
            "drop_missing_columns": False,
        },
    }
    steps = [pivot]
    if groups and len(metrics) == 1:
        steps.append({"operation": "rename", "options": {"columns": {metrics[0]: None}, "level": 0, "inplace": True}})
    return [*steps, {"operation": "flatten"}]


def chart_of(
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
    """A chart of that kind with its parameters and saved query."""
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
