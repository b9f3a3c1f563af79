"""Days off, the damping around them, and the daily warp."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from music_platform.eventsim.calendar import ListeningCalendar, damping_profiles, is_day_off, us_holidays


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_holidays_of_a_year() -> None:
    assert sorted(us_holidays(2026)) == [
        date(2026, 1, 1), date(2026, 1, 19), date(2026, 2, 16), date(2026, 5, 25), date(2026, 7, 4),
        date(2026, 9, 7), date(2026, 10, 12), date(2026, 11, 11), date(2026, 11, 26), date(2026, 12, 25),
    ]  # fmt: skip


def test_days_off() -> None:
    assert [is_day_off(date(2026, 11, day)) for day in (6, 7, 8, 9, 11, 12)] == [False, True, True, False, True, False]


@pytest.mark.parametrize(
    ("time", "share"),
    [
        ("2026-11-04T12:00", 0.0),  # a Wednesday amid working days
        ("2026-11-06T20:59", 0.0),
        ("2026-11-06T22:30", 0.125),  # Friday evening: half an offset before the weekend
        ("2026-11-07T00:00", 0.25),
        ("2026-11-07T03:00", 0.5),
        ("2026-11-08T12:00", 0.5),
        ("2026-11-08T21:00", 0.5),
        ("2026-11-09T00:00", 0.25),
        ("2026-11-09T03:00", 0.0),
        ("2026-11-10T22:30", 0.125),  # the eve of a holiday
        ("2026-11-11T12:00", 0.5),
        ("2026-11-12T01:30", 0.125),
    ],
)
def test_damping_grows_and_falls_around_days_off(time: str, share: float) -> None:
    calendar = ListeningCalendar.create(0.1, 0.5, 180, 360)
    assert calendar.dropped_share(np.array([_seconds(time)])) == pytest.approx(share, abs=0.002)


def test_kinds_of_days_are_found_in_any_order() -> None:
    times = np.array([_seconds(f"{year}-07-03T12:00") for year in (2030, 2001, 2026)])
    together = ListeningCalendar.create(0.1, 0.5, 180, 360).dropped_share(times)
    calendar = ListeningCalendar.create(0.1, 0.5, 180, 360)
    assert [float(calendar.dropped_share(times[i : i + 1])[0]) for i in range(3)] == together.tolist()


def test_profiles_are_probabilities() -> None:
    for offset in (0, 6, 180, 720):
        for scale in (0, 6, 360, 1440):
            profiles = damping_profiles(0.5, offset, scale)
            assert profiles.min() >= 0
            assert profiles.max() <= 0.5


def test_the_warp_moves_the_night_into_the_day() -> None:
    calendar = ListeningCalendar.create(0.09375, 0.0, 180, 360)
    moved = calendar.warped(np.arange(86_400) + 20_000 * 86_400) % 86_400 // 3_600
    hours = np.bincount(moved, minlength=24)
    assert hours.argmax() in (14, 15)
    assert hours.argmin() in (2, 3)
