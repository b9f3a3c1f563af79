"""Rules of the S3 outputs: the key of an object, requests that cost, the buffer and its retries."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from music_platform.contracts.events import EVENT_TYPES
from music_platform.fluentd_configuration.parser import Configuration, Element
from music_platform.fluentd_configuration.rule import Broken, Rule
from music_platform.landing.layout import ERRORS_PREFIX, LANDING_PREFIX, parse_errors_key, parse_key

_SAMPLE_HOUR = datetime(2026, 11, 1, 5, tzinfo=UTC)
_SAMPLE_CHUNK_ID = "6610b500be66c91898d54d39ff860039"
_DEFAULT_KEY_FORMAT = "%{path}%{time_slice}_%{index}.%{file_extension}"
_FILE_EXTENSIONS = {"gzip": "gz", "gzip_command": "gz", "text": "txt", "json": "json", "lzo": "lzo", "lzma2": "xz"}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def s3_outputs(configuration: Configuration) -> list[Element]:
    """Every S3 output, those within a copy included."""
    return [
        element for element in configuration.root.walk() if element.get("@type") == "s3" and element.name != "source"
    ]


def sample_key(output: Element, event_type: str) -> str:
    """The key that an output would give an object of an hour, without what stands before landing/ or errors/."""
    values = {
        "path": output.get("path"),
        "time_slice": output.get("time_slice_format", _time_slice_format(_buffer_of(output))),
        "file_extension": _FILE_EXTENSIONS.get(output.get("store_as", "gzip"), "gz"),
        "index": "0",
    }
    key = output.get("s3_object_key_format", _DEFAULT_KEY_FORMAT)
    key = re.sub(r"%\{(\w+)\}", lambda found: values.get(found[1], ""), key)
    for placeholder, value in (
        ("${chunk_id}", _SAMPLE_CHUNK_ID),
        ("${tag[1]}", event_type),
        ("${tag[-1]}", event_type),
        ("${tag}", f"eventsim.{event_type}"),
    ):
        key = key.replace(placeholder, value)
    key = _SAMPLE_HOUR.strftime(key)
    begin = re.search(rf"(?:^|/)(?={LANDING_PREFIX}/|{ERRORS_PREFIX}/)", key)
    return key if begin is None else key[begin.end() :]


def lands_events(output: Element) -> bool:
    """Whether an output is meant for events: its objects, or those of a store of a copy, lie under landing/."""
    return _lands_below(LANDING_PREFIX, output)


def lands_errors(output: Element) -> bool:
    """Whether an output is meant for error records: its objects, or those of a store of a copy, lie under errors/."""
    return _lands_below(ERRORS_PREFIX, output)


def _lands_below(prefix: str, output: Element) -> bool:
    return any(
        one.get("@type") == "s3" and sample_key(one, EVENT_TYPES[0]).startswith(f"{prefix}/")
        for one in (output, *output.children("store"))
    )


def _buffer_of(output: Element) -> Element:
    """The buffer's section; an empty one where there is none, with Fluentd's defaults."""
    return next(iter(output.children("buffer")), Element("buffer", "", output.place))


def _seconds(text: str) -> int | None:
    match = re.fullmatch(r"(\d+)([smhd]?)", text)
    return None if match is None else int(match[1]) * _SECONDS[match[2]]


def _time_slice_format(buffer: Element) -> str:
    timekey = _seconds(buffer.get("timekey", "1d")) or 86_400
    if timekey < 60:
        return "%Y%m%d%H%M%S"
    if timekey < 3600:
        return "%Y%m%d%H%M"
    return "%Y%m%d%H" if timekey < 86_400 else "%Y%m%d"


def _of_outputs(broken_at: Callable[[Element], Broken]) -> Callable[[Configuration], Broken]:
    def of_all(configuration: Configuration) -> Broken:
        for output in s3_outputs(configuration):
            yield from broken_at(output)

    return of_all


def _of_buffers(broken_at: Callable[[Element], Broken]) -> Callable[[Configuration], Broken]:
    return _of_outputs(lambda output: broken_at(_buffer_of(output)))


def _key_names_the_chunk(output: Element) -> Broken:
    if "${chunk_id}" not in output.get("s3_object_key_format", _DEFAULT_KEY_FORMAT):
        yield (
            output.place_of("s3_object_key_format"),
            "a chunk that is sent again becomes another object, or takes the place of one; put ${chunk_id} into "
            "s3_object_key_format",
        )


def _key_is_read(output: Element) -> Broken:
    if lands_errors(output):
        is_read = parse_errors_key(sample_key(output, EVENT_TYPES[0])) == _SAMPLE_HOUR
    else:
        is_read = all(parse_key(sample_key(output, name)) == (name, _SAMPLE_HOUR) for name in EVENT_TYPES)
    if not is_read:
        yield (
            output.place_of("path"),
            f"objects such as '{sample_key(output, EVENT_TYPES[1])}' are never read; the platform reads "
            "landing/<event type>/dt=%Y-%m-%d/hour=%H/%Y%m%d%H_<chunk id>.json.gz and "
            "errors/dt=%Y-%m-%d/%Y%m%d%H_<chunk id>.json.gz",
        )


def _keys_are_not_probed(output: Element) -> Broken:
    if output.is_true("check_object", True):
        yield (
            output.place_of("check_object"),
            "each object costs a request more, and with ${chunk_id} in the key a PUT whose answer was lost is tried for "
            "ever; set check_object false",
        )


def _starts_without_s3(output: Element) -> Broken:
    for name in ("check_bucket", "check_apikey_on_start"):
        if output.is_true(name, True):
            yield (
                output.place_of(name),
                f"Fluentd does not start while S3 is down, and producers lose events; set {name} false",
            )


def _gzip_json_lines(output: Element) -> Broken:
    if output.get("store_as", "gzip") not in ("gzip", "gzip_command"):
        yield output.place_of("store_as"), "the platform reads gzip; set store_as gzip"
    formats = output.children("format")
    if not formats or formats[0].get("@type") != "json":
        place = formats[0].place_of("@type") if formats else output.place
        yield place, "the platform reads JSON lines; by default time and tag stand before each; set <format> @type json"


def _secrets_are_variables(configuration: Configuration) -> Broken:
    for element in configuration.root.walk():
        for name in ("aws_key_id", "aws_sec_key", "shared_key", "password"):
            found = element.parameters.get(name)
            if found is not None and found.value and not found.is_from_variable:
                yield found.place, f"{name} stands in the file for all to read; take it from a variable"


def _buffers_are_files(output: Element) -> Broken:
    buffer = _buffer_of(output)
    if not output.children("buffer") or buffer.get("@type", "memory") not in ("file", "file_single"):
        yield buffer.place_of("@type"), "events in memory are lost when Fluentd ends; set <buffer> @type file"
    elif not buffer.get("path"):
        yield buffer.place, "a buffer without a path of its own may not be found again after a restart; set path"


def _buffers_are_apart(configuration: Configuration) -> Broken:
    taken: dict[str, Element] = {}
    for output in s3_outputs(configuration):
        buffer = _buffer_of(output)
        path = buffer.get("path")
        if path and path in taken:
            yield buffer.place_of("path"), f"'{path}' is another output's buffer already; each needs its own"
        taken[path] = buffer


def _is_tried_for_ever(buffer: Element) -> Broken:
    if not buffer.is_true("retry_forever", False):
        yield (
            buffer.place_of("retry_forever"),
            "a chunk is dropped after 72 hours without S3; set retry_forever true",
        )


def _pauses_are_bounded(buffer: Element) -> Broken:
    if not buffer.get("retry_max_interval") and buffer.get("retry_type", "exponential_backoff") != "periodic":
        yield (
            buffer.place_of("retry_max_interval"),
            "pauses between tries double without end, so a day without S3 is followed by another before anything is "
            "written; set retry_max_interval 30s",
        )


def _full_means_wait(buffer: Element) -> Broken:
    if buffer.get("overflow_action", "throw_exception") != "block":
        yield (
            buffer.place_of("overflow_action"),
            "when the buffer is full events are refused or dropped; set overflow_action block, so that sources wait",
        )


def _slices_are_utc_hours(output: Element) -> Broken:
    buffer = _buffer_of(output)
    if "time" not in re.split(r"[\s,]+", buffer.argument):
        yield buffer.place, "chunks are not cut by the time of the event; write <buffer tag,time>"
    elif _seconds(buffer.get("timekey")) != 3600:
        yield buffer.place_of("timekey"), "a chunk must hold events of one hour; set timekey 1h"
    is_utc = buffer.is_true("timekey_use_utc", False) or buffer.get("timekey_zone") in ("UTC", "+00:00", "+0000")
    if not is_utc:
        yield (
            buffer.place_of("timekey_use_utc"),
            "hours are those of the machine's local time; set timekey_use_utc true",
        )


def _injected_times_are_utc(output: Element) -> Broken:
    """Fluentd writes a time as text in the machine's own zone, whatever letter stands at the end of its format."""
    for inject in output.children("inject"):
        is_utc = (
            inject.is_true("utc", False)
            or not inject.is_true("localtime", True)
            or inject.get("timezone") in ("UTC", "+00:00", "+0000")
        )
        if inject.get("time_key") and inject.get("time_type", "float") == "string" and not is_utc:
            yield inject.place_of("utc"), "times are written in the machine's local time; set utc true"


