"""Finds problems in the Ruby that computes an event's time from its `ts`, epoch milliseconds, as far as its text shows them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

_NUMBER = r"\b\d[\d_]*(?:\.\d[\d_]*)?(?:e-?\d+)?"
_FACTORS = re.compile(rf"((?:\s*[*/]\s*\(?{_NUMBER}r?\b|\.(?:fdiv|quo|div)\(\s*{_NUMBER}\s*\))+)")
_FACTOR = re.compile(rf"([*/]|\.\w+\()\s*\(?({_NUMBER})")
# Today's milliseconds, and those of decades on, are between any sensible bounds.
_LOWEST_BOUND, _HIGHEST_BOUND, _NARROWEST = 1e11, 1e14, (1.6e12, 4e12)


def problems(expression: str) -> Iterator[str]:
    """Each problem as a clause. ``expression`` is the value of the field that renew_time_key names, with its `${}`."""
    code = re.fullmatch(r"\$\{(.*)\}", expression.strip(), re.DOTALL)
    if code is None:
        yield f"'{expression}' is no Ruby in ${{}}"
        return
    if not re.search(r"""record(?:\[|\.dig\(|\.fetch\()\s*(?:"ts"|'ts')""", code[1]):
        yield "it does not read the record's ts"
    text = re.sub(r""""[^"]*"|'[^']*'""", '""', code[1])
    if re.search(r"\b(Time\.now|Process\.clock|Date\w*\.(now|today)|time\b)", text):
        yield "it reads a clock, and so files old events by their arrival"
    text = re.sub(rf"({_NUMBER})\s*\*\*\s*(\d+)", lambda found: str(int(float(found[1]) ** int(found[2]))), text)
    factors = [found[1] for found in _FACTORS.finditer(text)] + re.findall(rf"Rational\([^,]+(,\s*{_NUMBER})\)", text)
    if not factors:
        yield "ts is milliseconds and Fluentd's time is seconds: it must be divided by 1000.0"
    for chain in factors:
        factor = 1.0
        for sign, number in _FACTOR.findall(chain.replace(",", "/")):
            factor *= _value(number) if sign == "*" else 1 / (_value(number) or math.inf)
        if not math.isclose(factor, 0.001):
            yield f"'{chain.strip()}' does not make seconds of milliseconds; divide by 1000.0 once"
    bounds = [_value(number) for number in re.findall(_NUMBER, _FACTORS.sub("", text)) if _value(number) >= 1e6]
    low, high = _NARROWEST
    if any(not _LOWEST_BOUND <= bound <= _HIGHEST_BOUND or low < bound < high for bound in bounds):
        yield "its bounds leave out milliseconds of today"
    if re.search(r"[+-]\s*\d", re.sub(r"e-\d", "", text)):
        yield "it shifts ts, which is UTC already"
    if any(
        _value(left) > _value(right) for left, right in re.findall(rf"({_NUMBER})(?:,\s*|\.\.\.?)({_NUMBER})", text)
    ):
        yield "no number lies between its bounds"
    # False raises too, since Fluentd cannot convert it to a number; nil becomes 1970.
    is_refused = re.search(r"\b(raise|fail)\b", text) or re.search(r"between\?\([^)]*\)[^|?]*&&[^|?]*$", text)
    if not is_refused or re.search(r"(?:\?|:|\|\||\brescue)\s*(?:0|0\.0|nil)\b", text):
        yield "a ts that is no time of an event must raise, to be an error record"
    for negated, raises in re.findall(r"(!?)[\w.\s]*\bbetween\?\([^)]*\)\s*\?\s*(\S*\b(?:raise|fail)\b)?", text):
        if bool(negated) != bool(raises):
            yield "it raises where ts lies between the bounds"


def _value(number: str) -> float:
    return float(number.replace("_", ""))
