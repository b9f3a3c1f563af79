from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from music_platform.recommendation.evaluation import judge


@st.composite
def _judged(draw: st.DrawFn) -> tuple[list[list[int]], list[set[int]], list[int], int]:
    songs = draw(st.integers(5, 70))
    lists, relevant, beyond = [], [], []
    for _ in range(draw(st.integers(1, 5))):
        lists.append(draw(st.lists(st.integers(0, songs - 1), unique=True, max_size=50)))
        relevant.append(draw(st.sets(st.integers(0, songs - 1), max_size=15)))
        beyond.append(draw(st.integers(0 if relevant[-1] else 1, 3)))
    return lists, relevant, beyond, songs


@given(_judged())
def test_measures_agree_with_their_definitions(judged: tuple[list[list[int]], list[set[int]], list[int], int]) -> None:
    lists, relevant, beyond, songs = judged
    padded = np.array([row + [-1] * (50 - len(row)) for row in lists], dtype=np.int64)
    marks = np.zeros((len(lists), songs), dtype=np.float32)
    for place, wanted in enumerate(relevant):
        marks[place, list(wanted)] = 1
    popularity = np.arange(1, songs + 1, dtype=float)
    found = judge(padded, csr_matrix(marks), popularity, np.array(beyond))

    def mean(measure: list[float]) -> float:
        return sum(measure) / len(measure)

    gains, precisions, recalls, hits = [], [], {20: [], 50: []}, []
    for offered, wanted, more in zip(lists, relevant, beyond, strict=True):
        discovered = len(wanted) + more
        gain = sum(1 / log2(rank + 1) for rank, song in enumerate(offered[:10], 1) if song in wanted)
        gains.append(gain / sum(1 / log2(rank + 1) for rank in range(1, min(discovered, 10) + 1)))
        precise = [
            len(set(offered[:rank]) & wanted) / rank for rank, song in enumerate(offered[:10], 1) if song in wanted
        ]
        precisions.append(sum(precise) / min(discovered, 10))
        hits.append(float(bool(set(offered[:10]) & wanted)))
        for length, values in recalls.items():
            values.append(len(set(offered[:length]) & wanted) / discovered)
    first = [song for offered in lists for song in offered[:10]]
    assert found.judged_listeners == len(lists)
    assert found.ndcg_at_10 == pytest.approx(mean(gains))
    assert found.ndcg_of_each.tolist() == pytest.approx(gains)
    assert found.map_at_10 == pytest.approx(mean(precisions))
    assert found.recall_at_20 == pytest.approx(mean(recalls[20]))
    assert found.recall_at_50 == pytest.approx(mean(recalls[50]))
    assert found.hit_rate_at_10 == pytest.approx(mean(hits))
    assert found.coverage_at_10 == pytest.approx(len(set(first)) / songs)
    novelty = [-log2(popularity[song] / popularity.sum()) for song in first]
    assert found.novelty_at_10 == pytest.approx(mean(novelty) if novelty else 0)


def test_nobody_to_judge() -> None:
    found = judge(np.empty((0, 50), np.int64), csr_matrix((0, 3)), np.ones(3), np.empty(0, np.int64))
    assert (found.judged_listeners, found.ndcg_at_10) == (0, 0.0)
