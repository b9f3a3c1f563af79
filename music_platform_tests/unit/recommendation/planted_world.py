"""Listeners whose tastes are known: plays drawn from scenes that they like, or from popularity alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from music_platform.recommendation.interactions import Interactions, Pairs
from music_platform.recommendation.judging import MICROSECONDS_OF_DAY
from music_platform.recommendation.keys import Keys

_SCENES = 8


@dataclass(frozen=True)
class PlantedWorld:
    """Plays of ``users`` x ``songs`` by position, each on a day from 0; keys are sorted.

    ``taste`` (users x songs) is the probability of each song that a listener's plays are drawn from.
    """

    users: Keys
    songs: Keys
    user: npt.NDArray[np.int64]
    song: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]
    taste: npt.NDArray[np.float64]

    def pairs(self, day: int) -> Pairs:
        """gold/user_song_interactions of the end of a day: scores halve every 30 days."""
        known = self.day <= day
        codes, places = np.unique(self.user[known] * len(self.songs) + self.song[known], return_inverse=True)
        scores = np.zeros(len(codes))
        np.add.at(scores, places, 0.5 ** ((day - self.day[known]) / 30))
        last = np.zeros(len(codes), dtype=np.int64)
        np.maximum.at(last, places, self.day[known] * MICROSECONDS_OF_DAY + 1)
        users, songs = np.divmod(codes, len(self.songs))
        return Pairs(self.users[users], self.songs[songs], scores.astype(np.float32), last)

    def interactions(self, day: int) -> Interactions:
        return Interactions.of(self.pairs(day))


def planted_world(
    *, users: int = 300, songs: int = 400, days: int = 6, plays: int = 8, strength: float = 1.0, seed: int = 7
) -> PlantedWorld:
    """Each listener likes two of eight scenes; with ``strength`` 0 all draw from popularity."""
    random = np.random.default_rng(seed)
    popularity = (random.permutation(songs) + 5.0) ** -0.8
    popularity /= popularity.sum()
    scene_of_song = random.integers(0, _SCENES, songs)
    liked = np.stack([random.choice(_SCENES, 2, replace=False) for _ in range(users)])
    likes = (liked[:, :, None] == scene_of_song).any(axis=1)
    taste = popularity * np.where(likes, 1.0, 0.02) if strength else np.tile(popularity, (users, 1))
    taste /= taste.sum(axis=1, keepdims=True)
    user = np.repeat(np.arange(users), days * plays)
    draws = random.random(len(user))
    bounds = np.cumsum(taste, axis=1)
    song = np.array([np.searchsorted(bounds[who], draw) for who, draw in zip(user, draws, strict=True)]).clip(
        max=songs - 1
    )
    day = np.tile(np.repeat(np.arange(days), plays), users)
    keys = np.unique(random.integers(1, 2**63, 2 * (users + songs)).astype(np.uint64))
    chosen = random.permutation(keys)[: users + songs]
    return PlantedWorld(np.sort(chosen[:users]), np.sort(chosen[users:]), user, song, day, taste)
