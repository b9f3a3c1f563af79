from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_platform.recommendation.gate import Gain, chosen_weight, pooled

_DIFFERENCES = st.lists(st.floats(-1, 1), min_size=0, max_size=20)


@given(st.lists(_DIFFERENCES, min_size=1, max_size=7))
def test_days_pooled_are_as_if_all_were_judged_at_once(days: list[list[float]]) -> None:
    found = pooled(Gain.of(0.5, np.array(day, dtype=float)) for day in days)
    together = np.array([value for day in days for value in day], dtype=float)
    assert found.listeners == len(together)
    if len(together) > 1:
        assert found.mean == pytest.approx(together.mean(), abs=1e-9)
        assert found.standard_error == pytest.approx(together.std(ddof=1) / sqrt(len(together)), abs=1e-9)


def test_a_proven_gain_opens_the_gate() -> None:
    gains = [
        Gain(0.0, 100, 0.05, 0.01),
        Gain(0.5, 100, 0.04, 0.005),
        Gain(0.9, 100, 0.01, 0.001),
        Gain(1.0, 100, 0.0, 0.0),
    ]
    assert chosen_weight(gains, 3) == 0.0
    assert chosen_weight(gains, 6) == 0.5
    assert chosen_weight(gains, 9) == 0.9
    assert chosen_weight(gains, 11) == 1.0


def test_one_listener_proves_nothing() -> None:
    assert Gain.of(0.0, np.array([0.7])) == Gain(0.0, 1, 0.7, inf)
    assert chosen_weight([Gain.of(0.0, np.array([0.7])), Gain(1.0, 1, 0.0, inf)], 3) == 1.0


@given(
    st.lists(st.builds(Gain, st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 50), st.floats(-1, 0), st.floats(0, 1)))
)
def test_no_gain_is_popularity(gains: list[Gain]) -> None:
    assert chosen_weight(gains, 3) == 1.0


def test_equal_differences_have_no_error_and_count() -> None:
    assert chosen_weight([Gain.of(0.2, np.full(10, 0.1))], 3) == 0.2
    assert chosen_weight([Gain.of(0.2, np.zeros(10))], 3) == 1.0
