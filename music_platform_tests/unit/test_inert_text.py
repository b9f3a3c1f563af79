"""Text of others, shown: no character that acts, nothing that Markdown or a chat system would take for markup."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_platform.inert_text import from_markdown, in_chat, in_markdown, inert


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Björk, 日本, 🎵 and 'quotes'", "Björk, 日本, 🎵 and 'quotes'"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("song\u202egpj.exe", "song\\u202egpj.exe"),
        ("a\u200bb\u2028c\ufeff", "a\\u200bb\\u2028c\\ufeff"),
        ("one\ntwo\tthree", "one\\x0atwo\\x09three"),
        ("\ud800\U000e0001", "\\ud800\\U000e0001"),
    ],
)
def test_what_acts_is_shown_by_its_code(text: str, shown: str) -> None:
    assert inert(text) == shown


def test_what_is_kept_and_what_is_cut() -> None:
    assert inert("one\ntwo\x1b", keep="\n") == "one\ntwo\\x1b"
    assert inert("x" * 61, longest=60) == "x" * 60 + "…"
    assert inert("x" * 60, longest=60) == "x" * 60


@given(st.text())
def test_no_text_keeps_a_character_that_acts(text: str) -> None:
    assert not {unicodedata.category(character) for character in inert(text)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    "text",
    [
        "84 landed lines = 84 bronze rows",
        "partition 2026-11-01-05:00: landed object 'landing/listen_events/date=2026-11-01/hour=05/a_b.gz' is gone",
        "2 rows break the rule level_allowed (`level` is one of `free`, `paid`.)",
        "rows break `played_seconds <= duration_seconds`, `^[0-9]{5}$`",
        "Materialize them: ./run dagster asset materialize --select 'tag:cadence=hourly and not group:landing' --partition HOUR",
    ],
)
def test_plain_sentences_stay_as_they_are_in_markdown(text: str) -> None:
    assert in_markdown(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "object '![p](http://127.0.0.1/x.png)' is gone",
        "object '<img src=x>' is gone",
        "object '[x](javascript:alert(1))' is gone",
        "object 'http://127.0.0.1/x' is gone",
        "object 'www.example.org' is gone",
        "object 'someone@example.org' is gone",
        "object '**bold**' is gone",
        "object '_emphasis_' is gone",
        "object 'a`b' is gone, `![p](x)`",
        "object '``' is gone",
        "object '&lt;' is gone",
        "first\n# second",
        "```\n![p](x)",
    ],
)
def test_what_could_be_markup_is_code(text: str) -> None:
    markdown = in_markdown(text)
    fence = markdown[: len(markdown) - len(markdown.lstrip("`"))]
    between = "\n" if "\n" in text else " "
    assert fence not in text  # nothing in it ends the code
    assert markdown == f"{fence}{between}{text}{between}{fence}"
    assert between == " " or len(fence) >= 3


@given(st.text(alphabet=st.sampled_from("a _`<[]()!*\\&@\n:/w.")))
def test_from_markdown_gives_the_text_back(text: str) -> None:
    assert from_markdown(in_markdown(text)) == text


def test_a_chat_sees_no_link_no_mention_and_no_markup() -> None:
    shown = in_chat("<!channel> <http://127.0.0.1|Win> [x](http://127.0.0.1) @everyone `a` \u202e *b*")
    assert not set("<>[]@`*\u202e") & set(shown)
    assert "://" not in shown
