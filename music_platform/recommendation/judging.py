"""A day's plays judge the lists of the day before: which songs each listener discovered, and how well lists foresaw them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_matrix

from music_platform.recommendation.evaluation import JUDGED_RANKS, Quality, judge
from music_platform.recommendation.gate import Gain
from music_platform.recommendation.interactions import Interactions, Pairs, positions_of
from music_platform.recommendation.keys import numbers_of_keys
from music_platform.recommendation.model import SongFactors, fold_in
from music_platform.recommendation.parameters import WEIGHTS, Parameters
from music_platform.recommendation.ranking import POPULARITY, Ranking
from music_platform.tables.recommendations.blend_weights import WEIGHTS_JUDGED_BY
from music_platform.tables.recommendations.shared import ACTIVE_DAYS

MICROSECONDS_OF_DAY = 86_400_000_000


@dataclass(frozen=True)
class Discoveries:
    """What listeners with a list played on the day after it, and had not played before.

    ``listeners`` are their positions in the interactions of the day of the lists; ``songs`` (n x songs of the model) marks
    what each discovered, and ``beyond`` counts what no list could hold, because the model does not know the song.
    """

    listeners: npt.NDArray[np.int64]
    songs: csr_matrix
    beyond: npt.NDArray[np.int64]

    @classmethod
    def of(cls, known: Interactions, model: SongFactors, today: Pairs, day: int) -> Discoveries:
        """``known`` and ``model`` are of the day of the lists, ``today`` of the day after, which begins at ``day``
        (microseconds since 1970)."""
        offered = known.with_songs(model.songs[model.is_offered])
        has_songs_left = np.diff(offered.scores.indptr) < len(offered.songs)
        has_list = (known.last_played >= day - ACTIVE_DAYS * MICROSECONDS_OF_DAY) & has_songs_left
        users, songs = positions_of(today.users, known.users), positions_of(today.songs, known.songs)
        is_new = (today.last_played >= day) & (users >= 0)
        is_new[is_new] = has_list[users[is_new]]
        in_model = is_new & (songs >= 0)
        is_new[in_model] = ~known.hold(users[in_model], songs[in_model])
        listeners, of_pair = np.unique(users[is_new], return_inverse=True)
        columns = positions_of(today.songs[is_new], model.songs)
        found = columns >= 0
        marks = csr_matrix(
            (np.ones(found.sum(), dtype=np.float32), (of_pair[found], columns[found])),
            shape=(len(listeners), len(model)),
        )
        return cls(listeners, marks, np.bincount(of_pair[~found], minlength=len(listeners)))

    def part(self, most: int) -> Discoveries:
        """At most so many of the listeners, evenly by their keys: those are hashes, so it is a fair sample, and a fixed one."""
        if len(self.listeners) <= most:
            return self
        chosen = np.arange(most) * len(self.listeners) // most
        return Discoveries(self.listeners[chosen], self.songs[chosen].tocsr(), self.beyond[chosen])

    def judge(self, lists: npt.NDArray[np.int64], model: SongFactors) -> Quality:
        """The quality of these listeners' lists, as positions in the model's songs."""
        return judge(lists, self.songs, model.scores, self.beyond)


def judge_weights(
    known: Interactions, model: SongFactors, discoveries: Discoveries, parameters: Parameters
) -> tuple[list[Gain], dict[float, Quality]]:
    """What each weight of popularity would have gained over popularity, and the quality of the first songs of its lists.

    At most ``WEIGHTS_JUDGED_BY`` listeners are judged: so many show a difference that matters, and all would cost as much as
    the day's lists for each of the weights.
    """
    discoveries = discoveries.part(WEIGHTS_JUDGED_BY)
    listeners = known.of_users(discoveries.listeners)
    ranking, users = Ranking(model), fold_in(model, listeners, parameters)
    found = {
        weight: discoveries.judge(ranking.lists(users, listeners, weight, JUDGED_RANKS).songs, model)
        for weight in WEIGHTS
    }
    base = found[POPULARITY].ndcg_of_each
    return [Gain.of(weight, quality.ndcg_of_each - base) for weight, quality in found.items()], found


def served_lists(
    rows: pa.Table, known: Interactions, model: SongFactors, discoveries: Discoveries, length: int
) -> npt.NDArray[np.int64]:
    """The published lists of the listeners who are judged, as positions in the model's songs (n x length).

    ``rows`` are those of the table recommendations: user_key, rank, song_key.
    """
    lists = np.full((len(discoveries.listeners), length), -1, dtype=np.int64)
    for batch in rows.to_batches():
        if not batch.num_rows:
            continue
        users = positions_of(numbers_of_keys(batch.column("user_key"), "user_key"), known.users[discoveries.listeners])
        songs = positions_of(numbers_of_keys(batch.column("song_key"), "song_key"), model.songs)
        ranks = batch.column("rank").to_numpy(zero_copy_only=False)
        judged = users >= 0
        lists[users[judged], ranks[judged] - 1] = songs[judged]
    return lists
