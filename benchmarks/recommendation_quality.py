"""What the recommendations find of tastes that are known: beside popularity, and beside who knows the tastes.

Worlds of listeners are drawn (benchmarks/taste_world.py). The last days are held out. In the days before, the model is carried
forward from day to day, each day judges the lists of the one before, and the gate chooses the weight of popularity, all as the
assets do. Lists are judged by the songs that their listeners play in the held-out days for the first time. The taste
oracle knows the probability of every song for every listener. The second table is what else was tried in the first world,
each paired with the model alone, listener by listener: a difference counts from two standard errors on. The third one orders the
songs that a listener knows, and judges by those that they play again.

    python -m benchmarks.recommendation_quality
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from implicit.nearest_neighbours import CosineRecommender
from scipy.sparse import csr_matrix

from benchmarks.measuring import print_table
from benchmarks.taste_world import Floats, Positions, TasteWorld, taste_world
from music_platform.recommendation.evaluation import JUDGED_RANKS, Quality, judge
from music_platform.recommendation.gate import Gain, chosen_weight
from music_platform.recommendation.interactions import Interactions, positions_of
from music_platform.recommendation.judging import MICROSECONDS_OF_DAY, Discoveries, judge_weights
from music_platform.recommendation.model import SongFactors, fold_in, train
from music_platform.recommendation.parameters import Parameters
from music_platform.recommendation.ranking import POPULARITY, Ranking
from music_platform.tables.recommendations.blend_weights import JUDGED_DAYS

_LISTENERS_AT_ONCE = 1_000
_LENGTH = 50
_ERRORS = 2.0
_DEFAULT = Parameters()
_TRIED = (
    Parameters(factors=32),
    Parameters(factors=128),
    Parameters(regularization=3.0),
    Parameters(regularization=30.0),
    Parameters(confidence=1.0),
    Parameters(confidence=10.0),
    Parameters(confidence=10.0, power_of_songs=0.0, power_of_listeners=0.0),
    Parameters(power_of_songs=0.0, power_of_listeners=0.0),
    Parameters(power_of_songs=0.0),
    Parameters(power_of_listeners=0.0),
    Parameters(power_of_songs=0.75),
    Parameters(power_of_listeners=0.5),
)
Scores = Callable[[Positions], Floats]


@dataclass(frozen=True)
class HoldOut:
    """A world whose last days are held out: what is known by then, and what the listeners then discovered."""

    world: TasteWorld
    days: int
    held_out: int

    @cached_property
    def first(self) -> int:
        """The first day that is held out: so many are known."""
        return self.days - self.held_out

    @cached_property
    def known(self) -> Interactions:
        return Interactions.of(self.world.pairs(self.first))

    @cached_property
    def everything(self) -> SongFactors:
        """Every song of the world, with or without a play, and its popularity."""
        songs = self.world.songs
        return SongFactors(songs, np.zeros((len(songs), 0), np.float32), self.world.popularity,
                           np.zeros(len(songs), np.int64), np.ones(len(songs), bool), "")  # fmt: skip

    @cached_property
    def discoveries(self) -> Discoveries:
        return Discoveries.of(
            self.known, self.everything, self.world.pairs(self.days), self.first * MICROSECONDS_OF_DAY
        )

    @cached_property
    def listeners(self) -> Interactions:
        """Those who are judged, with what they know."""
        return self.known.of_users(self.discoveries.listeners)

    def judge(self, lists: Positions, model: SongFactors) -> Quality:
        """Lists of positions in the model's songs."""
        positions = positions_of(model.songs, self.world.songs)
        return self.discoveries.judge(np.where(lists >= 0, positions[lists.clip(min=0)], -1), self.everything)

    def judge_scores(self, scores: Scores, songs: SongFactors) -> Quality:
        """The songs with the highest scores that each listener does not know; ``scores`` are of some listeners by place."""
        known = self.listeners.with_songs(songs.songs).scores
        lists = np.empty((len(self.listeners.users), _LENGTH), dtype=np.int64)
        for first in range(0, len(lists), _LISTENERS_AT_ONCE):
            places = np.arange(first, min(first + _LISTENERS_AT_ONCE, len(lists)))
            found = np.where(songs.is_offered, scores(places), -np.inf)
            found[known[places].nonzero()] = -np.inf
            best = np.argpartition(-found, _LENGTH, axis=1)[:, :_LENGTH]
            order = np.argsort(-np.take_along_axis(found, best, 1), axis=1, kind="stable")
            lists[places] = np.take_along_axis(best, order, 1)
        return self.judge(lists, songs)

    def judge_oracle(self) -> Quality:
        positions = positions_of(self.listeners.users, self.world.users)
        return self.judge_scores(lambda places: self.world.taste(positions[places]), self.everything)

    def served_model(self) -> tuple[SongFactors, float]:
        """The model of the last known day and the weight in force, after the days before were judged one by one."""
        model, gains = None, []
        for day in range(max(self.first - JUDGED_DAYS, 1), self.first + 1):
            interactions = Interactions.of(self.world.pairs(day))
            if model is not None:
                before = Interactions.of(self.world.pairs(day - 1))
                found = Discoveries.of(before, model, self.world.pairs(day), (day - 1) * MICROSECONDS_OF_DAY)
                gains += judge_weights(before, model, found, _DEFAULT)[0]
            model = train(interactions, _DEFAULT, model).model
        assert model is not None
        return model, chosen_weight(gains, _DEFAULT.gate_errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the worlds (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="the first table alone")
    options = parser.parse_args()
    worlds = {
        "5,000 listeners, 30 days, 7 held out": (5_000, 30, 7, 0.15, 0.3, True),
        "1,000 listeners, 14 days, 3 held out": (1_000, 14, 3, 0.15, 0.3, True),
        "1,000 listeners, 7 days, 2 held out, sharper taste": (1_000, 7, 2, 0.05, 0.1, True),
        "1,000 listeners, 3 days, 1 held out, sharper taste": (1_000, 3, 1, 0.05, 0.1, True),
        "weak taste: 2,000 listeners, 14 days, 3 held out": (2_000, 14, 3, 1.0, 1.0, True),
        "no taste: 2,000 listeners, 30 days, 7 held out": (2_000, 30, 7, 0.15, 0.3, False),
    }
    rows, main_world = [], None
    for name, (listeners, days, held_out, genres, scenes, has_taste) in worlds.items():
        began = time.perf_counter()
        world = taste_world(
            listeners=listeners, songs=10_000, days=days, genre_spread=genres, scene_spread=scenes,
            has_taste=has_taste, seed=options.seed,
        )  # fmt: skip
        hold_out = HoldOut(world, days, held_out)
        main_world = main_world or hold_out
        rows.append([name, *_row_of_world(hold_out)])
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    head = [
        "world",
        "judged",
        "popularity",
        "model alone",
        "served",
        "its weight",
        "oracle",
        "x popularity",
        "of oracle",
    ]
    print_table("nDCG@10 of songs that a listener plays for the first time", head, rows)
    if not options.quick and main_world is not None:
        _print_tried(main_world)
        _print_known(main_world)


def _row_of_world(hold_out: HoldOut) -> list[str]:
    model, weight = hold_out.served_model()
    ranking, users = Ranking(model), fold_in(model, hold_out.listeners, _DEFAULT)
    popularity, alone, served = (
        hold_out.judge(ranking.lists(users, hold_out.listeners, some).songs, model).ndcg_at_10
        for some in (POPULARITY, 0.0, weight)
    )
    oracle = hold_out.judge_oracle().ndcg_at_10
    judged = f"{len(hold_out.discoveries.listeners):,}"
    figures = [f"{popularity:.4f}", f"{alone:.4f}", f"{served:.4f}", f"{weight:g}", f"{oracle:.4f}"]
    return [judged, *figures, f"{served / popularity:.2f}", f"{served / oracle:.0%}"]


def _print_tried(hold_out: HoldOut) -> None:
    """What else was tried, beside the model alone: other settings, and other orders of its songs."""
    base = _ndcg_of_parameters(hold_out, _DEFAULT)
    rows = [["the model alone, as the settings have it", f"{base.mean():.4f}", "", "", ""]]

    def tell(name: str, ndcg: Floats, seconds: float) -> None:
        gain = Gain.of(0.0, ndcg - base)
        verdict = "better" if gain.mean > _ERRORS * gain.standard_error else "no better"
        if gain.mean < -_ERRORS * gain.standard_error:
            verdict = "worse"
        rows.append(
            [name, f"{ndcg.mean():.4f}", f"{gain.mean:+.4f} ({gain.standard_error:.4f})", verdict, f"{seconds:.0f}"]
        )
        print(f"{name}: {ndcg.mean():.4f} {verdict}", file=sys.stderr, flush=True)

    for tried in _TRIED:
        began = time.perf_counter()
        tell(tried.of_model, _ndcg_of_parameters(hold_out, tried), time.perf_counter() - began)
    for name, order in _orders(hold_out).items():
        began = time.perf_counter()
        tell(name, order().ndcg_of_each, time.perf_counter() - began)
    print_table("What was tried in the first world", ["", "nDCG@10", "gain (standard error)", "", "seconds"], rows)


def _ndcg_of_parameters(hold_out: HoldOut, parameters: Parameters) -> Floats:
    model = train(hold_out.known, parameters).model
    users = fold_in(model, hold_out.listeners, parameters)
    return hold_out.judge(Ranking(model).lists(users, hold_out.listeners, 0.0).songs, model).ndcg_of_each


def _orders(hold_out: HoldOut) -> dict[str, Callable[[], Quality]]:
    """Other orders of the same songs, by name."""
    model = train(hold_out.known, _DEFAULT).model
    own = hold_out.listeners.with_songs(model.songs).scores
    users = fold_in(model, hold_out.listeners, _DEFAULT)
    artist = hold_out.world.artist[positions_of(model.songs, hold_out.world.songs)]

    def fit(places: Positions) -> Floats:
        return _standardized((users[places] @ model.factors.T).astype(np.float64))

    def neighbours(weight: float) -> Quality:
        nearest = CosineRecommender(K=100)
        nearest.fit(hold_out.known.scores.tocsr(), show_progress=False)
        assert nearest.similarity is not None
        similar = nearest.similarity.tocsr().astype(np.float32)
        return hold_out.judge_scores(
            lambda places: (1 - weight) * fit(places) + weight * _standardized((own[places] @ similar).toarray()), model
        )

    def artists(weight: float) -> Quality:
        def scores(places: Positions) -> Floats:
            of_artist = np.zeros((len(places), artist.max() + 1))
            listeners, songs = own[places].nonzero()
            np.add.at(of_artist, (listeners, artist[songs]), np.asarray(own[places][listeners, songs]).ravel())
            return fit(places) + weight * np.log1p(of_artist)[:, artist]

        return hold_out.judge_scores(scores, model)

    def recent(days: float) -> Quality:
        """Taste of the last days: vectors from plays that fade faster, on the same model."""
        faded = Interactions.of(hold_out.world.pairs(hold_out.first, half_life=days))
        places = positions_of(hold_out.listeners.users, faded.users)
        fast = fold_in(model, faded.of_users(places), _DEFAULT)
        return hold_out.judge_scores(lambda some: (fast[some] @ model.factors.T).astype(np.float64), model)

    def popular(weight: float) -> Quality:
        return hold_out.judge(Ranking(model).lists(users, hold_out.listeners, weight).songs, model)

    def multiplied(power: float) -> Quality:
        popularity = np.log(model.scores + 0.05)
        return hold_out.judge_scores(
            lambda places: np.log(np.maximum(users[places] @ model.factors.T, 1e-6)) + power * popularity, model
        )

    return {
        "blended with popularity, weight 0.1": lambda: popular(0.1),
        "blended with popularity, weight 0.2": lambda: popular(0.2),
        "multiplied by popularity to the power of 0.2": lambda: multiplied(0.2),
        "and songs of the same listeners (cosine), weight 0.2": lambda: neighbours(0.2),
        "and songs of the same listeners (cosine), weight 0.5": lambda: neighbours(0.5),
        "songs of the same listeners (cosine) alone": lambda: neighbours(1.0),
        "and the listener's artists, 0.3 log(1 + score)": lambda: artists(0.3),
        "listeners by plays that halve in 7 days": lambda: recent(7.0),
    }


def _print_known(hold_out: HoldOut) -> None:
    """Orders of the songs that a listener knows, by what they play of these in the held-out days."""
    known = hold_out.known
    again = hold_out.world.pairs(hold_out.days)
    played = again.last_played >= hold_out.first * MICROSECONDS_OF_DAY
    users, songs = positions_of(again.users[played], known.users), positions_of(again.songs[played], known.songs)
    at = (users >= 0) & (songs >= 0)
    shape = known.scores.shape
    repeated = csr_matrix((np.ones(at.sum(), np.float32), (users[at], songs[at])), shape=shape).multiply(
        known.scores > 0
    )
    listeners = np.flatnonzero(np.diff(csr_matrix(repeated).indptr))
    own, relevant = known.scores[listeners].tocsr(), csr_matrix(repeated)[listeners].tocsr()
    model = train(known, _DEFAULT).model
    vectors = fold_in(model, known.of_users(listeners), _DEFAULT)
    rows = np.repeat(np.arange(len(listeners)), np.diff(own.indptr))
    popularity = known.song_scores
    orders = {
        "the listener's own score (listen_again)": own.data,
        "the model": np.einsum("ij,ij->i", vectors[rows], model.factors[own.indices]),
        "popularity": popularity[own.indices],
    }
    table = []
    for name, scores in orders.items():
        best = np.lexsort((own.indices, -scores, rows))
        place = np.arange(len(rows)) - own.indptr[rows]
        first = place < JUDGED_RANKS
        lists = np.full((len(listeners), JUDGED_RANKS), -1, dtype=np.int64)
        lists[rows[first], place[first]] = own.indices[best][first]
        quality = judge(lists, relevant, popularity, np.zeros(len(listeners), np.int64))
        table.append([name, f"{quality.ndcg_at_10:.4f}", f"{quality.hit_rate_at_10:.0%}"])
    print_table(f"Songs that are played again, {len(listeners):,} listeners", ["order", "nDCG@10", "hit rate"], table)


def _standardized(values: Floats) -> Floats:
    spread = values.std(axis=1, keepdims=True)
    return (values - values.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)


if __name__ == "__main__":
    main()
