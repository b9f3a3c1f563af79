"""Reads a Fluentd configuration and finds what loses events or money in it. It never runs Fluentd."""

from music_platform.collector.linter import RULES, Finding, Rule, lint
from music_platform.collector.parser import Configuration, FluentdConfigurationError, parse_configuration

__all__ = ["RULES", "Configuration", "Finding", "FluentdConfigurationError", "Rule", "lint", "parse_configuration"]
