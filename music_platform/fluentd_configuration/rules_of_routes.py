"""Rules of sources, filters and labels: every record that comes in reaches an output, with the time of its event."""

from __future__ import annotations

import re
from collections.abc import Iterator

from music_platform.contracts.events import EVENT_TYPES
from music_platform.fluentd_configuration.parser import Configuration, Element
from music_platform.fluentd_configuration.routing import (
    ERROR_LABEL,
    Route,
    event_sources,
    labels,
    pattern_matches,
    route,
)
from music_platform.fluentd_configuration.rule import Broken, Rule
from music_platform.fluentd_configuration.rules_of_outputs import lands_errors, lands_events

TAG_PREFIX = "eventsim"
_EVENT_TAGS = tuple(f"{TAG_PREFIX}.{event_type}" for event_type in EVENT_TYPES)
_UNKNOWN_TAGS = (f"{TAG_PREFIX}.no_event_type", "no_event_type")
_RAW_SOURCES = ("tail", "http")
_PRESENT = re.compile(r"\$\{\s*(?:::)?Time\.now\.to_(?:f|r|i)\s*\}")


def _tags_of(source: Element) -> list[str]:
    """The tags of events that a source gives; one without a tag of its own takes what its producers say."""
    return [source.get("tag")] if source.get("tag") else list(_EVENT_TAGS)


def _event_routes(configuration: Configuration) -> Iterator[tuple[Element, str, Route]]:
    for source in event_sources(configuration):
        for tag in _tags_of(source):
            yield source, tag, route(configuration, source.get("@label"), tag)


def _includes_find_files(configuration: Configuration) -> Broken:
    for pattern, place in configuration.empty_includes:
        yield place, f"'{pattern}' matches no file, and Fluentd says nothing of it; correct the name"


def _root_folder_is_set(configuration: Configuration) -> Broken:
    systems = configuration.root.children("system")
    if not any(system.get("root_dir") for system in systems):
        place = systems[0].place if systems else configuration.root.place
        yield place, "chunks that can never be written go to a folder for temporary files; set root_dir in <system>"


def _events_are_landed(configuration: Configuration) -> Broken:
    reached = set()
    for source, tag, way in _event_routes(configuration):
        if way.output is None or not lands_events(way.output):
            place = (way.last or source).place
            what = way.problem or f"the output at {place} does not land it"
            yield source.place, f"events with the tag {tag} are not landed: {what}"
        else:
            reached.add(tag)
    for tag in set(_EVENT_TAGS) - reached:
        yield configuration.root.place, f"no source lands events with the tag {tag}; add one"


def _unknown_tags_are_kept(configuration: Configuration) -> Broken:
    for source in event_sources(configuration):
        for tag in () if source.get("tag") else _UNKNOWN_TAGS:
            way = route(configuration, source.get("@label"), tag)
            if way.output is None or not lands_errors(way.output):
                place = (way.last or source).place
                yield (
                    place,
                    f"a record with the tag {tag} from {source.place} {_where_it_goes(way)}; name the known tags in the "
                    "<match> of the events, and end each label in a <match **> that leads to the errors",
                )


def _where_it_goes(way: Route) -> str:
    return f"is dropped ({way.problem})" if way.output is None else f"goes to the output {way.output.get('@type')}"


def _errors_are_landed(configuration: Configuration) -> Broken:
    if ERROR_LABEL not in labels(configuration):
        yield (
            configuration.root.place,
            f"what plugins refuse is only logged; add a <label {ERROR_LABEL}> that leads to the S3 output of errors",
        )
        return
    for tag in (*_EVENT_TAGS, *_UNKNOWN_TAGS):
        way = route(configuration, ERROR_LABEL, tag)
        if way.output is None or not lands_errors(way.output):
            place = (way.last or labels(configuration)[ERROR_LABEL]).place
            yield (
                place,
                f"what plugins refuse of the tag {tag} {_where_it_goes(way)}; lead it to the S3 output of errors",
            )


def _labels_exist(configuration: Configuration) -> Broken:
    known = {*labels(configuration), "@ROOT", "@FLUENT_LOG"}
    for element in configuration.root.walk():
        label = element.get("@label")
        if label and label not in known:
            yield element.place_of("@label"), f"there is no <label {label}>; correct the name or add it"
        if label == ERROR_LABEL and element.get("@type") == "relabel":
            yield element.place_of("@label"), f"Fluentd refuses to relabel to {ERROR_LABEL}; use a label of your own"


def _labels_catch_all(configuration: Configuration) -> Broken:
    for name, label in labels(configuration).items():
        if not any(pattern_matches(match.argument or "**", "any.tag") for match in label.children("match")):
            yield label.place, f"what no <match> of {name} takes is dropped with a warning; end it in a <match **>"


def _lines_come_raw(configuration: Configuration) -> Broken:
    for source in event_sources(configuration):
        if source.get("@type") not in _RAW_SOURCES:
            continue
        parsers = source.children("parse")
        if not parsers or parsers[0].get("@type") != "none":
            place = parsers[0].place_of("@type") if parsers else source.place
            yield (
                place,
                f"the {source.get('@type')} source drops what it cannot parse; set <parse> @type none, and parse in a filter",
            )


