"""What a dashboard is made of, independent of Superset's file formats: datasets with metrics, charts, rows of them, filters.

Every UUID is derived from names, so it is the same wherever and whenever the bundle is made.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from music_platform.serving.superset.datasources import DATASOURCES

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "music-platform/superset")


def stable_uuid(kind: str, *names: str) -> str:
    """The UUID of a thing by its kind and names; renaming a key makes a new thing in Superset."""
    return str(uuid.uuid5(_NAMESPACE, "/".join((kind, *names))))


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A measure in SQL, with the columns in double quotes; ``number_format`` is D3's."""

    key: str
    label: str
    expression: str
    number_format: str = ",d"
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class ComputedColumn:
    """A column that is computed from others in SQL."""

    name: str
    label: str
    expression: str


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A Druid datasource as charts see it; ``labels`` name columns for people."""

    datasource: str
    description: str
    metrics: tuple[Metric, ...]
    computed: tuple[ComputedColumn, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def uuid(self) -> str:
        return stable_uuid("dataset", self.datasource)

    @property
    def column_names(self) -> frozenset[str]:
        return frozenset(DATASOURCES[self.datasource]) | {column.name for column in self.computed}

    def metric(self, key: str) -> Metric:
        """The metric of that key; ``KeyError`` when there is none."""
        for metric in self.metrics:
            if metric.key == key:
                return metric
        raise KeyError(f"the dataset {self.datasource} has no metric '{key}'")


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart: the question in its description, Superset's parameters for it, and the query that answers it.

    ``may_be_empty`` marks charts of rare events: no rows are then no fault. ``filters_others`` is whether a click on a value
    filters the dashboard by it. No filter by a column of ``regardless_of`` acts on the chart: its measures already say which
    values of it they count.
    """

    key: str
    title: str
    description: str
    dataset: Dataset
    visualization: str
    parameters: dict[str, Any]
    query: dict[str, Any]
    may_be_empty: bool = False
    filters_others: bool = True
    regardless_of: frozenset[str] = frozenset()

    @property
    def grouped_by(self) -> frozenset[str]:
        """The columns of which a click chooses a value."""
        groups = self.parameters.get("groupby", [])
        return frozenset([groups] if isinstance(groups, str) else groups)


_TWELFTHS = 12  # of a row's width


@dataclass(frozen=True, kw_only=True)
class Place:
    """A chart's place in a row: its width in twelfths."""

    chart: Chart
    width: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """Charts side by side; the height is in units of 8 pixels."""

    height: int
    places: tuple[Place, ...]


def even_row(height: int, *charts: Chart) -> Row:
    """Charts of the same width that fill a row."""
    return Row(height=height, places=tuple(Place(chart=chart, width=_TWELFTHS // len(charts)) for chart in charts))


@dataclass(frozen=True, kw_only=True)
class ValueFilter:
    """A filter by the values of a column; it acts on those charts whose dataset has the column.

    ``of_chart`` is the key of the one chart on which a filter acts that chooses whose chart that is: the first value is
    chosen when the dashboard opens, one at a time, and all values are searched, however many they are.
    """

    name: str
    column: str
    dataset: Dataset
    description: str
    of_chart: str | None = None


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """A dashboard; ``label_colors`` give a value the same colour in each of its charts."""

    slug: str
    title: str
    description: str
    rows: tuple[Row, ...]
    filters: tuple[ValueFilter, ...] = ()
    label_colors: dict[str, str] = field(default_factory=dict)

    @property
    def uuid(self) -> str:
        return stable_uuid("dashboard", self.slug)

    @property
    def charts(self) -> tuple[Chart, ...]:
        return tuple(place.chart for row in self.rows for place in row.places)

    def charts_of(self, value_filter: ValueFilter) -> tuple[Chart, ...]:
        """The charts on which a filter acts."""
        return tuple(
            chart
            for chart in self.charts
            if value_filter.column in chart.dataset.column_names - chart.regardless_of
            and value_filter.of_chart in (None, chart.key)
        )

    def filtered_by(self, clicked: Chart) -> tuple[Chart, ...]:
        """The other charts on which a click on a value of a chart acts."""
        if not clicked.filters_others:
            return ()
        return tuple(
            chart for chart in self.charts if chart != clicked and not chart.regardless_of & clicked.grouped_by
        )

    def chart_uuid(self, chart: Chart) -> str:
        return stable_uuid("chart", self.slug, chart.key)
