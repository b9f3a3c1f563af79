import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from music_platform.recommendation import ranking
from music_platform.recommendation.interactions import Interactions
from music_platform.recommendation.model import SongFactors
from music_platform.recommendation.ranking import Ranking

_TOLERANCE = 1e-4


def _world(seed: int, users: int, songs: int, *, taste: bool = True) -> tuple[SongFactors, np.ndarray, Interactions]:
    random = np.random.default_rng(seed)
    keys = np.arange(1, songs + 1, dtype=np.uint64)
    listeners = random.integers(0, 5, songs)
    model = SongFactors(
        keys,
        random.normal(size=(songs, 4)).astype(np.float32) * (1 if taste else 0),
        random.gamma(1, 10, songs),
        listeners,
        listeners >= 2,
        "",
    )
    played = csr_matrix((random.random((users, songs)) < random.random((users, 1))).astype(np.float32))
    interactions = Interactions(np.arange(1, users + 1, dtype=np.uint64), keys, played, np.zeros(users, np.int64), 1.0)
    return model, random.normal(size=(users, 4)).astype(np.float32) * (1 if taste else 0), interactions


def _standardized(values: np.ndarray) -> np.ndarray:
    spread = values.std(axis=-1, keepdims=True)
    return (values - values.mean(axis=-1, keepdims=True)) / np.where(spread > 1e-12, spread, 1)


def _scores(model: SongFactors, users: np.ndarray, weight: float) -> np.ndarray:
    """Every offered song's score for every listener, song by song as the definition says; NaN for those not offered."""
    offered = model.is_offered
    scores = np.full((len(users), len(model)), np.nan)
    if not offered.any():
        return scores
    fit = users.astype(float) @ model.factors[offered].astype(float).T
    popularity = _standardized(np.log(model.scores[offered] + 0.05))
    knows_taste = fit.std(axis=1, keepdims=True) > 1e-6
    blend = np.where(knows_taste, (1 - weight) * _standardized(fit) + weight * popularity, popularity)
    scores[:, offered] = blend
    return scores


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32),
    st.integers(1, 6),
    st.integers(1, 80),
    st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]),
    st.booleans(),
)
def test_lists_are_the_best_songs_by_definition_and_keep_the_rules(
    seed: int, users: int, songs: int, weight: float, taste: bool
) -> None:
    model, vectors, played = _world(seed, users, songs, taste=taste)
    lists = Ranking(model).lists(vectors, played, weight, 10)
    expected = _scores(model, vectors, weight)
    for user in range(users):
        found = [song for song in lists.songs[user].tolist() if song >= 0]
        left = {song for song in np.flatnonzero(model.is_offered).tolist() if not played.scores[user, song]}
        assert len(found) == min(10, len(left))  # as long as it can be, never padded
        assert len(set(found)) == len(found)
        assert set(found) <= left
        scores = lists.scores[user][: len(found)].tolist()
        assert scores == sorted(scores, reverse=True)
        np.testing.assert_allclose(scores, expected[user, found], atol=_TOLERANCE)
        skipped = [expected[user, song] for song in left - set(found)]
        assert not found or max(skipped, default=-np.inf) <= expected[user, found[-1]] + _TOLERANCE


def test_a_listener_without_taste_gets_popularity() -> None:
    model, vectors, played = _world(1, 3, 60)
    vectors[1] = 0
    lists = Ranking(model).lists(vectors, played, 0.2, 10)
    assert lists.weights.tolist() == [0.2, 1.0, 0.2]
    popular = Ranking(model).lists(vectors, played, 1.0, 10)
    assert lists.songs[1].tolist() == popular.songs[1].tolist()


def test_popularity_is_the_same_for_few_listeners_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, vectors, played = _world(5, 20, 60)
    whole = Ranking(model).lists(vectors, played, 1.0, 10)
    monkeypatch.setattr(ranking, "_CELLS_AT_ONCE", 200)
    parts = Ranking(model).lists(vectors, played, 1.0, 10)
    np.testing.assert_array_equal(parts.songs, whole.songs)
    np.testing.assert_array_equal(parts.scores, whole.scores)
    assert len({tuple(songs) for songs in whole.songs.tolist()}) > 1  # each lacks what the listener knows


def test_equal_scores_are_in_order_of_their_keys() -> None:
    songs = 100
    model = SongFactors(
        np.arange(1, songs + 1, dtype=np.uint64), np.zeros((songs, 4), np.float32), np.ones(songs),
        np.full(songs, 2), np.ones(songs, bool), "",
    )  # fmt: skip
    nothing = Interactions(
        np.array([1], np.uint64), model.songs, csr_matrix((1, songs), dtype=np.float32), np.zeros(1, np.int64), 1.0
    )
    lists = Ranking(model).lists(np.zeros((1, 4), np.float32), nothing, 0.0, 5)
    assert lists.scores.tolist() == [[0.0] * 5]
    assert (np.diff(lists.songs[0]) > 0).all()


@pytest.mark.parametrize("users", [0, 2])
def test_without_offered_songs_lists_are_empty(users: int) -> None:
    model, vectors, played = _world(1, users, 5)
    model = SongFactors(model.songs, model.factors, model.scores, model.listeners, np.zeros(5, bool), "")
    assert Ranking(model).lists(vectors, played, 0.5).lengths.tolist() == [0] * users
