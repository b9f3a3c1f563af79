"""The scenes of a catalogue: artists who are heard by the same people. Like popularity, they are the same for every seed.

Which listener likes which scene does not belong here.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from music_platform.eventsim.catalogue import Catalogue
from music_platform.eventsim.randomness import (
    AliasRows,
    AliasTable,
    FloatArray,
    IntegerArray,
    high_half,
    low_half,
    random_bits,
    stream_key,
    unit_interval,
)

GENRES = 12
SCENES_PER_GENRE = 8
SCENES = GENRES * SCENES_PER_GENRE
WHOLE_CATALOGUE = SCENES
"""The row of ``Scenes.songs`` that knows no scene: all songs by popularity."""

# A second scene's share follows Beta(1, 4): one fifth on average, seldom more than a half.
_SECOND_SHARE_SHAPE = 4.0


@dataclass(frozen=True)
class Scenes:
    """Which scenes the songs belong to, and tables that draw from them. Scene ``s`` lies in genre ``s // 8``.

    By song: ``home``, the scene of its artist; ``second``, another one that plays the artist too, with ``second_share``
    of the song's plays. ``songs`` draws a song by scene, in proportion to popularity; ``genres`` and ``scenes`` (by
    genre) draw in proportion to the popularity of their songs, so that listeners' tastes leave popularity as it is.
    """

    home: npt.NDArray[np.uint8]
    second: npt.NDArray[np.uint8]
    second_share: FloatArray
    songs: AliasRows
    genres: AliasTable
    scenes: AliasRows

    @classmethod
    def create(cls, catalogue: Catalogue) -> "Scenes":
        """The scenes of a catalogue. Three cells of 24 bytes a song: home, second and popularity alone."""
        bits = random_bits(stream_key(0, "scenes of artists"), catalogue.artist_keys)
        home, second = _below(SCENES, high_half(bits)), _below(SCENES, low_half(bits))
        spread = unit_interval(high_half(random_bits(stream_key(0, "second scenes of artists"), catalogue.artist_keys)))
        second_share = 1.0 - spread ** (1.0 / _SECOND_SHARE_SHAPE)
        weights = catalogue.weights
        of_home, of_second = weights * (1.0 - second_share), weights * second_share
        size = np.zeros(SCENES)
        np.add.at(size, home, of_home)
        np.add.at(size, second, of_second)
        by_genre = size.reshape(GENRES, SCENES_PER_GENRE)
        numbers = np.arange(SCENES).reshape(GENRES, SCENES_PER_GENRE)
        rows = [_members(scene, home, second, of_home, of_second) for scene in range(SCENES)]
        return cls(
            home=home.astype(np.uint8),
            second=second.astype(np.uint8),
            second_share=second_share,
            songs=AliasRows.from_weights([*rows, (np.arange(weights.size), weights)]),
            genres=AliasTable.from_weights(by_genre.sum(axis=1)),
            scenes=AliasRows.from_weights(_with_weight(numbers[genre], by_genre[genre]) for genre in range(GENRES)),
        )


def _below(limit: int, half: npt.NDArray[np.uint64]) -> IntegerArray:
    return (half * np.uint64(limit) >> np.uint64(32)).astype(np.int64)


def _with_weight(numbers: IntegerArray, weights: FloatArray) -> tuple[IntegerArray, FloatArray]:
    some = weights > 0
    return numbers[some], weights[some]


def _members(
    scene: int, home: IntegerArray, second: IntegerArray, of_home: FloatArray, of_second: FloatArray
) -> tuple[IntegerArray, FloatArray]:
    """The scene's songs and their weights in it; a scene can have none in a small catalogue."""
    found = np.flatnonzero((home == scene) | (second == scene))
    weights = np.where(home[found] == scene, of_home[found], 0.0)
    weights += np.where(second[found] == scene, of_second[found], 0.0)
    return _with_weight(found, weights)
