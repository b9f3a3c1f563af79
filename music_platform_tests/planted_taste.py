"""What `music-platform generate --truth` wrote, read back: the probability of each listener's next song.

The best ranking of songs that anyone could offer follows from it, which benchmarks and tests of recommendations compare with.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from music_platform.eventsim.randomness import FloatArray, IntegerArray
from music_platform.eventsim.scenes import SCENES
from music_platform.eventsim.truth import LISTENERS, PLAYS, SONGS
from music_platform.lake.parquet_reader import read_parquet


def _read(path: Path) -> pa.Table:
    with path.open("rb") as file:
        return read_parquet(file)


@dataclass(frozen=True)
class Truth:
    """The three files of a folder as arrays: songs and listeners by position, scenes by number.

    ``popularity``: shape (songs,). ``scene_weights``: (listeners, scenes), rows sum to 1. ``songs_of_scenes``: (scenes,
    songs), the probability of a song where the scene is given. ``library``: (listeners, slots), songs.
    """

    songs: pa.Table
    user_ids: IntegerArray
    popularity: FloatArray
    scene_weights: FloatArray
    songs_of_scenes: FloatArray
    library: IntegerArray
    slot_shares: FloatArray
    scene_share: float
    library_share: float
    popularity_share: float

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The truth that a run wrote into the folder; raises ``OSError`` where a file is missing."""
        songs, listeners = _read(folder / SONGS), _read(folder / LISTENERS)
        plays = _read(folder / PLAYS).to_pylist()[0]
        popularity = songs["popularity"].to_numpy()
        by_scene = np.zeros((SCENES, songs.num_rows))
        position, second_share = np.arange(songs.num_rows), songs["second_share"].to_numpy()
        np.add.at(by_scene, (songs["home_scene"].to_numpy(), position), popularity * (1.0 - second_share))
        np.add.at(by_scene, (songs["second_scene"].to_numpy(), position), popularity * second_share)
        size = by_scene.sum(axis=1, keepdims=True)
        scenes = listeners["scenes"].combine_chunks()
        weights = np.zeros((listeners.num_rows, SCENES))
        rows = np.repeat(np.arange(listeners.num_rows), scenes.value_lengths().to_numpy())
        weights[rows, scenes.flatten().to_numpy()] = listeners["weights"].combine_chunks().flatten().to_numpy()
        library = listeners["library"].combine_chunks().flatten().to_numpy()
        return cls(
            songs=songs,
            user_ids=listeners["user_id"].to_numpy(),
            popularity=popularity,
            scene_weights=weights,
            songs_of_scenes=np.divide(by_scene, size, out=by_scene, where=size > 0),
            library=library.reshape(listeners.num_rows, -1),
            slot_shares=np.array(plays["slot_shares"]),
            scene_share=plays["scene_share"],
            library_share=plays["library_share"],
            popularity_share=plays["popularity_share"],
        )

    def probabilities(self, listeners: IntegerArray) -> FloatArray:
        """P(song | listener) of a play, for listeners by position; shape (listeners, songs), rows sum to 1."""
        shares = self.scene_share * (self.scene_weights[listeners] @ self.songs_of_scenes)
        shares += self.popularity_share * self.popularity
        of_slots = np.broadcast_to(self.library_share * self.slot_shares, (listeners.size, self.slot_shares.size))
        np.add.at(shares, (np.arange(listeners.size)[:, None], self.library[listeners]), of_slots)
        return shares

    def probabilities_by_taste(self, listeners: IntegerArray) -> FloatArray:
        """P(song | the listener's scenes): all that could be learnt about songs that the listener has not played.

        A library is drawn from its listener's scenes, so its share counts for these. Shape (listeners, songs).
        """
        of_scenes = self.scene_weights[listeners] @ self.songs_of_scenes
        return (self.scene_share + self.library_share) * of_scenes + self.popularity_share * self.popularity
