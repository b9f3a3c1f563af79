"""A log of the original Eventsim through the whole line: every line counted, every check passed, gold says what the log says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from music_platform.landing.event_files import event_files
from music_platform.landing.writer import LandingSummary, land_files
from music_platform.settings import Settings
from music_platform_tests.assets.local_platform import HOUR, NEXT_HOUR, LocalPlatform, evaluations
from music_platform_tests.page_logs import DERIVED, LINES, LISTENERS, SONG, page_log

DAY = "2026-11-01"
_WITHOUT_PAGE = b'{"ts":1793509800000,"sessionId":900,"userId":"39"}\n'


class Made:
    """The log, two broken lines and a repeated one, landed and made into every table of the day."""

    def __init__(self, folder: Path) -> None:
        log = folder / "log.json"
        content = page_log(datetime(2026, 11, 1, 5, tzinfo=UTC))
        log.write_bytes(content + _WITHOUT_PAGE + b"broken\n" + content.splitlines(keepends=True)[0])
        self.platform = LocalPlatform(Settings(lake=str(folder / "lake")))
        self.summary: LandingSummary = land_files(self.platform.lake.store, event_files([log], is_page_log=True))
        self.hours = self.platform.run(f"{DAY}-00:00", f"{DAY}-23:00", raise_on_error=False)
        self.day = self.platform.run_day(DAY, raise_on_error=False)

    def rows(self, table: str, *partitions: str) -> list[dict[str, Any]]:
        return [row for partition in partitions for row in self.platform.rows(table, partition)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("page-log"))


def test_every_line_is_accounted_for(made: Made) -> None:
    assert (made.summary.lines, made.summary.error_records, made.summary.derived) == (LINES + 3, 1, DERIVED)
    assert len(made.rows("bronze/page_view_events", HOUR, NEXT_HOUR)) == LINES + 2
    assert len(made.rows("silver/page_view_events", HOUR, NEXT_HOUR)) == LINES
    [quarantined] = made.rows("quarantine/page_view_events", HOUR, NEXT_HOUR)
    assert quarantined["rule"] == "page_present" or "page_present" in quarantined["broken_rules"]
    for event_type, count in DERIVED.items():
        assert len(made.rows(f"silver/{event_type}", HOUR, NEXT_HOUR)) == count


def test_every_check_passes(made: Made) -> None:
    for run in (made.hours, made.day):
        assert run.success
        failed = {name: found.description for name, found in evaluations(run).items() if not found.passed}
        assert {name for name in failed if "quarantine_rate" not in name} == set()


def test_gold_says_what_the_log_says(made: Made) -> None:
    plays = made.rows("gold/fact_plays", DAY)
    assert len(plays) == DERIVED["listen_events"]
    assert {row["state"] for row in plays} == {"CA", "AZ", "DC", "NY", "LA"}
    places = made.rows("gold/dim_locations", DAY)
    cities = {listener["location"].split(",")[0] for listener in LISTENERS}
    assert {row["city"] for row in places} == cities | {"Unknown"}
    assert {(row["zip"], row["latitude"], row["longitude"]) for row in places} == {("Unknown", None, None)}
    assert {row["user_id"] for row in made.rows("gold/dim_users", DAY)} == {1039, 1008, 1010, 1026, 1101, None}
    [top] = made.rows("gold/top_songs", DAY)
    assert (top["title"], top["plays"], top["listeners"]) == (SONG["song"], 15, 5)
    [logins] = made.rows("gold/login_success", DAY)
    assert (logins["attempts"], logins["successes"], logins["failures"]) == (5, 5, 0)
    assert sum(row["is_converted"] for row in made.rows("gold/fact_sessions", DAY)) == 5
    views = made.rows("gold/fact_page_views", HOUR, NEXT_HOUR)
    assert {row["device"] for row in views if row["user_id"] is None} == {"Unknown"}
