"""Rules of sources and of persistent state: input is read once, completely, and survives a restart."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from music_platform.collector.parser import Configuration, Element
from music_platform.collector.routing import event_sources
from music_platform.collector.rule import Broken, Rule
from music_platform.collector.ways import EVENT_TAGS, TAG_PREFIX, event_ways, paths_of
from music_platform.tables.events import EVENT_KEYS, EVENT_TYPES

_RECORDS, _LINES = ("forward", "unix", "sample"), ("tail", "http", "tcp", "udp", "exec", "syslog")
_PASSING = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/var/run", "/private/tmp")
_ROTATED = (".1", "-20261101", ".20261101", ".gz", ".bak", ".old")


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


def _lines_stay_raw(configuration: Configuration) -> Broken:
    for source in event_sources(configuration):
        if source.get("@type") in _LINES and not _gives_lines(source):
            place = next((parser.place_of("@type") for parser in source.children("parse")), source.place)
            yield place, "the source drops what it cannot parse; set <parse> @type none, and parse in a filter"


def _gives_lines(source: Element) -> bool:
    return any(parser.get("@type") == "none" for parser in source.children("parse"))


def _lines_are_parsed(configuration: Configuration) -> Broken:
    for source, tag, way in event_ways(configuration):
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
                if time_key in {"time", *EVENT_KEYS} and not parser.is_true("keep_time_key", False):
                    what = f"a field named {time_key} is taken out of the record"
                    yield parser.place_of("time_key"), f"{what}; set time_key to a name that no record has"


def _files_are_read_once(configuration: Configuration) -> Broken:
    taken: set[str] = set()
    for source in event_sources(configuration):
        for path in paths_of(source) if source.get("@type") == "tail" else ():
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
            if named and source.get("tag") in {*EVENT_TAGS} - {f"{TAG_PREFIX}.{named}"}:
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


SOURCE_RULES: tuple[Rule, ...] = (
    Rule("includes_find_files", "Every @include matches a file.", _includes_find_files),
    Rule("state_lasts", "Buffers, positions and what cannot be written lie in lasting folders.", _state_lasts),
    Rule("lines_stay_raw", "Sources pass lines on unparsed.", _lines_stay_raw),
    Rule("lines_are_parsed", "Lines pass one parser of JSON, and records none.", _lines_are_parsed),
    Rule("files_are_read_once", "No file is read twice.", _files_are_read_once),
    Rule("starts_once", "Sources that cannot run twice run once; TLS has a certificate.", _starts_once),
    Rule("nothing_is_shared", "No two sections share an id, a port or a file.", _nothing_is_shared),
)  # fmt: skip
