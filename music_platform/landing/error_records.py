"""Error records: what the collector writes to `errors/`, parsed and checked by the current rules.

Pure functions on bytes. lake/landing_layout.py knows where error records are stored, error_rows.py makes them a table, and
replay.py lands the events among them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from music_platform.exact_json import json_text, read_json, refuse_constant
from music_platform.landing.byte_order_marks import without_marks
from music_platform.landing.event_lines import TAG_PREFIX, HourLines, sort_block
from music_platform.tables.collector_errors import (
    ACCEPTED_BY_COLLECTOR,
    COLLECTOR_RULES,
    ERROR_RECORD_READABLE,
    JSON_OBJECT,
    TAG_KNOWN,
    TS_EPOCH_MILLISECONDS,
)
from music_platform.tables.events import EVENT_TYPES

_TEXT = rb'"(?:[^"\\]|\\.)*"'
# What the collector puts behind a record's own fields; those are left as they are written.
_SIZE = rb'"__bytes":(?P<size>\d{1,15}),"__sha256":(?P<sha256>"[0-9a-f]{64}"),'
_ORIGIN = re.compile(
    rb',?(?:"__reason":(?P<reason>%b),)?(?:%b)?"__tag":(?P<tag>%b),"__time":(?P<time>%b)\s*\}\s*\Z'
    % (_TEXT, _SIZE, _TEXT, _TEXT)
)
_ONLY_MESSAGE = re.compile(rb'\s*\{"message":(?P<message>%b)\}' % _TEXT, re.DOTALL)
_LONGEST_VALUE = 80
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)  # of error records that are thrown away


@dataclass(frozen=True)
class ErrorRecord:
    """One record of `errors/`.

    ``raw`` is the received line, body or element of an array, or the JSON of a record that the collector had parsed. The
    collector keeps its first 64 KB; ``size`` (bytes) and ``sha256`` are those of the whole, None if the record lacks them.
    """

    raw: bytes
    tag: str
    reason: str | None
    collected_at: datetime | None
    size: int | None = None
    sha256: str | None = None

    @property
    def is_cut(self) -> bool:
        """Whether more was received than the record holds."""
        return self.size is not None and self.size > len(self.raw)

    @property
    def event_type(self) -> str | None:
        """The event type that the tag names; None where it names none."""
        prefix, _, name = self.tag.partition(".")
        return name if prefix == TAG_PREFIX and name in EVENT_TYPES else None


@dataclass(frozen=True)
class Judgement:
    """The rule that a record breaks and how; also its events, by hour, if it breaks only the collector's own rules."""

    rule: str
    detail: str | None
    events: list[HourLines] = field(default_factory=list)


UNREADABLE = Judgement(ERROR_RECORD_READABLE, "not an error record as the collector writes them")


def parse_error_record(line: bytes) -> ErrorRecord | None:
    """Parse a line of `errors/`; None when it is no error record."""
    origin = _ORIGIN.search(line)
    if origin is None or not line.startswith(b"{"):
        return None
    record = line[: origin.start()] + b"}"
    only_message = _ONLY_MESSAGE.fullmatch(record)
    try:
        tag, time = _text_of(origin["tag"]), _text_of(origin["time"])
        reason = None if origin["reason"] is None else _text_of(origin["reason"])
        raw = record if only_message is None else _bytes_of(only_message["message"])
        # A line that is refused for its `ts` is a record; a line that is no record becomes one with this field alone.
        if reason == TS_EPOCH_MILLISECONDS and not raw.lstrip().startswith((b"{", b"[")):
            raw = record
    except ValueError:  # an escape that is none
        return None
    if origin["size"] is None:
        return ErrorRecord(raw, tag, reason, _moment(time))
    return ErrorRecord(raw, tag, reason, _moment(time), int(origin["size"]), _text_of(origin["sha256"]))


def judge(record: ErrorRecord) -> Judgement:
    """Check a record that the collector refused by the platform's own rules."""
    event_type = record.event_type
    if event_type is None:
        return Judgement(TAG_KNOWN, f"tag {_shorten(record.tag)}")
    if record.is_cut:
        rule = record.reason if record.reason in COLLECTOR_RULES else JSON_OBJECT
        return Judgement(rule, f"the first {len(record.raw):,} of {record.size:,} bytes, sha256 {record.sha256}")
    raw = without_marks(record.raw)
    if not raw.strip():
        return Judgement(JSON_OBJECT, "a blank line")
    try:
        parsed = read_json(raw.decode("utf-8"), refuse_constant=refuse_constant)
    except UnicodeDecodeError as error:
        return Judgement(JSON_OBJECT, f"byte 0x{raw[error.start]:02x} at position {error.start} is not UTF-8")
    except RecursionError:
        return Judgement(JSON_OBJECT, "nested too deeply")
    except ValueError as error:
        return Judgement(JSON_OBJECT, str(error))
    elements = parsed if isinstance(parsed, list) else [parsed]
    strangers = [element for element in elements if not isinstance(element, dict)]
    if strangers or not elements:
        return Judgement(JSON_OBJECT, f"found {_shorten(strangers[0])}" if strangers else "an empty array")
    # A body may go over several lines. In JSON line feeds stand between values only.
    line = raw.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"
    block = sort_block(line, event_type, _ANY_TIME)
    if block.errors:
        return Judgement(TS_EPOCH_MILLISECONDS, _about_ts(elements))
    return Judgement(ACCEPTED_BY_COLLECTOR, None, block.by_hour)


def _about_ts(elements: list[dict[str, Any]]) -> str:
    found = [f"ts: {_shorten(element['ts'])}" if "ts" in element else "no ts" for element in elements]
    return ", ".join(found)[:_LONGEST_VALUE]


def _shorten(value: Any) -> str:
    text = json_text(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _text_of(literal: bytes) -> str:
    """A JSON string as text that can be stored; what is not UTF-8 in it reads `\\xNN`."""
    return _bytes_of(literal).decode("utf-8", "backslashreplace")


def _bytes_of(literal: bytes) -> bytes:
    """The received bytes. Fluentd writes bytes that are not UTF-8 into its JSON unchanged."""
    text = json.loads(literal.decode("utf-8", "surrogateescape"), strict=False)
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # the escape of a lone surrogate
        return text.encode("utf-8", "backslashreplace")


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