def _tag_is_a_chunk_key(output: Element) -> Broken:
    buffer = _buffer_of(output)
    if "${tag" in output.get("path") and "tag" not in re.split(r"[\s,]+", buffer.argument):
        yield buffer.place, "the path names the tag, so chunks must hold one tag each; write <buffer tag,time>"


def _is_flushed_by_interval(buffer: Element) -> Broken:
    if buffer.get("flush_mode", "lazy") != "interval":
        yield (
            buffer.place_of("flush_mode"),
            "an event of the future stays in the buffer until its hour comes, and one of the present until its hour is "
            "over; set flush_mode interval",
        )


def _is_flushed_at_the_end(buffer: Element) -> Broken:
    if not buffer.is_true("flush_at_shutdown", False):
        yield (
            buffer.place_of("flush_at_shutdown"),
            "what is in the buffer stays there when Fluentd stops, for good where its disk goes too; set "
            "flush_at_shutdown true",
        )


def _queue_is_long(buffer: Element) -> Broken:
    limit = buffer.get("queued_chunks_limit_size")
    if not limit.isdigit() or int(limit) < 100:
        yield (
            buffer.place_of("queued_chunks_limit_size"),
            "by default as many chunks as threads leave at a time, and a backfill of many hours takes many times as long; "
            "set queued_chunks_limit_size 1024",
        )


