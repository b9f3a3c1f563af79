"""Fluentd's configuration syntax (v1): sections, parameters, @include and `"#{ENV['NAME'] || 'default'}"`.

routing.py and the rules know what a configuration means. Source: Fluentd's documentation, Config File Syntax.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from glob import iglob
from pathlib import Path

from music_platform.collector.embedded_code import EmbeddedCodeError, Variable, evaluate, split_text
from music_platform.errors import MusicPlatformError

_SECTION_START = re.compile(r"<(?P<name>[A-Za-z0-9_]+)\s*(?P<argument>[^>]*?)\s*>\s*(#.*)?")
_SECTION_END = re.compile(r"</(?P<name>[A-Za-z0-9_]+)\s*>\s*(#.*)?")
_PARAMETER = re.compile(r"(?P<name>\S+)[ \t]*(?P<value>.*)")
_COMMENT = re.compile(r"(^|\s)#.*$")
_DEEPEST_INCLUDE = 20
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "f": "\f", "b": "\b"}


class FluentdConfigurationError(MusicPlatformError):
    """A configuration that cannot be read; names file and line."""


@dataclass(frozen=True)
class Place:
    """A line of a file, counted from 1."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Parameter:
    """A parameter's value after its variables were substituted; None if it keeps Fluentd's default.

    ``is_known`` is false if a variable in it is not set and has no default; Fluentd may well run with it.
    """

    value: str | None
    place: Place
    is_from_variable: bool
    is_known: bool = True


@dataclass
class Element:
    """A section: `<name argument>`, its parameters and its inner sections, including those of included files."""

    name: str
    argument: str
    place: Place
    parameters: dict[str, Parameter] = field(default_factory=dict)
    elements: list[Element] = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        """A parameter's value; the default where it is not given."""
        found = self.parameters.get(name)
        return default if found is None or found.value is None else found.value

    def is_true(self, name: str, default: bool) -> bool:
        """A parameter as Fluentd reads a bool; one without a value is true."""
        found = self.parameters.get(name)
        return default if found is None or found.value is None else found.value in ("true", "yes", "")

    def place_of(self, name: str) -> Place:
        """The place of a parameter; if it is missing, the beginning of its section."""
        found = self.parameters.get(name)
        return self.place if found is None else found.place

    def children(self, name: str) -> list[Element]:
        return [element for element in self.elements if element.name == name]

    def walk(self) -> Iterator[Element]:
        """The section and all below it."""
        yield self
        for element in self.elements:
            yield from element.walk()


@dataclass
class Configuration:
    """A whole configuration. ``variables`` are those that it uses, ``empty_includes`` the patterns that match no file."""

    root: Element
    variables: dict[str, Variable] = field(default_factory=dict)
    empty_includes: list[tuple[str, Place]] = field(default_factory=list)


def parse_configuration(file: Path, environment: Mapping[str, str]) -> Configuration:
    """The configuration that begins in a file, with these variables set and no other.

    Raises FluentdConfigurationError that names file and line for what Fluentd would refuse, and for embedded Ruby beyond
    ``ENV['NAME']``, ``ENV['NAME'] || 'default'``, ``|| use_nil``, ``|| use_default`` and ``ENV['NAME'] ? 'a' : 'b'``.
    """
    configuration = Configuration(Element("ROOT", "", Place(file, 1)))
    _FileParser(file, environment, configuration).parse(configuration.root)
    return configuration


