"""Songs that the same listeners play: the nearest vectors of the model, by the cosine of their angle."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from music_platform.recommendation.libraries import one_blas_thread, threads, top_k
from music_platform.recommendation.model import SongFactors
from music_platform.tables.recommendations.similar_songs import LEAST_LISTENERS, SIMILAR_RANKS

_DIGITS = 6
_SONGS_AT_ONCE = 4096


def similar_songs(
    model: SongFactors, length: int = SIMILAR_RANKS
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """For each song with enough listeners the nearest others of these: positions (n), positions (n x length) and cosines.

    -1 stands where fewer others are there. A song without a direction, which nobody's taste tells apart, is left out.
    """
    lengths = np.linalg.norm(model.factors, axis=1)
    wanted = np.flatnonzero((model.listeners >= LEAST_LISTENERS) & (lengths > 0))
    directions = (model.factors[wanted] / lengths[wanted, None]).astype(np.float32)
    length = min(length, len(wanted) - 1)
    if length < 1:
        return wanted[:0], np.empty((0, 0), dtype=np.int64), np.empty((0, 0))
    found, cosines = [], []
    for first in range(0, len(wanted), _SONGS_AT_ONCE):
        queries = directions[first : first + _SONGS_AT_ONCE]
        with one_blas_thread():
            nearest, raw = top_k()(directions, queries, length + 1, num_threads=threads())
        scores = np.round(raw.astype(np.float64), _DIGITS).clip(-1, 1)
        itself = nearest == np.arange(first, first + len(queries))[:, None]
        itself[~itself.any(axis=1), -1] = True  # more equal songs than the list has places: the last one goes
        scores[itself] = -np.inf
        order = np.lexsort((nearest, -scores), axis=1)[:, :length]
        found.append(wanted[np.take_along_axis(nearest, order, 1)])
        cosines.append(np.take_along_axis(scores, order, 1))
    return wanted, np.concatenate(found), np.concatenate(cosines)
