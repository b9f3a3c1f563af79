"""Rules of the S3 outputs: the key of an object, costly requests, the buffer and its retries."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from music_platform.collector.parser import Configuration, Element
from music_platform.collector.plugin_parameters import seconds_of, size_of
from music_platform.collector.rule import Broken, Rule
from music_platform.lake.landing_layout import ERRORS_PREFIX, LANDING_PREFIX, parse_errors_key, parse_key
from music_platform.tables.events import EVENT_TYPES

# Hours that differ in each part: morning and afternoon, month and day, a week that belongs to another year.
_SAMPLE_HOURS = (datetime(2026, 11, 2, 5, tzinfo=UTC), datetime(2027, 1, 1, 17, tzinfo=UTC))
_SAMPLE_TAG = f"eventsim.{EVENT_TYPES[0]}"
_SAMPLE_CHUNK_ID = "6610b500be66c91898d54d39ff860039"
DEFAULT_KEY_FORMAT = "%{path}%{time_slice}_%{index}.%{file_extension}"
_FILE_EXTENSIONS = {"gzip": "gz", "gzip_command": "gz", "text": "txt", "json": "json", "lzo": "lzo", "lzma2": "xz"}
_LONGEST_PAUSE_SECONDS = 3600
_UTC_ZONES = ("UTC", "Etc/UTC", "+00:00", "+0000")


def s3_outputs(configuration: Configuration) -> list[Element]:
    """Every S3 output, including those within a copy."""
    return [
        element for element in configuration.root.walk() if element.get("@type") == "s3" and element.name != "source"
    ]


def sample_key(output: Element, tag: str, hour: datetime = _SAMPLE_HOURS[0]) -> str:
    """The key that an output would give an object of a tag and an hour."""
    values = {
        "path": output.get("path"),
        "time_slice": output.get("time_slice_format", _time_slice_format(child_of(output, "buffer"))),
        "file_extension": _FILE_EXTENSIONS.get(output.get("store_as", "gzip"), "gz"),
        "index": "0",
    }
    key = output.get("s3_object_key_format", DEFAULT_KEY_FORMAT)
    key = re.sub(r"%\{(\w+)\}", lambda found: values.get(found[1], ""), key)
    parts = tag.split(".")
    places = {f"${{tag[{place}]}}": parts[place] for place in range(-len(parts), len(parts))}
    for placeholder, value in {"${chunk_id}": _SAMPLE_CHUNK_ID, "${tag}": tag, **places}.items():
        key = key.replace(placeholder, value)
    return hour.strftime(key)


def lake_of(output: Element) -> tuple[str, str, str]:
    """Endpoint and bucket of an output, and the prefix of its keys before landing/ or errors/."""
    prefix = re.sub(rf"(?:^|(?<=/))({LANDING_PREFIX}|{ERRORS_PREFIX})/.*", "", output.get("path"))
    return output.get("s3_endpoint"), output.get("s3_bucket"), prefix


def lands_event(output: Element | None, tag: str) -> bool:
    """Whether events of a tag are stored where the platform reads them."""
    if output is None or output.get("@type") != "s3":
        return False
    found = [(parse_key(_key_in_lake(output, tag, hour)), hour) for hour in _SAMPLE_HOURS]
    return all(key is not None and key[1] == hour for key, hour in found)


def is_for_events(output: Element | None) -> bool:
    return output is not None and _key_in_lake(output, _SAMPLE_TAG).startswith(f"{LANDING_PREFIX}/")


def is_for_errors(output: Element | None) -> bool:
    return output is not None and _key_in_lake(output, _SAMPLE_TAG).startswith(f"{ERRORS_PREFIX}/")


def _key_in_lake(output: Element, tag: str, hour: datetime = _SAMPLE_HOURS[0]) -> str:
    return sample_key(output, tag, hour).removeprefix(lake_of(output)[2])


def child_of(output: Element, name: str) -> Element:
    """A section of an output; an empty one with Fluentd's defaults if it is missing."""
    return next(iter(output.children(name)), Element(name, "", output.place))


def _time_slice_format(buffer: Element) -> str:
    timekey = seconds_of(buffer.get("timekey", "1d")) or 86_400
    if timekey < 60:
        return "%Y%m%d%H%M%S"
    if timekey < 3600:
        return "%Y%m%d%H%M"
    return "%Y%m%d%H" if timekey < 86_400 else "%Y%m%d"


def _of_outputs(broken_at: Callable[[Element], Broken]) -> Callable[[Configuration], Broken]:
    return lambda configuration: (found for output in s3_outputs(configuration) for found in broken_at(output))


