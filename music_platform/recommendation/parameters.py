"""The numbers that decide what is recommended. docs/recommendations.md gives the reason for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Engine = Literal["implicit", "spark"]

WEIGHTS = (0.0, 0.2, 0.5, 0.8, 0.9, 1.0)
"""The weights of popularity that are judged each day; 1 is popularity itself."""


@dataclass(frozen=True)
class Parameters:
    """What one model is trained with and which lists are made of it; the settings ``recommendation_*``.

    ``factors`` numbers describe each song; ``regularization`` keeps them small. A pair's confidence is ``confidence`` times
    log(1 + score), and falls with the number of songs of its listener and of listeners of its song, each divided by its mean,
    by the two powers. Training takes ``iterations`` from scratch, and ``warm_iterations`` from the model of the day before.
    Lists hold songs with at least ``least_listeners`` listeners. A weight of the blend has to gain over popularity by
    ``gate_errors`` standard errors to be taken. ``engine`` is what trains.
    """

    factors: int = 64
    regularization: float = 10.0
    confidence: float = 3.0
    power_of_songs: float = 0.5
    power_of_listeners: float = 0.25
    iterations: int = 15
    warm_iterations: int = 2
    least_listeners: int = 2
    gate_errors: float = 3.0
    engine: Engine = "implicit"

    @property
    def of_model(self) -> str:
        """What has to be the same for a model to be carried forward, as the table of song factors writes it."""
        return (
            f"factors={self.factors} regularization={self.regularization:g} confidence={self.confidence:g} "
            f"powers={self.power_of_songs:g},{self.power_of_listeners:g}"
            f"{' engine=spark' if self.engine == 'spark' else ''}"
        )
