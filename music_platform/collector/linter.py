"""The linter: applies every rule to one configuration. The rules are in rules_of_*.py and plugin_parameters.py."""

from __future__ import annotations

from dataclasses import dataclass

from music_platform.collector.parser import Configuration, Place
from music_platform.collector.plugin_parameters import PARAMETER_RULES
from music_platform.collector.rule import Rule
from music_platform.collector.rules_of_errors import ERROR_RULES
from music_platform.collector.rules_of_outputs import OUTPUT_RULES
from music_platform.collector.rules_of_routes import ROUTE_RULES
from music_platform.collector.rules_of_sources import SOURCE_RULES
from music_platform.collector.rules_of_values import VALUE_RULES

RULES: tuple[Rule, ...] = (
    *SOURCE_RULES, *ROUTE_RULES, *ERROR_RULES, *OUTPUT_RULES, *VALUE_RULES, *PARAMETER_RULES,
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """A broken rule: where, and what to do."""

    rule: str
    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}: {self.message}"


def lint(configuration: Configuration) -> list[Finding]:
    """The broken rules, in the order of files and lines; empty if there are none."""
    findings = {
        Finding(rule.name, place, message) for rule in RULES for place, message in rule.broken_at(configuration)
    }
    return sorted(findings, key=lambda found: (str(found.place.file), found.place.line, found.rule, found.message))
