"""Files of lines that several threads write side by side, in an order that does not depend on the threads.

What the lines say does not belong here.
"""

import os
import threading
from collections.abc import Mapping
from pathlib import Path

# Behind this much the system need not keep what was written in memory. A file of gigabytes would push everything else
# out of it, and taking ever new pages from the system costs four times as much as using the same ones again.
_KEPT_IN_MEMORY_BYTES = 64 * 1024 * 1024
_HANDED_BACK_AT_ONCE_BYTES = 32 * 1024 * 1024


class GivenUpError(Exception):
    """A piece cannot be written because another one failed."""


class LineFiles:
    """Files written in numbered pieces that appear under their names only when complete.

    ``lines`` and ``sizes`` (bytes) count by name what has been placed so far. Raises ``OSError``.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.lines = dict.fromkeys(paths, 0)
        self.sizes = dict.fromkeys(paths, 0)
        self._paths = dict(paths)
        self._partials = {name: path.with_name(f".{path.name}.partial") for name, path in paths.items()}
        self._handed_back = dict.fromkeys(paths, _KEPT_IN_MEMORY_BYTES)
        self._turn = threading.Condition()
        self._next_piece = 0
        self._given_up = False
        self._descriptors: dict[str, int] = {}

    def open(self) -> None:
        """Create the files. An interrupt can fall in the midst of it: whoever calls closes them in any case."""
        for name, partial in self._partials.items():
            self._descriptors[name] = os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o666)

    def write(self, piece: int, texts: Mapping[str, tuple[int, memoryview]]) -> None:
        """Write the piece's (lines, text) by file name, behind all pieces of lower number, which it waits for.

        Pieces are numbered 0, 1, 2 and so on. Only their places are settled in order; the writing is side by side.
        """
        with self._turn:
            self._turn.wait_for(lambda: self._given_up or self._next_piece == piece)
            if self._given_up:
                raise GivenUpError(f"piece {piece}")
            places = {name: self.sizes[name] for name in texts}
            for name, (lines, text) in texts.items():
                self.lines[name] += lines
                self.sizes[name] += len(text)
            self._next_piece += 1
            self._turn.notify_all()
        for name, (_, text) in texts.items():
            place = places[name]
            while text:
                written = os.pwrite(self._descriptors[name], text, place)
                text, place = text[written:], place + written
            self._hand_back_memory(name, place)

    def give_up(self) -> None:
        """Let nobody wait for a piece that will never come."""
        with self._turn:
            self._given_up = True
            self._turn.notify_all()

    def close(self, complete: bool) -> None:
        """Give the files their names if they are complete, else remove them."""
        try:
            for name, descriptor in self._descriptors.items():
                if complete:
                    os.ftruncate(descriptor, self.sizes[name])
        finally:
            for descriptor in self._descriptors.values():
                os.close(descriptor)
            if not complete:
                for partial in self._partials.values():
                    partial.unlink(missing_ok=True)
        if complete:
            for name, path in self._paths.items():
                self._partials[name].replace(path)

    def _hand_back_memory(self, name: str, end: int) -> None:
        if end - self._handed_back[name] < _HANDED_BACK_AT_ONCE_BYTES or not hasattr(os, "posix_fadvise"):
            return
        self._handed_back[name] = end
        # Pages that are not on the disk yet are sent there, and go when this is next called.
        os.posix_fadvise(self._descriptors[name], 0, end - _KEPT_IN_MEMORY_BYTES, os.POSIX_FADV_DONTNEED)
