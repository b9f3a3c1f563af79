"""A world of listeners whose tastes are known, for measuring how much of them the recommendations find.

Artists have a home scene and a second one; scenes belong to genres. A listener likes a few genres, and in them a few scenes. A
session keeps one scene, whose songs are drawn by their popularity. A share of the plays are repeats out of the listener's
own library, another is drawn from all songs by popularity. Tastes centre on the size of the scenes, so that the plays of all
listeners together still follow the power law of popularity. Without taste everything is drawn by popularity, as plain
Eventsim does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from music_platform.recommendation.interactions import Pairs
from music_platform.recommendation.judging import MICROSECONDS_OF_DAY
from music_platform.recommendation.keys import Keys

_GENRES, _SCENES_OF_GENRE = 12, 8
_SCENES = _GENRES * _SCENES_OF_GENRE
_SONGS_OF_SESSION = 12.0
_PLAYS_OF_DAY = 7.6
_MINUTES_OF_SONG = 4.0
_REPEATS, _BY_POPULARITY = 0.3, 0.15
_LIBRARY, _LIBRARY_LAW = 60, 0.8
_HALF_LIFE_DAYS = 30.0

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TasteWorld:
    """Plays by position: ``user`` played ``song`` at ``moment`` (days from 0). Keys are sorted; ``artist`` is one a song.

    ``likes`` (listeners x scenes) and ``songs_of_scene`` (scenes x songs) are probabilities, and so is ``popularity``.
    """

    users: Keys
    songs: Keys
    artist: Positions
    user: Positions
    song: Positions
    moment: Floats
    popularity: Floats
    likes: Floats
    songs_of_scene: Floats
    has_taste: bool

    def taste(self, listeners: Positions) -> Floats:
        """The probability of each song when the listener plays something that is no repeat (listeners x songs)."""
        if not self.has_taste:
            return np.tile(self.popularity, (len(listeners), 1))
        return (1 - _BY_POPULARITY) * (self.likes[listeners] @ self.songs_of_scene) + _BY_POPULARITY * self.popularity

    def pairs(self, days: int, half_life: float = _HALF_LIFE_DAYS) -> Pairs:
        """gold/user_song_interactions after so many days."""
        known = self.moment < days
        codes, places = np.unique(self.user[known] * len(self.songs) + self.song[known], return_inverse=True)
        scores = np.bincount(places, weights=0.5 ** ((days - self.moment[known]) / half_life))
        last = np.zeros(len(codes))
        np.maximum.at(last, places, self.moment[known])
        users, songs = np.divmod(codes, len(self.songs))
        return Pairs(
            self.users[users],
            self.songs[songs],
            scores.astype(np.float32),
            (last * MICROSECONDS_OF_DAY).astype(np.int64),
        )


def taste_world(
    *,
    listeners: int,
    songs: int,
    days: int,
    genre_spread: float,
    scene_spread: float,
    has_taste: bool = True,
    seed: int,
) -> TasteWorld:
    """The plays of so many days. Lesser spreads are sharper tastes: fewer genres, and fewer scenes in each."""
    random = np.random.default_rng(seed)
    popularity = (random.permutation(songs) + 21.0) ** -0.8
    popularity /= popularity.sum()
    artists = max(int(songs * 0.345), 1)
    artist = random.integers(0, artists, songs)
    share_of_second = random.beta(1, 4, artists)
    home = random.choice(_SCENES, artists, p=random.dirichlet(np.full(_SCENES, 5.0)))
    membership = np.zeros((artists, _SCENES))
    np.add.at(membership, (np.arange(artists), home), 1 - share_of_second)
    np.add.at(membership, (np.arange(artists), random.integers(0, _SCENES, artists)), share_of_second)
    in_scene = (membership[artist] * popularity[:, None]).T
    size = in_scene.sum(axis=1)
    songs_of_scene = in_scene / np.maximum(size[:, None], 1e-300)
    likes = _likes(random, size.reshape(_GENRES, _SCENES_OF_GENRE), listeners, genre_spread, scene_spread)

    def of_scenes(scenes: Positions) -> Positions:
        return _drawn(random, songs_of_scene, scenes)

    owners = np.repeat(np.arange(listeners), _LIBRARY)
    library = of_scenes(_drawn(random, likes, owners)).reshape(listeners, _LIBRARY)
    slots = (np.arange(_LIBRARY) + 1.0) ** -_LIBRARY_LAW
    rates = random.lognormal(0, 1, listeners)
    sessions = random.poisson(rates / rates.mean() * _PLAYS_OF_DAY / _SONGS_OF_SESSION * days)
    listener = np.repeat(np.arange(listeners), sessions)
    lengths = random.geometric(1 / _SONGS_OF_SESSION, len(listener))
    starts = np.repeat(random.random(len(listener)) * days, lengths)
    place = np.arange(len(starts)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    user = np.repeat(listener, lengths)
    scene = np.repeat(_drawn(random, likes, listener), lengths)
    kind = random.random(len(user))
    repeats = kind < _REPEATS
    popular = ~repeats & (kind < _REPEATS + (1 - _REPEATS) * _BY_POPULARITY)
    if not has_taste:
        repeats, popular = np.zeros_like(repeats), np.ones_like(popular)
    song = np.empty(len(user), dtype=np.int64)
    song[repeats] = library[user[repeats], random.choice(_LIBRARY, repeats.sum(), p=slots / slots.sum())]
    song[popular] = random.choice(songs, popular.sum(), p=popularity)
    by_scene = ~repeats & ~popular
    song[by_scene] = of_scenes(scene[by_scene])
    moment = starts + place * _MINUTES_OF_SONG / 1440
    kept = moment < days
    keys = random.permutation(np.unique(random.integers(1, 2**63, 2 * (listeners + songs), dtype=np.uint64)))
    return TasteWorld(
        np.sort(keys[:listeners]), np.sort(keys[listeners : listeners + songs]), artist, user[kept], song[kept],
        moment[kept], popularity, likes, songs_of_scene, has_taste,
    )  # fmt: skip


def _likes(
    random: np.random.Generator, size: Floats, listeners: int, genre_spread: float, scene_spread: float
) -> Floats:
    """Each listener's share of each scene (listeners x scenes): Dirichlet over genres, then over the scenes of each."""
    genres = random.dirichlet(size.sum(axis=1) / size.sum() * _GENRES * genre_spread, listeners)
    found = []
    for genre, scenes in enumerate(size):
        shares = np.maximum(scenes / scenes.sum() * _SCENES_OF_GENRE * scene_spread, 1e-3)
        found.append(genres[:, [genre]] * np.nan_to_num(random.dirichlet(shares, listeners)))
    likes = np.hstack(found)
    return likes / likes.sum(axis=1, keepdims=True)


def _drawn(random: np.random.Generator, probabilities: Floats, rows: Positions) -> Positions:
    """For each of ``rows`` a column of ``probabilities``, by the probabilities of that row."""
    found, bounds = np.empty(len(rows), dtype=np.int64), np.cumsum(probabilities, axis=1)
    draws = random.random(len(rows))
    order = np.argsort(rows, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(rows[order])) + 1):
        if len(part):
            found[part] = np.searchsorted(bounds[rows[part[0]]], draws[part])
    return found.clip(max=probabilities.shape[1] - 1)
