"""Where a configuration leads a tag: through labels and filters to the output that takes it.

What is wrong with that place is for the rules to say (rules_of_routes.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from music_platform.fluentd_configuration.parser import Configuration, Element

ERROR_LABEL = "@ERROR"
_MONITORING_SOURCES = {
    "monitor_agent", "prometheus", "prometheus_monitor", "prometheus_output_monitor", "prometheus_tail_monitor",
}  # fmt: skip
_MOST_RELABELS = 50
_WILDCARDS = {
    ".**": r"(?:\..*)?", "**.": r"(?:.*\.)?", "**": ".*", "*": "[^.]+", "{": "(?:", "}": ")", ",": "|",
}  # fmt: skip


@dataclass
class Route:
    """The way of a tag: the filters that it passes, the output that takes it, or why none does."""

    filters: list[Element] = field(default_factory=list)
    output: Element | None = None
    problem: str = ""
    last: Element | None = None  # the section at which the way ends


def event_sources(configuration: Configuration) -> list[Element]:
    """The sources that take in records; not those that only tell how Fluentd fares."""
    return [
        source for source in configuration.root.children("source") if source.get("@type") not in _MONITORING_SOURCES
    ]


def labels(configuration: Configuration) -> dict[str, Element]:
    return {label.argument: label for label in configuration.root.children("label")}


def route(configuration: Configuration, label: str, tag: str) -> Route:
    """The way of a tag from a label on; an empty label is the root."""
    known = labels(configuration)
    found = Route()
    for _ in range(_MOST_RELABELS):
        if label and label not in known:
            found.problem = f"there is no <label {label}>"
            return found
        section = known[label] if label else configuration.root
        found.last = section
        taking = _taking_match(section, tag, found.filters)
        if taking is None:
            found.problem = f"no <match> takes it in {f'<label {label}>' if label else 'the root'}"
            return found
        found.last = taking
        if taking.get("@type") != "relabel":
            found.output = taking
            return found
        label = taking.get("@label")
    found.problem = "it goes round in circles between labels"
    return found


def _taking_match(section: Element, tag: str, filters: list[Element]) -> Element | None:
    for element in section.elements:
        if element.name not in ("filter", "match") or not pattern_matches(element.argument or "**", tag):
            continue
        if element.name == "match":
            return element
        filters.append(element)
    return None


def pattern_matches(pattern: str, tag: str) -> bool:
    """Whether a match pattern (`*`, `**`, `{a,b}`, several separated by spaces) takes a tag."""
    return any(re.fullmatch(_regular_expression(alternative), tag) for alternative in pattern.split())


def _regular_expression(pattern: str) -> str:
    expression = ""
    for part in re.findall(r"\.\*\*|\*\*\.|\*\*|\*|[{},]|[^*{},.]+|\.", pattern):
        expression += _WILDCARDS.get(part) or re.escape(part)
    return expression
