"""When listeners come: the daily warp of time and the damping of weekends and US holidays.

Times are whole seconds since 1970-01-01 UTC. What a listener does once there does not belong here.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from music_platform.eventsim.randomness import FloatArray, IntegerArray

SECONDS_PER_DAY = 86_400
SECONDS_PER_YEAR = SECONDS_PER_DAY * 365.25
MINUTES_PER_DAY = 1_440
_QUIETEST_SECOND_OF_DAY = 3 * 3_600
_EPOCH = date(1970, 1, 1)
_MONDAY, _THURSDAY, _SATURDAY = 0, 3, 5


def _weekday_of_month(year: int, month: int, weekday: int, which: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (which - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())


def us_holidays(year: int) -> set[date]:
    """The ten holidays of the whole USA that Eventsim's holiday calendar knows, on their own dates, never shifted."""
    return {
        date(year, 1, 1),
        _weekday_of_month(year, 1, _MONDAY, 3),  # Martin Luther King
        _weekday_of_month(year, 2, _MONDAY, 3),  # presidents
        _last_monday_of_may(year),  # memorial day
        date(year, 7, 4),
        _weekday_of_month(year, 9, _MONDAY, 1),  # labour day
        _weekday_of_month(year, 10, _MONDAY, 2),  # Columbus
        date(year, 11, 11),  # veterans
        _weekday_of_month(year, 11, _THURSDAY, 4),  # thanksgiving
        date(year, 12, 25),
    }


def is_day_off(day: date) -> bool:
    """Whether the day is a Saturday, a Sunday or a US holiday."""
    return day.weekday() >= _SATURDAY or day in us_holidays(day.year)


def daily_warp(damping: float) -> IntegerArray:
    """Seconds by which each of the 86,400 seconds of a day is moved, towards the afternoon and away from the night."""
    phase = (np.arange(SECONDS_PER_DAY) - _QUIETEST_SECOND_OF_DAY) * (2 * np.pi / SECONDS_PER_DAY)
    return np.trunc(damping * SECONDS_PER_DAY * np.sin(phase)).astype(np.int64)


def damping_profiles(damping: float, offset_minutes: int, scale_minutes: int) -> FloatArray:
    """Share of sessions dropped in each minute of a day, for the eight kinds of days; shape (8, 1440).

    A kind is ``4 * day off before + 2 * day off + day off after``. Around a midnight between a working day and a day
    off the share changes linearly, over ``scale_minutes`` that begin ``offset_minutes`` before a day off and end
    ``offset_minutes`` after it, as in Eventsim.
    """
    minute = np.arange(MINUTES_PER_DAY, dtype=np.float64)
    scale = max(scale_minutes, 1)
    rising_after = np.clip((minute + offset_minutes) / scale, None, 1.0)
    falling_before = np.clip((MINUTES_PER_DAY + offset_minutes - minute) / scale, None, 1.0)
    falling_after = np.clip((offset_minutes - minute) / scale, 0.0, None)
    rising_before = np.clip((minute - (MINUTES_PER_DAY - offset_minutes)) / scale, 0.0, None)
    profiles = np.zeros((8, MINUTES_PER_DAY))
    profiles[0b001] = rising_before
    profiles[0b100] = falling_after
    profiles[0b101] = np.where(minute < offset_minutes, falling_after, rising_before)
    profiles[0b010] = np.where(rising_after < 1.0, rising_after, falling_before)
    profiles[0b011] = rising_after
    profiles[0b110] = falling_before
    profiles[0b111] = 1.0
    return np.clip(profiles, 0.0, 1.0) * damping


@dataclass
class ListeningCalendar:
    """Warp and damping of one configuration, looked up for many times at once.

    The kinds of days are found day by day when first asked for, so no horizon has to be known beforehand.
    """

    warp: IntegerArray
    profiles: FloatArray
    first_day: int = 0
    kinds: npt.NDArray[np.int64] | None = None

    @classmethod
    def create(
        cls, damping: float, weekend_damping: float, weekend_offset_minutes: int, weekend_scale_minutes: int
    ) -> "ListeningCalendar":
        """A calendar; ``damping`` is a share of a day, ``weekend_damping`` a probability."""
        profiles = damping_profiles(weekend_damping, weekend_offset_minutes, weekend_scale_minutes)
        return cls(warp=daily_warp(damping), profiles=profiles.ravel())

    def warped(self, seconds: IntegerArray) -> IntegerArray:
        """The times moved by the daily warp."""
        return seconds + self.warp.take(seconds % SECONDS_PER_DAY)

    def dropped_share(self, seconds: IntegerArray) -> FloatArray:
        """Probability with which a session that would start then is dropped."""
        day = seconds // SECONDS_PER_DAY
        minute = (seconds - day * SECONDS_PER_DAY) // 60
        kinds = self._kinds_of(int(day.min()), int(day.max())) if day.size else np.zeros(1, dtype=np.int64)
        return self.profiles.take(kinds.take(day - self.first_day) * MINUTES_PER_DAY + minute)

    def _kinds_of(self, first: int, last: int) -> IntegerArray:
        known = self.kinds
        if known is not None and self.first_day <= first and last < self.first_day + known.size:
            return known
        if known is not None:
            first, last = min(first, self.first_day), max(last, self.first_day + known.size - 1)
        days = [_EPOCH + timedelta(days=day) for day in range(first - 1, last + 65)]
        holidays = {day for year in range(days[0].year, days[-1].year + 1) for day in us_holidays(year)}
        off = np.array([day.weekday() >= _SATURDAY or day in holidays for day in days], dtype=np.int64)
        self.kinds = off[:-2] * 4 + off[1:-1] * 2 + off[2:]
        self.first_day = first
        return self.kinds
