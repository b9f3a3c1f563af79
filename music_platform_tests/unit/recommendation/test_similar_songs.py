import numpy as np

from music_platform.recommendation.model import SongFactors
from music_platform.recommendation.similar_songs import similar_songs


def _model(factors: np.ndarray, listeners: list[int]) -> SongFactors:
    songs = len(factors)
    return SongFactors(
        np.arange(1, songs + 1, dtype=np.uint64), factors.astype(np.float32), np.ones(songs), np.array(listeners),
        np.ones(songs, bool), "",
    )  # fmt: skip


def test_the_nearest_by_cosine() -> None:
    random = np.random.default_rng(3)
    factors, listeners = random.normal(size=(120, 6)), random.integers(1, 6, 120)
    of, nearest, cosines = similar_songs(_model(factors, listeners.tolist()), 20)
    wanted = np.flatnonzero(listeners >= 3)
    assert of.tolist() == wanted.tolist()
    unit = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    for song, found, scores in zip(of, nearest, cosines, strict=True):
        others = wanted[wanted != song]
        expected = unit[others] @ unit[song]
        best = others[np.argsort(-expected, kind="stable")[:20]]
        assert found.tolist() == best.tolist()
        np.testing.assert_allclose(scores, np.sort(expected)[::-1][:20], atol=1e-5)


def test_a_song_is_never_its_own_neighbour_among_equals() -> None:
    _, nearest, _ = similar_songs(_model(np.ones((40, 4)), [5] * 40), 20)
    assert not (nearest == np.arange(40)[:, None]).any()
    assert all(len(set(row)) == 20 for row in nearest.tolist())


def test_too_few_songs_or_listeners_and_songs_without_a_direction() -> None:
    assert len(similar_songs(_model(np.ones((1, 4)), [9]))[0]) == 0
    assert len(similar_songs(_model(np.ones((5, 4)), [2] * 5))[0]) == 0
    factors = np.ones((4, 4))
    factors[2] = 0
    assert similar_songs(_model(factors, [3] * 4))[0].tolist() == [0, 1, 3]