def _positions_are_kept(configuration: Configuration) -> Broken:
    taken: set[str] = set()
    for source in configuration.root.children("source"):
        if source.get("@type") != "tail":
            continue
        position = source.get("pos_file")
        if not position:
            yield source.place, "after a restart lines are read again or never; set pos_file"
        elif position in taken:
            yield source.place_of("pos_file"), f"'{position}' is another source's pos_file already; each needs its own"
        taken.add(position)
        if not source.is_true("read_from_head", False):
            yield (
                source.place_of("read_from_head"),
                "lines from before Fluentd's start are lost; set read_from_head true",
            )


def _invalid_lines_are_kept(configuration: Configuration) -> Broken:
    for element in configuration.root.walk():
        if element.name != "filter" or element.get("@type") != "parser":
            continue
        if not element.is_true("emit_invalid_record_to_error", True):
            yield (
                element.place_of("emit_invalid_record_to_error"),
                "lines that cannot be parsed are dropped; set emit_invalid_record_to_error true",
            )
        for parser in element.children("parse"):
            if parser.get("@type") == "json" and parser.get("time_key", "time") == "time":
                yield (
                    parser.place_of("time_key"),
                    "a field named time is taken out of the record; set time_key to a name that no record has",
                )


def _time_is_that_of_the_event(configuration: Configuration) -> Broken:
    for source, tag, way in _event_routes(configuration):
        if way.output is None or not lands_events(way.output):
            continue
        if not any(step.get("@type") == "record_transformer" and step.get("renew_time_key") for step in way.filters):
            yield (
                way.output.place,
                f"events with the tag {tag} from {source.place} are filed by the time of arrival; set the time from ts before, "
                "with record_transformer and renew_time_key",
            )


def _errors_are_filed_by_the_collectors_clock(configuration: Configuration) -> Broken:
    """The last filter that sets the time of an error record sets it to the present."""
    begins = (
        [(ERROR_LABEL, tag) for tag in (*_EVENT_TAGS, *_UNKNOWN_TAGS)] if ERROR_LABEL in labels(configuration) else []
    )
    for source in event_sources(configuration):
        begins += [(source.get("@label"), tag) for tag in (() if source.get("tag") else _UNKNOWN_TAGS)]
    for label, tag in begins:
        way = route(configuration, label, tag)
        if way.output is None or not lands_errors(way.output):
            continue
        renewing = [
            step for step in way.filters if step.get("@type") == "record_transformer" and step.get("renew_time_key")
        ]
        if not renewing or not _sets_the_present(renewing[-1]):
            yield (
                way.output.place,
                "error records are filed by a time that producers choose, and of days without a partition none is read; set "
                "the time before, with record_transformer, enable_ruby true, renew_time_key __collected and in <record> "
                "__collected ${::Time.now.to_f}",
            )


def _sets_the_present(step: Element) -> bool:
    values = [record.get(step.get("renew_time_key")) for record in step.children("record")]
    return step.is_true("enable_ruby", False) and any(_PRESENT.fullmatch(value) for value in values)


def _matches_before_are_passed(configuration: Configuration) -> Broken:
    """A section behind a <match **> of its label never sees a record."""
    for section in (configuration.root, *labels(configuration).values()):
        is_taken = False
        for element in section.elements:
            if element.name not in ("filter", "match"):
                continue
            if is_taken:
                yield element.place, f"<{element.name} {element.argument}> stands behind a <match **>, which takes all"
            is_taken = is_taken or (element.name == "match" and pattern_matches(element.argument or "**", "any.tag"))


ROUTE_RULES: tuple[Rule, ...] = (
    Rule("includes_find_files", "Every @include matches a file.", _includes_find_files),
    Rule("root_folder_is_set", "Chunks that cannot be written have a lasting place.", _root_folder_is_set),
    Rule("events_are_landed", "Events of every source reach the S3 output of events.", _events_are_landed),
    Rule("unknown_tags_are_kept", "Records with other tags reach the S3 output of errors.", _unknown_tags_are_kept),
    Rule("errors_are_landed", "What plugins refuse reaches the S3 output of errors.", _errors_are_landed),
    Rule("labels_exist", "Every label that is named exists.", _labels_exist),
    Rule("labels_catch_all", "Every label ends in a match that takes all.", _labels_catch_all),
    Rule("nothing_behind_catch_all", "No section stands behind a match that takes all.", _matches_before_are_passed),
    Rule("lines_come_raw", "Sources pass lines on unparsed.", _lines_come_raw),
    Rule("positions_are_kept", "Files are read on from where they were left.", _positions_are_kept),
    Rule("invalid_lines_are_kept", "The parser drops no line and no field.", _invalid_lines_are_kept),
    Rule("time_is_that_of_the_event", "Events are filed by their ts.", _time_is_that_of_the_event),
    Rule(
        "errors_are_filed_by_the_clock",
        "Error records are filed by the clock of the collector.",
        _errors_are_filed_by_the_collectors_clock,
    ),
)
