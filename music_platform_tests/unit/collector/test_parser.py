"""Fluentd's configuration syntax: what is read of it, and that what is wrong names file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from music_platform.collector import Configuration, FluentdConfigurationError, parse_configuration
from music_platform.collector.routing import pattern_matches


def _parse(folder: Path, text: str, environment: dict[str, str] | None = None) -> Configuration:
    file = folder / "fluent.conf"
    file.write_text(text)
    return parse_configuration(file, environment or {})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain value", "plain value"),
        ("plain # comment", "plain"),
        ("a#b", "a#b"),
        ("'single \\' #{x} # no comment' # comment", "single ' #{x} # no comment"),
        ('"double \\" \\t # no comment" # comment', 'double " \t # no comment'),
        ('"${tag[1]}/%Y"', "${tag[1]}/%Y"),
        ('["a", # first\n  "b"]', '["a", "b"]'),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ("", ""),
        ("\"#{ENV['SET']}/x\"", "value/x"),
        ('"#{ENV["SET"] || \'default\'}"', "value"),
        ("\"#{ENV['UNSET'] || 'default'}/#{ENV['SET']}\"", "default/value"),
        ('"#{ENV[\'UNSET\'] || "}"}"', "}"),
        ("\"#{ENV['UNSET'] || 24224}\"", "24224"),
        ("\"#{ENV['UNSET']}\"", ""),
        ("\"#{ENV['UNSET'] || use_nil}\"", None),
        ("\"#{ENV['SET'] || use_default}\"", "value"),
        ("\"#{ENV['SET'] ? 'a' : 'b'}.conf\"", "a.conf"),
        ("\"#{ENV['UNSET'] ? 'a' : 'b'}.conf\"", "b.conf"),
    ],
)
def test_values(text: str, value: str | None, tmp_path: Path) -> None:
    configuration = _parse(tmp_path, f"<source>\n  name {text}\n</source>\n", {"SET": "value"})
    [source] = configuration.root.children("source")
    assert source.parameters["name"].value == value
    assert source.place_of("name").line == 2


def test_sections_lie_in_sections_with_their_lines(tmp_path: Path) -> None:
    configuration = _parse(
        tmp_path,
        "# comment\n<label @A> # comment\n  <match a.** b>\n    @type null\n    <buffer tag, time>\n    </buffer>\n"
        "  </match>\n</label>\n",
    )
    [label] = configuration.root.children("label")
    [match] = label.children("match")
    [buffer] = match.children("buffer")
    assert (label.argument, match.argument, buffer.argument) == ("@A", "a.** b", "tag, time")
    assert [element.place.line for element in configuration.root.walk()] == [1, 2, 3, 5]
    assert match.get("@type") == "null"
    assert match.place_of("missing") == match.place


def test_includes_go_into_the_section_that_they_stand_in(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.conf").write_text("one 1\n@include ../inner.conf\n")
    (tmp_path / "parts" / "b.conf").write_text("<buffer>\n</buffer>\n")
    (tmp_path / "inner.conf").write_text("# two\ntwo 2\n")
    configuration = _parse(tmp_path, f"<match **>\n@include parts/*.conf\n@include {tmp_path}/no*.conf\n</match>\n")
    [match] = configuration.root.children("match")
    assert {name: parameter.value for name, parameter in match.parameters.items()} == {"one": "1", "two": "2"}
    assert (match.place_of("two").file.name, match.place_of("two").line) == ("inner.conf", 2)
    assert len(match.children("buffer")) == 1
    [(pattern, place)] = configuration.empty_includes
    assert (pattern, place.line) == (f"{tmp_path}/no*.conf", 3)


def test_the_variables_that_are_asked_for_are_reported_with_their_defaults(tmp_path: Path) -> None:
    text = "a \"#{ENV['A'] || 'x'}\"\nb \"#{ENV['B'] || use_nil}\"\nc \"#{ENV['C'] ? '1' : '2'}\"\n"
    variables = _parse(tmp_path, text, {"A": "set"}).variables
    assert {name: variable.default for name, variable in variables.items()} == {"A": "x", "B": None, "C": None}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("<source>\n@type tail\n", 1, "<source> is never closed"),
        ("<source>\n</match>\n", 2, "open is <source>"),
        ("\n</match>\n", 2, "no section is open"),
        ("<sou rce\n", 1, "is no section"),
        ('a "b\n', 1, "never closed"),
        ("a 'b\n", 1, "never closed"),
        ('a "b" c\n', 1, "'c' stands behind the value"),
        ('a [1,\n2\n', 3, "JSON value is never closed"),
        ('x 1\na "#{hostname}"\n', 2, "#{hostname} is not evaluated here"),
        ('a "#{ENV[\'A\']"\n', 1, "#{ is never closed"),
        ("@include\n", 1, "names no file"),
        ("@include http://host/x.conf\n", 1, "is not beside this file"),
        ("@include fluent.conf\n", 1, "in circles"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_names_file_and_line(text: str, line: int, problem: str, tmp_path: Path) -> None:
    with pytest.raises(FluentdConfigurationError) as raised:
        _parse(tmp_path, text)
    assert str(raised.value).startswith(f"{tmp_path / 'fluent.conf'}:{line}: ")
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("a.*", ["a.b"], ["a", "a.b.c", "b.a"]),
        ("a.**", ["a", "a.b", "a.b.c"], ["ab", "b.a"]),
        ("**", ["a", "a.b"], []),
        ("**.z", ["z", "a.z", "a.b.z"], ["az"]),
        ("e.{a,b_c}", ["e.a", "e.b_c"], ["e.c", "e.ab"]),
        ("a b.*", ["a", "b.x"], ["b", "a.x"]),
    ],
)
def test_patterns_take_tags(pattern: str, matching: list[str], others: list[str]) -> None:
    assert [tag for tag in matching + others if pattern_matches(pattern, tag)] == matching
