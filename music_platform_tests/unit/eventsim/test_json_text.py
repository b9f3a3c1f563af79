"""JSON fragments: escaping, numbers and joins."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_platform.eventsim.json_text import (
    NumberedText,
    float32_text,
    joined,
    json_string,
    string_array,
    taken_where,
    text_of,
)


@given(st.text())
def test_a_string_reads_back_as_it_was(text: str) -> None:
    written = json_string(text)
    assert json.loads(written) == text
    assert json.loads(written.encode()) == text
    assert "\n" not in written


@given(st.text(alphabet=st.characters(categories=["Cs"]), min_size=1))
def test_a_lone_surrogate_becomes_a_replacement_character(text: str) -> None:
    assert json.loads(json_string(text).encode()) == "\ufffd" * len(text)


def test_only_quotes_backslashes_and_controls_are_escaped() -> None:
    assert json_string('a"b\\c\x19\x1f\n\té\x85') == '"a\\"b\\\\c\\u0019\\u001F\\n\\té\x85"'


@given(st.floats(min_value=0, max_value=2_000, width=32))
def test_a_float32_reads_back_as_the_same_and_is_a_json_number(value: float) -> None:
    text = float32_text(np.float32(value))
    assert np.float32(json.loads(text)) == np.float32(value)
    assert re.fullmatch(r"\d+\.\d+", text)


@pytest.mark.parametrize(("value", "text"), [(180.0, "180.0"), (321.5669, "321.5669"), (1023.86896, "1023.86896")])
def test_a_float32_is_as_short_as_java_writes_it(value: float, text: str) -> None:
    assert float32_text(np.float32(value)) == text


@given(st.lists(st.integers(0, 9_999_999_999), min_size=1, max_size=20))
def test_numbered_texts_hold_ten_digits(numbers: list[int]) -> None:
    texts = NumberedText("000,").texts(np.array(numbers))
    assert texts.to_pylist() == [f"{number:010}000," for number in numbers]


@given(st.lists(st.tuples(st.text(max_size=5), st.booleans()), min_size=1))
def test_a_row_with_a_null_takes_no_byte(rows: list[tuple[str, bool]]) -> None:
    texts = string_array(text for text, _ in rows)
    present = np.array([is_present for _, is_present in rows])
    lines = joined(taken_where(texts, np.arange(len(rows)), present), string_array(["!"] * len(rows)))
    assert bytes(text_of(lines)).decode() == "".join(f"{text}!" for text, is_present in rows if is_present)
