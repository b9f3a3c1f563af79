"""The SQL that puts moments, lengths and shares into named bands, for charts of how something is distributed."""

from __future__ import annotations

from collections.abc import Sequence

from music_platform.serving.superset.datasources import TIME

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SESSION_MINUTES = (5, 15, 30, 60, 120)
"""Where one band of session lengths ends and the next begins, in minutes."""
SKIP_PERCENT = (10, 25, 50, 75)
"""Where one part of a song ends and the next begins, in percent of its duration."""

WEEKDAY = (
    f"CASE TIME_EXTRACT(\"{TIME}\", 'DOW') "
    + " ".join(f"WHEN {number} THEN '{number} {day}'" for number, day in enumerate(_DAYS, start=1))
    + " END"
)
PLAYED_SHARE = '"played_seconds" / NULLIF("duration_seconds", 0)'


def _bands(value: str, bounds: Sequence[int], factor: float, unit: str) -> str:
    """The band of a value, by its upper bounds; ``factor`` takes a bound into the value's unit. Null has no band."""
    lower = (0, *bounds)
    names = [f"{start} to {end} {unit}" for start, end in zip(lower, bounds, strict=False)]
    cases = " ".join(
        f"WHEN {value} < {bound * factor} THEN '{name}'" for name, bound in zip(names, bounds, strict=True)
    )
    return f"CASE {cases} WHEN {value} >= {bounds[-1] * factor} THEN '{bounds[-1]} {unit} and more' END"


SESSION_LENGTH = _bands('"duration_seconds"', SESSION_MINUTES, 60, "min")
SKIPPED_AFTER = _bands(PLAYED_SHARE, SKIP_PERCENT, 0.01, "%")


def plays_between(oldest: int, newest: int) -> str:
    """Plays from so many days before now up to so many."""
    since, until = (f"CURRENT_TIMESTAMP - INTERVAL '{days}' DAY" for days in (oldest, newest))
    return f'SUM(CASE WHEN "{TIME}" >= {since} AND "{TIME}" < {until} THEN 1 ELSE 0 END)'
