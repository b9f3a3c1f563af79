"""Examines all files of a command before the first is landed: finds formats that are not read, and files without an event.

formats.py and foreign_formats.py recognise the formats.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from music_platform.landing.byte_streams import Rejoined, read_fully
from music_platform.landing.error_records import judge, parse_error_record
from music_platform.landing.event_files import EventFile, LandingInputError, OpenedFile, opened
from music_platform.landing.event_lines import sort_block
from music_platform.landing.foreign_formats import WINDOW_BYTES
from music_platform.landing.formats import READ_FORMATS

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)  # of error records that are thrown away


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
            _begin_of(file, content)
        return file
    stream, position = content = kept.enter_context(opened(file))
    return replace(file, begun=(Rejoined(_begin_of(file, content), stream), position))


def _begin_of(file: EventFile, content: OpenedFile) -> bytes:
    """Check the first bytes of a file's content: they must hold an event, or not even one whole line."""
    begin = read_fully(content[0], WINDOW_BYTES)
    is_all = len(begin) < WINDOW_BYTES
    lines = begin.removesuffix(b"\n") + b"\n" if is_all else begin[: begin.rfind(b"\n") + 1]
    block = sort_block(lines, file.event_type, _ANY_TIME) if lines else None
    if block is not None and block.errors and not block.by_hour:
        where = "" if is_all else f" in its first {WINDOW_BYTES // 1024} KB"
        raise LandingInputError(
            f"{file.name} holds no event{where}; nothing was landed. Of {block.lines:,} lines the first breaks the rule "
            f"{_reason(block.errors[0])}. Read are {READ_FORMATS}."
        )
    return begin


def _reason(line: bytes) -> str:
    record = parse_error_record(line.removesuffix(b"\n"))
    if record is None:
        return "json_object"
    judgement = judge(record)
    return f"{judgement.rule} ({judgement.detail})"
