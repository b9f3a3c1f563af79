"""Repair of text and parsing of user agents, on the embedded engine."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)

from music_platform.tables.transforms.text import (
    USER_AGENT_PARTS,
    parse_user_agent,
    repair_controls,
    repair_mojibake,
    repair_text,
    unwrap_quotes,
)
from music_platform_tests.unit.tables.sample_records import USER_AGENT

LATIN_1_TEXT = st.text(alphabet=st.characters(max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=8)


def apply(spark: SparkSession, function: Callable[[Column], Column], texts: list[str | None]) -> list[str | None]:
    frame = spark.createDataFrame(pa.table({"text": pa.array(texts, pa.string())}))
    return frame.select(function(F.col("text")).alias("text")).toArrow()["text"].to_pylist()


def misread(text: str) -> str:
    """What becomes of text whose UTF-8 bytes are read as Latin-1."""
    return text.encode().decode("latin-1")


def test_mojibake_is_repaired_where_it_was_valid_utf8(spark: SparkSession) -> None:
    repaired = {
        "Lef\u00c3\u00a8vre": "Lefèvre",
        "\u00c3\u00a0 la carte": "à la carte",  # U+00A0 is a continuation byte here, no blank
        "voil\u00c3\u00a0": "voilà",
        misread("Sigur Rós – Ágætis"): "Sigur Rós – Ágætis",
        misread("日本"): "日本",
        misread("😀"): "😀",
        misread("\u0085"): "\u0085",
    }
    assert apply(spark, repair_mojibake, list(repaired)) == list(repaired.values())


def test_what_is_no_mojibake_comes_through_untouched(spark: SparkSession) -> None:
    untouched = [
        "Björk", "日本", "Ã¨ 日本", "plain", "", None, "é\u0085", "Ã\u00c3\u00a8", "\u00c0\u0080", "\u00ed\u00a0\u0080",
        "\u00f4\u00bf\u00bf\u00bf", "\u00c3\u00a8 é", "a\u0085b", "\u0080\u009f", "\u00a0", "Motörhead", "Ñ", "Ã",
    ]  # fmt: skip
    assert apply(spark, repair_mojibake, untouched) == untouched


def test_wrapping_quotes_go_and_inner_ones_are_plain(spark: SparkSession) -> None:
    unwrapped = {
        '"quoted"': "quoted",
        r'"a \"b\" c"': 'a "b" c',
        '""': "",
        '"': '"',
        'a "b"': 'a "b"',
        '"a" b': '"a" b',
        '"a\u2028b\u0085c"': "a\u2028b\u0085c",
        '"a\nb"': "a\nb",
        '"Alpha" and "Omega"': '"Alpha" and "Omega"',
        '"Yes", "No"': '"Yes", "No"',
        '"Alpha"': "Alpha",
        r'"Say \"go\" now"': 'Say "go" now',
        '"""': '"""',
        '""a""': '""a""',
        r'"\""': '"',
        r'"abc\"': r'"abc\"',
        r'"abc\\"': r"abc\\",
        r'"abc\\\"': r'"abc\\\"',
        r'"a\\"b"': r'"a\\"b"',
        r'"a\" and "b"': r'"a\" and "b"',
        r'"AC\DC"': r"AC\DC",
        '"' + r"\"x" * 20_000 + '"': '"x' * 20_000,
        '"a"\n': '"a"\n',
        "": "",
        None: None,
    }
    assert apply(spark, unwrap_quotes, list(unwrapped)) == list(unwrapped.values())


def test_controls_become_the_punctuation_that_they_were(spark: SparkSession) -> None:
    repaired = {
        "It\u0019s": "It's",
        "\u0018quoted\u0019": "'quoted'",
        "\u001cquoted\u001d": '"quoted"',
        "1990\u00131999": "1990-1999",
        "a\u0014b": "a-b",
        "a\u0000\u0007\u001f\u007fb": "ab",
        "tab\tand\nline feed\r": "tab\tand\nline feed\r",
        "a\u0085b\u0080\u009f": "a\u0085b\u0080\u009f",  # C1 controls stay
        None: None,
    }
    assert apply(spark, repair_controls, list(repaired)) == list(repaired.values())


def test_repairs_follow_one_another(spark: SparkSession) -> None:
    repaired = {
        '"Lef\u00c3\u00a8vre\u0019s"': "Lefèvre's",
        "  blanks  ": "blanks",
        '" in quotes "': "in quotes",
        ' "Alpha" ': "Alpha",
        '\t"Alpha"\r\n': "Alpha",
        '"Alpha"\u0000': "Alpha",
        '\u0007\u00a0"Say \\"go\\" now"\u3000\ufeff': 'Say "go" now',
        misread('\u00a0"Björk"\u00a0'): "Björk",
        ' "Alpha" and "Omega"\n': '"Alpha" and "Omega"',
        '\n"Alpha\\"': '"Alpha\\"',
        ' "Alpha': '"Alpha',
        '\u0019"Alpha"': '\'"Alpha"',  # the remains of an apostrophe
        "\u00a0kept\u00a0": "\u00a0kept\u00a0",
        "\u0000": "",
        None: None,
    }
    assert apply(spark, repair_text, list(repaired)) == list(repaired.values())


@given(texts=st.lists(st.text(max_size=8), min_size=1, max_size=20), latin=st.lists(LATIN_1_TEXT, max_size=20))
@settings(max_examples=25, deadline=None)
def test_only_valid_round_trips_are_changed(spark: SparkSession, texts: list[str], latin: list[str]) -> None:
    inputs = [*texts, *latin, *map(misread, texts), *map(misread, latin)]

    def wanted(text: str) -> str:
        try:
            return text.encode("latin-1").decode()
        except UnicodeError:
            return text

    assert apply(spark, repair_mojibake, list(inputs)) == list(map(wanted, inputs))


@pytest.mark.parametrize(
    ("user_agent", "families"),
    [
        (USER_AGENT, ("Other", "Windows", "Chrome")),
        (USER_AGENT.strip('"'), ("Other", "Windows", "Chrome")),
        (
            '"Mozilla/5.0 (iPhone; CPU iPhone OS 7_1_2 like Mac OS X) AppleWebKit/537.51.2 (KHTML, like Gecko) '
            'Version/7.0 Mobile/11D257 Safari/9537.53"',
            ("iPhone", "iOS", "Mobile Safari"),
        ),
        ("Mozilla/5.0 (Windows NT 6.1; WOW64; rv:31.0) Gecko/20100101 Firefox/31.0", ("Other", "Windows", "Firefox")),
        ("", ("Other", "Other", "Other")),
        ("no browser of this world", ("Other", "Other", "Other")),
        (None, ("Unknown", "Unknown", "Unknown")),
    ],
)
def test_user_agents(spark: SparkSession, user_agent: str | None, families: tuple[str | None, ...]) -> None:
    frame = spark.createDataFrame(pa.table({"agent": pa.array([user_agent, "curl/8", user_agent], pa.string())}))
    parsed = frame.select(parse_user_agent(F.col("agent")).alias("parts")).select("parts.*").toArrow().to_pylist()
    assert [tuple(row[part] for part in USER_AGENT_PARTS) for row in parsed][::2] == [families] * 2
