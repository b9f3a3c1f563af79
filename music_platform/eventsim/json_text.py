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


def taken_where(
    texts: pa.StringArray, positions: npt.NDArray[np.int64], present: npt.NDArray[np.bool_]
) -> pa.StringArray:
    """The texts at the positions, null where not ``present``; a row that holds a null is joined to nothing."""
    buffers = [pa.py_buffer(np.packbits(present, bitorder="little")), pa.py_buffer(np.ascontiguousarray(positions))]
    return pc.take(texts, pa.Int64Array.from_buffers(pa.int64(), positions.size, buffers), boundscheck=False)


def repeated(text: str, count: int) -> pa.StringArray:
    """The same text ``count`` times."""
    return string_array([text] * count)


def joined(*parts: pa.StringArray) -> pa.StringArray:
    """Texts put together row by row; null, which takes no byte, in rows where one of them is null."""
    return pc.call_function("binary_join_element_wise", [*parts, _nothing()])


@lru_cache(maxsize=1)
def _nothing() -> pa.StringScalar:
    return string_array([""])[0]


def text_of(lines: pa.StringArray) -> memoryview:
    """The bytes of all strings of a freshly made array, one after the other, without a copy."""
    _, offsets, data = lines.buffers()
    last = int(np.frombuffer(offsets, dtype=np.int32)[len(lines)])
    return memoryview(data)[:last]


class NumberedText:
    """Texts of one width that begin with a ten-digit number, whose digits are looked up: a third of the usual cost."""

    def __init__(self, after: str) -> None:
        self._template = np.frombuffer(f"{'0' * 10}{after}".encode(), dtype=np.uint8)
        self._four_digits = np.frombuffer("".join(f"{n:04}" for n in range(10_000)).encode(), dtype=np.uint32)
        self._two_digits = np.frombuffer("".join(f"{n:02}" for n in range(100)).encode(), dtype=np.uint16)
        self._digits = np.dtype(
            {
                "names": ["upper", "middle", "lower"],
                "formats": [np.uint32, np.uint32, np.uint16],
                "offsets": [0, 4, 8],
                "itemsize": self._template.size,
            }
        )

    def texts(self, numbers: npt.NDArray[np.int64]) -> pa.StringArray:
        """One text for each number; numbers must be from 0 to 9,999,999,999."""
        width = self._template.size
        text = np.empty((numbers.size, width), dtype=np.uint8)
        text[:] = self._template
        digits = text.view(self._digits)[:, 0]
        upper = numbers // 1_000_000
        lower = numbers - upper * 1_000_000
        middle = lower // 100
        lower -= middle * 100
        digits["upper"] = self._four_digits.take(upper)
        digits["middle"] = self._four_digits.take(middle)
        digits["lower"] = self._two_digits.take(lower)
        offsets = np.arange(0, (numbers.size + 1) * width, width, dtype=np.int32)
        return pa.StringArray.from_buffers(numbers.size, pa.py_buffer(offsets), pa.py_buffer(text))
