import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_platform.errors import ContractError
from music_platform.recommendation.keys import keys_of_numbers, numbers_of_keys

_KEYS = st.lists(st.text("0123456789abcdef", min_size=16, max_size=16))


@given(_KEYS, st.integers(0, 3))
def test_keys_are_numbers_and_back_in_the_same_order(keys: list[str], skipped: int) -> None:
    numbers = numbers_of_keys(pa.array(keys, pa.string()).slice(skipped), "song_key")
    assert keys_of_numbers(numbers).to_pylist() == keys[skipped:]
    assert np.sort(numbers).tolist() == [int(key, 16) for key in sorted(keys[skipped:])]


@pytest.mark.parametrize("wrong", ["", "0123", "0123456789abcdeg", None])
def test_what_is_no_key_is_refused_by_the_name_of_its_column(wrong: str | None) -> None:
    with pytest.raises(ContractError, match="song_key"):
        numbers_of_keys(pa.array(["0123456789abcdef", wrong], pa.string()), "song_key")
