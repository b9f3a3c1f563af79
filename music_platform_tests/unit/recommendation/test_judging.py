from dataclasses import replace

import numpy as np
import pytest

from music_platform.recommendation import judging
from music_platform.recommendation.interactions import Interactions
from music_platform.recommendation.judging import MICROSECONDS_OF_DAY, Discoveries, judge_weights
from music_platform.recommendation.model import SongFactors, fold_in, train
from music_platform.recommendation.parameters import Parameters
from music_platform.recommendation.ranking import Ranking
from music_platform_tests.unit.recommendation.planted_world import planted_world

_PARAMETERS = Parameters(factors=8)
Judged = tuple[Interactions, SongFactors, Discoveries]


@pytest.fixture(scope="module")
def judged() -> Judged:
    world = planted_world(users=120, songs=200)
    known = world.interactions(3)
    model = train(known, _PARAMETERS).model
    return known, model, Discoveries.of(known, model, world.pairs(4), 4 * MICROSECONDS_OF_DAY)


def test_the_first_songs_judge_a_weight_as_whole_lists_do(judged: Judged) -> None:
    known, model, discoveries = judged
    gains, qualities = judge_weights(known, model, discoveries, _PARAMETERS)
    listeners = known.of_users(discoveries.listeners)
    ranking, users = Ranking(model), fold_in(model, listeners, _PARAMETERS)
    for weight, quality in qualities.items():
        whole = discoveries.judge(ranking.lists(users, listeners, weight).songs, model)
        np.testing.assert_array_equal(quality.ndcg_of_each, whole.ndcg_of_each)
    assert {gain.listeners for gain in gains} == {len(discoveries.listeners)}


def test_a_part_of_many_listeners_judges_the_weights(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    known, model, discoveries = judged
    _, of_all = judge_weights(known, model, discoveries, _PARAMETERS)
    monkeypatch.setattr(judging, "WEIGHTS_JUDGED_BY", 30)
    gains, of_part = judge_weights(known, model, discoveries, _PARAMETERS)
    assert {gain.listeners for gain in gains} == {30}
    places = np.arange(30) * len(discoveries.listeners) // 30
    for weight, quality in of_part.items():
        np.testing.assert_array_equal(quality.ndcg_of_each, of_all[weight].ndcg_of_each[places])


def test_few_listeners_are_all_judged(judged: Judged) -> None:
    _, _, discoveries = judged
    assert discoveries.part(len(discoveries.listeners)) is discoveries
    nobody = replace(discoveries, listeners=discoveries.listeners[:0], songs=discoveries.songs[:0],
                     beyond=discoveries.beyond[:0])  # fmt: skip
    assert nobody.part(10) is nobody
