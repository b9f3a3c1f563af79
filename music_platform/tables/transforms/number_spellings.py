"""Lines with a number whose typed value does not reproduce its spelling: ``3e9``, ``-1.0``, ``181.50``.

Only finds these lines: bronze keeps them beside their values, so that quarantine shows numbers as they were landed. A number is
canonical when it is written as Python writes its value: an integer by its digits, a double as the shortest text that reads back
as it.
"""

# pyarrow makes its compute functions when it is imported, so no type checker finds them.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from music_platform.tables.contract import ColumnType
from music_platform.tables.events import EventContract

_NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)"
_END = r"[\s,}]"
# Never canonical: a fraction or an exponent in an integer's field, a double without a fraction or with a zero at its end.
_RESPELLED_LONG = rf"-?[0-9]+[.eE]|-0{_END}"
_RESPELLED_DOUBLE = rf"-?[0-9]+{_END}|-?[0-9]+\.[0-9]+0{_END}|-0\.0{_END}"
# Perhaps canonical: what Python writes with an exponent, and more digits than every double keeps.
_UNSURE_DOUBLE = r"-?[0-9.]+[eE]|-?0\.0000|-?[0-9.]{17}"


class NumberSpellings:
    """Finds the lines of one event type with a number, under a key of the contract, that is not written canonically.

    Finds no key within a text, because its quotes would have a backslash before them.
    """

    def __init__(self, event: EventContract) -> None:
        longs = [field.key for field in event.fields if field.key_type is ColumnType.LONG]
        self._doubles = {field.key.encode() for field in event.fields if field.key_type is ColumnType.DOUBLE}
        doubles = [key.decode() for key in sorted(self._doubles)]
        self._respelled = f"{_value_of(longs, _RESPELLED_LONG)}|{_value_of(doubles, _RESPELLED_DOUBLE)}"
        self._suspected = f"{self._respelled}|{_value_of(doubles, _UNSURE_DOUBLE)}"
        self._number = re.compile(_value_of([*longs, *doubles], _NUMBER, "(").encode())

    def is_respelled(self, line: bytes) -> bool:
        """Whether a line has such a number."""
        return any(
            text != (repr(float(text) + 0.0).encode() if key in self._doubles else _integer_as_written(text))
            for key, text in self._number.findall(line)
        )

    def respelled(self, lines: pa.BinaryArray, content: pa.Buffer) -> pa.BooleanArray | None:
        """Which of many lines have such a number, as ``is_respelled``; None if none has. ``content`` is the lines in a row."""
        ends = pa.py_buffer(np.array([0, len(content)], dtype=np.int32))
        whole = pa.Array.from_buffers(pa.binary(), 1, [None, ends, content])
        if not pc.match_substring_regex(whole, self._suspected)[0].as_py():
            return None
        found = pc.match_substring_regex(lines, self._respelled).to_numpy(zero_copy_only=False).copy()
        suspected = pc.match_substring_regex(lines, self._suspected).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(suspected & ~found).tolist():
            found[row] = self.is_respelled(lines[row].as_py())
        return pa.array(found) if found.any() else None


def _value_of(keys: list[str], pattern: str, group: str = "(?:") -> str:
    """A pattern, as Python and RE2 read it, of one of the keys and what follows it."""
    return rf'"{group}{"|".join(map(re.escape, keys))})"\s*:\s*(?:{pattern})'


def _integer_as_written(text: bytes) -> bytes:
    """The canonical text of a number in an integer's field; empty for one with a fraction or an exponent."""
    if not text.lstrip(b"-").isdigit():
        return b""
    return b"0" if text == b"-0" else text
