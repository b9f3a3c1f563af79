"""The bundle: the dashboards in the files that Superset's assets API imports and exports, YAML by name.

Every key that Superset exports is written, so that what comes back can be compared with what went in.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from music_platform.serving.superset.conversion import CONVERSION
from music_platform.serving.superset.datasets import DATASETS
from music_platform.serving.superset.datasources import DATASOURCES, TIME
from music_platform.serving.superset.engagement import ENGAGEMENT
from music_platform.serving.superset.filters import clicks, numbered, time_filter, value_filter_of
from music_platform.serving.superset.listening import LISTENING
from music_platform.serving.superset.model import (
    Chart,
    ComputedColumn,
    Dashboard,
    Dataset,
    Metric,
    stable_uuid,
)
from music_platform.serving.superset.pipeline import PIPELINE
from music_platform.serving.superset.recommendations import RECOMMENDATIONS
from music_platform.serving.superset.style_sheet import STYLE_SHEET

DASHBOARDS: tuple[Dashboard, ...] = (LISTENING, ENGAGEMENT, CONVERSION, RECOMMENDATIONS, PIPELINE)
DATABASE_NAME = "Druid"
DATABASE_UUID = stable_uuid("database", "druid")
_VERSION = "1.0.0"
_GRID = ["ROOT_ID", "GRID_ID"]
# Superset adds it to a dataset whose columns it reads again; it is in the bundle already, so that the import stays what it was.
_ROW_COUNT = {
    "metric_name": "count",
    "verbose_name": "Rows",
    "metric_type": "count",
    "expression": "COUNT(*)",
    "description": None,
    "d3format": ",d",
    "currency": None,
    "extra": None,
    "warning_text": None,
}


def bundle_files(database_uri: str) -> dict[str, str]:
    """Every file of the bundle by its name; ``database_uri`` is Druid's SQLAlchemy url as Superset reaches it."""
    documents: dict[str, dict[str, Any]] = {
        # The time is no part of what is imported; a fixed one keeps the bundle the same.
        "metadata.yaml": {"version": _VERSION, "type": "assets", "timestamp": "2026-01-01T00:00:00+00:00"},
        f"databases/{DATABASE_NAME}.yaml": _database(database_uri),
    }
    for dataset in DATASETS:
        documents[f"datasets/{DATABASE_NAME}/{dataset.datasource}.yaml"] = _dataset(dataset)
    for dashboard in DASHBOARDS:
        for chart in dashboard.charts:
            documents[f"charts/{dashboard.slug}_{chart.key}.yaml"] = _chart(dashboard, chart)
        documents[f"dashboards/{dashboard.slug}.yaml"] = _dashboard(dashboard)
    return {name: yaml.safe_dump(document, sort_keys=False, width=120) for name, document in documents.items()}


def _database(uri: str) -> dict[str, Any]:
    return {
        "database_name": DATABASE_NAME,
        "sqlalchemy_uri": uri,
        "cache_timeout": None,
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_csv_upload": False,
        "extra": {
            "allows_virtual_table_explore": True,
            "metadata_params": {},
            # Druid counts distinct values approximately by default.
            "engine_params": {"connect_args": {"context": {"useApproximateCountDistinct": False}}}
            if uri.startswith("druid")
            else {},
            "metadata_cache_timeout": {},
            "schemas_allowed_for_csv_upload": [],
        },
        "impersonate_user": False,
        "configuration_method": "sqlalchemy_form",
        "uuid": DATABASE_UUID,
        "version": _VERSION,
    }


def _dataset(dataset: Dataset) -> dict[str, Any]:
    columns = [_column(name, sql_type, dataset) for name, sql_type in DATASOURCES[dataset.datasource].items()]
    return {
        "table_name": dataset.datasource,
        "main_dttm_col": TIME,
        "description": dataset.description,
        "default_endpoint": None,
        "offset": 0,
        "cache_timeout": None,
        "catalog": None,
        "schema": None,
        "sql": None,
        "params": None,
        "template_params": None,
        "filter_select_enabled": True,
        "fetch_values_predicate": None,
        "extra": None,
        "normalize_columns": False,
        "always_filter_main_dttm": False,
        "uuid": dataset.uuid,
        "metrics": [*(_metric(metric) for metric in dataset.metrics), dict(_ROW_COUNT)],
        "columns": columns + [_computed(column) for column in dataset.computed],
        "version": _VERSION,
        "database_uuid": DATABASE_UUID,
    }


