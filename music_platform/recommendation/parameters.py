"""The numbers that decide what is recommended. Each has a reason in docs/recommendations.md."""

from __future__ import annotations

from dataclasses import dataclass

BLEND_WEIGHTS = (0.0, 0.2, 0.5, 0.8, 0.9, 1.0)
"""The weights of popularity that are judged each day; 1 is popularity itself."""
LISTENED_AT_LEAST = 0.05
"""Added to a song's total score before the logarithm, so that songs with hardly a play left do not stand apart."""
LEAST_LISTENERS_OF_SIMILAR_SONGS = 3
SIMILAR_SONGS = 20
JUDGED_DAYS = 7
ACTIVE_DAYS = 30


@dataclass(frozen=True)
class Parameters:
    """What one model is trained with and how its lists are cut; the settings ``recommendation_*``.

    ``factors`` numbers describe each song; ``regularization`` holds them small; a pair's confidence is ``confidence`` times
    log(1 + score). Training takes ``iterations`` from scratch and ``warm_iterations`` from the model of the day before.
    A list has ``list_length`` songs that each at least ``least_listeners`` listeners played. The blend needs a gain of
    ``gate_errors`` standard errors over popularity.
    """

    factors: int = 64
    regularization: float = 10.0
    confidence: float = 10.0
    iterations: int = 15
    warm_iterations: int = 2
    list_length: int = 50
    least_listeners: int = 2
    gate_errors: float = 3.0

    @property
    def of_model(self) -> str:
        """What must be the same for a model to be carried forward, as the table of song factors writes it."""
        return f"factors={self.factors} regularization={self.regularization:g} confidence={self.confidence:g}"
