"""Reading a Fluentd configuration and finding what in it loses events or money. It never runs Fluentd."""

from music_platform.collector.linter import RULES, Finding, Rule, lint
from music_platform.collector.parser import Configuration, FluentdConfigurationError, parse_configuration

__all__ = ["RULES", "Configuration", "Finding", "FluentdConfigurationError", "Rule", "lint", "parse_configuration"]
