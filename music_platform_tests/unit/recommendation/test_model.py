from dataclasses import replace

import numpy as np
import pytest

from music_platform.recommendation.interactions import Interactions, Pairs
from music_platform.recommendation.model import fold_in, train
from music_platform.recommendation.parameters import Parameters
from music_platform_tests.unit.recommendation.planted_world import PlantedWorld, planted_world

_PARAMETERS = Parameters(factors=8, iterations=10)


@pytest.fixture(scope="module")
def world() -> PlantedWorld:
    return planted_world()


def _exact_solution(scores: np.ndarray, other: np.ndarray, parameters: Parameters) -> np.ndarray:
    """The vectors that fit the others' best, by the normal equations of Hu, Koren and Volinsky."""
    gram = other.T @ other + parameters.regularization * np.eye(other.shape[1])
    listeners, songs = (scores > 0).sum(axis=0), (scores > 0).sum(axis=1)
    solved = []
    for row, number in zip(scores, songs, strict=True):
        rare = (number / songs.mean()) ** -0.5 * (np.maximum(listeners, 1) / listeners.mean()) ** -0.25
        confidence = parameters.confidence * np.log1p(row) * rare
        extra = np.where(row > 0, confidence - 1, 0)
        solved.append(np.linalg.solve(gram + (other * extra[:, None]).T @ other, other.T @ confidence))
    return np.array(solved)


def test_vectors_of_listeners_solve_the_normal_equations(world: PlantedWorld) -> None:
    interactions = world.interactions(3)
    model = train(interactions, _PARAMETERS).model
    expected = _exact_solution(interactions.scores.toarray(), model.factors.astype(float), _PARAMETERS)
    np.testing.assert_allclose(fold_in(model, interactions, _PARAMETERS), expected, atol=1e-3)


def test_a_part_of_the_listeners_has_the_same_vectors(world: PlantedWorld) -> None:
    interactions = world.interactions(3)
    model = train(interactions, _PARAMETERS).model
    some = np.array([5, 7, 200])
    part = fold_in(model, interactions.of_users(some), _PARAMETERS)
    np.testing.assert_allclose(part, fold_in(model, interactions, _PARAMETERS)[some], atol=1e-6)


def test_the_same_pairs_in_any_order_give_the_same_model(world: PlantedWorld) -> None:
    pairs = world.pairs(3)
    order = np.random.default_rng(1).permutation(len(pairs))
    shuffled = Pairs(pairs.users[order], pairs.songs[order], pairs.scores[order], pairs.last_played[order])
    one, other = (train(Interactions.of(found), _PARAMETERS).model for found in (pairs, shuffled))
    np.testing.assert_array_equal(one.factors, other.factors)


def test_a_model_is_carried_forward_by_few_iterations(world: PlantedWorld) -> None:
    yesterday = train(world.interactions(3), _PARAMETERS).model
    trained = train(world.interactions(4), _PARAMETERS, yesterday)
    assert (trained.start, trained.iterations) == ("the day before", _PARAMETERS.warm_iterations)
    anew = train(world.interactions(4), _PARAMETERS)
    assert (anew.start, anew.iterations) == ("scratch", _PARAMETERS.iterations)
    places = np.searchsorted(trained.model.songs, yesterday.songs)
    moved, moved_anew = (
        np.linalg.norm(model.factors[places] - yesterday.factors) for model in (trained.model, anew.model)
    )
    assert moved < moved_anew


def test_other_parameters_begin_from_scratch(world: PlantedWorld) -> None:
    yesterday = train(world.interactions(3), replace(_PARAMETERS, regularization=3)).model
    trained = train(world.interactions(4), _PARAMETERS, yesterday)
    assert trained.start == (
        "scratch, for the day before has other parameters: factors=8 regularization=3 confidence=3 powers=0.5,0.25"
    )
    assert trained.iterations == _PARAMETERS.iterations


def test_a_day_of_mostly_new_songs_begins_from_scratch() -> None:
    small, large = planted_world(users=20, songs=40), planted_world(users=200, songs=400, seed=8)
    trained = train(large.interactions(3), _PARAMETERS, train(small.interactions(3), _PARAMETERS).model)
    assert trained.start.startswith("scratch, for the day before knows only 0%")


def test_a_day_of_many_more_pairs_begins_from_scratch(world: PlantedWorld) -> None:
    trained = train(world.interactions(3), _PARAMETERS, train(world.interactions(1), _PARAMETERS).model)
    assert (trained.start, trained.iterations) == (
        "scratch, for there are 1.8 times the pairs of the day before", _PARAMETERS.iterations
    )  # fmt: skip


@pytest.mark.parametrize(("users", "songs"), [(0, 0), (1, 1), (1, 3), (3, 1)])
def test_few_listeners_and_songs_have_a_model(users: int, songs: int) -> None:
    keys = np.arange(1, users * songs + 1, dtype=np.uint64)
    pairs = Pairs(
        np.repeat(keys[:users], songs),
        np.tile(keys[:songs], users),
        np.ones(users * songs, np.float32),
        np.zeros(users * songs, np.int64),
    )
    model = train(Interactions.of(pairs), _PARAMETERS).model
    assert model.factors.shape == (songs, _PARAMETERS.factors)
    assert np.isfinite(model.factors).all()
    assert model.is_offered.tolist() == [users >= _PARAMETERS.least_listeners] * songs
    assert fold_in(model, Interactions.of(pairs), _PARAMETERS).shape == (users, _PARAMETERS.factors)
