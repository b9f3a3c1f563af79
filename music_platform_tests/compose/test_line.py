"""The whole line in containers: events that land are answered by Druid and shown by Superset, without a hand on it.

`./run test -m compose` runs this on the images of `deploy/docker/build`; it takes some 15 minutes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import requests

from music_platform.serving.superset.client import SupersetResource
from music_platform_tests.compose.conftest import Line
from music_platform_tests.waiting import wait_until

_READY_SECONDS = 600.0
_LINE_SECONDS = 1500.0
_ANSWER_SECONDS = 10.0
_DASHBOARDS = 5


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=_ANSWER_SECONDS).ok
    except requests.RequestException:
        return False


def _count(line: Line, datasource: str) -> int:
    """Rows of a datasource; 0 while Druid does not know it or does not answer."""
    query = {"query": f'SELECT COUNT(*) AS "rows" FROM "{datasource}"'}
    try:
        answer = requests.post(f"{line.url('DRUID')}/druid/v2/sql", json=query, timeout=_ANSWER_SECONDS)
    except requests.RequestException:
        return 0
    return answer.json()[0]["rows"] if answer.ok and answer.json() else 0


def test_every_service_becomes_ready_by_itself(line: Line) -> None:
    for port, path in (("WEBSERVER", "/server_info"), ("SUPERSET", "/health"), ("DRUID", "/status/health")):
        wait_until(partial(_answers, line.url(port) + path), _READY_SECONDS)


def test_what_lands_is_answered_by_druid(line: Line) -> None:
    day = datetime.now(UTC).date() - timedelta(days=1)
    generate = f"music-platform generate --quiet --users 200 --seed 1 --from {day} --days 1"
    printed = line.run_in_code_location(f"{generate} --output /tmp/events && wc -l < /tmp/events/listen_events.jsonl")
    listens = int(printed.split()[-1])
    assert listens > 0
    if line.has_collector:
        key = line.environment["COLLECTOR_SHARED_KEY"]
        line.run_in_code_location(
            f"MUSIC_PLATFORM_FORWARD_SHARED_KEY={key} {generate} --sink forward://collector:24224 --retry-seconds 300"
        )
    else:
        line.run_in_code_location("music-platform land /tmp/events")
    # Eventsim's listeners of today, where the collector runs, play as well.
    wait_until(lambda: _count(line, "streams") >= listens, _LINE_SECONDS)
    if not line.has_collector:
        assert _count(line, "streams") == listens


def test_the_dashboards_are_there_for_a_viewer(line: Line) -> None:
    password = line.environment["MUSIC_PLATFORM_SUPERSET_GUEST_PASSWORD"]
    superset = SupersetResource(line.url("SUPERSET"), "guest", password)
    wait_until(lambda: len(superset.list_all("dashboard")) == _DASHBOARDS, _LINE_SECONDS)


def test_doctor_finds_nothing_wrong_in_a_container(line: Line) -> None:
    assert "0 failures" in line.run_in_code_location("music-platform doctor")
