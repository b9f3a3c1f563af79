"""The model: a vector for each song, by alternating least squares on implicit feedback, carried forward from day to day.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (ICDM 2008), with the conjugate gradient of
Takacs, Pilaszy and Tikk (RecSys 2011), as the library implicit has them. A listener's vector is no part of the model:
it follows from the songs' and from what the listener played (``fold_in``).

A pair's confidence is c log(1 + score), less for a listener of many songs and for a song of many listeners: what somebody
plays who plays everything says little of their taste. Search engines weigh words in this way, by the length of the text and
by how common the word is (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from music_platform.recommendation.interactions import Interactions, positions_of
from music_platform.recommendation.keys import Keys
from music_platform.recommendation.libraries import als_class, one_blas_thread, threads
from music_platform.recommendation.parameters import Parameters

if TYPE_CHECKING:
    from implicit.cpu.als import AlternatingLeastSquares

Factors = npt.NDArray[np.float32]

_SPAN_OF_START = 0.01  # as implicit's own start
_LEAST_SHARE_KNOWN = 0.5
_MOST_GROWTH = 1.25  # measured in young worlds: beyond it a few iterations are behind a model from scratch
_HASH_OF_SONG, _HASH_OF_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)


@dataclass(frozen=True)
class SongFactors:
    """The model of a day. ``songs`` are sorted; row i of ``factors`` (songs x factors) describes ``songs[i]``.

    ``scores`` and ``listeners`` are how popular each song is, by total score and by number of listeners.
    ``parameters`` are those it was trained with, as ``Parameters.of_model`` writes them.
    """

    songs: Keys
    factors: Factors
    scores: npt.NDArray[np.float64]
    listeners: npt.NDArray[np.int64]
    is_offered: npt.NDArray[np.bool_]
    parameters: str

    def __len__(self) -> int:
        return len(self.songs)


@dataclass(frozen=True)
class Training:
    """A model and how it came about: ``start`` says from what, in words; ``iterations`` how many were run."""

    model: SongFactors
    start: str
    iterations: int


def train(interactions: Interactions, parameters: Parameters, yesterday: SongFactors | None = None) -> Training:
    """The model of a day, from the model of the day before where that serves.

    It is trained from scratch without one, with other parameters, when there are a quarter more pairs than it was made of, or
    when less than half of the total score is of songs that it knows: then a few iterations would not reach what is new. The
    caller decides about the calendar.
    """
    start = _why_from_scratch(interactions, parameters, yesterday)
    songs = _start_of(interactions.songs, parameters.factors)
    if yesterday is not None and not start:
        found = positions_of(interactions.songs, yesterday.songs)
        songs[found >= 0] = yesterday.factors[found[found >= 0]]
    iterations = parameters.iterations if start else parameters.warm_iterations
    listeners = interactions.song_listeners
    with one_blas_thread():
        als = _als(parameters, iterations)
        als.item_factors = songs
        als.user_factors = np.zeros((len(interactions.users), parameters.factors), dtype=np.float32)
        if interactions.scores.nnz:
            als.fit(_confidences(interactions, listeners, parameters), show_progress=False)
    model = SongFactors(
        interactions.songs,
        np.asarray(als.item_factors),
        interactions.song_scores,
        listeners,
        listeners >= parameters.least_listeners,
        parameters.of_model,
    )
    return Training(model, start or "the day before", iterations)


def fold_in(model: SongFactors, interactions: Interactions, parameters: Parameters) -> Factors:
    """The listeners' vectors (listeners x factors) that fit the model best; zeros for who played none of its songs."""
    known = interactions.with_songs(model.songs)
    if not known.scores.nnz:
        return no_vectors(model, known)
    with one_blas_thread():
        als = _als(parameters, iterations=0)
        als.item_factors = model.factors
        return als.recalculate_user(np.arange(len(known.users)), _confidences(known, model.listeners, parameters))


def no_vectors(model: SongFactors, interactions: Interactions) -> Factors:
    """Zeros for each listener: nothing is known of anybody's taste."""
    return np.zeros((len(interactions.users), model.factors.shape[1]), dtype=np.float32)


def _why_from_scratch(interactions: Interactions, parameters: Parameters, yesterday: SongFactors | None) -> str:
    if yesterday is None or not len(yesterday):
        return "scratch"
    if yesterday.parameters != parameters.of_model:
        return f"scratch, for the day before has other parameters: {yesterday.parameters}"
    scores = interactions.song_scores
    known = scores[positions_of(interactions.songs, yesterday.songs) >= 0].sum()
    if known < _LEAST_SHARE_KNOWN * scores.sum():
        return f"scratch, for the day before knows only {known / scores.sum():.0%} of what was played"
    growth = interactions.scores.nnz / max(int(yesterday.listeners.sum()), 1)
    if growth > _MOST_GROWTH:
        return f"scratch, for there are {growth:.1f} times the pairs of the day before"
    return ""


def _als(parameters: Parameters, iterations: int) -> AlternatingLeastSquares:
    return als_class()(
        factors=parameters.factors,
        regularization=parameters.regularization,
        iterations=iterations,
        num_threads=threads(),
    )


def _confidences(interactions: Interactions, listeners: npt.NDArray[np.int64], parameters: Parameters) -> csr_matrix:
    """The confidence of each pair; ``listeners`` are how many each song of the model has."""
    scores = interactions.scores
    songs = np.diff(scores.indptr)
    of_listener = _falling(songs, interactions.mean_songs, parameters.power_of_songs)
    of_song = _falling(listeners, float(listeners.mean()), parameters.power_of_listeners)
    confidences = np.log1p(scores.data)
    confidences *= np.float32(parameters.confidence)
    confidences *= np.repeat(of_listener, songs)
    confidences *= of_song[scores.indices]
    return csr_matrix((confidences, scores.indices, scores.indptr), shape=scores.shape)


def _falling(
    numbers: npt.NDArray[np.int32] | npt.NDArray[np.int64], mean: float, power: float
) -> npt.NDArray[np.float32]:
    """1 at the mean number, and less for more of them."""
    return (np.maximum(numbers, 1) / max(mean, 1)).astype(np.float32) ** -np.float32(power)


def _start_of(songs: Keys, factors: int) -> Factors:
    """Small numbers that depend on a song's key alone, so that no other song or listener moves them (songs x "
    "factors)."""
    mixed = songs[:, None] * _HASH_OF_SONG + np.arange(factors, dtype=np.uint64)[None] * _HASH_OF_FACTOR
    # The finalizer of SplitMix64: https://prng.di.unimi.it/splitmix64.c
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(40)).astype(np.float32) / np.float32(2**24) * np.float32(_SPAN_OF_START)
