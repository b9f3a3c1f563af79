"""Repair of free text: mojibake, wrapping quotes, control characters; and parts of user agents.

Column expressions only, in functions that Spark and Sail share; the contract decides which columns are repaired.
"""

# pyarrow makes its compute functions when it is imported, so no type checker finds them.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 (PySpark's own convention)
from pyspark.sql.types import StringType, StructField, StructType

from music_platform.tables.columns import UNKNOWN

_BYTE_PAIR_OF_UTF8 = "[\u00c2-\u00f4][\u0080-\u00bf]"
_BEYOND_LATIN_1 = "[^\u0000-\u00ff]"
_C0_CONTROLS = "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]"
# Eventsim's catalogue lost the upper byte of U+2019 and similar characters: only the control character is left.
_PUNCTUATION_OF_CONTROL = {"\u0018": "'", "\u0019": "'", "\u001c": '"', "\u001d": '"', "\u0013": "-", "\u0014": "-"}

# White space and controls that may stand outside of wrapping quotes, but for the remains of punctuation.
_BLANKS = (
    "[\u0000-\u0012\u0015-\u0017\u001a\u001b\u001e-\u0020\u007f-\u00a0"
    "\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]"
)
_QUOTE_BEHIND_BLANKS = f'^{_BLANKS}+"|"{_BLANKS}+\\z'
_OUTER_BLANKS = f"^{_BLANKS}+|{_BLANKS}+\\z"

USER_AGENT_PARTS = ("device", "operating_system", "browser")


def repair_text(text: Column) -> Column:
    """Repair mojibake, then wrapping quotes and what is outside of them, then C0 controls, then surrounding blanks; null stays
    null.

    Mojibake is first: U+00A0, which trimming could take for a blank, is a continuation byte in it.
    """
    for step in _STEPS_OF_REPAIR:
        text = step(text)
    return text


def repair_texts(frame: DataFrame, columns: Sequence[str]) -> DataFrame:
    """The frame with ``repair_text`` of these columns.

    Each step is a projection of its own. Within one expression each step would repeat the earlier ones several times, and
    planning that would take the engine longer than an hour's rows.
    """
    for step in _STEPS_OF_REPAIR:
        frame = frame.withColumns({name: step(F.col(name)) for name in columns})
    return frame


def repair_mojibake(text: Column) -> Column:
    """UTF-8 that was read as Latin-1 (``LefÃ¨vre``) back to what it was (``Lefèvre``).

    Only text whose characters all fit in Latin-1 and whose bytes are valid UTF-8 is changed, so a correctly encoded ``Björk``
    or ``日本`` stays unchanged.
    """
    beyond_ascii = F.octet_length(text) != F.char_length(text)  # rare, and much cheaper to test than what follows
    suspicious = text.rlike(_BYTE_PAIR_OF_UTF8) & ~text.rlike(_BEYOND_LATIN_1)
    # Spark raises on characters beyond Latin-1 and Sail writes '?', so neither may see them.
    as_bytes = F.encode(F.when(suspicious, text), "ISO-8859-1")
    repaired = F.coalesce(F.try_validate_utf8(as_bytes), text)
    return F.when(beyond_ascii, repaired).otherwise(text)


def strip_outside_of_quotes(text: Column) -> Column:
    """Text between double quotes without the white space and controls outside of them; other text as it is."""
    bare = F.regexp_replace(text, _OUTER_BLANKS, "")
    stripped = F.when(bare.startswith('"') & bare.endswith('"'), bare).otherwise(text)
    return F.when(text.rlike(_QUOTE_BEHIND_BLANKS), stripped).otherwise(text)


def unwrap_quotes(text: Column) -> Column:
    """Text wrapped in double quotes without them, and its inner ``\\"`` as plain quotes.

    Quotes wrap a text where every quote between them is escaped, and the last one is not: ``"Alpha" and "Omega"`` is not
    wrapped, nor is ``"Alpha\\"``.
    """
    inner = F.substring(text, F.lit(2), F.length(text) - 2)
    # Decided by the rest without escaped backslashes and quotes: a pattern would exhaust Java's stack.
    bare = F.replace(F.replace(inner, F.lit("\\\\"), F.lit("")), F.lit('\\"'), F.lit(""))
    wraps = ~bare.contains('"') & ~bare.endswith("\\")
    unwrapped = F.when(wraps, F.replace(inner, F.lit('\\"'), F.lit('"'))).otherwise(text)
    return F.when(text.startswith('"') & text.endswith('"') & (F.length(text) >= 2), unwrapped).otherwise(text)


def repair_controls(text: Column) -> Column:
    """C0 controls to the punctuation that they are the remains of (``It\\x19s`` to ``It's``).

    The others are removed, but for tab and line breaks.
    """
    damaged = text.rlike(_C0_CONTROLS)
    restored = F.translate(text, "".join(_PUNCTUATION_OF_CONTROL), "".join(_PUNCTUATION_OF_CONTROL.values()))
    return F.when(damaged, F.regexp_replace(restored, _C0_CONTROLS, "")).otherwise(text)


_STEPS_OF_REPAIR: tuple[Callable[[Column], Column], ...] = (
    repair_mojibake, strip_outside_of_quotes, unwrap_quotes, repair_controls, F.trim,
)  # fmt: skip


def parse_user_agent(user_agent: Column) -> Column:
    """A struct of the families of device, operating system and browser.

    ``Other`` where the patterns do not know the user agent, ``Unknown`` where there is none.

    Source of the patterns: uap-core (https://github.com/ua-parser/uap-core).
    """
    families = StructType([StructField(name, StringType()) for name in USER_AGENT_PARTS])
    parse = cast("Any", F.arrow_udf)(_parse_user_agents, families)  # PySpark's stub lacks this form
    return parse(user_agent)  # the session decides which engine's function it is


def _parse_user_agents(user_agent: pa.Array) -> pa.Array:
    """Parse each distinct user agent once, as few of them are distinct."""
    encoded = pc.dictionary_encode(user_agent)
    families = [_families_of(text) for text in encoded.dictionary.to_pylist()]
    parts = [_taken([family[part] for family in families], encoded.indices) for part in range(3)]
    return pa.StructArray.from_arrays(parts, list(USER_AGENT_PARTS))


def _taken(families: list[str], indices: pa.Array) -> pa.Array:
    return pa.array(families, pa.string()).take(indices).fill_null(UNKNOWN)


@lru_cache(maxsize=65_536)
def _families_of(user_agent: str) -> tuple[str, str, str]:
    from ua_parser import parse  # its patterns take a moment to load, and only the engine's workers need them

    result = parse(user_agent)
    return (
        result.device.family if result.device else "Other",
        result.os.family if result.os else "Other",
        result.user_agent.family if result.user_agent else "Other",
    )
