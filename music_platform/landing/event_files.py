"""Files of event lines, plain or compressed: finding them, knowing their type, reading them in blocks of whole lines.

formats.py recognises a file's format by its content; event_lines.py knows what a line means.
"""

from __future__ import annotations

import io
import lzma
import re
import sys
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from isal import isal_zlib

from music_platform.inert_text import inert
from music_platform.landing.byte_streams import ByteStream, read_fully
from music_platform.landing.formats import LandingInputError, decoded
from music_platform.landing.page_log import PAGE_VIEWS
from music_platform.tables.events import EVENT_TYPES

LONGEST_LINE_BYTES = 64 * 1024 * 1024
# isal's error is typed as an instance in its stubs.
_READ_FAILURES: tuple[Any, ...] = (
    OSError, EOFError, zlib.error, isal_zlib.error, lzma.LZMAError, pa.ArrowException, UnicodeDecodeError,
)  # fmt: skip
_FILE_NAME = re.compile(rf"({'|'.join(EVENT_TYPES)})(\.jsonl|\.json)?(\.gz|\.xz|\.bz2|\.zst)?")
_NAME_OF_TYPE = re.compile(rf"({'|'.join(EVENT_TYPES)})(?![a-z])")  # such as listen_events_2026.jsonl


OpenedFile = tuple[ByteStream, Callable[[], int]]
"""A file's content as UTF-8, and a function that returns how far it is read as stored."""


@dataclass(frozen=True)
class EventFile:
    """One input: a file of lines of one event type, plain or compressed. No path: standard input.

    ``is_page_log``: it is a log of the original Eventsim, which holds all event types; ``event_type`` is that of its lines. An
    empty ``event_type`` says that the content has to decide.

    ``shown_as`` is the name in messages of a file that stands for something else, such as an object of the lake. ``begun`` is
    what ``opened`` returned for an input that can be read only once and was examined already.
    """

    path: Path | None
    event_type: str
    shown_as: str = ""
    begun: OpenedFile | None = None
    is_page_log: bool = False

    @property
    def name(self) -> str:
        if self.shown_as:
            return self.shown_as
        return "standard input" if self.path is None else inert(str(self.path))

    @property
    def land_options(self) -> str:
        """The options, with a space behind, by which `land` takes the file's lines from standard input."""
        if self.is_page_log:
            return "--format interana "
        return f"--event-type {self.event_type} " if self.event_type else ""


def event_files(
    paths: Iterable[Path], event_type: str | None = None, *, is_page_log: bool = False, by_content: bool = False
) -> list[EventFile]:
    """The inputs that paths name: files, folders (all event files directly in them) and ``-`` for standard input.

    The type is in the name (``listen_events``, with .jsonl or .json and .gz, .xz, .bz2 or .zst behind it).
    ``event_type`` says it for files of other names; those in a folder have to be given themselves. With ``is_page_log`` all are
    logs of the original Eventsim, a folder stands for all files directly in it that are not hidden, and names do not matter.
    With ``by_content`` the event type of other names stays empty, for ``examined`` to recognise. Raises LandingInputError
    that names what is missing, what cannot be recognised, standard input that is given twice, and a file whose name begins with
    another type than ``event_type``.
    """
    if event_type is not None and event_type not in EVENT_TYPES:
        raise LandingInputError(f"there is no event type '{event_type}'; it is one of {', '.join(EVENT_TYPES)}")

    def file_of(path: Path | None) -> EventFile:
        if is_page_log:
            return EventFile(path, PAGE_VIEWS, is_page_log=True)
        return EventFile(path, _known_type(path or Path("-"), event_type, by_content))

    found: list[EventFile] = []
    for path in paths:
        if path == Path("-"):
            if any(file.path is None for file in found):
                raise LandingInputError("standard input is given twice; it can be read once only")
            found.append(file_of(None))
        elif path.is_dir():
            inside = [file for file in sorted(path.iterdir()) if _is_taken(file, is_page_log)]
            if not inside:
                names = "" if is_page_log else f" named as {', '.join(EVENT_TYPES)}"
                advice = "" if is_page_log else (
                    "; give files of other names themselves, with --event-type, or a folder of logs of the original Eventsim "
                    "with --format interana"
                )  # fmt: skip
                raise LandingInputError(f"the folder '{path}' holds no file{names}{advice}")
            found += [file_of(file) for file in inside]
        elif path.exists():
            found.append(file_of(path))
        else:
            raise LandingInputError(f"there is no file '{path}'")
    return found


