"""The axes of charts, as Superset's parameters: formats of time and of measures, and ECharts' options for the ticks."""

from __future__ import annotations

from typing import Any

from music_platform.serving.superset.model import Metric

PERCENT = ",.1%"
HOUR, DAY = "PT1H", "P1D"
_ON_AXIS = {HOUR: "%b %d %H:00", DAY: "%b %d"}
_IN_TOOLTIP = {HOUR: "%a, %b %d %H:00", DAY: "%a, %b %d"}


def time_axis(grain: str) -> dict[str, Any]:
    """How moments of a grain, ``HOUR`` or ``DAY``, are written."""
    return {"x_axis_time_format": _ON_AXIS[grain], "tooltipTimeFormat": _IN_TOOLTIP[grain]}


def measure_axis(metric: Metric, axis: str, *, between_times: bool = False) -> dict[str, Any]:
    """How a measure's axis is written and divided; ``axis`` is its name in ECharts, ``xAxis`` where bars lie.

    ``between_times`` is said of bars over time: their axis of time begins and ends between two moments, without labels.
    """
    options = []
    if metric.number_format == ",d":
        options.append(f"{axis}: {{ minInterval: 1 }}")  # whole numbers have no ticks between them
    elif metric.number_format.endswith("%"):
        options.append(f"{axis}: {{ splitNumber: 5 }}")  # steps of which 100 % is one
    if between_times:
        options.append("xAxis: { axisLabel: { showMinLabel: false, showMaxLabel: false } }")
    return {"y_axis_format": metric.number_format, "echart_options": f"{{ {', '.join(options)} }}" if options else ""}