class _FileParser:
    """Parse one file line by line; an include is parsed into the section that contains it."""

    def __init__(
        self, file: Path, environment: Mapping[str, str], configuration: Configuration, depth: int = 0
    ) -> None:
        self._file = file
        self._environment = environment
        self._configuration = configuration
        self._depth = depth
        try:
            self._lines = file.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise FluentdConfigurationError(f"cannot read the configuration '{file}': {error}") from error
        self._number = 0
        self._is_known = True

    def parse(self, into: Element) -> None:
        sections = [into]
        while self._number < len(self._lines):
            line = self._lines[self._number].strip()
            self._number += 1
            if not line or line.startswith("#"):
                continue
            if line.startswith("</"):
                self._end_section(line, sections)
            elif line.startswith("<"):
                sections.append(self._begin_section(line, sections[-1]))
            else:
                self._take_parameter(line, sections[-1])
        if len(sections) > 1:
            raise FluentdConfigurationError(f"{sections[-1].place}: <{sections[-1].name}> is never closed")

    @property
    def _place(self) -> Place:
        return Place(self._file, self._number)

    def _error(self, problem: str) -> FluentdConfigurationError:
        return FluentdConfigurationError(f"{self._place}: {problem}")

    def _begin_section(self, line: str, parent: Element) -> Element:
        match = _SECTION_START.fullmatch(line)
        if match is None:
            raise self._error(f"'{line}' is no section; write <name> or <name pattern>")
        element = Element(match["name"], match["argument"], self._place)
        parent.elements.append(element)
        return element

    def _end_section(self, line: str, sections: list[Element]) -> None:
        match = _SECTION_END.fullmatch(line)
        if match is None or len(sections) == 1 or sections[-1].name != match["name"]:
            is_open = f"open is <{sections[-1].name}>" if len(sections) > 1 else "no section is open"
            raise self._error(f"'{line}' closes nothing; {is_open}")
        sections.pop()

    def _take_parameter(self, line: str, section: Element) -> None:
        match = _PARAMETER.fullmatch(line)
        assert match is not None, "a line that is not blank has a first word"
        name, text = match["name"], match["value"]
        if name in ("@include", "include"):
            self._include(self._value(text), section)
            return
        place, self._is_known = self._place, True
        value = self._value(text)
        section.parameters[name] = Parameter(value, place, is_from_variable="#{" in text, is_known=self._is_known)

    def _value(self, text: str) -> str | None:
        if text.startswith('"'):
            return self._double_quoted(text)
        if text.startswith("'"):
            return self._single_quoted(text)
        if text.startswith(("[", "{")):
            return self._json(text)
        return _COMMENT.sub("", text).rstrip()

    def _double_quoted(self, text: str) -> str | None:
        parts: list[str] = []
        try:
            pieces, rest = split_text(text[1:])
            for piece in pieces:
                if not piece.is_code:
                    parts.append(re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), piece.text))
                    continue
                variable, value = evaluate(piece.text, self._environment)
                self._configuration.variables[variable.name] = variable
                self._is_known &= bool(value) or variable.default is not None or variable.name in self._environment
                if value is None:
                    return None
                parts.append(value)
        except EmbeddedCodeError as error:
            raise self._error(str(error)) from error
        self._require_end(rest)
        return "".join(parts)

    def _single_quoted(self, text: str) -> str:
        match = re.match(r"'((?:[^'\\]|\\.)*)'", text)
        if match is None:
            raise self._error("a text in single quotes is never closed")
        self._require_end(text[match.end() :])
        return re.sub(r"\\(['\\])", r"\1", match[1])

    def _json(self, text: str) -> str:
        """A JSON array or object, which may go on over several lines, with comments behind them."""
        lines = [text]
        while True:
            try:
                value, end = json.JSONDecoder().raw_decode("\n".join(lines))
            except json.JSONDecodeError as error:
                if self._number >= len(self._lines):
                    raise self._error("a JSON value is never closed") from error
                lines[-1] = _COMMENT.sub("", lines[-1])
                lines.append(self._lines[self._number])
                self._number += 1
                continue
            self._require_end("\n".join(lines)[end:])
            return json.dumps(value)

    def _require_end(self, rest: str) -> None:
        if _COMMENT.sub("", rest).strip():
            raise self._error(f"'{rest.strip()}' stands behind the value")

    def _include(self, pattern: str | None, section: Element) -> None:
        if not pattern:
            raise self._error("@include names no file")
        if "://" in pattern:
            raise self._error(f"'{pattern}' is not beside this file; include files that are versioned with it")
        if self._depth >= _DEEPEST_INCLUDE:
            raise self._error(f"@include {pattern} goes round in circles")
        folder = self._file.parent
        names = iglob(pattern, root_dir=folder)  # noqa: PTH207 (pathlib refuses patterns that Fluentd takes)
        found = sorted(folder / name for name in names if (folder / name).is_file())
        if not found:
            self._configuration.empty_includes.append((pattern, self._place))
        for file in found:
            _FileParser(file, self._environment, self._configuration, self._depth + 1).parse(section)