def left_out_of_folders(paths: Iterable[Path]) -> list[Path]:
    """Files and folders in the given folders that are no event files.

    Leaves out hidden names, which begin with a dot, such as unfinished files of the generator.
    """
    return [
        found
        for path in paths
        if path.is_dir()
        for found in sorted(path.iterdir())
        if not found.name.startswith(".") and not _is_event_file(found)
    ]


def _is_taken(path: Path, is_page_log: bool) -> bool:
    return path.is_file() and not path.name.startswith(".") if is_page_log else _is_event_file(path)


def _is_event_file(path: Path) -> bool:
    return _FILE_NAME.fullmatch(path.name) is not None and path.is_file()


def _known_type(path: Path, event_type: str | None, by_content: bool) -> str:
    if event_type is not None:
        named = _NAME_OF_TYPE.match(path.name)
        if named is not None and named[1] != event_type:
            raise LandingInputError(
                f"'{path}' is named after {named[1]}, and --event-type says {event_type}; rename the file if its name is wrong"
            )
        return event_type
    match = _FILE_NAME.fullmatch(path.name)
    if match is None and not by_content:
        raise LandingInputError(
            f"the event type of '{path}' cannot be read from its name; give --event-type, one of {', '.join(EVENT_TYPES)}"
        )
    return "" if match is None else match[1]


@contextmanager
def opened(file: EventFile) -> Generator[OpenedFile]:
    """A file, opened, decompressed and converted to UTF-8 as its content requires.

    Raises LandingInputError for a file that cannot be read, and for a format that is not read.
    """
    if file.begun is not None:
        yield file.begun
        return
    try:
        raw = sys.stdin.buffer if file.path is None else file.path.open("rb")
    except OSError as error:
        raise LandingInputError(f"cannot read {file.name}: {error.strerror}") from error
    try:
        counted = _CountedStream(raw)
        try:
            content = decoded(io.BufferedReader(counted, 1 << 20), file.name, file.land_options)
        except _READ_FAILURES as error:
            raise LandingInputError(f"cannot read {file.name}: {error}; nothing of it was landed") from error
        yield content, lambda: counted.position
    finally:
        if file.path is not None:
            raw.close()


class _CountedStream(io.RawIOBase):
    """Counts what is read of a stream; standard input has no position."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._stream.readinto(buffer)
        self.position += count
        return count


def blocks(stream: ByteStream, file: EventFile, block_bytes: int) -> Iterator[bytes]:
    """Blocks of whole lines, about ``block_bytes`` long.

    Where they end depends on the content alone, not on how much each read happens to give. A last line without a line feed
    gets one: the file has ended, nothing will complete it.
    """
    rest = b""
    while True:
        try:
            read = read_fully(stream, block_bytes)
        except _READ_FAILURES as error:
            raise LandingInputError(
                f"cannot read {file.name} to its end: {error}. Some of its hours may be landed; land it again when repaired."
            ) from error
        if not read:
            break
        end = read.rfind(b"\n") + 1
        if not end:
            rest += read
            if len(rest) > LONGEST_LINE_BYTES:
                raise LandingInputError(
                    f"{file.name} has a line of more than {LONGEST_LINE_BYTES} bytes; no event is that long"
                )
            continue
        yield b"".join((rest, memoryview(read)[:end]))
        rest = read[end:]
    if rest:
        yield rest + b"\n"
