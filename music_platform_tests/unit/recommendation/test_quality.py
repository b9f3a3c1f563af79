"""How well the model foresees what listeners discover, on listening of the generator whose true tastes are known.

The last days are held out. Judged is by the songs that a listener plays there for the first time. The oracle knows
the probability of each song for each listener.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from music_platform.eventsim import GeneratorOptions
from music_platform.eventsim.generator import Run
from music_platform.eventsim.options import make_plan
from music_platform.recommendation.interactions import Interactions, Pairs
from music_platform.recommendation.judging import MICROSECONDS_OF_DAY, Discoveries
from music_platform.recommendation.model import fold_in, train
from music_platform.recommendation.parameters import Parameters
from music_platform.recommendation.ranking import Ranking
from music_platform_tests.planted_taste import Truth

_START = datetime(2026, 11, 2, tzinfo=UTC)
_HALF_LIFE_DAYS = 30
_MOST_SONGS = 1_000_000


@dataclass(frozen=True)
class Found:
    """nDCG@10 of lists of songs that their listeners have not played, on the held-out days."""

    popularity: float
    model: float
    oracle: float


def discovered(folder: Path, *, users: int, days: int, held_out: int, taste: float) -> Found:
    """Generate a world, train on all days but the last ones, and judge by these; without taste there is no oracle."""
    truth = folder if taste else None
    run = Run(make_plan(GeneratorOptions(users=users, start=_START, days=days, seed=11, taste=taste, truth=truth)))
    batch = run.simulation.advance(run.end)
    is_song = np.array([state.page == "NextSong" for state in run.simulation.machine.states])[batch.state]
    plays = np.stack([batch.user[is_song], batch.song[is_song], batch.ts[is_song] - int(_START.timestamp())])
    end = days - held_out
    interactions, today = Interactions.of(_pairs(plays, end)), _pairs(plays, days)
    model = train(interactions, Parameters()).model
    discoveries = Discoveries.of(interactions, model, today, end * MICROSECONDS_OF_DAY)
    listeners = interactions.of_users(discoveries.listeners)
    ranking, vectors = Ranking(model), fold_in(model, listeners, Parameters())
    popularity, by_model = (
        discoveries.judge(ranking.lists(vectors, listeners, weight).songs, model).ndcg_at_10 for weight in (1.0, 0.0)
    )
    if truth is None:
        return Found(popularity, by_model, popularity)
    run.write_truth()
    shares = Truth.read(truth).probabilities_by_taste(_positions(listeners.users))[:, _positions(model.songs)]
    shares[listeners.scores.toarray() > 0] = -1
    best = np.argsort(-shares, axis=1, kind="stable")[:, :10]
    return Found(popularity, by_model, discoveries.judge(best, model).ndcg_at_10)


def _pairs(plays: npt.NDArray[np.int64], days: int) -> Pairs:
    """Plays (user, song, seconds) of the first days, as gold/user_song_interactions holds them; keys are positions from 1 on."""
    user, song, seconds = plays[:, plays[2] < days * 86_400]
    codes, places = np.unique(user * _MOST_SONGS + song, return_inverse=True)
    scores, last = np.zeros(len(codes)), np.zeros(len(codes), dtype=np.int64)
    np.add.at(scores, places, 0.5 ** ((days - seconds / 86_400) / _HALF_LIFE_DAYS))
    np.maximum.at(last, places, seconds * 1_000_000)
    users, songs = np.divmod(codes, _MOST_SONGS)
    return Pairs((users + 1).astype(np.uint64), (songs + 1).astype(np.uint64), scores.astype(np.float32), last)


def _positions(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    return keys.astype(np.int64) - 1


def test_three_days_of_the_demo_are_enough_to_beat_popularity_twice(tmp_path: Path) -> None:
    found = discovered(tmp_path, users=1_000, days=3, held_out=1, taste=3.0)
    assert found.model > 2 * found.popularity
    assert found.model > 0.3 * found.oracle


def test_without_taste_the_model_alone_would_be_worse_than_popularity(tmp_path: Path) -> None:
    found = discovered(tmp_path, users=1_000, days=7, held_out=2, taste=0.0)
    assert found.model < found.popularity


@pytest.mark.long
def test_a_month_of_five_thousand_listeners_reaches_most_of_what_can_be_known(tmp_path: Path) -> None:
    found = discovered(tmp_path, users=5_000, days=30, held_out=7, taste=1.0)
    assert found.model > 3 * found.popularity
    assert found.model > 0.6 * found.oracle