def _column(name: str, sql_type: str, dataset: Dataset) -> dict[str, Any]:
    label = "Time" if name == TIME else dataset.labels.get(name)
    return _column_of(name, label, sql_type, None, is_time=name == TIME)


def _computed(column: ComputedColumn) -> dict[str, Any]:
    return _column_of(column.name, column.label, "VARCHAR", column.expression, is_time=False)


def _column_of(name: str, label: str | None, sql_type: str, expression: str | None, *, is_time: bool) -> dict[str, Any]:
    return {
        "column_name": name,
        "verbose_name": label,
        "is_dttm": is_time,
        "is_active": True,
        "type": sql_type,
        "advanced_data_type": None,
        "groupby": True,
        "filterable": True,
        "expression": expression,
        "description": None,
        "python_date_format": None,
        "extra": None,
    }


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "metric_name": metric.key,
        "verbose_name": metric.label,
        "metric_type": None,
        "expression": metric.expression,
        "description": metric.description or None,
        "d3format": metric.number_format,
        "currency": None,
        "extra": None,
        "warning_text": None,
    }


def _chart(dashboard: Dashboard, chart: Chart) -> dict[str, Any]:
    query = {
        "datasource": {"id": 0, "type": "table"},  # the importer puts the dataset's own number here
        "force": False,
        "queries": [chart.query],
        "result_format": "json",
        "result_type": "full",
    }
    return {
        "slice_name": chart.title,
        "description": chart.description,
        "certified_by": None,
        "certification_details": None,
        "viz_type": chart.visualization,
        "params": chart.parameters,
        "query_context": json.dumps(query),
        "cache_timeout": None,
        "uuid": dashboard.chart_uuid(chart),
        "version": _VERSION,
        "dataset_uuid": chart.dataset.uuid,
    }


def _dashboard(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "dashboard_title": dashboard.title,
        "description": dashboard.description,
        "css": STYLE_SHEET,
        "slug": dashboard.slug,
        "certified_by": None,
        "certification_details": None,
        "published": True,
        "uuid": dashboard.uuid,
        "position": _position(dashboard),
        "metadata": {
            # A scheme of the dashboard would give the map a colour for each state, whatever the measure.
            "color_scheme": "",
            "label_colors": dashboard.label_colors,
            "filter_bar_orientation": "HORIZONTAL",
            "refresh_frequency": 0,
            "cross_filters_enabled": True,
            "default_filters": "{}",
            "chart_configuration": clicks(dashboard),
            "global_chart_configuration": {"scope": {"rootPath": ["ROOT_ID"], "excluded": []}},
            "native_filter_configuration": [
                time_filter(),
                *(value_filter_of(dashboard, value_filter) for value_filter in dashboard.filters),
            ],
        },
        "version": _VERSION,
    }


def _position(dashboard: Dashboard) -> dict[str, Any]:
    numbers = numbered(dashboard)
    rows = [f"ROW-{number}" for number in range(1, len(dashboard.rows) + 1)]
    position: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": dashboard.title}},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "parents": ["ROOT_ID"], "children": rows},
    }
    for name, row in zip(rows, dashboard.rows, strict=True):
        position[name] = {
            "type": "ROW",
            "id": name,
            "parents": _GRID.copy(),
            "children": [f"CHART-{place.chart.key}" for place in row.places],
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        for place in row.places:
            chart = place.chart
            position[f"CHART-{chart.key}"] = {
                "type": "CHART",
                "id": f"CHART-{chart.key}",
                "parents": [*_GRID, name],
                "children": [],
                "meta": {
                    "chartId": numbers[chart.key],
                    "uuid": dashboard.chart_uuid(chart),
                    "sliceName": chart.title,
                    "width": place.width,
                    "height": row.height,
                },
            }
    return position
