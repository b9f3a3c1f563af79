"""JSON text written once for many records: strings escaped as Eventsim's JSON library does, fragments joined by Arrow.

Which fragments make up a record does not belong here. Arrays are made from buffers, since ``pyarrow.array`` and
``pyarrow.scalar`` would import pandas, which takes long.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_ESCAPES = {code: f"\\u{code:04X}" for code in range(0x20)} | {ord(k): v for k, v in _SHORT_ESCAPES.items()}
_NEEDS_ESCAPE = re.compile('[\x00-\x1f"\\\\\ud800-\udfff]')
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def json_string(text: str) -> str:
    """The text as a JSON string in double quotes; only quotes, backslashes and C0 controls are escaped.

    A lone surrogate, which UTF-8 cannot hold, becomes U+FFFD.
    """
    if _NEEDS_ESCAPE.search(text):
        text = _LONE_SURROGATE.sub("\ufffd", text).translate(_ESCAPES)
    return f'"{text}"'


def float32_text(value: np.float32) -> str:
    """The shortest decimal number that reads back as the same float32, as Java writes a float: 180.0, 321.5669."""
    return np.format_float_positional(value, unique=True, trim="0")


def string_array(values: Iterable[str]) -> pa.StringArray:
    """An Arrow array of strings."""
    encoded = [value.encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int32)
    np.cumsum([len(value) for value in encoded], out=offsets[1:])
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def integer_array(values: npt.NDArray[np.int64]) -> pa.Int64Array:
    """An Arrow array over the same memory."""
    contiguous = np.ascontiguousarray(values)
    return pa.Int64Array.from_buffers(pa.int64(), contiguous.size, [None, pa.py_buffer(contiguous)])


def integer_texts(values: npt.NDArray[np.int64]) -> pa.StringArray:
    """Decimal texts of integers."""
    return pc.cast(integer_array(values), pa.string())


def taken(texts: pa.StringArray, positions: npt.NDArray[np.int64]) -> pa.StringArray:
    """The texts at the positions, which must all exist."""
    return pc.take(texts, integer_array(positions), boundscheck=False)


def repeated(text: str, count: int) -> pa.StringArray:
    """The same text ``count`` times."""
    return string_array([text] * count)


def joined(*parts: pa.StringArray) -> pa.StringArray:
    """Texts put together row by row."""
    return pc.binary_join_element_wise(*parts, _nothing())


@lru_cache(maxsize=1)
def _nothing() -> pa.StringScalar:
    return string_array([""])[0]


def text_of(lines: pa.StringArray) -> memoryview:
    """The bytes of all strings of a freshly made array, one after the other, without a copy."""
    _, offsets, data = lines.buffers()
    last = int(np.frombuffer(offsets, dtype=np.int32)[len(lines)])
    return memoryview(data)[:last]


class NumberedText:
    """Texts of one width that differ in a ten-digit number, made by looking up digits: a third of the usual cost."""

    _DIGITS = 10

    def __init__(self, before: str, after: str) -> None:
        self._template = np.frombuffer(f"{before}{'0' * self._DIGITS}{after}".encode(), dtype=np.uint8)
        self._first = len(before.encode())
        five = np.arange(100_000)
        self._five_digits = np.stack([five // 10**place % 10 + ord("0") for place in (4, 3, 2, 1, 0)], axis=1)
        self._five_digits = self._five_digits.astype(np.uint8)

    def texts(self, numbers: npt.NDArray[np.int64]) -> pa.StringArray:
        """One text for each number; numbers must be from 0 to 9,999,999,999."""
        width = self._template.size
        text = np.empty((numbers.size, width), dtype=np.uint8)
        text[:] = self._template
        upper = numbers // 100_000
        middle = self._first + self._DIGITS // 2
        text[:, self._first : middle] = self._five_digits.take(upper, axis=0)
        text[:, middle : middle + self._DIGITS // 2] = self._five_digits.take(numbers - upper * 100_000, axis=0)
        offsets = np.arange(0, (numbers.size + 1) * width, width, dtype=np.int32)
        return pa.StringArray.from_buffers(numbers.size, pa.py_buffer(offsets), pa.py_buffer(text))
