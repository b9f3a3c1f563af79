"""Where a configuration routes a tag: through labels, filters and copies to an output.

ways.py has the ways of all sources; the rules (rules_of_*.py) find problems in them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from music_platform.collector.parser import Configuration, Element

ERROR_LABEL = "@ERROR"
_MONITORING_SOURCES = {
    "monitor_agent", "prometheus", "prometheus_monitor", "prometheus_output_monitor", "prometheus_tail_monitor",
}  # fmt: skip
_RAISES = re.compile(r"\$\{\s*(?:::)?Kernel\.raise\b[^?;|&]*\}")
_WILDCARDS = {
    ".**": r"(?:\..*)?", "**.": r"(?:.*\.)?", "**": ".*", "*": "[^.]+", "{": "(?:", "}": ")", ",": "|",
}  # fmt: skip


@dataclass
class Route:
    """The way of a tag: the filters that it passes, and its output or the reason why it has none."""

    filters: list[Element] = field(default_factory=list)
    output: Element | None = None
    problem: str = ""
    last: Element | None = None  # the way's last section


def top_level(configuration: Configuration, name: str) -> list[Element]:
    """The sections of a name at the top level or in a <worker>."""
    root = configuration.root
    return [found for section in (root, *root.children("worker")) for found in section.children(name)]


def event_sources(configuration: Configuration) -> list[Element]:
    """The sources that take in records, without those that only report Fluentd's own state."""
    sources = top_level(configuration, "source")
    return [source for source in sources if source.get("@type") not in _MONITORING_SOURCES]


def labels(configuration: Configuration) -> dict[str, Element]:
    return {label.argument: label for label in top_level(configuration, "label")}


def route(configuration: Configuration, label: str, tag: str) -> Route:
    """The way of a tag from a label on; an empty label is the root.

    For a copy: the way into the S3 output if a store leads there. For a roundrobin: the way into anything else.
    """
    return _from_label(configuration, label, tag, Route(), ())


def _from_label(configuration: Configuration, label: str, tag: str, way: Route, passed: tuple[str, ...]) -> Route:
    section = labels(configuration).get(label) if label else configuration.root
    if section is None or label in passed:
        problem = f"it goes round in circles between labels at {label}" if section else f"there is no <label {label}>"
        return Route(way.filters, None, problem, way.last)
    outside = [element for worker in section.children("worker") for element in worker.elements]
    filters = list(way.filters)
    for element in (*section.elements, *outside):
        if element.name not in ("filter", "match") or not pattern_matches(element.argument or "**", tag):
            continue
        if element.name == "match":
            return _into_output(configuration, element, tag, Route(filters), (*passed, label))
        filters.append(element)
        if refuses_all(element) and label != ERROR_LABEL:
            return _from_label(configuration, ERROR_LABEL, tag, Route(filters, last=element), (*passed, label))
    problem = f"no <match> takes it in {f'<label {label}>' if label else 'the root'}"
    return Route(filters, None, problem, section)


def refuses_all(step: Element) -> bool:
    """Whether a filter raises for each record, so that Fluentd routes all of them to its label of errors."""
    values = [parameter.value or "" for record in step.children("record") for parameter in record.parameters.values()]
    return step.is_true("enable_ruby", False) and any(_RAISES.fullmatch(value) for value in values)


def _into_output(configuration: Configuration, output: Element, tag: str, way: Route, passed: tuple[str, ...]) -> Route:
    kind = output.get("@type")
    if kind == "relabel":
        return _from_label(configuration, output.get("@label"), tag, Route(way.filters, last=output), passed)
    stores = output.children("store")
    if kind not in ("copy", "roundrobin") or not stores:
        return Route(way.filters, output, last=output)
    ways = [_into_output(configuration, store, tag, way, passed) for store in stores]
    wanted = kind == "copy"
    return next(
        (way for way in ways if (way.output is not None and way.output.get("@type") == "s3") == wanted), ways[0]
    )


def pattern_matches(pattern: str, tag: str) -> bool:
    """Whether a match pattern (`*`, `**`, `{a,b}`, several separated by spaces) takes a tag."""
    return any(re.fullmatch(_regular_expression(alternative), tag) for alternative in pattern.split())


def _regular_expression(pattern: str) -> str:
    expression, depth = "", 0
    for part in re.findall(r"\.\*\*|\*\*\.|\*\*|\*|[{},]|[^*{},.]+|\.", pattern):
        depth += {"{": 1, "}": -1}.get(part, 0)
        expression += (part in _WILDCARDS and (part != "," or depth > 0) and _WILDCARDS[part]) or re.escape(part)
    return expression if pattern.count("{") == pattern.count("}") else re.escape(pattern)
