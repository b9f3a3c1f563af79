"""The way of every tag from every source, to the output of events, to that of errors, or to neither."""

from __future__ import annotations

import re
from collections.abc import Iterator

from music_platform.collector.parser import Configuration, Element
from music_platform.collector.routing import ERROR_LABEL, Route, event_sources, labels, route
from music_platform.collector.rules_of_outputs import is_for_errors, is_for_events
from music_platform.tables.events import EVENT_TYPES

TAG_PREFIX = "eventsim"
EVENT_TAGS = tuple(f"{TAG_PREFIX}.{event_type}" for event_type in EVENT_TYPES)
UNKNOWN_TAGS = (f"{TAG_PREFIX}.no_event_type", "no_event_type", TAG_PREFIX)


def paths_of(source: Element) -> list[str]:
    """The paths that a source reads; patterns are not expanded."""
    return [path.strip() for path in source.get("path").split(source.get("path_delimiter", ","))]


def _tags_of(source: Element) -> list[str]:
    """The tags of a source's events; a source without a tag of its own uses those of its producers."""
    prefix = f"{source.get('add_tag_prefix')}." if source.get("add_tag_prefix") else ""
    own = source.get("tag")
    if not own:
        return [f"{prefix}{tag}" for tag in (*EVENT_TAGS, *UNKNOWN_TAGS)]
    return [prefix + own.replace("*", path.strip("/").replace("/", ".")) for path in paths_of(source)]


def is_of_event(source: Element, tag: str) -> bool:
    """Whether a source's records of a tag are events."""
    return bool(source.get("tag")) or tag.removeprefix(f"{source.get('add_tag_prefix')}.") in EVENT_TAGS


def ways(configuration: Configuration) -> Iterator[tuple[Element, str, Route]]:
    """Each source with each of its tags and the way of that tag."""
    for source in event_sources(configuration):
        for tag in _tags_of(source):
            yield source, tag, route(configuration, source.get("@label"), tag)


def event_ways(configuration: Configuration) -> Iterator[tuple[Element, str, Route]]:
    """The ways that end in the output of events."""
    return ((source, tag, way) for source, tag, way in ways(configuration) if is_for_events(way.output))


def error_ways(configuration: Configuration) -> Iterator[tuple[Element | None, str, Route]]:
    """The ways that end in the output of errors, then those of records that plugins refuse, which have no source."""
    yield from (way for way in ways(configuration) if is_for_errors(way[2].output))
    if ERROR_LABEL in labels(configuration):
        yield from ((None, tag, route(configuration, ERROR_LABEL, tag)) for tag in (*EVENT_TAGS, *UNKNOWN_TAGS))


def where_it_goes(way: Route) -> str:
    """The end of a way that lands nothing, for messages."""
    if way.output is None:
        return f"is dropped ({way.problem})"
    return f"goes to the output {way.output.get('@type')} at {way.output.place}, where nothing reads it"


def removed_keys(step: Element) -> set[str]:
    """The keys that a filter removes from each record."""
    return {name.strip().removeprefix("$.") for name in re.split(r'[,\[\]"]+', step.get("remove_keys"))}
