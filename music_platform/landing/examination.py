"""Examines all files of a command before the first is landed: finds formats that are not read, and files without an event.

formats.py and foreign_formats.py recognise the formats.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from music_platform.inert_text import inert
from music_platform.landing.byte_streams import Rejoined, read_fully
from music_platform.landing.error_records import judge, parse_error_record
from music_platform.landing.event_files import EventFile, LandingInputError, opened
from music_platform.landing.event_lines import records_of, sort_block
from music_platform.landing.foreign_formats import WINDOW_BYTES
from music_platform.landing.formats import READ_FORMATS
from music_platform.landing.page_log import PAGE_VIEWS, PageLog, is_page_log
from music_platform.tables.events import EVENT_TYPES

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)  # of error records that are thrown away
_MOST_KEYS = 8


@contextmanager
def examined(files: Iterable[EventFile]) -> Generator[list[EventFile]]:
    """The examined files; standard input and pipes, which can be read only once, stay open until the end.

    Raises LandingInputError for a file that cannot be read, whose format is not read, or whose first lines hold no event.
    """
    with ExitStack() as kept:
        yield [_examined(file, kept) for file in files]


def _examined(file: EventFile, kept: ExitStack) -> EventFile:
    if file.path is not None and file.path.is_file():
        with opened(file) as content:
            return _recognised(file, read_fully(content[0], WINDOW_BYTES))
    stream, position = kept.enter_context(opened(file))
    begin = read_fully(stream, WINDOW_BYTES)
    return replace(_recognised(file, begin), begun=(Rejoined(begin, stream), position))


def _recognised(file: EventFile, begin: bytes) -> EventFile:
    """The file, with the event type that the first bytes of its content show if nothing else says it."""
    is_all = len(begin) < WINDOW_BYTES
    lines = begin.removesuffix(b"\n") + b"\n" if is_all else begin[: begin.rfind(b"\n") + 1]
    if not file.is_page_log and is_page_log(lines):
        if file.event_type:
            raise LandingInputError(
                f"{file.name} is a log of the original Eventsim, with all pages in one file, and not {file.event_type}; nothing "
                "was landed. Land it with --format interana, which makes the four event types of it."
            )
        file = replace(file, event_type=PAGE_VIEWS, is_page_log=True)
    if not file.event_type:
        raise LandingInputError(
            f"the event type of {file.name} cannot be read from its name, nor is it a log of the original Eventsim by its "
            f"content ({_keys_of_first_record(lines)}); nothing was landed. Give --event-type, one of "
            f"{', '.join(EVENT_TYPES)}, or --format interana for a log of the original Eventsim."
        )
    _require_event(file, lines, is_all)
    return file


def _keys_of_first_record(lines: bytes) -> str:
    for line in lines.split(b"\n"):
        for record, _ in records_of(line) if line.strip() else ():
            if isinstance(record, dict):
                keys = ", ".join(inert(key) for key in list(record)[:_MOST_KEYS])
                return f"its first record has the keys {keys}{', ...' if len(record) > _MOST_KEYS else ''}"
    return "no line begins with a JSON object"


def _require_event(file: EventFile, lines: bytes, is_all: bool) -> None:
    """Check the first lines of a file: they must hold an event, or not even one be whole."""
    if file.is_page_log:
        lines = PageLog().split(lines).get(PAGE_VIEWS, b"")
    block = sort_block(lines, file.event_type, _ANY_TIME) if lines else None
    if block is not None and block.errors and not block.by_hour:
        where = "" if is_all else f" in its first {WINDOW_BYTES // 1024} KB"
        raise LandingInputError(
            f"{file.name} holds no event{where}; nothing was landed. Of {block.lines:,} lines the first breaks the rule "
            f"{_reason(block.errors[0])}. Read are {READ_FORMATS}."
        )


def _reason(line: bytes) -> str:
    record = parse_error_record(line.removesuffix(b"\n"))
    if record is None:
        return "json_object"
    judgement = judge(record)
    return f"{judgement.rule} ({judgement.detail})"
