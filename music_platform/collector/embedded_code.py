"""The Ruby in double-quoted values that a configuration needs: environment variables, with a default or as a switch.

Refuses anything else: it cannot be evaluated here, so it cannot be checked either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ENV = r"""ENV\[(?P<quote>['"])(?P<name>\w+)(?P=quote)\]"""
_TEXT = r"""(?:'(?P<{0}>[^']*)'|"(?P<{0}_double>[^"]*)")"""
_WITH_DEFAULT = re.compile(
    rf"{_ENV}(?:\s*\|\|\s*(?:(?P<nothing>use_nil|use_default)|(?P<number>\d+)|{_TEXT.format('default')}))?"
)
_SWITCH = re.compile(rf"{_ENV}\s*\?\s*{_TEXT.format('set')}\s*:\s*{_TEXT.format('unset')}")


class EmbeddedCodeError(ValueError):
    """Text in double quotes that never ends, or Ruby that is not evaluated here."""


@dataclass(frozen=True)
class Variable:
    """An environment variable that a configuration uses; ``default`` is None if it has none (then Fluentd's own applies)."""

    name: str
    default: str | None


@dataclass(frozen=True)
class Piece:
    """A stretch of a double-quoted value: text as it is written, or the code between `#{` and `}`."""

    text: str
    is_code: bool


def split_text(text: str) -> tuple[list[Piece], str]:
    """The pieces before the closing quote, and the rest after it. Raises EmbeddedCodeError without one."""
    pieces: list[Piece] = []
    start = position = 0
    while position < len(text):
        if text[position] == "\\":
            position += 2
        elif text[position] == '"':
            return [*pieces, Piece(text[start:position], False)], text[position + 1 :]
        elif text.startswith("#{", position):
            end = _end_of_code(text, position + 2)
            pieces += [Piece(text[start:position], False), Piece(text[position + 2 : end].strip(), True)]
            start = position = end + 1
        else:
            position += 1
    raise EmbeddedCodeError("a text in double quotes is never closed")


def _end_of_code(text: str, start: int) -> int:
    quote = ""
    for position in range(start, len(text)):
        character = text[position]
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "}":
            return position
    raise EmbeddedCodeError("#{ is never closed")


def evaluate(code: str, environment: Mapping[str, str]) -> tuple[Variable, str | None]:
    """The variable that the code uses, and its value; None if the parameter keeps Fluentd's default."""
    if switch := _SWITCH.fullmatch(code):
        value = _text(switch, "set" if switch["name"] in environment else "unset")
        return Variable(switch["name"], None), value
    match = _WITH_DEFAULT.fullmatch(code)
    if match is None:
        raise EmbeddedCodeError(
            f"#{{{code}}} is not evaluated here; write ENV['NAME'], ENV['NAME'] || 'default', ENV['NAME'] || use_nil or "
            "ENV['NAME'] ? 'value' : 'value without it'"
        )
    default = match["number"] or _text(match, "default")
    if match["name"] in environment:
        return Variable(match["name"], default), environment[match["name"]]
    if match["nothing"]:
        return Variable(match["name"], None), None
    return Variable(match["name"], default), default or ""


def _text(match: re.Match[str], group: str) -> str | None:
    found = match[group]
    return match[f"{group}_double"] if found is None else found
