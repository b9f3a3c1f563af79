"""JSON whose numbers keep the text in which they are written, because a float would change some of them.

Only reads and writes values; which of them a column accepts does not belong here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

LARGEST_EXACT_FRACTION = 2**53
"""Up to here (in absolute value) every integer is a number of its own in double precision, in which others read it."""
_LONGEST_INTEGER_DIGITS = 400  # beyond the range of a double; Python refuses to read integers of some thousand digits
_DIGITS_OF_LARGEST_EXACT = len(str(LARGEST_EXACT_FRACTION))


class Pairs(list[tuple[str, Any]]):
    """An object's keys and values, repeated keys included."""


@dataclass(frozen=True)
class WrittenNumber:
    """A number with a fraction or an exponent, or an integer of very many digits, as it is written."""

    text: str

    def as_integer(self) -> int | None:
        """The integer that the text denotes (``49.0``, ``1.79e12``); None for a fraction and beyond 2^53.

        Decimal arithmetic: ``1.0000000000000000001`` is a fraction, ``9007199254740993.0`` never 9007199254740992.
        """
        number = self._decimal()
        if number is None or self._is_beyond(number):
            return None
        whole = number.to_integral_value()
        return int(whole) if whole == number else None

    def whole_part(self, least: int, most: int) -> int | None:
        """The number without its fraction if that is within two positive integers, both included; else None."""
        number = self._decimal()
        return None if number is None or not least <= number < most + 1 else int(number)

    @property
    def is_inexact(self) -> bool:
        """Whether it is written with a fraction or an exponent and is, in absolute value, greater than 2^53."""
        number = self._decimal()
        return not self.text.lstrip("-").isdigit() and (number is None or self._is_beyond(number))

    def _decimal(self) -> Decimal | None:
        try:
            return Decimal(self.text)
        except InvalidOperation:  # an exponent of more than 18 digits
            return None

    @staticmethod
    def _is_beyond(number: Decimal) -> bool:
        # By its digits first: 1e999999999 is not to be written out.
        return number != 0 and (
            number.adjusted() >= _DIGITS_OF_LARGEST_EXACT or number.copy_abs() > LARGEST_EXACT_FRACTION
        )


def read_json(text: str, *, refuse_constant: Callable[[str], Any], with_pairs: bool = False) -> Any:
    """The value of a JSON text, numbers other than short integers as ``WrittenNumber``.

    ``refuse_constant`` is called for NaN and infinities and raises. ``with_pairs`` gives objects as ``Pairs``.
    Raises ValueError as ``json.loads``, and RecursionError.
    """
    return json.loads(
        text,
        object_pairs_hook=Pairs if with_pairs else None,
        parse_int=_read_integer,
        parse_float=WrittenNumber,
        parse_constant=refuse_constant,
    )


def _read_integer(text: str) -> int | WrittenNumber:
    return int(text) if len(text) <= _LONGEST_INTEGER_DIGITS else WrittenNumber(text)


def json_text(value: Any) -> str:
    """A value of ``read_json`` as JSON text that can be stored as UTF-8, every key and digit of it kept."""
    if isinstance(value, dict):
        value = Pairs(value.items())
    if isinstance(value, Pairs):
        return f"{{{','.join(f'{json_text(key)}:{json_text(item)}' for key, item in value)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(json_text, value))}]"
    if isinstance(value, WrittenNumber):
        return value.text
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # the escape of a lone surrogate
        return json.dumps(value)
    return text


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and infinities, which Python's parser takes and JSON does not know; raises ValueError."""
    raise ValueError(f"{name} is not JSON")
