"""Whether a bundle holds together, found out without Superset: every UUID leads somewhere, every column and metric exists.

It reads the files alone, as Superset does, and knows nothing of how they were made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

# What a datasource's expression may hold beside quoted columns: texts, and the functions and keywords of SQL in capitals.
_TEXT = re.compile(r"'[^']*'")
_QUOTED = re.compile(r'"([^"]*)"')
_DRAW_HTML = {
    "table",
    "pivot_table_v2",
    "ag-grid-table",
}  # kinds of charts that draw the HTML in a text unless configured not to
_BARE = re.compile(r"\b[a-z_]\w*\b")
Documents = dict[str, dict[str, Any]]


def problems_of_bundle(files: Mapping[str, str], datasources: Mapping[str, Iterable[str]]) -> list[str]:
    """What is wrong with a bundle, a line for each fault; none for a good one.

    ``datasources`` are the columns that each datasource has.
    """
    kinds: dict[str, Documents] = {}
    problems = []
    seen: dict[str, str] = {}
    for name, text in files.items():
        document = yaml.safe_load(text)
        kind, slash, _ = name.partition("/")
        if not slash:
            continue
        if (uuid := str(document.get("uuid"))) in seen:
            problems.append(f"{name} has the UUID of {seen[uuid]}")
        seen[uuid] = name
        kinds.setdefault(kind, {})[uuid] = {**document, "_file": name}
    datasets, charts = kinds.get("datasets", {}), kinds.get("charts", {})
    for dataset in datasets.values():
        problems += _dataset_problems(dataset, kinds.get("databases", {}), datasources)
    for chart in charts.values():
        problems += _chart_problems(chart, datasets)
    for dashboard in kinds.get("dashboards", {}).values():
        problems += _dashboard_problems(dashboard, charts, datasets)
    shown = {uuid for dashboard in kinds.get("dashboards", {}).values() for uuid in _charts_of(dashboard)}
    problems += [f"{chart['_file']} is on no dashboard" for uuid, chart in charts.items() if uuid not in shown]
    return problems


def _dataset_problems(
    dataset: dict[str, Any], databases: Documents, datasources: Mapping[str, Iterable[str]]
) -> Iterator[str]:
    file, table = dataset["_file"], dataset["table_name"]
    if dataset["database_uuid"] not in databases:
        yield f"{file} names the database {dataset['database_uuid']}, which is not in the bundle"
    if table not in datasources:
        yield f"{file} asks the datasource {table}, which does not exist"
        return
    held = set(datasources[table])
    for column in dataset["columns"]:
        if not column.get("expression") and column["column_name"] not in held:
            yield f"{file} has the column {column['column_name']}, which {table} does not hold"
    expressions = [(metric["metric_name"], metric["expression"]) for metric in dataset["metrics"]]
    expressions += [
        (column["column_name"], column["expression"]) for column in dataset["columns"] if column["expression"]
    ]
    for name, expression in expressions:
        code = _TEXT.sub("''", expression)
        for column in _QUOTED.findall(code):
            if column not in held:
                yield f"{file}: {name} is made of the column {column}, which {table} does not hold"
        for word in _BARE.findall(_QUOTED.sub("", code)):
            yield f"{file}: {name} has {word} without double quotes; write columns in them, functions in capitals"


def _chart_problems(chart: dict[str, Any], datasets: Documents) -> Iterator[str]:
    file = chart["_file"]
    dataset = datasets.get(chart["dataset_uuid"])
    if dataset is None:
        yield f"{file} names the dataset {chart['dataset_uuid']}, which is not in the bundle"
        return
    if not chart.get("query_context"):
        yield f"{file} has no query_context: its data cannot be asked for without a browser"
        return
    columns = {column["column_name"] for column in dataset["columns"]}
    metrics = {metric["metric_name"] for metric in dataset["metrics"]}
    parameters = chart["params"]
    if chart["viz_type"] in _DRAW_HTML and parameters.get("allow_render_html") is not False:
        yield f"{file} draws the HTML that stands in events: set allow_render_html to false"
    [query] = json.loads(chart["query_context"])["queries"]
    asked = {_column_name(column) for column in query["columns"]} | {each["col"] for each in query["filters"]}
    drawn = {
        *_as_list(parameters.get("groupby")),
        *_as_list(parameters.get("x_axis")),
        *_as_list(parameters.get("entity")),
        *(each["subject"] for each in parameters["adhoc_filters"]),
    }
    measured = set(_as_list(parameters.get("metrics")) + _as_list(parameters.get("metric")))
    sorted_by = {metric for metric, _ in query.get("orderby", []) if metric not in asked}
    for column in sorted((asked | drawn) - columns):
        yield f"{file} uses the column {column}, which the dataset {dataset['table_name']} does not have"
    for metric in sorted((measured | set(query["metrics"]) | sorted_by) - metrics):
        yield f"{file} uses the metric {metric}, which the dataset {dataset['table_name']} does not have"
    if asked != drawn or measured != set(query["metrics"]):
        yield f"{file} draws other columns or metrics than its saved query asks for"


def _dashboard_problems(dashboard: dict[str, Any], charts: Documents, datasets: Documents) -> Iterator[str]:
    file = dashboard["_file"]
    for uuid in _charts_of(dashboard):
        if uuid not in charts:
            yield f"{file} shows the chart {uuid}, which is not in the bundle"
    position = dashboard["position"]
    for name, node in position.items():
        for child in node.get("children", []) if isinstance(node, dict) else []:
            if child not in position:
                yield f"{file}: {name} holds {child}, which is nowhere"
    for row in (node for node in position.values() if isinstance(node, dict) and node["type"] == "ROW"):
        if (width := sum(position[child]["meta"]["width"] for child in row["children"] if child in position)) > 12:
            yield f"{file}: {row['id']} is {width} twelfths wide"
    for native in dashboard["metadata"]["native_filter_configuration"]:
        for target in native["targets"]:
            if not target:
                continue
            dataset = datasets.get(target["datasetUuid"])
            column = target["column"]["name"]
            if dataset is None:
                yield f"{file}: the filter {native['name']} names a dataset that is not in the bundle"
            elif column not in {each["column_name"] for each in dataset["columns"]}:
                yield f"{file}: the filter {native['name']} is by {column}, which {dataset['table_name']} does not have"


def _charts_of(dashboard: dict[str, Any]) -> list[str]:
    nodes = (node for node in dashboard["position"].values() if isinstance(node, dict))
    return [node["meta"]["uuid"] for node in nodes if node["type"] == "CHART"]


def _column_name(column: str | dict[str, Any]) -> str:
    return column if isinstance(column, str) else column["label"]


def _as_list(value: Any) -> list[str]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
