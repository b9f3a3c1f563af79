"""Which song is played next, and how much of it is heard: by popularity alone, or by each listener's taste.

When songs are played does not belong here.
"""

from typing import Protocol

import numpy as np

from music_platform.eventsim.catalogue import Catalogue
from music_platform.eventsim.randomness import (
    COUNTER_BITS,
    IntegerArray,
    UnsignedArray,
    high_half,
    low_half,
    random_bits,
    stream_key,
)
from music_platform.eventsim.scenes import WHOLE_CATALOGUE, Scenes
from music_platform.eventsim.tastes import Tastes, TasteStrength

_LONGEST_SKIPPED_SHARE = 0.5


class SongChoice(Protocol):
    """How listeners choose songs. A counter is a listener's position, shifted by 32 bits, and the draws made."""

    def begin_sessions(self, counters: UnsignedArray) -> None:
        """Sessions begin at these counters; a listener has one session at a time."""

    def choose(self, counters: UnsignedArray, halves: UnsignedArray, /) -> tuple[IntegerArray, IntegerArray]:
        """A song and the whole seconds of it that are heard, for each counter and number below 2**32.

        The numbers may be overwritten.
        """
        ...


class PopularSongs:
    """Everyone hears whole songs, by popularity alone, as in Eventsim."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._popularity = catalogue.popularity
        self._seconds = _whole_seconds(catalogue)

    def begin_sessions(self, counters: UnsignedArray) -> None:
        """Nothing is kept in mind for a session."""

    def choose(self, _counters: UnsignedArray, halves: UnsignedArray, /) -> tuple[IntegerArray, IntegerArray]:
        """Songs by popularity, and their durations."""
        songs = self._popularity.draw(halves)
        return songs, self._seconds.take(songs)


class SongsByTaste:
    """A session keeps one scene of its listener's taste; some songs come from the listener's library, some from anywhere.

    Songs from anywhere that are outside of the taste end early at a rate. One byte a listener remembers the session's
    scene, everything else is drawn from the counters.
    """

    def __init__(self, catalogue: Catalogue, seed: int, listeners: int, strength: TasteStrength) -> None:
        self.strength = strength
        self.tastes = Tastes(Scenes.create(catalogue), seed, listeners, strength.sharpness)
        self._songs = self.tastes.scenes.songs
        self._seconds = _whole_seconds(catalogue)
        self._session_key = stream_key(seed, "scenes of sessions")
        self._kind_key = stream_key(seed, "kinds of plays")
        self._session_scene = np.zeros(listeners, dtype=np.uint8)
        # Of the numbers below 2**32, the lowest choose the library, the highest anything.
        self._library_below = round(strength.library_share * 2.0**32)
        self._anything_from = round((1.0 - strength.popularity_share) * 2.0**32)
        self._skipped_below = round(strength.skipped_share * 2.0**32)

    def begin_sessions(self, counters: UnsignedArray) -> None:
        """Draw the scenes that the sessions keep."""
        users = (counters >> COUNTER_BITS).view(np.int64)
        self._session_scene[users] = self.tastes.scenes_drawn(users, random_bits(self._session_key, counters))

    def choose(self, counters: UnsignedArray, halves: UnsignedArray, /) -> tuple[IntegerArray, IntegerArray]:
        """Songs of the session's scene, the library or the whole catalogue, and how long they are heard."""
        users = (counters >> COUNTER_BITS).view(np.int64)
        bits = random_bits(self._kind_key, counters)
        kind = high_half(bits)
        rows = self._session_scene.take(users)
        own = np.flatnonzero(kind < self._library_below)
        if own.size:
            rows[own], halves[own] = self.tastes.library_draws(users.take(own), low_half(bits.take(own)))
        anything = np.flatnonzero(kind >= self._anything_from)
        rows[anything] = WHOLE_CATALOGUE
        songs = self._songs.draw(rows, halves)
        seconds = self._seconds.take(songs)
        self._shorten(seconds, anything, users, songs, bits)
        return songs, seconds

    def _shorten(
        self, seconds: IntegerArray, which: IntegerArray, users: IntegerArray, songs: IntegerArray, bits: UnsignedArray
    ) -> None:
        """Let a share of those songs end early that their listeners do not like."""
        # Tastes are looked at for those alone that could be skipped.
        which = which[low_half(bits.take(which)) < self._skipped_below]
        if not which.size:
            return
        which = which[~self.tastes.likes(users.take(which), songs.take(which))]
        part = low_half(bits.take(which)) * (_LONGEST_SKIPPED_SHARE / max(self._skipped_below, 1))
        heard = (part * seconds.take(which)).astype(np.int64)
        seconds[which] = np.maximum(heard, 1)


def song_choice(catalogue: Catalogue, seed: int, listeners: int, strength: TasteStrength) -> SongChoice:
    """The choice of one run: by popularity alone where taste has no strength."""
    if not strength.strength:
        return PopularSongs(catalogue)
    return SongsByTaste(catalogue, seed, listeners, strength)


def _whole_seconds(catalogue: Catalogue) -> IntegerArray:
    return np.floor(catalogue.durations).astype(np.int64)