def _key_is_read(output: Element) -> Broken:
    key = sample_key(output, _SAMPLE_TAG)
    if is_for_errors(output):
        is_read = all(parse_errors_key(_key_in_lake(output, _SAMPLE_TAG, hour)) == hour for hour in _SAMPLE_HOURS)
    else:
        is_read = all(lands_event(output, f"eventsim.{name}") for name in EVENT_TYPES)
    if not is_read or key.startswith("/") or "//" in key:
        yield (
            output.place_of("path"),
            f"objects such as '{key}' are never read; the platform reads {LANDING_PREFIX}/<event type>/dt=%Y-%m-%d/hour=%H/"
            f"%Y%m%d%H_<chunk id>.json.gz and {ERRORS_PREFIX}/dt=%Y-%m-%d/%Y%m%d%H_<chunk id>.json.gz",
        )


def _lake_is_one(configuration: Configuration) -> Broken:
    lakes = {lake_of(output) for output in s3_outputs(configuration) if is_for_events(output)}
    for output in s3_outputs(configuration):
        if is_for_errors(output) and lakes and lake_of(output) not in lakes:
            yield (
                output.place_of("path"),
                "errors/ lies in another bucket or below another prefix than landing/; use one",
            )


def _secrets_are_variables(configuration: Configuration) -> Broken:
    for element in configuration.root.walk():
        for name, found in element.parameters.items():
            is_secret = re.search(r"^aws_(key_id|sec_key)$|shared_key|password|passphrase|customer_key$", name)
            if is_secret and found.value and not found.is_from_variable:
                yield found.place, f"{name} stands in the file for all to read; take it from a variable"


def _buffers_hold_chunks(output: Element) -> Broken:
    buffer = child_of(output, "buffer")
    chunk = size_of(buffer.get("chunk_limit_size", "256m")) or 0
    total = size_of(buffer.get("total_limit_size", "64g")) or 0
    if buffer.get("queue_limit_length").isdecimal():
        total = int(buffer.get("queue_limit_length")) * chunk
    if 0 < total < 2 * chunk:
        what = f"the buffer's {total} bytes do not hold two chunks of {chunk}, so it is full while one is sent"
        yield buffer.place_of("total_limit_size"), f"{what}; set total_limit_size to many times chunk_limit_size"


def _pauses_are_bounded(output: Element) -> Broken:
    buffer = child_of(output, "buffer")
    name, default = ("retry_wait", "1") if buffer.get("retry_type") == "periodic" else ("retry_max_interval", "1d")
    if (seconds_of(buffer.get(name, default)) or 0) > _LONGEST_PAUSE_SECONDS:
        what = "pauses between tries grow until hours without S3 are followed by as many before anything is written"
        yield buffer.place_of(name), f"{what}; set {name} 30s"


def _hours_are_utc(output: Element) -> Broken:
    buffer = child_of(output, "buffer")
    if not buffer.is_true("timekey_use_utc", False) and buffer.get("timekey_zone") not in _UTC_ZONES:
        yield (
            buffer.place_of("timekey_use_utc"),
            "hours are those of the machine's local time; set timekey_use_utc true",
        )


def _injected_times_are_utc(output: Element) -> Broken:
    """Fluentd writes a time as text in the machine's own zone, whatever letter stands at the end of its format."""
    for inject in output.children("inject"):
        is_utc = inject.is_true("utc", False) or not inject.is_true("localtime", True)
        is_text = inject.get("time_key") and inject.get("time_type", "float") == "string"
        if is_text and not is_utc and inject.get("timezone") not in _UTC_ZONES:
            yield inject.place_of("utc"), "times are written in the machine's local time; set utc true"


def _placeholders_are_chunk_keys(output: Element) -> Broken:
    buffer = child_of(output, "buffer")
    keys = [key for key in re.split(r"[\s,]+", buffer.argument) if key]
    named = {*re.findall(r"\$\{([^}\[]+)", output.get("path") + output.get("s3_object_key_format")), "time"}
    for name in sorted(named - {*keys, "chunk_id"}):
        yield buffer.place, f"chunks must hold one {name} each, as the key shows; write <buffer {name},...>"
    for key in sorted(set(keys) - {"tag", "time"}):
        yield buffer.place, f"each value of {key} becomes an object an hour; write <buffer tag,time>"


OUTPUT_RULES: tuple[Rule, ...] = (
    Rule("key_is_read", "The key is one that the platform reads.", _of_outputs(_key_is_read)),
    Rule("lake_is_one", "Events and error records lie in one lake.", _lake_is_one),
    Rule("secrets_are_variables", "No secret stands in a file.", _secrets_are_variables),
    Rule("buffers_hold_chunks", "A buffer holds many chunks.", _of_outputs(_buffers_hold_chunks)),
    Rule("pauses_are_bounded", "S3 is tried soon after it is back.", _of_outputs(_pauses_are_bounded)),
    Rule("hours_are_utc", "The hours of chunks are UTC.", _of_outputs(_hours_are_utc)),
    Rule("injected_times_are_utc", "Times in records are UTC.", _of_outputs(_injected_times_are_utc)),
    Rule("placeholders_are_chunk_keys", "A chunk holds one hour, and one value of each name in its key.",
         _of_outputs(_placeholders_are_chunk_keys)),
)  # fmt: skip
