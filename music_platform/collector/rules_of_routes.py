"""Rules of sources, filters and labels: every record that comes in reaches an output, with the time of its event."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from music_platform.collector import event_time
from music_platform.collector.parser import Configuration, Element
from music_platform.collector.routing import (
    ERROR_LABEL,
    Route,
    event_sources,
    labels,
    pattern_matches,
    route,
    top_level,
)
from music_platform.collector.rule import Broken, Rule
from music_platform.collector.rules_of_outputs import is_for_errors, is_for_events, lands_event
from music_platform.tables.events import EVENT_CONTRACTS, EVENT_TYPES

TAG_PREFIX = "eventsim"
_EVENT_TAGS = tuple(f"{TAG_PREFIX}.{event_type}" for event_type in EVENT_TYPES)
_UNKNOWN_TAGS = (f"{TAG_PREFIX}.no_event_type", "no_event_type", TAG_PREFIX)
_EVENT_KEYS = {key for contract in EVENT_CONTRACTS.values() for key in contract.keys}
_RECORDS, _LINES = ("forward", "unix", "sample"), ("tail", "http", "tcp", "udp", "exec", "syslog")
_PRESENT = re.compile(r"\$\{\s*(?:::)?Time\.now(?:\.utc)?\.to_(?:f|r|i)\s*\}")
_MOMENT = datetime(2026, 11, 2, 5, tzinfo=UTC)
_PASSING = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/var/run", "/private/tmp")
_ROTATED = (".1", "-20261101", ".20261101", ".gz", ".bak", ".old")
_KEEPING_FILTERS = ("parser", "record_transformer", "prometheus")


def _paths(source: Element) -> list[str]:
    return [path.strip() for path in source.get("path").split(source.get("path_delimiter", ","))]


def _tags_of(source: Element) -> list[str]:
    """The tags of events that a source gives; one without a tag of its own takes what its producers say."""
    prefix = f"{source.get('add_tag_prefix')}." if source.get("add_tag_prefix") else ""
    own = source.get("tag")
    if not own:
        return [f"{prefix}{tag}" for tag in (*_EVENT_TAGS, *_UNKNOWN_TAGS)]
    return [prefix + own.replace("*", path.strip("/").replace("/", ".")) for path in _paths(source)]


def _is_of_event(source: Element, tag: str) -> bool:
    return bool(source.get("tag")) or tag.removeprefix(f"{source.get('add_tag_prefix')}.") in _EVENT_TAGS


def _ways(configuration: Configuration) -> Iterator[tuple[Element, str, Route]]:
    for source in event_sources(configuration):
        for tag in _tags_of(source):
            yield source, tag, route(configuration, source.get("@label"), tag)


def _event_ways(configuration: Configuration) -> Iterator[tuple[Element, str, Route]]:
    return ((source, tag, way) for source, tag, way in _ways(configuration) if is_for_events(way.output))


def _error_ways(configuration: Configuration) -> Iterator[tuple[Element | None, str, Route]]:
    yield from (way for way in _ways(configuration) if is_for_errors(way[2].output))
    if ERROR_LABEL in labels(configuration):
        yield from ((None, tag, route(configuration, ERROR_LABEL, tag)) for tag in (*_EVENT_TAGS, *_UNKNOWN_TAGS))


def _where_it_goes(way: Route) -> str:
    if way.output is None:
        return f"is dropped ({way.problem})"
    return f"goes to the output {way.output.get('@type')} at {way.output.place}, where nothing reads it"


def _includes_find_files(configuration: Configuration) -> Broken:
    for pattern, place in configuration.empty_includes:
        yield place, f"'{pattern}' matches no file, and Fluentd says nothing of it; correct the name"


def _state_lasts(configuration: Configuration) -> Broken:
    systems = configuration.root.children("system")
    if not any(system.get("root_dir") for system in systems):
        place = systems[0].place if systems else configuration.root.place
        yield place, "chunks that can never be written go to a folder for temporary files; set root_dir in <system>"
    for element in configuration.root.walk():
        for name in ("root_dir", "pos_file", "path" if element.name in ("buffer", "storage") else "directory"):
            path = element.get(name)
            is_passing = any(PurePosixPath(path).is_relative_to(folder) for folder in _PASSING)
            if path and (is_passing or not path.startswith("/")):
                yield (
                    element.place_of(name),
                    f"'{path}' {'is emptied' if is_passing else 'moves'} when Fluentd or its machine starts again, and what "
                    f"S3 does not have yet is lost; set {name} to a lasting folder's whole path",
                )


def _events_are_landed(configuration: Configuration) -> Broken:
    reached = set()
    for source, tag, way in _ways(configuration):
        if lands_event(way.output, tag) or (tag in _EVENT_TAGS and is_for_events(way.output)):
            reached.add(tag)
        elif _is_of_event(source, tag):
            yield source.place, f"what has the tag {tag} is not landed: it {_where_it_goes(way)}; lead it to the events"
    for tag in set(_EVENT_TAGS) - reached:
        yield configuration.root.place, f"no source lands events with the tag {tag}; add one"


def _unknown_tags_are_kept(configuration: Configuration) -> Broken:
    for source, tag, way in _ways(configuration):
        if not (_is_of_event(source, tag) or lands_event(way.output, tag) or is_for_errors(way.output)):
            what = f"a record with the tag {tag} from {source.place} {_where_it_goes(way)}"
            yield (way.last or source).place, f"{what}; end each label in a <match **> that leads to the errors"


def _errors_are_landed(configuration: Configuration) -> Broken:
    if ERROR_LABEL not in labels(configuration):
        what = "what plugins refuse is only logged"
        yield configuration.root.place, f"{what}; add a <label {ERROR_LABEL}> that leads to the S3 output of errors"
    for source, tag, way in _error_ways(configuration):
        if source is None and not is_for_errors(way.output):
            what = f"what plugins refuse of the tag {tag} {_where_it_goes(way)}"
            yield (way.last or labels(configuration)[ERROR_LABEL]).place, f"{what}; lead it to the S3 output of errors"


def _error_path_ends(configuration: Configuration) -> Broken:
    """What a plugin of the label of errors refuses goes to the label of errors."""
    if ERROR_LABEL not in labels(configuration):
        return
    for element in labels(configuration)[ERROR_LABEL].walk():
        if element.get("@type") == "relabel":
            yield (
                element.place,
                f"what fails in {element.get('@label')} comes back to {ERROR_LABEL} without end; put the output of errors "
                f"into {ERROR_LABEL} itself",
            )
    for tag in (*_EVENT_TAGS, *_UNKNOWN_TAGS):
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


def _lines_come_raw(configuration: Configuration) -> Broken:
    for source in event_sources(configuration):
        if source.get("@type") in _LINES and not _gives_lines(source):
            place = next((parser.place_of("@type") for parser in source.children("parse")), source.place)
            yield place, "the source drops what it cannot parse; set <parse> @type none, and parse in a filter"


def _gives_lines(source: Element) -> bool:
    return any(parser.get("@type") == "none" for parser in source.children("parse"))


def _lines_are_parsed(configuration: Configuration) -> Broken:
    for source, tag, way in _event_ways(configuration):
        parsers = [step for step in way.filters if step.get("@type") == "parser"]
        is_timed = [step for step in way.filters if step.get("@type") == "parser" or step.get("renew_time_key")]
        if source.get("@type") in _RECORDS and parsers:
            yield (
                parsers[0].place,
                f"records of {source.place} are no lines: the parser refuses them; lead them past it",
            )
        if _gives_lines(source) and (len(parsers) != 1 or is_timed[0] not in parsers):
            yield (
                source.place,
                f"lines tagged {tag} pass {len(parsers)} parsers before their time is set; lead them to one",
            )
        key = next((parser.get("message_key", "message") for parser in source.children("parse")), "message")
        for step in parsers:
            if _gives_lines(source) and step.get("key_name").removeprefix("$.") != key:
                yield step.place_of("key_name"), f"lines stand in the field {key}; set key_name {key}"
            for parser in step.children("parse"):
                if parser.get("@type") != "json":
                    yield parser.place_of("@type"), "events are JSON; set @type json"
                time_key = parser.get("time_key", "time")
                if time_key in {"time", *_EVENT_KEYS} and not parser.is_true("keep_time_key", False):
                    what = f"a field named {time_key} is taken out of the record"
                    yield parser.place_of("time_key"), f"{what}; set time_key to a name that no record has"


def _nothing_is_dropped(configuration: Configuration) -> Broken:
    for source, tag, way in (*_ways(configuration), *_error_ways(configuration)):
        for step in way.filters:
            if step.get("@type") not in _KEEPING_FILTERS:
                origin = source.place if source else "plugins' errors"
                yield step.place, f"{step.get('@type')} may drop records ({tag} from {origin}) or log them; remove it"


def _removed(step: Element) -> set[str]:
    return {name.strip().removeprefix("$.") for name in re.split(r'[,\[\]"]+', step.get("remove_keys"))}


def _fields_are_kept(configuration: Configuration) -> Broken:
    for _, _, way in _event_ways(configuration):
        for step in way.filters:
            removed = _removed(step)
            written = {name for record in step.children("record") for name in record.parameters}
            for name in sorted((removed | written) & _EVENT_KEYS):
                yield step.place, f"the filter changes the field {name} of events; leave it as it came"
            if step.is_true("renew_record", False) or step.get("keep_keys"):
                yield step.place_of("renew_record"), "fields of events are left out; remove renew_record and keep_keys"
            for name in {step.get("renew_time_key")} - {*removed, ""}:
                yield step.place_of("remove_keys"), f"each event gets a field; set remove_keys {name}"
        for inject in way.output.children("inject") if way.output else ():
            for name in {inject.get(key) for key in ("time_key", "tag_key", "hostname_key")} & _EVENT_KEYS:
                yield inject.place, f"the field {name} of events is overwritten; use another name"


def _files_are_read_once(configuration: Configuration) -> Broken:
    taken: set[str] = set()
    for source in event_sources(configuration):
        for path in _paths(source) if source.get("@type") == "tail" else ():
            excluded = re.findall(r'[^\s,\[\]"]+', source.get("exclude_path"))
            rotated = [f"{path.replace('*', '')}{ending}" for ending in _ROTATED] if "*" in path else []
            again = [name for name in rotated if fnmatchcase(name, path)]
            again = [name for name in again if not any(fnmatchcase(name, out) for out in excluded)]
            if again and not source.is_true("follow_inodes", False):
                yield (
                    source.place_of("path"),
                    f"'{path}' takes rotated files such as '{again[0]}', and reads them again",
                )
            if any(fnmatchcase(path, out) for out in excluded):
                yield source.place_of("exclude_path"), f"exclude_path leaves out '{path}' itself; correct it"
            named = next((kind for kind in EVENT_TYPES if PurePosixPath(path).name.startswith(kind)), "")
            if named and source.get("tag") in {*_EVENT_TAGS} - {f"{TAG_PREFIX}.{named}"}:
                yield source.place_of("tag"), f"'{path}' holds {named}, but its events become {source.get('tag')}"
            if path in taken:
                yield source.place_of("path"), f"'{path}' is read twice, and each event landed twice; remove one"
            taken.add(path)


def _starts_once(configuration: Configuration) -> Broken:
    workers = {system.get("workers", "1") for system in configuration.root.children("system")}
    for source in configuration.root.children("source"):
        if workers - {"1"} and source.get("@type") in ("tail", "unix"):
            yield source.place, f"more workers than one do not start a {source.get('@type')} source; set workers 1"
    for transport in (element for element in configuration.root.walk() if element.name == "transport"):
        if transport.argument not in ("tcp", "udp", "tls", "") and "#{" not in transport.argument:
            yield transport.place, f"there is no transport {transport.argument}; write <transport tls>"
        if transport.argument == "tls" and not {"cert_path", "ca_cert_path", "insecure"} & {*transport.parameters}:
            yield transport.place, "TLS needs a certificate; set cert_path and private_key_path"


def _nothing_is_shared(configuration: Configuration) -> Broken:
    taken: set[tuple[str, str]] = set()
    for element in configuration.root.walk():
        names = {"record": (), "buffer": ("path",)}.get(element.name, ("@id", "port", "pos_file"))
        for name in names:
            value = (name, re.sub("/+", "/", element.get(name)).rstrip("/"))
            if value[1] and value in taken:
                yield element.place_of(name), f"{name} {value[1]} is taken by another section; each needs its own"
            taken.add(value)


def _time_is_that_of_the_event(configuration: Configuration) -> Broken:
    for source, tag, way in _event_ways(configuration):
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


def _errors_are_filed_by_the_collectors_clock(configuration: Configuration) -> Broken:
    """The last filter that sets the time of an error record sets it to the present."""
    for _, _, way in _error_ways(configuration):
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


def _error_records_tell(configuration: Configuration) -> Broken:
    for _, _, way in _error_ways(configuration):
        for step in way.filters:
            if "message" in _removed(step):
                yield step.place_of("remove_keys"), "error records lose what came in; keep the field message"
        injects = (way.output.children("inject") or [way.output]) if way.output and is_for_errors(way.output) else []
        for inject in injects:
            for name, field in (("tag_key", "__tag"), ("time_key", "__time")):
                if inject.get(name) != field:
                    yield inject.place_of(name), f"error records do not tell {field}; set {name} {field} in <inject>"
            text = _MOMENT.strftime(inject.get("time_format", "?").replace("%3N", "000").replace("%L", "000"))
            if inject.get("time_type") != "string" or not re.fullmatch(r"2026-11-02T05:00:00(\.0+)?(Z|\+00:?00)", text):
                yield inject.place_of("time_format"), "error records' time is read as %Y-%m-%dT%H:%M:%S.%3NZ alone"


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
    Rule("includes_find_files", "Every @include matches a file.", _includes_find_files),
    Rule("state_lasts", "Buffers, positions and what cannot be written lie in lasting folders.", _state_lasts),
    Rule("events_are_landed", "Events of every source reach the S3 output of events.", _events_are_landed),
    Rule("unknown_tags_are_kept", "Records with other tags reach the S3 output of errors.", _unknown_tags_are_kept),
    Rule("errors_are_landed", "What plugins refuse reaches the S3 output of errors.", _errors_are_landed),
    Rule("error_path_ends", "What fails on the way of an error record does not come back to it.", _error_path_ends),
    Rule("labels_exist", "Every label that is named exists once.", _labels_exist),
    Rule("labels_catch_all", "Every label ends in a match that takes all.", _labels_catch_all),
    Rule("nothing_behind_catch_all", "No section stands behind a match that takes all.", _matches_before_are_passed),
    Rule("lines_come_raw", "Sources pass lines on unparsed.", _lines_come_raw),
    Rule("lines_are_parsed", "Lines pass one parser of JSON, and records none.", _lines_are_parsed),
    Rule("nothing_is_dropped", "No filter on the way drops or logs a record.", _nothing_is_dropped),
    Rule("fields_are_kept", "No filter changes a field of an event.", _fields_are_kept),
    Rule("files_are_read_once", "No file is read twice.", _files_are_read_once),
    Rule("starts_once", "Sources that cannot run twice run once; TLS has a certificate.", _starts_once),
    Rule("nothing_is_shared", "No two sections share an id, a port or a file.", _nothing_is_shared),
    Rule("time_is_that_of_the_event", "Events are filed by their ts.", _time_is_that_of_the_event),
    Rule("errors_are_filed_by_the_clock", "Error records are filed by the clock of the collector.",
         _errors_are_filed_by_the_collectors_clock),
    Rule("error_records_tell", "Error records hold their tag and time.", _error_records_tell),
)  # fmt: skip
