"""What listeners played, as a sparse matrix: gold/user_song_interactions of one day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_matrix

from music_platform.recommendation.keys import Keys, numbers_of_keys

COLUMNS = ("user_key", "song_key", "score", "last_played_at")
"""What is read of gold/user_song_interactions."""

_UNKNOWN = np.uint64(0)  # the unknown member: nobody, and no song


@dataclass(frozen=True)
class Pairs:
    """One entry a listener and song: their keys, the score, and the last play in microseconds since 1970."""

    users: Keys
    songs: Keys
    scores: npt.NDArray[np.float32]
    last_played: npt.NDArray[np.int64]

    @classmethod
    def of(cls, batches: Iterable[pa.RecordBatch], since: int | None = None) -> Pairs:
        """From rows with ``COLUMNS``, of all or of those whose last play is not before ``since``.

        Pairs of an unknown listener or song, or without a positive score, are left out.
        """
        parts: dict[str, list[npt.NDArray[Any]]] = {
            "users": [np.empty(0, np.uint64)],
            "songs": [np.empty(0, np.uint64)],
            "scores": [np.empty(0, np.float32)],
            "last_played": [np.empty(0, np.int64)],
        }
        for batch in batches:
            if batch.num_rows:
                for name, values in vars(cls._of_batch(batch, since)).items():
                    parts[name].append(values)
        # A column's parts are let go before the next one is joined, so that one column alone is there twice.
        return cls(*(np.concatenate(parts.pop(name)) for name in tuple(parts)))

    @classmethod
    def _of_batch(cls, batch: pa.RecordBatch, since: int | None) -> Pairs:
        users, songs = (numbers_of_keys(batch.column(name), name) for name in ("user_key", "song_key"))
        scores = batch.column("score").to_numpy(zero_copy_only=False).astype(np.float32)
        last_played = batch.column("last_played_at").cast(pa.int64()).to_numpy(zero_copy_only=False)
        with np.errstate(invalid="ignore"):  # NaN compares as false, and one of them would spoil every factor
            known = (users != _UNKNOWN) & (songs != _UNKNOWN) & (scores > 0) & np.isfinite(scores)
        if since is not None:
            known &= last_played >= since
        return cls(users[known], songs[known], scores[known], last_played[known])

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class Interactions:
    """Listeners x songs: ``scores[i, j]`` is the faded score of the listener ``users[i]`` for the song ``songs[j]``.

    Keys are sorted, so positions do not depend on the order of rows. ``last_played`` is each listener's last play, in
    microseconds since 1970. ``mean_songs`` is how many songs a listener of the day has on average; a part of the
    listeners keeps it.
    """

    users: Keys
    songs: Keys
    scores: csr_matrix
    last_played: npt.NDArray[np.int64]
    mean_songs: float

    @classmethod
    def of(cls, pairs: Pairs) -> Interactions:
        """The matrix of pairs that are there once each."""
        users, rows = _numbered(pairs.users)
        songs, columns = _numbered(pairs.songs)
        scores = csr_matrix((pairs.scores, (rows, columns)), shape=(len(users), len(songs)))
        scores.sort_indices()
        last_played = np.zeros(len(users), dtype=np.int64)
        np.maximum.at(last_played, rows, pairs.last_played)
        return cls(users, songs, scores, last_played, scores.nnz / max(len(users), 1))

    @property
    def song_scores(self) -> npt.NDArray[np.float64]:
        """Each song's total score: how popular it is."""
        weights = self.scores.data.astype(np.float64)
        totals = np.bincount(self.scores.indices, weights=weights, minlength=len(self.songs))
        return totals.astype(np.float64)  # whole numbers where there is no pair

    @property
    def song_listeners(self) -> npt.NDArray[np.int64]:
        """How many listeners each song has."""
        return np.bincount(self.scores.indices, minlength=len(self.songs)).astype(np.int64)

    def hold(self, users: npt.NDArray[np.int64], songs: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether each of these pairs of positions is there."""
        if not len(users):  # scipy takes no empty choice of an empty matrix
            return np.zeros(0, dtype=bool)
        return np.asarray(self.scores[users, songs]).ravel() > 0

    def of_users(self, positions: npt.NDArray[np.int64]) -> Interactions:
        """The rows of these listeners alone; every song stays."""
        scores, last_played = self.scores[positions].tocsr(), self.last_played[positions]
        return Interactions(self.users[positions], self.songs, scores, last_played, self.mean_songs)

    def with_songs(self, songs: Keys) -> Interactions:
        """The same listeners with the columns of these sorted songs; plays of other songs are left out."""
        if len(songs) == len(self.songs) and (songs == self.songs).all():
            return self
        found = positions_of(self.songs, songs)
        entries = self.scores.tocoo()
        columns = found[entries.col]
        kept = columns >= 0
        scores = csr_matrix(
            (entries.data[kept], (entries.row[kept], columns[kept].astype(np.int32))),
            shape=(len(self.users), len(songs)),
        )
        scores.sort_indices()
        return Interactions(self.users, songs, scores, self.last_played, self.mean_songs)


def _numbered(keys: Keys) -> tuple[Keys, npt.NDArray[np.int32]]:
    """The different keys in order, and where each of ``keys`` stands among them; less memory than ``return_inverse``."""
    different = np.unique(keys)
    return different, np.searchsorted(different, keys).astype(np.int32)


def positions_of(keys: Keys, among: Keys) -> npt.NDArray[np.int64]:
    """Where each key stands among sorted ones; -1 where it does not."""
    if len(among) == 0:
        return np.full(len(keys), -1, dtype=np.int64)
    found = np.searchsorted(among, keys).clip(max=len(among) - 1)
    return np.where(among[found] == keys, found, -1)
