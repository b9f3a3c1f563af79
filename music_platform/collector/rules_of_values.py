"""Rules of single values: parameters of which one value, often Fluentd's default, loses events, money or trust."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from music_platform.collector.parser import Configuration, Element
from music_platform.collector.plugin_parameters import seconds_of, size_of
from music_platform.collector.routing import event_sources
from music_platform.collector.rule import Broken, Rule
from music_platform.collector.rules_of_outputs import DEFAULT_KEY_FORMAT, child_of, s3_outputs

_ANYWHERE, _OUTPUT, _BUFFER, _FORMAT, _TAIL = "any section", "S3 outputs", "buffer", "format", "tail sources"


def _is_true(text: str) -> bool:
    return text in ("true", "yes", "")


def _is_false(text: str) -> bool:
    return text in ("false", "no")


def _is_absent(text: str) -> bool:
    return not text


def _matches(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(pattern, text) is not None


# rule: what holds, then (sections, parameter, its default, whether a value is right, what to do)
_VALUES: dict[str, tuple[str, tuple[tuple[str, str, str, Callable[[str], bool], str], ...]]] = {
    "key_names_the_chunk": ("The key holds ${chunk_id}.", (
        (_OUTPUT, "s3_object_key_format", DEFAULT_KEY_FORMAT, lambda text: "${chunk_id}" in text,
         "a chunk that is sent again becomes another object, or takes the place of one; put ${chunk_id} into "
         "s3_object_key_format"),
    )),
    "bucket_is_one": ("The bucket is a name and the endpoint a url.", (
        (_OUTPUT, "s3_bucket", "", _matches(r"|[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
         "no bucket can have this name; write the bucket's name alone, without folders"),
        (_OUTPUT, "s3_endpoint", "", _matches(r"|https?://[^/].*"), "this is no url; write https://host:port"),
    )),
    "gzip_json_lines": ("Objects are gzip JSON lines.", (
        (_OUTPUT, "store_as", "gzip", _matches("gzip(_command)?"), "the platform reads gzip; set store_as gzip"),
        (_FORMAT, "@type", "out_file", _matches("json"),
         "the platform reads JSON lines; by default time and tag stand before each; set <format> @type json"),
        (_FORMAT, "add_newline", "true", _is_true, "without line feeds an object is one line; set add_newline true"),
    )),
    "buffers_are_files": ("Buffers are on disk, in a place of their own.", (
        (_BUFFER, "@type", "memory", _matches("file"),
         "buffers of another type lose events when Fluentd ends, or cannot be cut by the hour; set <buffer> @type file"),
        (_BUFFER, "path", "", bool,
         "a buffer without a path of its own may not be found again after a restart; set path"),
    )),
    "chunks_are_large": ("A chunk holds many events.", (
        (_BUFFER, "chunk_limit_size", "", lambda text: (size_of(text) or 1 << 30) >= 1 << 20,
         "an event larger than a chunk is refused; set chunk_limit_size 64m"),
        (_BUFFER, "chunk_limit_records", "", _matches(r"|\d{4,}"),
         "each few events become an object; leave chunk_limit_records out"),
    )),
    "slices_are_hours": ("Chunks are cut by the hour.", (
        (_BUFFER, "timekey", "1d", lambda text: seconds_of(text) == 3600,
         "a chunk must hold events of one hour; set timekey 1h"),
    )),
    "flushed_by_interval": ("No event waits for its hour to end.", (
        (_BUFFER, "flush_mode", "lazy", _matches("interval"),
         "an event of the future stays in the buffer until its hour comes, and one of the present until its hour is over; "
         "set flush_mode interval"),
        *((_BUFFER, name, "1", lambda text: (seconds_of(text) or 0) <= 1800, f"events wait long before they leave; set {name}")
          for name in ("flush_interval", "flush_thread_interval", "flush_thread_burst_interval")),
    )),
    "keys_are_not_probed": ("No request asks whether a key exists.", (
        (_OUTPUT, "check_object", "true", _is_false,
         "each object costs a request more, and with ${chunk_id} in the key a PUT whose answer was lost is tried for ever; "
         "set check_object false"),
    )),
    "starts_without_s3": ("Fluentd starts while S3 is down.", tuple(
        (_OUTPUT, name, "true", _is_false,
         f"Fluentd does not start while S3 is down, and producers lose events; set {name} false")
        for name in ("check_bucket", "check_apikey_on_start")
    )),
    "objects_are_readable": ("The platform can read what is written, and others cannot.", (
        (_OUTPUT, "storage_class", "", lambda text: text not in ("GLACIER", "DEEP_ARCHIVE"),
         "objects of this class must be restored before each read; leave storage_class out"),
        (_OUTPUT, "sse_customer_algorithm", "", _is_absent,
         "the platform has no key of the customer's to read with; use use_server_side_encryption aws:kms"),
        (_OUTPUT, "acl", "", lambda text: not text.startswith(("public", "authenticated")),
         "strangers may read (or write) the objects; leave acl out"),
    )),
    "tls_is_verified": ("Where TLS is spoken, the other side is verified.", (
        (_ANYWHERE, "ssl_verify_peer", "true", _is_true, "anybody can pose as S3; set ssl_verify_peer true"),
        (_ANYWHERE, "insecure", "false", _is_false, "TLS is switched off; remove insecure"),
        (_ANYWHERE, "s3_endpoint", "", lambda text: not re.match(r"http://.*\.amazonaws\.com", text),
         "keys and events go unencrypted; write https://"),
        *((_ANYWHERE, name, "", lambda text: "1_1" not in text, f"TLS 1.1 is broken; set {name} TLSv1_2")
          for name in ("version", "min_version", "max_version")),
    )),
    "sources_take_all": ("No source leaves records out.", (
        *((_ANYWHERE, name, "", _is_absent, f"what is beyond {name} is dropped with a line in the log; leave it out")
          for name in ("chunk_size_limit", "max_line_size", "limit_recently_modified")),
        *((_ANYWHERE, name, "false", _is_false, f"records are dropped with a line in the log; leave {name} out")
          for name in ("skip_invalid_event", "without_source", "with_source_only")),
        (_ANYWHERE, "body_size_limit", "32m", lambda text: (size_of(text) or 1 << 30) >= 1 << 16,
         "bodies of a few events are refused; set body_size_limit 32m"),
        (_TAIL, "read_from_head", "false", _is_true, "lines from before Fluentd's start are lost; set read_from_head true"),
        (_TAIL, "refresh_interval", "60", lambda text: (seconds_of(text) or 0) <= 600,
         "a file that is rotated before it is found is never read; set refresh_interval 5s"),
    )),
    "invalid_lines_are_kept": ("What the parser refuses is kept.", (
        (_ANYWHERE, "emit_invalid_record_to_error", "true", _is_true,
         "lines that cannot be parsed are dropped; set emit_invalid_record_to_error true"),
    )),
    "parsed_as_written": ("The parser changes no value and no name.", (
        *((_ANYWHERE, name, "", _is_absent, f"{name} changes names or values of events; leave it out")
          for name in ("hash_value_field", "inject_key_prefix", "null_value_pattern", "types")),
        *((_ANYWHERE, name, "false", _is_false, f"{name} changes events; set it false")
          for name in ("reserve_data", "null_empty_string", "replace_invalid_sequence")),
    )),
    "positions_are_kept": ("Files are read on from where they were left.", (
        (_TAIL, "pos_file", "", bool, "after a restart lines are read again or never; set pos_file"),
    )),
    "tried_for_ever": ("No chunk is dropped because S3 is down.", (
        (_BUFFER, "retry_forever", "false", _is_true, "a chunk is dropped after 72 hours without S3; set retry_forever true"),
    )),
    "unwritable_chunks_are_kept": ("A chunk that can never be written is kept.", (
        (_ANYWHERE, "disable_chunk_backup", "false", _is_false,
         "a chunk that S3 will never take is thrown away; remove disable_chunk_backup"),
    )),
    "full_means_wait": ("A full buffer makes sources wait.", (
        (_BUFFER, "overflow_action", "throw_exception", _matches("block"),
         "when the buffer is full events are refused or dropped; set overflow_action block, so that sources wait"),
    )),
    "flushed_at_the_end": ("Buffers are written when Fluentd stops.", (
        (_BUFFER, "flush_at_shutdown", "false", _is_true,
         "what is in the buffer stays there when Fluentd stops, for good where its disk goes too; set flush_at_shutdown "
         "true"),
    )),
    "queue_is_long": ("A backfill leaves at the speed of S3.", (
        (_BUFFER, "queued_chunks_limit_size", "1", _matches(r"\d{3,}"),
         "by default as many chunks as threads leave at a time, and a backfill of many hours takes many times as long; set "
         "queued_chunks_limit_size 1024"),
    )),
}  # fmt: skip


def _sections(configuration: Configuration, where: str) -> Iterator[Element]:
    if where == _ANYWHERE:
        yield from (section for section in configuration.root.walk() if section.name != "record")
    elif where == _TAIL:
        yield from (source for source in event_sources(configuration) if source.get("@type") == "tail")
    else:
        for output in s3_outputs(configuration):
            yield output if where == _OUTPUT else child_of(output, where)


def _rule(name: str) -> Rule:
    description, values = _VALUES[name]

    def broken_at(configuration: Configuration) -> Broken:
        for where, parameter, default, is_right, message in values:
            for section in _sections(configuration, where):
                if not is_right(section.get(parameter, default)):
                    yield section.place_of(parameter), message

    return Rule(name, description, broken_at)


VALUE_RULES: tuple[Rule, ...] = tuple(_rule(name) for name in _VALUES)