OUTPUT_RULES: tuple[Rule, ...] = (
    Rule("key_names_the_chunk", "The key holds ${chunk_id}.", _of_outputs(_key_names_the_chunk)),
    Rule("key_is_read", "The key is one that the platform reads.", _of_outputs(_key_is_read)),
    Rule("keys_are_not_probed", "No request asks whether a key exists.", _of_outputs(_keys_are_not_probed)),
    Rule("starts_without_s3", "Fluentd starts while S3 is down.", _of_outputs(_starts_without_s3)),
    Rule("gzip_json_lines", "Objects are gzip JSON lines.", _of_outputs(_gzip_json_lines)),
    Rule("secrets_are_variables", "No secret stands in a file.", _secrets_are_variables),
    Rule("buffers_are_files", "Buffers are on disk.", _of_outputs(_buffers_are_files)),
    Rule("buffers_are_apart", "No two outputs share a buffer.", _buffers_are_apart),
    Rule("tried_for_ever", "No chunk is dropped because S3 is down.", _of_buffers(_is_tried_for_ever)),
    Rule("pauses_are_bounded", "S3 is tried soon after it is back.", _of_buffers(_pauses_are_bounded)),
    Rule("full_means_wait", "A full buffer makes sources wait.", _of_buffers(_full_means_wait)),
    Rule("slices_are_utc_hours", "Chunks are cut by the hour of the event, UTC.", _of_outputs(_slices_are_utc_hours)),
    Rule(
        "injected_times_are_utc", "Times that are written into records are UTC.", _of_outputs(_injected_times_are_utc)
    ),
    Rule("tag_is_a_chunk_key", "A chunk holds one tag where its path names it.", _of_outputs(_tag_is_a_chunk_key)),
    Rule("flushed_by_interval", "No event waits for its hour to end.", _of_buffers(_is_flushed_by_interval)),
    Rule("flushed_at_the_end", "Buffers are written when Fluentd stops.", _of_buffers(_is_flushed_at_the_end)),
    Rule("queue_is_long", "A backfill leaves at the speed of S3.", _of_buffers(_queue_is_long)),
)
