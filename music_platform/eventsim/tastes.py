"""What each listener likes: a few scenes of a few genres, and a library of own songs.

All of it is a function of (seed, listener). Which song is played when does not belong here.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from music_platform.eventsim.randomness import (
    AliasTable,
    FloatArray,
    IntegerArray,
    UnsignedArray,
    high_half,
    low_half,
    random_bits,
    standard_exponential,
    stream_key,
)
from music_platform.eventsim.scenes import SCENES, Scenes

STRONGEST = 100.0
TICKETS = 64
"""A listener's taste is this many tickets, each for a scene: a weight is a multiple of 1/64."""
LIBRARY_SONGS = 60

_GENRES_OF_A_LISTENER = 5
_SCENES_OF_A_GENRE = 4
# Concentrations of the Dirichlet distributions of a listener's genres, and of the scenes in each, at strength 1.
_GENRE_CONCENTRATION = 1.8
_SCENE_CONCENTRATION = 2.4
_LIBRARY_SHARE = 0.3
_EXPLORING_SHARE = 0.15
_SKIPPED_SHARE = 0.6
_SLOT_EXPONENT = 0.8
# Small enough that what is computed on the way stays in the processor's cache.
_LISTENERS_AT_ONCE = 4_096
_TICKET_SHIFT = np.uint64(64 - 6)  # the upper six bits, below 64
_SLOT_BITS = np.uint64(6)


@dataclass(frozen=True)
class TasteStrength:
    """How much of listening follows taste, by ``strength``: 0 nothing, 1 all but what is tried out; above, sharper.

    Shares of all plays: of the session's scene, of the listener's library, and by popularity alone; they add up to 1.
    ``skipped_share``: of the songs outside of the listener's taste. ``sharpness`` divides the concentrations.
    """

    strength: float

    @property
    def library_share(self) -> float:
        return _LIBRARY_SHARE * min(self.strength, 1.0)

    @property
    def scene_share(self) -> float:
        return (1.0 - _LIBRARY_SHARE) * (1.0 - _EXPLORING_SHARE) * min(self.strength, 1.0)

    @property
    def popularity_share(self) -> float:
        return 1.0 - self.library_share - self.scene_share

    @property
    def skipped_share(self) -> float:
        return _SKIPPED_SHARE * min(self.strength, 1.0)

    @property
    def sharpness(self) -> float:
        return max(self.strength, 1.0)


def slot_shares() -> FloatArray:
    """Shares of a library's slots in its plays; shape (60,), a power law."""
    shares = np.arange(1, LIBRARY_SONGS + 1) ** -_SLOT_EXPONENT
    return shares / shares.sum()


