"""The gate: how much popularity is blended into the model's order, chosen by what is proven on the days judged last.

Without a gain over popularity that exceeds its error, the lists are popularity: they are never below it but by chance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from music_platform.recommendation.ranking import POPULARITY


@dataclass(frozen=True)
class Gain:
    """By how much the lists of a weight were better than popularity's on one judged day, listener by listener.

    ``mean`` is the mean difference of nDCG@10, ``standard_error`` that mean's; both zero where nobody was judged.
    """

    weight: float
    listeners: int
    mean: float
    standard_error: float

    @classmethod
    def of(cls, weight: float, differences: npt.NDArray[np.float64]) -> Gain:
        """From the paired differences, one a listener. One listener alone proves nothing: the error is infinite."""
        listeners = len(differences)
        if not listeners:
            return cls(weight, 0, 0.0, 0.0)
        error = float(differences.std(ddof=1) / sqrt(listeners)) if listeners > 1 else float("inf")
        return cls(weight, listeners, float(differences.mean()), error)


def pooled(gains: Iterable[Gain]) -> Gain:
    """The gain of one weight over several days, as if all listeners had been judged at once.

    From each day's count, mean and error, which hold the sums of the differences and of their squares.
    """
    days = [gain for gain in gains if gain.listeners]
    [weight] = {gain.weight for gain in days} or {POPULARITY}
    listeners = sum(gain.listeners for gain in days)
    if listeners < 2:
        return Gain(weight, listeners, days[0].mean if days else 0.0, float("inf") if days else 0.0)
    mean = sum(gain.mean * gain.listeners for gain in days) / listeners
    squares = sum(
        (gain.listeners * (gain.listeners - 1) * gain.standard_error**2 if gain.listeners > 1 else 0.0)
        + gain.listeners * (gain.mean - mean) ** 2
        for gain in days
    )
    return Gain(weight, listeners, mean, sqrt(squares / (listeners - 1) / listeners))


def chosen_weight(gains: Iterable[Gain], errors: float) -> float:
    """The weight with the largest pooled gain that exceeds so many of its standard errors; else popularity's.

    ``gains`` are those of all weights on the judged days.
    """
    by_weight: dict[float, list[Gain]] = {}
    for gain in gains:
        by_weight.setdefault(gain.weight, []).append(gain)
    proven = [
        total
        for weight, of_weight in by_weight.items()
        if weight != POPULARITY and (total := pooled(of_weight)).mean > errors * total.standard_error and total.mean > 0
    ]
    return max(proven, key=lambda gain: (gain.mean, gain.weight)).weight if proven else POPULARITY
