"""What Prometheus is shown."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from collector import Collector, event, free_port

pytestmark = pytest.mark.integration


def test_metrics_tell_what_was_written(collector: Collector) -> None:
    collector.ports["METRICS"] = free_port()
    try:
        collector.start()
    except pytest.fail.Exception:
        if "Unknown input plugin 'prometheus'" in collector.log.read_text():
            pytest.skip("this Fluentd has no fluent-plugin-prometheus")
        raise
    collector.append("auth_events", event(1))
    collector.wait_for_lines("auth_events", [event(1)])
    collector.wait_for(lambda: _written(collector) >= 1, "the metric of written chunks")


def _written(collector: Collector) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{collector.ports['METRICS']}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [line for line in lines if line.startswith("fluentd_output_status_write_count{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in wanted if 'plugin_id="land_events"' in line)
