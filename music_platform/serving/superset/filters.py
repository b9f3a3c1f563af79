"""The filters of a dashboard, as Superset writes them: those of its bar, and what a click on a chart's value filters."""

from __future__ import annotations

from typing import Any

from music_platform.serving.superset.model import Dashboard, ValueFilter

# The filter's first setting, by a name that the filter shows as it is; bounds of one's own it shows as an inequality.
# What is older is asked for by hand, so that opening a dashboard never scans all history.
_TIME_RANGE = "Last month"


def numbered(dashboard: Dashboard) -> dict[str, int]:
    """A number for each chart's key: a placeholder, for which the importer puts the chart's own."""
    return {chart.key: number for number, chart in enumerate(dashboard.charts, start=1)}


def clicks(dashboard: Dashboard) -> dict[str, Any]:
    """On which charts a click on a value acts, for each chart where that is not every other one."""
    numbers = numbered(dashboard)
    configuration: dict[str, Any] = {}
    for clicked in dashboard.charts:
        others = [chart for chart in dashboard.charts if chart != clicked]
        filtered = dashboard.filtered_by(clicked)
        if len(filtered) == len(others):
            continue
        number = numbers[clicked.key]
        unaffected = [number, *(numbers[chart.key] for chart in others if chart not in filtered)]
        configuration[str(number)] = {
            "id": number,
            "crossFilters": {
                "scope": {"rootPath": ["ROOT_ID"], "excluded": sorted(unaffected)},
                "chartsInScope": [],  # the page finds them by the scope
            },
        }
    return configuration


def time_filter() -> dict[str, Any]:
    return {
        "id": "NATIVE_FILTER-time",
        "name": "Time",
        "type": "NATIVE_FILTER",
        "filterType": "filter_time",
        "targets": [{}],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
        "controlValues": {"enableEmptyFilter": False},
        "defaultDataMask": {
            "extraFormData": {"time_range": _TIME_RANGE},
            "filterState": {"value": _TIME_RANGE},
            "ownState": {},
        },
        "cascadeParentIds": [],
        "description": "Time of the events, UTC.",
    }


def value_filter_of(dashboard: Dashboard, value_filter: ValueFilter) -> dict[str, Any]:
    numbers = numbered(dashboard)
    affected = dashboard.charts_of(value_filter)
    unaffected = [numbers[chart.key] for chart in dashboard.charts if chart not in affected]
    chooses_one = value_filter.of_chart is not None
    return {
        "id": f"NATIVE_FILTER-{value_filter.column}",
        "name": value_filter.name,
        "type": "NATIVE_FILTER",
        "filterType": "filter_select",
        "targets": [{"datasetUuid": value_filter.dataset.uuid, "column": {"name": value_filter.column}}],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": unaffected},
        "controlValues": {
            "multiSelect": not chooses_one,
            "enableEmptyFilter": chooses_one,
            "defaultToFirstItem": chooses_one,
            "inverseSelection": False,
            "searchAllOptions": chooses_one,
        },
        "requiredFirst": chooses_one,  # else the first value is shown, and charts are asked without it
        "defaultDataMask": {"extraFormData": {}, "filterState": {}, "ownState": {}},
        "cascadeParentIds": [],
        "description": value_filter.description,
    }
