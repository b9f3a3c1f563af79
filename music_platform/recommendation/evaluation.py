"""How good lists were: judged by what the listeners played next that they had not played before.

The hold-out is the day after, so nothing of it can be known to the model. Definitions of the measures: Manning,
Raghavan and Schuetze, "Introduction to Information Retrieval", chapter 8; nDCG with binary
relevance: Jarvelin and Kekalainen, "Cumulated gain-based evaluation of IR techniques" (TOIS 2002).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

JUDGED_RANKS = 10
_DISCOUNTS = 1 / np.log2(np.arange(2, JUDGED_RANKS + 2))


@dataclass(frozen=True)
class Quality:
    """Means over the judged listeners; ``coverage`` is a share of the songs, ``novelty`` in bits.

    ``ndcg_of_each`` is each listener's nDCG@10, in the order of the lists, for paired comparisons.
    """

    judged_listeners: int
    ndcg_at_10: float
    map_at_10: float
    recall_at_20: float
    recall_at_50: float
    hit_rate_at_10: float
    coverage_at_10: float
    novelty_at_10: float
    ndcg_of_each: npt.NDArray[np.float64]


_NOBODY_JUDGED = Quality(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.empty(0))


def judge(
    lists: npt.NDArray[np.int64],
    relevant: csr_matrix,
    popularity: npt.NDArray[np.float64],
    beyond: npt.NDArray[np.int64],
) -> Quality:
    """Judge lists of positions (n x length, -1 after a list's end) by the songs that each listener discovered.

    ``relevant`` (n x songs) marks the songs, of those the lists could hold; ``beyond`` counts each listener's
    discoveries that no list could hold. Together at least one for each listener. ``popularity`` is each song's total
    score, for novelty.
    """
    listeners = len(lists)
    if not listeners:
        return _NOBODY_JUDGED
    hits = _hits(lists, relevant, len(popularity))
    discovered = np.diff(relevant.indptr) + beyond
    first = hits[:, :JUDGED_RANKS]
    ideal = np.cumsum(_DISCOUNTS)[np.minimum(discovered, JUDGED_RANKS) - 1]
    ndcg = (first * _DISCOUNTS[: first.shape[1]]).sum(axis=1) / ideal
    precision = np.cumsum(first, axis=1) / np.arange(1, first.shape[1] + 1)
    average_precision = (precision * first).sum(axis=1) / np.minimum(discovered, JUDGED_RANKS)
    offered = lists[:, :JUDGED_RANKS]
    offered = offered[offered >= 0]
    shares = popularity / popularity.sum()
    return Quality(
        judged_listeners=listeners,
        ndcg_at_10=float(ndcg.mean()),
        map_at_10=float(average_precision.mean()),
        recall_at_20=float((hits[:, :20].sum(axis=1) / discovered).mean()),
        recall_at_50=float((hits[:, :50].sum(axis=1) / discovered).mean()),
        hit_rate_at_10=float(first.any(axis=1).mean()),
        coverage_at_10=len(np.unique(offered)) / len(popularity),
        novelty_at_10=float(-np.log2(shares[offered]).mean()) if len(offered) else 0.0,
        ndcg_of_each=ndcg,
    )


def _hits(lists: npt.NDArray[np.int64], relevant: csr_matrix, songs: int) -> npt.NDArray[np.bool_]:
    """Which places of the lists hold a song that the listener discovered."""
    rows = np.repeat(np.arange(len(lists), dtype=np.int64), np.diff(relevant.indptr))
    wanted = rows * songs + relevant.indices
    wanted.sort()
    offered = np.arange(len(lists), dtype=np.int64)[:, None] * songs + lists
    if not len(wanted):
        return np.zeros(lists.shape, dtype=bool)
    found = np.searchsorted(wanted, offered).clip(max=len(wanted) - 1)
    return (wanted[found] == offered) & (lists >= 0)