class Tastes:
    """The tastes of all listeners of a run: 64 bytes each; libraries are drawn when asked for.

    ``tickets``: scenes, shape (listeners * 64,).
    """

    def __init__(self, scenes: Scenes, seed: int, listeners: int, sharpness: float) -> None:
        self.scenes = scenes
        self.listeners = listeners
        self.tickets = np.empty(listeners * TICKETS, dtype=np.uint8)
        self._slots = AliasTable.from_weights(slot_shares())
        self._library_key = stream_key(seed, "library")
        genre_key, scene_key = stream_key(seed, "genres of a listener"), stream_key(seed, "scenes of a listener")
        for first in range(0, listeners, _LISTENERS_AT_ONCE):
            users = np.arange(first, min(first + _LISTENERS_AT_ONCE, listeners), dtype=np.uint64)
            found = _tickets(scenes, users, genre_key, scene_key, sharpness)
            self.tickets[first * TICKETS : first * TICKETS + found.size] = found

    def scenes_drawn(self, users: IntegerArray, bits: UnsignedArray) -> npt.NDArray[np.uint8]:
        """One scene of each listener's taste; uses the upper six of the bits."""
        return self.tickets.take(users * TICKETS + (bits >> _TICKET_SHIFT).view(np.int64))

    def library_draws(self, users: IntegerArray, half: UnsignedArray) -> tuple[npt.NDArray[np.uint8], UnsignedArray]:
        """One song of each listener's library, as its scene and the number below 2**32 that draws it from there."""
        return self._of_slots(users, self._slots.draw(half))

    def weights(self, users: IntegerArray) -> FloatArray:
        """How much some listeners like each scene; shape (users, scenes), rows sum to 1."""
        own = self.tickets.reshape(-1, TICKETS)[users]
        cells = np.arange(users.size)[:, None] * SCENES + own
        return np.bincount(cells.ravel(), minlength=users.size * SCENES).reshape(-1, SCENES) / TICKETS

    def library(self, users: IntegerArray) -> IntegerArray:
        """The libraries of some listeners: songs by slot, shape (users, 60). A song can be in two slots."""
        slots = np.tile(np.arange(LIBRARY_SONGS), users.size)
        scene, half = self._of_slots(np.repeat(users, LIBRARY_SONGS), slots)
        return self.scenes.songs.draw(scene.astype(np.int64), half).reshape(users.size, LIBRARY_SONGS)

    def likes(self, users: IntegerArray, songs: IntegerArray) -> npt.NDArray[np.bool_]:
        """Whether a scene of the song is one of the listener's."""
        own = self.tickets.reshape(-1, TICKETS)[users]
        home, second = self.scenes.home.take(songs), self.scenes.second.take(songs)
        return ((own == home[:, None]) | (own == second[:, None])).any(axis=1)

    def _of_slots(self, users: IntegerArray, slots: IntegerArray) -> tuple[npt.NDArray[np.uint8], UnsignedArray]:
        bits = random_bits(self._library_key, (users.view(np.uint64) << _SLOT_BITS) | slots.view(np.uint64))
        return self.scenes_drawn(users, bits), low_half(bits)


def _tickets(
    scenes: Scenes, users: UnsignedArray, genre_key: np.uint64, scene_key: np.uint64, sharpness: float
) -> npt.NDArray[np.uint8]:
    """The listeners' tickets, one listener after the other, each listener's for one scene side by side."""
    genre_slots = np.arange(_GENRES_OF_A_LISTENER, dtype=np.uint64)
    scene_slots = np.arange(_GENRES_OF_A_LISTENER * _SCENES_OF_A_GENRE, dtype=np.uint64)
    of_genres = random_bits(genre_key, ((users[:, None] << _SLOT_BITS) | genre_slots).ravel())
    of_scenes = random_bits(scene_key, ((users[:, None] << _SLOT_BITS) | scene_slots).ravel())
    genre_shares = _broken_stick(of_genres, _GENRES_OF_A_LISTENER, _GENRE_CONCENTRATION / sharpness)
    scene_shares = _broken_stick(of_scenes, _SCENES_OF_A_GENRE, _SCENE_CONCENTRATION / sharpness)
    genre = np.repeat(scenes.genres.draw(low_half(of_genres)), _SCENES_OF_A_GENRE)
    scene = scenes.scenes.draw(genre, low_half(of_scenes))
    shares = (genre_shares.reshape(-1, 1) * scene_shares).reshape(users.size, -1)
    ends = np.rint(np.cumsum(shares, axis=1) * TICKETS).astype(np.int64)
    ends[:, -1] = TICKETS
    return np.repeat(scene.astype(np.uint8), np.diff(ends, axis=1, prepend=0).ravel())


def _broken_stick(bits: UnsignedArray, pieces: int, concentration: float) -> FloatArray:
    """Shares of a Dirichlet process, the last piece being all that is left; shape (bits / pieces, pieces).

    Sethuraman 1994: what is left of the stick is multiplied each time by a Beta(concentration, 1), hence its logarithm
    falls by an exponential. Pieces are given to outcomes regardless of their size, so the expected share of an outcome
    is its probability, however few pieces there are.
    """
    lengths = standard_exponential(high_half(bits)).reshape(-1, pieces)
    left = np.exp(np.cumsum(lengths, axis=1) / -concentration)
    left[:, -1] = 0.0
    return -np.diff(left, axis=1, prepend=1.0)
