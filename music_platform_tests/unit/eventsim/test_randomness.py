"""Random numbers by counter, and alias tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_platform.eventsim.randomness import (
    AliasRows,
    AliasTable,
    high_half,
    low_half,
    random_bits,
    standard_exponential,
    standard_normal,
    stream_key,
    unit_interval,
)

_COUNTERS = np.arange(200_000, dtype=np.uint64)


@given(st.integers(), st.permutations(list(range(8))))
def test_a_draw_depends_on_seed_and_counter_alone(seed: int, order: list[int]) -> None:
    key = stream_key(seed, "test")
    together = random_bits(key, np.arange(8, dtype=np.uint64))
    apart = [int(random_bits(key, np.array([counter], dtype=np.uint64))[0]) for counter in order]
    assert [int(together[counter]) for counter in order] == apart


def test_halves_are_uniform_and_independent() -> None:
    bits = random_bits(stream_key(1, "test"), _COUNTERS)
    high, low = unit_interval(high_half(bits)), unit_interval(low_half(bits))
    assert high.mean() == pytest.approx(0.5, abs=0.003)
    assert high.var() == pytest.approx(1 / 12, abs=0.002)
    assert abs(np.corrcoef(high, low)[0, 1]) < 0.01
    assert abs(np.corrcoef(high[1:], high[:-1])[0, 1]) < 0.01


def test_distributions_have_their_moments() -> None:
    bits = random_bits(stream_key(2, "test"), _COUNTERS)
    normal, exponential = standard_normal(bits), standard_exponential(high_half(bits))
    assert (normal.mean(), normal.std()) == (pytest.approx(0, abs=0.01), pytest.approx(1, abs=0.01))
    assert (exponential.mean(), exponential.std()) == (pytest.approx(1, abs=0.01), pytest.approx(1, abs=0.02))
    assert exponential.min() > 0


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=30).filter(any))
def test_an_alias_table_keeps_the_weights(weights: list[int]) -> None:
    table = AliasTable.from_weights(weights)
    share = np.zeros(len(weights))
    np.add.at(share, np.arange(len(weights)), table.threshold / 2.0**32)
    np.add.at(share, table.alias, 1 - table.threshold / 2.0**32)
    assert share / len(weights) == pytest.approx(np.array(weights) / sum(weights), abs=1e-8)


def test_an_outcome_of_weight_0_is_never_drawn() -> None:
    table = AliasTable.from_weights([0, 3, 0, 1])
    drawn = np.bincount(table.draw(high_half(random_bits(stream_key(3, "test"), _COUNTERS))), minlength=4)
    assert drawn[[0, 2]].tolist() == [0, 0]
    assert drawn[1] / drawn.sum() == pytest.approx(0.75, abs=0.005)


def test_rows_draw_each_from_its_own_weights() -> None:
    rows = AliasRows.from_outcomes([[(7, 1.0)], [(5, 1.0), (6, 3.0)]])
    drawn = rows.draw(
        (_COUNTERS % np.uint64(2)).astype(np.int64), high_half(random_bits(stream_key(4, "t"), _COUNTERS))
    )
    assert set(drawn[::2].tolist()) == {7}
    assert (drawn[1::2] == 6).mean() == pytest.approx(0.75, abs=0.005)


def test_rows_of_different_widths_take_no_more_than_their_own_cells() -> None:
    numbers = [np.array([4]), np.array([], dtype=np.int64), np.arange(10, 20)]
    rows = AliasRows.from_weights((own, np.ones(own.size)) for own in numbers)
    assert rows.threshold.size == 11
    row = np.where(_COUNTERS % np.uint64(2) == 0, 0, 2)
    drawn = rows.draw(row, high_half(random_bits(stream_key(5, "t"), _COUNTERS)))
    assert set(drawn[::2].tolist()) == {4}
    assert np.bincount(drawn[1::2])[10:] / (drawn.size / 2) == pytest.approx(0.1, abs=0.005)


@pytest.mark.parametrize("weights", [[], [0, 0], [-1, 2], [float("nan")], [float("inf")]])
def test_weights_that_make_no_sense_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights must be"):
        AliasTable.from_weights(weights)
