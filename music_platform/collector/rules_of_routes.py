"""Rules of labels and filters: every event reaches its output complete and with its own time."""

from __future__ import annotations

from music_platform.collector import event_time
from music_platform.collector.parser import Configuration
from music_platform.collector.routing import ERROR_LABEL, labels, pattern_matches, top_level
from music_platform.collector.rule import Broken, Rule
from music_platform.collector.rules_of_outputs import is_for_events, lands_event
from music_platform.collector.ways import (
    EVENT_TAGS,
    error_ways,
    event_ways,
    is_of_event,
    removed_keys,
    ways,
    where_it_goes,
)
from music_platform.tables.events import EVENT_KEYS

_KEEPING_FILTERS = ("parser", "record_transformer", "prometheus")


def _events_are_landed(configuration: Configuration) -> Broken:
    reached = set()
    for source, tag, way in ways(configuration):
        if lands_event(way.output, tag) or (tag in EVENT_TAGS and is_for_events(way.output)):
            reached.add(tag)
        elif is_of_event(source, tag):
            yield source.place, f"what has the tag {tag} is not landed: it {where_it_goes(way)}; lead it to the events"
    for tag in set(EVENT_TAGS) - reached:
        yield configuration.root.place, f"no source lands events with the tag {tag}; add one"


def _labels_exist(configuration: Configuration) -> Broken:
    known = {*labels(configuration), "@ROOT", "@FLUENT_LOG"}
    for element in configuration.root.walk():
        label = element.get("@label")
        if (label or element.get("@type") == "relabel") and label not in known:
            yield element.place_of("@label"), f"there is no <label {label}>; correct the name or add it"
        if label == ERROR_LABEL and element.get("@type") == "relabel":
            yield element.place_of("@label"), f"Fluentd refuses to relabel to {ERROR_LABEL}; use a label of your own"
    for label in top_level(configuration, "label"):
        if label is not labels(configuration)[label.argument]:
            yield label.place, f"<label {label.argument}> stands twice, which Fluentd refuses; put them into one"


def _labels_catch_all(configuration: Configuration) -> Broken:
    for name, label in labels(configuration).items():
        if not any(pattern_matches(match.argument or "**", "any.tag") for match in label.children("match")):
            yield label.place, f"what no <match> of {name} takes is dropped with a warning; end it in a <match **>"


def _nothing_is_dropped(configuration: Configuration) -> Broken:
    for source, tag, way in (*ways(configuration), *error_ways(configuration)):
        for step in way.filters:
            if step.get("@type") not in _KEEPING_FILTERS:
                origin = source.place if source else "plugins' errors"
                yield step.place, f"{step.get('@type')} may drop records ({tag} from {origin}) or log them; remove it"


def _fields_are_kept(configuration: Configuration) -> Broken:
    for _, _, way in event_ways(configuration):
        for step in way.filters:
            removed = removed_keys(step)
            written = {name for record in step.children("record") for name in record.parameters}
            for name in sorted((removed | written) & EVENT_KEYS):
                yield step.place, f"the filter changes the field {name} of events; leave it as it came"
            if step.is_true("renew_record", False) or step.get("keep_keys"):
                yield step.place_of("renew_record"), "fields of events are left out; remove renew_record and keep_keys"
            for name in {step.get("renew_time_key")} - {*removed, ""}:
                yield step.place_of("remove_keys"), f"each event gets a field; set remove_keys {name}"
        for inject in way.output.children("inject") if way.output else ():
            for name in {inject.get(key) for key in ("time_key", "tag_key", "hostname_key")} & EVENT_KEYS:
                yield inject.place, f"the field {name} of events is overwritten; use another name"


def _time_is_that_of_the_event(configuration: Configuration) -> Broken:
    for source, tag, way in event_ways(configuration):
        renewing = [step for step in way.filters if step.get("renew_time_key")]
        if not renewing:
            what = f"events with the tag {tag} are filed by the time of arrival"
            yield source.place, f"{what}; set the time from ts, with record_transformer and renew_time_key"
            continue
        key, records = renewing[-1].get("renew_time_key"), renewing[-1].children("record")
        problems = [problem for record in records for problem in event_time.problems(record.get(key))]
        if not renewing[-1].is_true("enable_ruby", False):
            problems.append("without enable_ruby true it is a mere text")
        for problem in problems or ([] if records else ["no <record> sets it"]):
            yield (records or renewing)[-1].place_of(key), f"the time of events, {key}, is wrong: {problem}"


def _matches_before_are_passed(configuration: Configuration) -> Broken:
    """A section behind a <match **> of its label never sees a record."""
    for section in (configuration.root, *labels(configuration).values()):
        is_taken = False
        for element in section.elements:
            if element.name not in ("filter", "match"):
                continue
            if element.argument.count("{") != element.argument.count("}"):
                yield element.place, f"the pattern '{element.argument}' has a brace too many or too few"
            if is_taken:
                yield element.place, f"<{element.name} {element.argument}> stands behind a <match **>, which takes all"
            is_taken = is_taken or (element.name == "match" and pattern_matches(element.argument or "**", "any.tag"))


ROUTE_RULES: tuple[Rule, ...] = (
    Rule("events_are_landed", "Events of every source reach the S3 output of events.", _events_are_landed),
    Rule("labels_exist", "Every label that is named exists once.", _labels_exist),
    Rule("labels_catch_all", "Every label ends in a match that takes all.", _labels_catch_all),
    Rule("nothing_behind_catch_all", "No section stands behind a match that takes all.", _matches_before_are_passed),
    Rule("nothing_is_dropped", "No filter on the way drops or logs a record.", _nothing_is_dropped),
    Rule("fields_are_kept", "No filter changes a field of an event.", _fields_are_kept),
    Rule("time_is_that_of_the_event", "Events are filed by their ts.", _time_is_that_of_the_event),
)  # fmt: skip
