"""Lists of songs: the model's order blended with popularity, without what a listener has played.

A song's score for a listener is (1 - w) z(model) + w z(log popularity), each z over all songs that can be offered. It
is linear in the listener's vector, so the blend is one more factor, and implicit's exact top-k serves it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from music_platform.recommendation.interactions import Interactions
from music_platform.recommendation.libraries import one_blas_thread, threads, top_k
from music_platform.recommendation.model import Factors, SongFactors
from music_platform.tables.recommendations.shared import LIST_LENGTH

POPULARITY = 1.0
"""The weight at which the blend is popularity itself."""

_DIGITS_OF_SCORE = 6
_CELLS_AT_ONCE = 10_000_000  # of listeners x songs
_SPARE = 16  # songs asked for beyond the list's end, so that ties there are broken by key
_FILTERED = -1e38  # implicit's score of a song that is filtered is the least number of 32 bits
_NO_SPREAD = 1e-12
_LEAST_SCORE = 0.05  # added before the logarithm, so that songs with hardly a play left do not stand apart


@dataclass(frozen=True)
class Lists:
    """A list for each of n listeners: positions in the model's songs, best first, -1 after the list's end; and their scores.

    ``weights`` is the weight of popularity in each listener's list: 1 where nothing is known of the listener's taste.
    """

    songs: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return (self.songs >= 0).sum(axis=1)


class Ranking:
    """What the lists of a day are made from: the songs that can be offered, their vectors and their popularity."""

    def __init__(self, model: SongFactors) -> None:
        self._songs = model.songs
        self._offered = np.flatnonzero(model.is_offered)
        factors = model.factors[self._offered]
        popularity = np.log(model.scores[self._offered] + _LEAST_SCORE)
        spread = popularity.std() if len(popularity) else 0.0
        standardized = (popularity - popularity.mean()) / spread if spread > _NO_SPREAD else np.zeros(len(popularity))
        self._items = np.hstack([factors, standardized[:, None].astype(np.float32)])
        self._popularity = np.round(self._items[:, -1].astype(np.float64), _DIGITS_OF_SCORE)
        self._by_popularity = np.argsort(-self._popularity, kind="stable")
        exact = factors.astype(np.float64)
        self._mean = exact.mean(axis=0) if len(exact) else np.zeros(factors.shape[1])
        self._covariance = (
            exact.T @ exact / len(exact) - np.outer(self._mean, self._mean)
            if len(exact)
            else np.zeros((factors.shape[1],) * 2)
        )

    @property
    def offered(self) -> npt.NDArray[np.int64]:
        """Positions, in the model's songs, of those that can be offered."""
        return self._offered

    def lists(self, users: Factors, played: Interactions, weight: float, length: int = LIST_LENGTH) -> Lists:
        """Each listener's best songs that the listener has not played; fewer where not as many are left, never padded.

        ``users`` (n x factors) are the listeners' vectors, which popularity does not need; ``played`` (n listeners) is what they
        know.
        """
        if weight == POPULARITY:
            return self._popular_lists(played, length)
        exact = users.astype(np.float64)
        spreads = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", exact, self._covariance, exact, optimize=True), 0))
        has_taste = spreads > _NO_SPREAD
        weights = np.where(has_taste, weight, POPULARITY)
        share = np.where(has_taste, (1 - weights) / np.where(has_taste, spreads, 1), 0)
        wanted = min(length + _SPARE, len(self._offered))
        if not wanted or not len(users):
            return _no_lists(weights)
        queries = np.hstack([exact * share[:, None], weights[:, None]]).astype(np.float32)
        seen = self._seen(played)
        with one_blas_thread():
            found, raw = top_k()(self._items, queries, wanted, filter_query_items=seen, num_threads=threads())
        is_offered = raw > _FILTERED
        scores = np.round(raw - (share * (exact @ self._mean))[:, None], _DIGITS_OF_SCORE)
        scores[~is_offered] = -np.inf
        songs = np.where(is_offered, self._offered[found.clip(min=0)], -1)
        # The model's songs are sorted by key, so the lower position breaks a tie, whatever the order in which it was found.
        order = np.lexsort((songs, -scores), axis=1)[:, :length]
        return Lists(np.take_along_axis(songs, order, 1), np.take_along_axis(scores, order, 1), weights)

    def _seen(self, played: Interactions) -> csr_matrix:
        """What listeners know of the songs that can be offered (listeners x offered songs)."""
        return played.with_songs(self._songs).scores[:, self._offered].tocsr()

    def _popular_lists(self, played: Interactions, length: int) -> Lists:
        """As any other lists of this weight, without a product for each song and listener: one order serves all."""
        listeners = len(played.users)
        weights = np.full(listeners, POPULARITY)
        seen = self._seen(played)
        # No list reaches further down the order than its length and all that its listener knows.
        most = min(length + int(np.diff(seen.indptr).max(initial=0)), len(self._offered))
        if not most or not listeners:
            return _no_lists(weights)
        order = self._by_popularity[:most]
        known = seen[:, order].tocsr()
        songs = np.full((listeners, min(length, most)), -1, dtype=np.int64)
        scores = np.full(songs.shape, -np.inf)
        at_once = max(_CELLS_AT_ONCE // most, 1)
        for first in range(0, listeners, at_once):
            left = np.ones((min(at_once, listeners - first), most), dtype=bool)
            left[known[first : first + at_once].nonzero()] = False
            places = np.cumsum(left, axis=1, dtype=np.int32)
            listener, place = np.nonzero(left & (places <= songs.shape[1]))
            at = (listener + first, places[listener, place] - 1)
            songs[at] = self._offered[order[place]]
            scores[at] = self._popularity[order[place]]
        return Lists(songs, scores, weights)


def _no_lists(weights: npt.NDArray[np.float64]) -> Lists:
    nothing = np.full((len(weights), 0), -1, dtype=np.int64)
    return Lists(nothing, nothing.astype(np.float64), weights)
