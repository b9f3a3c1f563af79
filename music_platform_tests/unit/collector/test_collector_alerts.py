"""The alert rules of the collector: in the form that Prometheus reads, on outputs that exist, and they fire when they are to.

That the collector has every metric that they name, a test of the real one shows.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from music_platform_tests.places import REPOSITORY

_FLUENTD = REPOSITORY / "fluentd"
_ALERTS = _FLUENTD / "alerts.yaml"
_RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(_ALERTS.read_text())["groups"] for rule in group["rules"]
]
_WORDS = {"absent", "and", "changes", "increase", "min_over_time", "rate", "time"}  # of PromQL
_MINUTES = 120


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: rule["alert"])
def test_a_rule_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "action"}
    assert re.fullmatch(r"\d+m", rule.get("for", "0m"))


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_outputs_of_the_configuration(rule: dict[str, Any]) -> None:
    configured = re.findall(r"@id (\w+)", "".join(file.read_text() for file in _FLUENTD.glob("*.conf")))
    asked = [name for names in re.findall(r'plugin_id=~?"([^"]+)"', rule["expr"]) for name in names.split("|")]
    assert asked
    assert set(asked) <= set(configured)
    bare = re.sub(r"\{[^}]*\}|\[\w+\]", "", rule["expr"])
    names = set(re.findall(r"[a-z_]\w*", bare))
    assert all(name.startswith("fluentd_output_status_") for name in names - _WORDS)


def _series(name: str, values: str, output: str = "land_events") -> dict[str, str]:
    series = f'fluentd_output_status_{name}{{plugin_id="{output}",instance="a"}}'
    return {"series": series, "values": values}


_CONSTANT = f"x{_MINUTES}"
_SOUND = [
    _series("buffer_total_bytes", f"1000+0{_CONSTANT}"),
    _series("retry_count", f"7+0{_CONSTANT}"),
    _series("buffer_available_space_ratio", f"99+0{_CONSTANT}"),
    _series("emit_records", f"0+600{_CONSTANT}"),
    _series("emit_records", f"0+5{_CONSTANT}", "land_errors"),
    _series("buffer_oldest_timekey", f"0+60{_CONSTANT}"),
]
_FAULTS = {
    "CollectorGone": [],
    "CollectorCannotWrite": [_series("retry_count", f"0+2{_CONSTANT}")],
    "CollectorBufferFills": [_series("buffer_available_space_ratio", f"40+0{_CONSTANT}")],
    "CollectorBufferFull": [_series("buffer_available_space_ratio", f"0+0{_CONSTANT}", "land_errors")],
    "CollectorRefusesMany": [_series("emit_records", f"0+60{_CONSTANT}", "land_errors")],
    "CollectorTakesNothing": [_series("emit_records", f"5+0{_CONSTANT}")],
    "CollectorKeepsOldChunk": [_series("buffer_oldest_timekey", f"0+0{_CONSTANT}")],
}  # fmt: skip


def test_every_rule_has_a_fault() -> None:
    assert [rule["alert"] for rule in _RULES] == list(_FAULTS)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on the PATH (Debian: prometheus)")
def test_prometheus_fires_the_rules_at_their_faults_alone(tmp_path: Path) -> None:
    """Each fault for two hours fires its own alert; two hours in which all is well fire none."""
    labels = {rule["alert"]: rule["labels"] for rule in _RULES}
    tests = []
    for fault, series in {"none": _SOUND, **_FAULTS}.items():
        replaced = {entry["series"] for entry in series}
        sound = [] if fault == "CollectorGone" else [entry for entry in _SOUND if entry["series"] not in replaced]
        fired = {fault} | ({"CollectorBufferFills"} if fault == "CollectorBufferFull" else set())
        tests.append({
            "interval": "1m",
            "input_series": sound + series if fault != "none" else series,
            "promql_expr_test": [{
                "expr": 'count by (alertname, severity) (ALERTS{alertstate="firing"})',
                "eval_time": f"{_MINUTES - 5 if fault != 'CollectorKeepsOldChunk' else 122}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{name}", severity="{labels[name]["severity"]}"}}', "value": 1}
                    for name in sorted(fired & set(labels))
                ],
            }],
        })  # fmt: skip
    file = tmp_path / "alerts_test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(_ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    tested = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr
