"""What Prometheus is shown."""

from __future__ import annotations

import re
import urllib.request

import pytest
import yaml

from music_platform_tests.faults.faulty_proxy import Fault, FaultyProxy, passes
from music_platform_tests.integration.fluentd.collector import FLUENTD, Collector, event, free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def measured(collector: Collector) -> Collector:
    """A collector with a port for Prometheus."""
    collector.ports["METRICS"] = free_port()
    return collector


def _start(collector: Collector) -> None:
    try:
        collector.start()
    except pytest.fail.Exception:
        if "Unknown input plugin 'prometheus'" in collector.log.read_text():
            pytest.skip("this Fluentd has no fluent-plugin-prometheus")
        raise


def _metrics(collector: Collector) -> dict[tuple[str, str], float]:
    """The values by name and output."""
    with urllib.request.urlopen(f"http://127.0.0.1:{collector.ports['METRICS']}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    found = (re.fullmatch(r'(\w+)\{.*plugin_id="(\w+)".*\} (\S+)', line) for line in lines)
    return {(match[1], match[2]): float(match[3]) for match in found if match}


def test_it_is_shown_what_was_taken_and_written(measured: Collector) -> None:
    _start(measured)
    measured.append("auth_events", event(1), b"not json")
    measured.wait_for_lines("auth_events", [event(1)])
    written = ("fluentd_output_status_write_count", "land_events")
    measured.wait_for(lambda: _metrics(measured).get(written, 0) >= 1, "the metric of written chunks")
    metrics = _metrics(measured)
    assert metrics["fluentd_output_status_buffer_available_space_ratio", "land_events"] > 99  # it is percent
    assert metrics["fluentd_output_status_emit_records", "land_events"] == 1
    assert metrics["fluentd_output_status_emit_records", "land_errors"] == 1


def test_every_metric_of_the_alerts_is_there_and_shows_that_s3_is_down(measured: Collector) -> None:
    rules = yaml.safe_load((FLUENTD / "alerts.yaml").read_text())["groups"][0]["rules"]
    names = set(re.findall(r"fluentd_\w+", " ".join(rule["expr"] for rule in rules)))
    assert len(names) > 4
    wanted = {(name, output) for name in names for output in ("land_events", "land_errors")}
    with FaultyProxy(measured.endpoint, rule=lambda _: Fault.CONNECTION_RESET) as proxy:
        measured.endpoint = proxy.endpoint
        _start(measured)
        measured.append("auth_events", event(1), b"not json")
        measured.wait_for(lambda: wanted <= set(_metrics(measured)), f"metrics {sorted(names)} of both outputs")
        for output in ("land_events", "land_errors"):
            retries = ("fluentd_output_status_retry_count", output)
            measured.wait_for(lambda retries=retries: _metrics(measured)[retries] >= 2, "the metric of retries")
        proxy.rule = passes
        measured.wait_for_lines("auth_events", [event(1)])
