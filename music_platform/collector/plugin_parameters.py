"""Rules of names and types: each section must be one that its plugin has, with that plugin's parameters.

The table is plugins.toml. Fluentd itself only warns of an unknown name, and converts any text to a value.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from music_platform.collector.parser import Configuration, Element
from music_platform.collector.rule import Broken, Rule

_COMMON = ("@type", "@id", "@label", "@log_level")
_KINDS = {"store": "match", "secondary": "match"}
_WITH_PLUGIN = ("source", "filter", "match", "parse", "format", "buffer", "storage")
_DEFAULT_PLUGINS = {"buffer": "memory", "storage": "local"}
_SIZE_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_TIME_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


_TABLE: dict[str, str] = tomllib.loads((Path(__file__).parent / "plugins.toml").read_text(encoding="utf-8"))


def size_of(text: str) -> int | None:
    """Bytes of a size such as `64m`; None for text that is none."""
    match = re.fullmatch(r"(\d+)([kmgt]?)(?:i?b)?", text.lower())
    return None if match is None else int(match[1]) * _SIZE_UNITS[match[2]]


def seconds_of(text: str) -> float | None:
    """Seconds of a time such as `10m`; None for text that is none (Fluentd takes `500ms` for 500 minutes)."""
    match = re.fullmatch(r"(\d+)(s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:ours?)?|d(?:ays?)?)|\d+(?:\.\d+)?", text)
    return match and float(int(match[1]) * _TIME_UNITS[match[2][0]] if match[1] else text)


_TYPES: dict[str, tuple[str, Callable[[str], object]]] = {
    "bool": ("true or false", lambda text: text in ("true", "false", "yes", "no", "")),
    "integer": ("a whole number", lambda text: re.fullmatch(r"-?\d+", text)),
    "count": ("a whole number above 0", lambda text: re.fullmatch(r"0*[1-9]\d*", text)),
    "port": ("a port between 1 and 65535", lambda text: text.isdecimal() and 0 < int(text) < 65_536),
    "size": ("a size above 0 such as 64m", size_of),
    "time": ("a time such as 30 or 30s, 10m, 1h", lambda text: seconds_of(text) is not None),
    "float": ("a number", lambda text: re.fullmatch(r"\d+(\.\d+)?", text)),
    "hash": ('a map such as {"name": "value"}', lambda text: text.startswith("{") or ":" in text),
}


def _described(element: Element) -> dict[str, str] | None:
    """The type of each name that a section may hold, with its marks; None where its plugin is not in the table."""
    kind = _KINDS.get(element.name, element.name)
    texts = [_TABLE.get(kind, "")]
    if kind in _WITH_PLUGIN:
        texts.append(_TABLE.get(f"{kind} {element.get('@type', _DEFAULT_PLUGINS.get(kind, ''))}", "unknown"))
    if "unknown" in texts:
        return None
    found: dict[str, str] = {}
    for group in filter(None, ";".join(texts).split(";")):
        type_name, *names = group.split()
        for written in names or ["*"]:
            name, _, values = written.rstrip("!+").partition("=")
            found[name] = (values or type_name) + written[len(written.rstrip("!+")) :]
    return found


def _walk(element: Element) -> Iterator[tuple[Element, str, dict[str, str]]]:
    """Each section whose plugin is known, its name for messages, and the names that it may hold."""
    described = _described(element)
    if described is not None:
        plugin = element.get("@type")
        yield element, f"<{element.name}>" + (f" @type {plugin}" if plugin else ""), described
        for child in element.elements:
            if described.get(child.name, "").startswith("section"):
                yield from _walk(child)


def _instead(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(known)) or 'none'}"


def _sections_are_known(configuration: Configuration) -> Broken:
    for element, owner, described in _walk(configuration.root):
        known = [name for name, kind in described.items() if kind.startswith("section")]
        for child in element.elements:
            if child.name not in known and "*" not in described:
                yield child.place, f"{owner} has no <{child.name}>; {_instead(child.name, known)}"
            elif child.name in known and _described(child) is None:
                kind, plugin = _KINDS.get(child.name, child.name), child.get("@type")
                plugins = [name.partition(" ")[2] for name in _TABLE if name.startswith(f"{kind} ")]
                what = f"no plugin '{plugin}' for <{child.name}> is known" if plugin else f"<{child.name}> has no @type"
                yield child.place_of("@type"), f"{what}; {_instead(plugin, plugins)}"
            elif child is not element.children(child.name)[0] and "+" not in described.get(child.name, "+"):
                yield child.place, f"{owner} takes one <{child.name}> alone; remove one"


def _parameters_are_known(configuration: Configuration) -> Broken:
    for element, owner, described in _walk(configuration.root):
        known = [name for name, kind in described.items() if not kind.startswith("section")] + [*_COMMON]
        for name in [] if "*" in known else sorted({*element.parameters} - {*known}):
            yield (
                element.place_of(name),
                f"{owner} has no parameter {name}, and Fluentd ignores it; {_instead(name, known)}",
            )


def _values_are_of_their_type(configuration: Configuration) -> Broken:
    for element, _, described in _walk(configuration.root):
        for name, parameter in element.parameters.items():
            kind, value = described.get(name, "string").rstrip("!"), parameter.value
            what, is_right = _TYPES.get(kind, ("a value", bool))
            if "," in kind:
                what, is_right = f"one of {kind.replace(',', ', ')}", kind.split(",").__contains__
            if value == "" and parameter.is_known and kind != "bool" and (name in described or "*" not in described):
                yield parameter.place, f"{name} is empty; give {what}, or leave the line out"
            elif value and not is_right(value):
                yield parameter.place, f"{name} is '{value}', which Fluentd misreads; write {what}"


def _required_is_given(configuration: Configuration) -> Broken:
    for element, owner, described in _walk(configuration.root):
        for name in (name for name, kind in described.items() if "!" in kind):
            parameter = element.parameters.get(name)
            if not element.children(name) and (parameter is None or parameter.value is None):
                yield element.place_of(name), f"{owner} needs {name}; Fluentd does not start without it"


PARAMETER_RULES: tuple[Rule, ...] = (
    Rule("sections_are_known", "Every section is one that its plugin has.", _sections_are_known),
    Rule("parameters_are_known", "Every parameter is one that its plugin has.", _parameters_are_known),
    Rule("values_are_of_their_type", "Every value is of its parameter's type.", _values_are_of_their_type),
    Rule("required_is_given", "Every parameter that a plugin needs is given.", _required_is_given),
)
