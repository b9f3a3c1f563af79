"""Rules of error records: records that cannot be landed as events are kept, with their tag and collection time."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from music_platform.collector.parser import Configuration, Element
from music_platform.collector.routing import ERROR_LABEL, labels, route
from music_platform.collector.rule import Broken, Rule
from music_platform.collector.rules_of_outputs import is_for_errors, lands_event
from music_platform.collector.ways import (
    EVENT_TAGS,
    UNKNOWN_TAGS,
    error_ways,
    is_of_event,
    removed_keys,
    ways,
    where_it_goes,
)

_PRESENT = re.compile(r"\$\{\s*(?:::)?Time\.now(?:\.utc)?\.to_(?:f|r|i)\s*\}")
_MOMENT = datetime(2026, 11, 2, 5, tzinfo=UTC)


def _unknown_tags_are_kept(configuration: Configuration) -> Broken:
    for source, tag, way in ways(configuration):
        if not (is_of_event(source, tag) or lands_event(way.output, tag) or is_for_errors(way.output)):
            what = f"a record with the tag {tag} from {source.place} {where_it_goes(way)}"
            yield (way.last or source).place, f"{what}; end each label in a <match **> that leads to the errors"


def _errors_are_landed(configuration: Configuration) -> Broken:
    if ERROR_LABEL not in labels(configuration):
        what = "what plugins refuse is only logged"
        yield configuration.root.place, f"{what}; add a <label {ERROR_LABEL}> that leads to the S3 output of errors"
    for source, tag, way in error_ways(configuration):
        if source is None and not is_for_errors(way.output):
            what = f"what plugins refuse of the tag {tag} {where_it_goes(way)}"
            yield (way.last or labels(configuration)[ERROR_LABEL]).place, f"{what}; lead it to the S3 output of errors"


def _error_path_ends(configuration: Configuration) -> Broken:
    """Records that a plugin of the label of errors refuses go to the label of errors again."""
    if ERROR_LABEL not in labels(configuration):
        return
    for element in labels(configuration)[ERROR_LABEL].walk():
        if element.get("@type") == "relabel":
            yield (
                element.place,
                f"what fails in {element.get('@label')} comes back to {ERROR_LABEL} without end; put the output of errors "
                f"into {ERROR_LABEL} itself",
            )
    for tag in (*EVENT_TAGS, *UNKNOWN_TAGS):
        way = route(configuration, ERROR_LABEL, tag)
        if way.output is not None and not (way.filters and _leaves_texts_alone(way.filters[0])):
            yield (
                way.output.place,
                f"a record that the output cannot write (NaN, nesting, no map) comes back to {ERROR_LABEL} without end; begin "
                "the label with record_transformer, renew_record true, which makes a text of it",
            )


def _leaves_texts_alone(step: Element) -> bool:
    return (
        step.get("@type") == "record_transformer" and step.is_true("renew_record", False) and not step.get("keep_keys")
    )


def _errors_are_filed_by_the_collectors_clock(configuration: Configuration) -> Broken:
    """The last filter that sets the time of an error record sets it to the present."""
    for _, _, way in error_ways(configuration):
        renewing = [step for step in way.filters if step.get("renew_time_key")]
        if way.output is not None and is_for_errors(way.output) and not (renewing and _sets_the_present(renewing[-1])):
            yield (
                way.output.place,
                "error records are filed by a time that producers choose, and of days without a partition none is read; set "
                "the time before, with record_transformer, enable_ruby true, renew_time_key __collected and in <record> "
                "__collected ${::Time.now.to_f}",
            )


def _sets_the_present(step: Element) -> bool:
    values = [record.get(step.get("renew_time_key")) for record in step.children("record")]
    return step.is_true("enable_ruby", False) and any(_PRESENT.fullmatch(value) for value in values)


def _error_records_complete(configuration: Configuration) -> Broken:
    for _, _, way in error_ways(configuration):
        for step in way.filters:
            if "message" in removed_keys(step):
                yield step.place_of("remove_keys"), "error records lose what came in; keep the field message"
        injects = (way.output.children("inject") or [way.output]) if way.output and is_for_errors(way.output) else []
        for inject in injects:
            for name, field in (("tag_key", "__tag"), ("time_key", "__time")):
                if inject.get(name) != field:
                    yield inject.place_of(name), f"error records lack {field}; set {name} {field} in <inject>"
            text = _MOMENT.strftime(inject.get("time_format", "?").replace("%3N", "000").replace("%L", "000"))
            if inject.get("time_type") != "string" or not re.fullmatch(r"2026-11-02T05:00:00(\.0+)?(Z|\+00:?00)", text):
                yield inject.place_of("time_format"), "error records' time is read as %Y-%m-%dT%H:%M:%S.%3NZ alone"


ERROR_RULES: tuple[Rule, ...] = (
    Rule("unknown_tags_are_kept", "Records with other tags reach the S3 output of errors.", _unknown_tags_are_kept),
    Rule("errors_are_landed", "What plugins refuse reaches the S3 output of errors.", _errors_are_landed),
    Rule("error_path_ends", "What fails on the way of an error record does not come back to it.", _error_path_ends),
    Rule("errors_are_filed_by_the_clock", "Error records are filed by the clock of the collector.",
         _errors_are_filed_by_the_collectors_clock),
    Rule("error_records_complete", "Error records hold their tag and time.", _error_records_complete),
)  # fmt: skip
